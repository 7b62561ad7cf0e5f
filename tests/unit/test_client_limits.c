// A broker that comes back with lower limits than those that requests were made for.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "stream.h"
#include "test_client_fixture.h"
#include "wire_limits.h"

#define BODY_BYTES 300000u
#define LOWER_FRAME_BYTES 400000u

static uint8_t body[1000000];

// The broker takes what it is sent next, but the answer is lost; and the broker that is there then takes less.
static void lower_before_the_answer(struct rig *rig, uint64_t body_bytes, uint64_t frame_bytes)
{
    cr_assert_eq(rig_put(rig, "other", "a"), NQ_OK); // the first limits are known
    fake_broker_set_limits(rig->broker, body_bytes, frame_bytes);
    fake_broker_disconnect_after(rig->broker, 1);
}

// The same, before any broker has seen what comes next.
static void lower_unseen(struct rig *rig, uint64_t body_bytes, uint64_t frame_bytes)
{
    cr_assert_eq(rig_put(rig, "other", "a"), NQ_OK);
    fake_broker_set_limits(rig->broker, body_bytes, frame_bytes);
    fake_broker_disconnect(rig->broker);
    cr_assert_eq(nq_ping(rig->client, NULL), NQ_OK);
}

static void expect_line(const struct rig *rig, const char *part)
{
    cr_assert(strstr(nq_error_text(rig->client), part) != NULL, "%s", nq_error_text(rig->client));
}

// Seven requests' worth of items in one frame; a frame takes one of them now.
static void put_seven(struct rig *rig, bool atomic, enum nq_status wanted, size_t accepted_wanted)
{
    struct nq_body bodies[7];
    struct nq_put_options options = {.wait_ms = NQ_WAIT_FOREVER, .atomic = atomic};
    for (size_t i = 0; i < 7; i++) {
        bodies[i] = (struct nq_body){.data = body, .len = BODY_BYTES};
    }
    size_t accepted = 0;
    cr_assert_eq(nq_put_many(rig->client, "q", bodies, 7, &options, &accepted), wanted, "%s", nq_error_text(rig->client));
    cr_assert_eq(accepted, accepted_wanted);
}

Test(limits, a_run_that_is_too_large_for_a_frame_now_is_sent_again_in_parts)
{
    struct rig rig = rig_make();
    lower_before_the_answer(&rig, BODY_BYTES, LOWER_FRAME_BYTES);
    put_seven(&rig, false, NQ_OK, 7);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 7);
    cr_assert_eq(rig_put(&rig, "q", "b"), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 8);
    rig_end(&rig);
}

Test(limits, a_started_put_leaves_in_parts_when_only_a_smaller_frame_is_taken)
{
    struct rig rig = rig_make();
    cr_assert_eq(rig_put(&rig, "other", "a"), NQ_OK);
    struct nq_body bodies[4];
    for (size_t i = 0; i < 4; i++) {
        bodies[i] = (struct nq_body){.data = body, .len = BODY_BYTES};
    }
    cr_assert_neq(nq_start_put(rig.client, "q", bodies, 4, NULL, NULL), 0);
    cr_assert_neq(nq_start_put(rig.client, "q", bodies, 2, NULL, NULL), 0);
    fake_broker_set_limits(rig.broker, BODY_BYTES, LOWER_FRAME_BYTES);
    fake_broker_disconnect(rig.broker);
    for (size_t accepted = 0; accepted < 6;) {
        struct nq_completion completion;
        cr_assert_eq(nq_wait_completion(rig.client, PATIENCE_MS, &completion), NQ_OK);
        cr_assert_eq(completion.status, NQ_OK, "%s", nq_error_text(rig.client));
        accepted += completion.accepted;
    }
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 6);
    rig_end(&rig);
}

Test(limits, a_started_put_need_not_fit_a_frame_nor_limits_that_are_not_told_yet)
{
    struct rig rig = rig_make();
    fake_broker_set_limits(rig.broker, sizeof body * 2, NQ_FRAME_BYTES_DEFAULT);
    fake_broker_disconnect(rig.broker);
    static uint8_t large[sizeof body * 2];
    struct nq_body bodies[2] = {{.data = large, .len = sizeof large}, {.data = large, .len = sizeof large}};
    struct nq_completion completion;
    cr_assert_neq(nq_start_put(rig.client, "q", bodies, 2, NULL, NULL), 0, "%s", nq_error_text(rig.client));
    cr_assert_eq(nq_wait_completion(rig.client, PATIENCE_MS, &completion), NQ_OK);
    cr_assert_eq(completion.status, NQ_OK, "%s", nq_error_text(rig.client));
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 2);
    rig_end(&rig);
}

