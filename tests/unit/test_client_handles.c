// The producer and the consumer handle.
#include <criterion/criterion.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "test_client_fixture.h"

static enum nq_status produce(struct nq_producer *producer, int from, int count)
{
    enum nq_status status = NQ_OK;
    for (int i = from; status == NQ_OK && i < from + count; i++) {
        char text[16];
        struct nq_body body = {.data = text, .len = (size_t)snprintf(text, sizeof text, "%d", i)};
        status = nq_producer_put(producer, &body);
    }
    return status;
}

static void fill_queue(struct rig *rig, int count)
{
    struct nq_producer *producer;
    cr_assert_eq(nq_producer_open(rig->client, "q", NULL, &producer), NQ_OK);
    cr_assert_eq(produce(producer, 0, count), NQ_OK);
    cr_assert_eq(nq_producer_close(&producer, PATIENCE_MS), NQ_OK);
}

Test(producer, gathers_and_confirms)
{
    struct rig rig = rig_make();
    struct nq_producer *producer;
    cr_assert_eq(nq_producer_open(rig.client, "q", NULL, &producer), NQ_OK);
    cr_assert_eq(produce(producer, 0, 5000), NQ_OK);
    cr_assert_eq(nq_producer_flush(producer, PATIENCE_MS), NQ_OK);
    cr_assert_eq(nq_producer_confirmed(producer), 5000);
    cr_assert_eq(nq_producer_close(&producer, PATIENCE_MS), NQ_OK);
    cr_assert_null(producer);
    struct fake_counts counts = fake_broker_counts(rig.broker, "q");
    cr_assert_eq(counts.puts, 5000);
    cr_assert_lt(counts.frames, 1000); // many items to a frame
    rig_end(&rig);
}

// What each answer makes room for is gathered, not sent at once: a frame for each window of 100, and a few when the machine stalls (which
// is seen by the time that passes: nobody who puts more within 5 ms sends less).
// (Who sends at once may fall into step with the answers and still send whole windows, so it is tried several times.)
Test(producer, at_its_window_sends_whole_windows)
{
    struct rig rig = rig_make();
    struct nq_producer_options options;
    nq_producer_options_init(&options);
    options.window_items = 100;
    uint64_t frames = 0;
    for (int round = 1; round <= 6; round++) {
        struct nq_producer *producer;
        uint64_t began_ms = connection_now_ms();
        cr_assert_eq(nq_producer_open(rig.client, "q", &options, &producer), NQ_OK);
        cr_assert_eq(produce(producer, 0, 3000), NQ_OK);
        cr_assert_eq(nq_producer_close(&producer, PATIENCE_MS), NQ_OK);
        struct fake_counts counts = fake_broker_counts(rig.broker, "q");
        cr_assert_eq(counts.puts, 3000u * (unsigned)round);
        uint64_t took_ms = connection_now_ms() - began_ms;
        cr_assert_lt(counts.frames - frames, 54 + took_ms / 5, "%zu frames for 30 windows in %zu ms",
                     (size_t)(counts.frames - frames), (size_t)took_ms);
        frames = counts.frames;
    }
    rig_end(&rig);
}

Test(producer, keeps_the_first_failure_and_its_item)
{
    struct rig rig = rig_make();
    fake_broker_set_maxsize(rig.broker, "q", 1234);
    struct nq_producer *producer;
    struct nq_producer_options options;
    nq_producer_options_init(&options);
    options.put_wait_ms = 0;
    options.window_items = 300;
    cr_assert_eq(nq_producer_open(rig.client, "q", &options, &producer), NQ_OK);
    cr_assert_eq(produce(producer, 0, 5000), NQ_FULL);
    cr_assert_eq(nq_producer_flush(producer, PATIENCE_MS), NQ_FULL);
    const struct nq_producer_failure *failure = nq_producer_failure(producer);
    cr_assert_eq(failure->failed_index, 1234);
    cr_assert_not(failure->outcome_unknown);
    cr_assert_eq(nq_producer_confirmed(producer), 1234);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 1234);
    cr_assert_eq(nq_producer_close(&producer, PATIENCE_MS), NQ_FULL);
    rig_end(&rig);
}