Test(limits, an_atomic_run_cannot_be_cut)
{
    struct rig rig = rig_make();
    lower_before_the_answer(&rig, BODY_BYTES, LOWER_FRAME_BYTES);
    put_seven(&rig, true, NQ_OUTCOME_UNKNOWN, 0);
    expect_line(&rig, "400000");
    cr_assert_eq(rig_put(&rig, "q", "b"), NQ_OK);
    rig_end(&rig);
}

static void put_that_is_unknown(struct rig *rig, uint64_t frame_bytes)
{
    lower_before_the_answer(rig, 1000, frame_bytes);
    cr_assert_eq(nq_put(rig->client, "q", body, sizeof body, NULL, NULL), NQ_OUTCOME_UNKNOWN);
}

// Which is no duplicate of what went before.
static void expect_another_put(struct rig *rig)
{
    cr_assert_eq(rig_put(rig, "q", "b"), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig->broker, "q").puts, 2);
    rig_end(rig);
}

Test(limits, an_item_no_frame_takes_any_more_ends_once_with_an_unknown_outcome)
{
    struct rig rig = rig_make();
    put_that_is_unknown(&rig, LOWER_FRAME_BYTES);
    expect_line(&rig, "400000");
    expect_another_put(&rig);
}

Test(limits, an_item_over_the_lower_body_limit_has_an_unknown_outcome_when_it_was_sent_before)
{
    struct rig rig = rig_make();
    put_that_is_unknown(&rig, NQ_FRAME_BYTES_DEFAULT);
    expect_another_put(&rig);
}

Test(limits, an_item_that_no_broker_has_seen_is_too_large)
{
    struct rig rig = rig_make();
    lower_unseen(&rig, 1000, LOWER_FRAME_BYTES);
    cr_assert_eq(nq_put(rig.client, "q", body, sizeof body, NULL, NULL), NQ_TOO_LARGE);
    cr_assert_eq(rig_put(&rig, "q", "b"), NQ_OK);
    rig_end(&rig);
}

Test(limits, a_producer_ends_with_its_first_item_that_no_frame_takes)
{
    struct rig rig = rig_make();
    struct nq_producer *producer;
    struct nq_producer_options options;
    nq_producer_options_init(&options);
    options.batch_items = 1;
    lower_before_the_answer(&rig, 1000, LOWER_FRAME_BYTES);
    cr_assert_eq(nq_producer_open(rig.client, "q", &options, &producer), NQ_OK);
    cr_assert_eq(nq_producer_put(producer, &(struct nq_body){.data = body, .len = sizeof body}), NQ_OK);
    (void)nq_producer_put(producer, &(struct nq_body){.data = body, .len = 10});
    cr_assert_eq(nq_producer_flush(producer, NQ_WAIT_FOREVER), NQ_OUTCOME_UNKNOWN);
    const struct nq_producer_failure *failure = nq_producer_failure(producer);
    cr_assert_eq(failure->failed_index, 0);
    cr_assert(strstr(failure->text, "400000") != NULL, "%s", failure->text);
    (void)nq_producer_close(&producer, 0);
    rig_end(&rig);
}

Test(limits, a_reason_longer_than_any_frame_is_too_large)
{
    struct rig rig = rig_make();
    struct nq_item *item;
    char *reason = calloc(1, NQ_FRAME_BYTES_DEFAULT + 2);
    cr_assert_not_null(reason);
    memset(reason, 'r', NQ_FRAME_BYTES_DEFAULT + 1);
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    cr_assert_eq(nq_requeue(rig.client, &item, &(struct nq_requeue_options){.reason = reason}), NQ_TOO_LARGE);
    free(reason);
    rig_end(&rig);
}

#define HELD 10500u

// A broker drops a frame that tells of more than 10,000 gets, and with it the requests that nothing else brings back.
Test(limits, more_gets_are_held_than_one_frame_tells_of)
{
    struct rig rig = rig_make();
    static struct nq_item *items[HELD];
    struct nq_queue_options options = {0};
    cr_assert_eq(nq_declare(rig.client, "q", &options, HELD, NULL), NQ_OK);
    for (size_t i = 0; i < HELD; i++) {
        cr_assert_eq(nq_get(rig.client, "q", NULL, &items[i]), NQ_OK);
    }
    fake_broker_disconnect_after(rig.broker, 1);
    cr_assert_eq(rig_put(&rig, "other", "a"), NQ_OK);
    nq_client_destroy(&rig.client);
    for (size_t i = 0; i < HELD; i++) {
        nq_item_destroy(&items[i]);
    }
    rig_end(&rig);
}

static size_t count_streams(const struct nq_client *client)
{
    size_t count = 0;
    for (const struct stream *stream = client->tracker.streams; stream != NULL; stream = stream->next) {
        count++;
    }
    return count;
}