Test(producer, waits_out_a_busy_broker)
{
    struct rig rig = rig_make();
    fake_broker_refuse_puts(rig.broker, NQ_BUSY, 5);
    fill_queue(&rig, 3000);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 3000);
    rig_end(&rig);
}

Test(producer, lost_answers_and_a_reconnect_store_each_item_once)
{
    struct rig rig = rig_make();
    struct nq_producer *producer;
    cr_assert_eq(nq_producer_open(rig.client, "q", NULL, &producer), NQ_OK);
    cr_assert_eq(produce(producer, 0, 1000), NQ_OK);
    fake_broker_disconnect_after(rig.broker, 2);
    cr_assert_eq(produce(producer, 1000, 9000), NQ_OK);
    cr_assert_eq(nq_producer_close(&producer, PATIENCE_MS), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 10000);
    struct nq_item *items[200];
    size_t count;
    cr_assert_eq(nq_get_many(rig.client, "q", 200, NULL, items, &count), NQ_OK);
    for (size_t i = 0; i < count; i++) {
        char text[24];
        (void)snprintf(text, sizeof text, "%zu", i);
        cr_assert(item_is(items[i], text)); // in order
        nq_item_destroy(&items[i]);
    }
    rig_end(&rig);
}

Test(producer, headers_of_some_items)
{
    struct rig rig = rig_make();
    struct nq_producer *producer;
    cr_assert_eq(nq_producer_open(rig.client, "q", NULL, &producer), NQ_OK);
    struct nq_header_field header = {"k", "v", 1};
    struct nq_body with = {.data = "w", .len = 1, .headers = &header, .headers_count = 1};
    cr_assert_eq(produce(producer, 0, 3), NQ_OK);
    cr_assert_eq(nq_producer_put(producer, &with), NQ_OK);
    cr_assert_eq(produce(producer, 4, 3), NQ_OK);
    cr_assert_eq(nq_producer_close(&producer, PATIENCE_MS), NQ_OK);
    struct nq_item *items[10];
    size_t count = 0;
    cr_assert_eq(nq_get_many(rig.client, "q", 10, NULL, items, &count), NQ_OK);
    cr_assert_eq(count, 7);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(nq_item_headers_count(items[i]), i == 3 ? 1 : 0);
    }
    cr_assert_eq(nq_task_done_many(rig.client, items, count, NULL), NQ_OK);
    rig_end(&rig);
}

Test(producer, goes_on_after_an_item_whose_headers_are_too_large)
{
    struct rig rig = rig_make();
    static uint8_t value[NQ_HEADERS_BYTES_DEFAULT];
    struct nq_header_field header = {"k", value, sizeof value};
    struct nq_body with = {.data = "w", .len = 1, .headers = &header, .headers_count = 1};
    struct nq_producer *producer;
    cr_assert_eq(nq_producer_open(rig.client, "q", NULL, &producer), NQ_OK);
    cr_assert_eq(produce(producer, 0, 1), NQ_OK);
    cr_assert_eq(nq_producer_flush(producer, PATIENCE_MS), NQ_OK);
    cr_assert_eq(nq_producer_put(producer, &with), NQ_TOO_LARGE);
    cr_assert_eq(nq_producer_flush(producer, PATIENCE_MS), NQ_OK, "nothing is to be sent: %s", nq_error_text(rig.client));
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(nq_producer_put(producer, &with), NQ_TOO_LARGE);
    }
    cr_assert_lt(mallinfo2().uordblks, before + 10 * sizeof value, "what is refused is not kept");
    header.value_len = 1;
    cr_assert_eq(nq_producer_put(producer, &with), NQ_OK);
    cr_assert_eq(produce(producer, 2, 1), NQ_OK);
    cr_assert_eq(nq_producer_close(&producer, PATIENCE_MS), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 3);
    rig_end(&rig);
}

// One item is stored, then the broker answers nothing any more. False: it was given up before that.
static bool open_and_pause(struct rig *rig, struct nq_producer **producer)
{
    cr_assert_eq(nq_producer_open(rig->client, "q", NULL, producer), NQ_OK);
    bool stored = produce(*producer, 0, 1) == NQ_OK && nq_producer_flush(*producer, PATIENCE_MS) == NQ_OK;
    fake_broker_pause(rig->broker, true);
    return stored;
}

Test(producer, flush_times_out_and_close_calls_back)
{
    struct rig rig = rig_make();
    struct nq_producer *producer;
    cr_assert(open_and_pause(&rig, &producer));
    cr_assert_eq(produce(producer, 1, 10), NQ_OK);
    cr_assert_eq(nq_producer_flush(producer, 20), NQ_TIMED_OUT);
    fake_broker_pause(rig.broker, false);
    cr_assert_eq(nq_producer_close(&producer, PATIENCE_MS), NQ_OK);
    rig_end(&rig);
}

// Two runs, of items 1 to 2 and 3 to 5, that nobody answers; the second one left later. False: it was too late, and the first given up or the
// connection taken for dead.
static bool send_two_runs(const struct rig *rig, struct nq_producer *producer, uint64_t timeout_ms)
{
    return produce(producer, 1, 2) == NQ_OK && nq_producer_flush(producer, timeout_ms / 2) == NQ_TIMED_OUT &&
           produce(producer, 3, 3) == NQ_OK && nq_producer_flush(producer, 1) == NQ_TIMED_OUT &&
           rig->client->session.state == SESSION_UP && rig->client->tracker.unsent.count == 0;
}

// Then until the first run is given up. A machine that stood still meanwhile gets another try, with more time.
static struct nq_producer *open_and_give_up_the_first_of_two(struct rig *rig)
{
    for (uint64_t timeout_ms = 400; timeout_ms < 60000; timeout_ms *= 2) {
        *rig = rig_make_with(timeout_ms);
        struct nq_producer *producer;
        if (open_and_pause(rig, &producer) && send_two_runs(rig, producer, timeout_ms)) {
            enum nq_status status = NQ_TIMED_OUT;
            while (status == NQ_TIMED_OUT) {
                status = nq_producer_flush(producer, 1);
            }
            cr_assert_eq(status, NQ_OUTCOME_UNKNOWN);
            return producer;
        }
        fake_broker_pause(rig->broker, false);
        (void)nq_producer_close(&producer, PATIENCE_MS);
        rig_end(rig);
    }
    cr_assert_fail("the first run was always given up before the second one left");
    return NULL;
}

// Both runs are given up, the first of them earlier; whenever one looks, all that left may be stored.
Test(producer, what_is_under_way_behind_a_failure_may_be_stored)
{
    struct rig rig;
    struct nq_producer *producer = open_and_give_up_the_first_of_two(&rig);
    const struct nq_producer_failure *failure = nq_producer_failure(producer);
    cr_assert_eq(failure->failed_index, 1);
    cr_assert_eq(failure->unknown_count, 5, "%zu", (size_t)failure->unknown_count);
    cr_assert_eq(nq_producer_flush(producer, PATIENCE_MS), NQ_OUTCOME_UNKNOWN);
    cr_assert_eq(failure->unknown_count, 5, "%zu", (size_t)failure->unknown_count);
    fake_broker_pause(rig.broker, false);
    (void)nq_producer_close(&producer, PATIENCE_MS);
    rig_end(&rig);
}