// Of a program that answers each request on a queue of its own. A stream whose put is unanswered is not forgotten.
Test(limits, streams_of_queues_unused_for_long_are_forgotten)
{
    struct rig rig = rig_make();
    struct nq_completion completion;
    const struct nq_body one = {.data = "a", .len = 1};
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    cr_assert_eq(rig_put(&rig, "waits", "a"), NQ_OK);
    fake_broker_pause(rig.broker, true);
    cr_assert_neq(nq_start_put(rig.client, "waits", &one, 1, NULL, NULL), 0);
    const struct stream *waits = client_stream(rig.client, "waits", 0);
    uint64_t number = waits->number;
    for (uint32_t lane = 1; lane <= 2 * NQ_QUEUES_DEFAULT; lane++) {
        cr_assert_not_null(client_stream(rig.client, "temporary", lane));
    }
    cr_assert_leq(count_streams(rig.client), NQ_QUEUES_DEFAULT);
    cr_assert_eq(client_stream(rig.client, "waits", 0), waits);
    cr_assert_eq(waits->number, number);
    fake_broker_pause(rig.broker, false);
    cr_assert_eq(nq_wait_completion(rig.client, PATIENCE_MS, &completion), NQ_OK);
    cr_assert_eq(completion.status, NQ_OK);
    cr_assert_eq(rig_put(&rig, "q", "b"), NQ_OK); // on another stream
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 2);
    cr_assert_eq(fake_broker_counts(rig.broker, "waits").puts, 2);
    rig_end(&rig);
}

static uint64_t next_random = 1;

static uint64_t count_up(void)
{
    return next_random++;
}

// Of a client that has put into as many queues: to close one must not mean to look at all, or its end takes minutes.
Test(limits, very_many_streams_are_closed_in_no_time)
{
    enum { STREAMS = 400000 };
    struct tracker tracker;
    struct stream *streams = calloc(STREAMS, sizeof *streams);
    cr_assert(streams != NULL && tracker_init(&tracker, count_up));
    for (size_t i = 0; i < STREAMS; i++) {
        stream_open(&tracker, &streams[i], false);
    }
    for (size_t i = 1; i < STREAMS; i += 2) {
        stream_close(&tracker, &streams[i]);
    }
    for (size_t i = 0; i < STREAMS; i += 2) {
        stream_close(&tracker, &streams[i]);
    }
    cr_assert_null(tracker.streams);
    tracker_fini(&tracker);
    free(streams);
}

static struct tracker *full_tracker(struct stream *stream, size_t count)
{
    struct tracker *tracker = malloc(sizeof *tracker);
    cr_assert(tracker != NULL && tracker_init(tracker, count_up));
    stream_open(tracker, stream, false);
    for (size_t i = 0; i < count; i++) {
        struct request *request = request_create(WIRE_PUT);
        request->stream = stream;
        request->wire.as.put.count = 1;
        tracker_add(tracker, request, 10);
    }
    return tracker;
}

static void expect_empty(struct tracker *tracker, struct stream *stream)
{
    cr_assert_eq(tracker->count, 0);
    stream_close(tracker, stream);
    tracker_fini(tracker);
    free(tracker);
}

// Of a client that has started as many puts, and goes or gives up: to end one must not mean to look at all that stand behind it.
Test(limits, very_many_puts_are_dropped_in_no_time, .timeout = 60)
{
    struct stream stream;
    struct tracker *tracker = full_tracker(&stream, 200000);
    while (tracker->unsent.first != NULL) {
        tracker_sent(tracker, tracker->unsent.first);
    }
    while (tracker->sent.first != NULL) {
        tracker_drop(tracker, tracker->sent.first, 20);
    }
    expect_empty(tracker, &stream);
}

Test(limits, very_many_puts_are_given_up_in_no_time, .timeout = 60)
{
    struct stream stream;
    struct tracker *tracker = full_tracker(&stream, 200000);
    tracker_run(tracker, 110, 0, 100);
    expect_empty(tracker, &stream);
}

// It has left the hands of its caller, and nobody else would get it until hold_max is over.
Test(limits, an_item_whose_reason_does_not_fit_a_frame_goes_back)
{
    struct rig rig = rig_make();
    struct nq_get_options soon = {.wait_ms = 20000};
    struct nq_requeue_options failed = {.failed = true, .reason = (const char *)body};
    struct nq_item *item;
    memset(body, 'x', LOWER_FRAME_BYTES);
    lower_unseen(&rig, 1000, LOWER_FRAME_BYTES);
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    cr_assert_eq(nq_get(rig.client, "q", &soon, &item), NQ_OK);
    cr_assert_eq(nq_requeue(rig.client, &item, &failed), NQ_TOO_LARGE);
    cr_assert_eq(nq_get(rig.client, "q", &soon, &item), NQ_OK, "%s", nq_error_text(rig.client));
    cr_assert_eq(nq_item_failures(item), 0);
    cr_assert_eq(nq_task_done(rig.client, &item), NQ_OK);
    rig_end(&rig);
}