// The first run is given up; the second one, which left later, is answered. Nobody may take its items for never stored.
Test(producer, what_is_stored_behind_one_that_was_given_up_is_among_the_unknown)
{
    struct rig rig;
    struct nq_producer *producer = open_and_give_up_the_first_of_two(&rig);
    fake_broker_pause(rig.broker, false); // on a slow machine the second one is given up, too
    cr_assert_eq(nq_producer_flush(producer, PATIENCE_MS), NQ_OUTCOME_UNKNOWN);
    const struct nq_producer_failure *failure = nq_producer_failure(producer);
    cr_assert_eq(failure->failed_index, 1);
    cr_assert_eq(failure->unknown_count, 5, "%zu", (size_t)failure->unknown_count);
    cr_assert_eq(nq_producer_confirmed(producer), 1);
    (void)nq_producer_close(&producer, PATIENCE_MS);
    rig_end(&rig);
}

static struct nq_consumer *open_consumer(struct rig *rig, int prefetch, uint64_t max_items)
{
    struct nq_consumer_options options;
    struct nq_consumer *consumer;
    nq_consumer_options_init(&options);
    options.prefetch = prefetch;
    options.max_items = max_items;
    cr_assert_eq(nq_consumer_open(rig->client, "q", &options, &consumer), NQ_OK);
    return consumer;
}

// Two more were got ahead; their leases went with the session.
static struct nq_consumer *finish_one_and_lose_two(struct rig *rig, uint64_t max_items)
{
    fill_queue(rig, 3);
    struct nq_consumer *consumer = open_consumer(rig, 3, max_items);
    struct nq_item *item;
    cr_assert_eq(nq_consumer_get(consumer, PATIENCE_MS, &item), NQ_OK);
    cr_assert_eq(nq_consumer_done(consumer, &item), NQ_OK);
    cr_assert_eq(nq_consumer_flush(consumer, PATIENCE_MS), NQ_OK);
    fake_broker_forget_sessions(rig->broker);
    return consumer;
}

// Returns how many gets that took.
static uint64_t get_3000(void)
{
    struct rig rig = rig_make();
    fill_queue(&rig, 3000);
    struct nq_consumer *consumer;
    cr_assert_eq(nq_consumer_open(rig.client, "q", NULL, &consumer), NQ_OK);
    struct nq_item *item;
    for (uint64_t i = 1; i <= 3000; i++) {
        cr_assert_eq(nq_consumer_get(consumer, PATIENCE_MS, &item), NQ_OK);
        cr_assert_eq(nq_item_seq(item), i);
        cr_assert_eq(nq_consumer_done(consumer, &item), NQ_OK);
    }
    cr_assert_eq(nq_consumer_get(consumer, 0, &item), NQ_EMPTY);
    cr_assert_eq(nq_consumer_flush(consumer, PATIENCE_MS), NQ_OK);
    cr_assert_eq(nq_consumer_confirmed(consumer), 3000);
    cr_assert_eq(nq_consumer_close(&consumer, PATIENCE_MS), NQ_OK);
    struct fake_counts counts = fake_broker_counts(rig.broker, "q");
    cr_assert_eq(counts.done, 3000);
    rig_end(&rig);
    return counts.gets;
}

// Prefetch grows as long as answers come quickly: on a machine that stands still now and then, another time.
Test(consumer, hands_out_in_order_and_confirms_dones)
{
    uint64_t gets = get_3000();
    for (int i = 0; gets >= 300 && i < 5; i++) {
        gets = get_3000();
    }
    cr_assert_lt(gets, 300, "%zu gets of 3000 items", (size_t)gets);
}

Test(consumer, prefetch_stays_zero_on_a_bounded_queue)
{
    struct rig rig = rig_make();
    fill_queue(&rig, 20);
    fake_broker_set_maxsize(rig.broker, "q", 100);
    struct nq_consumer *consumer;
    cr_assert_eq(nq_consumer_open(rig.client, "q", NULL, &consumer), NQ_OK);
    struct nq_item *item;
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(nq_consumer_get(consumer, PATIENCE_MS, &item), NQ_OK);
        cr_assert_leq(fake_broker_counts(rig.broker, "q").leased, 2); // this one, and the one whose done is on its way
        cr_assert_eq(nq_consumer_done(consumer, &item), NQ_OK);
    }
    cr_assert_eq(nq_consumer_close(&consumer, PATIENCE_MS), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").ready, 10);
    rig_end(&rig);
}

Test(consumer, never_asks_for_more_than_max_items)
{
    struct rig rig = rig_make();
    fill_queue(&rig, 100);
    struct nq_consumer *consumer = open_consumer(&rig, 50, 7);
    struct nq_item *item;
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(nq_consumer_get(consumer, PATIENCE_MS, &item), NQ_OK);
        cr_assert_eq(nq_consumer_done(consumer, &item), NQ_OK);
    }
    cr_assert_eq(nq_consumer_get(consumer, PATIENCE_MS, &item), NQ_EMPTY);
    cr_assert_eq(nq_consumer_close(&consumer, PATIENCE_MS), NQ_OK);
    struct fake_counts counts = fake_broker_counts(rig.broker, "q");
    cr_assert_eq(counts.done, 7);
    cr_assert_eq(counts.ready, 93);
    cr_assert_eq(counts.requeues, 0);
    rig_end(&rig);
}

// What was got ahead and lost with the session, or given back, was not handed out: it does not count.
Test(consumer, asks_again_for_what_was_lost_or_given_back_before_it_was_handed_out)
{
    struct rig rig = rig_make();
    struct nq_consumer *consumer = finish_one_and_lose_two(&rig, 3);
    struct nq_item *item;
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(nq_consumer_get(consumer, PATIENCE_MS, &item), NQ_OK);
        cr_assert_eq(nq_consumer_done(consumer, &item), NQ_OK);
    }
    cr_assert_eq(nq_consumer_get(consumer, 0, &item), NQ_EMPTY);
    cr_assert_eq(nq_consumer_close(&consumer, PATIENCE_MS), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").done, 3);
    rig_end(&rig);
}

Test(consumer, waits_no_longer_than_asked_when_what_was_got_ahead_is_lost, .timeout = 60)
{
    struct rig rig = rig_make();
    struct nq_consumer *consumer = finish_one_and_lose_two(&rig, 0);
    struct nq_item *item;
    for (int i = 0; i < 2; i++) { // others have them by now
        cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
        cr_assert_eq(nq_task_done(rig.client, &item), NQ_OK);
    }
    cr_assert_eq(nq_consumer_get(consumer, 0, &item), NQ_EMPTY);
    cr_assert_eq(nq_consumer_close(&consumer, PATIENCE_MS), NQ_OK);
    rig_end(&rig);
}

static bool all_but_one_ready(const struct fake_counts *counts)
{
    return counts->ready == 99 && counts->leased == 1;
}

Test(consumer, close_gives_back_what_was_prefetched)
{
    struct rig rig = rig_make();
    fill_queue(&rig, 100);
    struct nq_consumer *consumer = open_consumer(&rig, 50, 0);
    struct nq_item *item;
    cr_assert_eq(nq_consumer_get(consumer, PATIENCE_MS, &item), NQ_OK);
    cr_assert_eq(nq_consumer_close(&consumer, PATIENCE_MS), NQ_OK);
    cr_assert(rig_wait(&rig, "q", all_but_one_ready));
    cr_assert_eq(nq_task_done(rig.client, &item), NQ_OK); // still ours
    rig_end(&rig);
}

// They are done as they leave the broker, so those that are not handed out would be lost.
Test(consumer, nothing_is_got_ahead_at_most_once)
{
    struct rig rig = rig_make();
    struct nq_consumer_options options;
    struct nq_consumer *consumer;
    struct nq_item *item;
    fill_queue(&rig, 200);
    nq_consumer_options_init(&options);
    options.at_most_once = true;
    cr_assert_eq(nq_consumer_open(rig.client, "q", &options, &consumer), NQ_OK);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(nq_consumer_get(consumer, PATIENCE_MS, &item), NQ_OK);
        cr_assert_eq(nq_consumer_done(consumer, &item), NQ_OK);
    }
    cr_assert_eq(nq_consumer_close(&consumer, PATIENCE_MS), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").ready, 100);
    rig_end(&rig);
}

Test(consumer, requeue_and_lost_leases_are_told_apart)
{
    struct rig rig = rig_make();
    fill_queue(&rig, 2);
    struct nq_consumer *consumer;
    struct nq_consumer_options options;
    nq_consumer_options_init(&options);
    options.prefetch = 0;
    cr_assert_eq(nq_consumer_open(rig.client, "q", &options, &consumer), NQ_OK);
    struct nq_item *item;
    cr_assert_eq(nq_consumer_get(consumer, PATIENCE_MS, &item), NQ_OK);
    struct nq_requeue_options failed = {.failed = true};
    cr_assert_eq(nq_consumer_requeue(consumer, &item, &failed), NQ_OK);
    cr_assert_eq(nq_consumer_get(consumer, PATIENCE_MS, &item), NQ_OK);
    cr_assert_eq(nq_item_failures(item), 1);
    fake_broker_change_store(rig.broker);
    fake_broker_disconnect(rig.broker);
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK);
    cr_assert_eq(nq_consumer_done(consumer, &item), NQ_OK);
    cr_assert_eq(nq_consumer_lost(consumer), 1);
    cr_assert_eq(nq_consumer_close(&consumer, PATIENCE_MS), NQ_OK);
    rig_end(&rig);
}

Test(consumer, shut_down_and_interrupted)
{
    struct rig rig = rig_make();
    fill_queue(&rig, 1);
    struct nq_consumer *consumer;
    cr_assert_eq(nq_consumer_open(rig.client, "q", NULL, &consumer), NQ_OK);
    struct nq_item *item;
    cr_assert_eq(nq_consumer_get(consumer, PATIENCE_MS, &item), NQ_OK);
    cr_assert_eq(nq_consumer_done(consumer, &item), NQ_OK);
    nq_interrupt(rig.client);
    cr_assert_eq(nq_consumer_get(consumer, PATIENCE_MS, &item), NQ_INTERRUPTED);
    cr_assert_eq(nq_shutdown(rig.client, "q", false, NULL), NQ_OK);
    cr_assert_eq(nq_consumer_get(consumer, PATIENCE_MS, &item), NQ_SHUT_DOWN);
    cr_assert_eq(nq_consumer_close(&consumer, PATIENCE_MS), NQ_OK);
    rig_end(&rig);
}

// The broker has no time for the task_done; when it is asked again, the handle is gone.
Test(consumer, close_leaves_dones_that_wait_for_a_busy_broker)
{
    struct rig rig = rig_make();
    struct nq_consumer *consumer;
    struct nq_item *item;
    (void)mallopt(M_PERTURB, 0xa5); // what is freed is overwritten
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    cr_assert_eq(nq_consumer_open(rig.client, "q", NULL, &consumer), NQ_OK);
    cr_assert_eq(nq_consumer_get(consumer, NQ_WAIT_FOREVER, &item), NQ_OK);
    fake_broker_refuse(rig.broker, WIRE_TASK_DONE, NQ_BUSY, 1);
    cr_assert_eq(nq_consumer_done(consumer, &item), NQ_OK);
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK); // its answer came behind that of the task_done
    (void)nq_consumer_close(&consumer, 0);
    while (fake_broker_counts(rig.broker, "q").done == 0) {
        cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK);
    }
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK);
    rig_end(&rig);
}
