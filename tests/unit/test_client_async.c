// The non-blocking form.
#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>

#include "test_client_fixture.h"

static bool next(struct rig *rig, struct nq_completion *completion)
{
    for (int turns = 0; turns < 1000; turns++) {
        if (nq_next_completion(rig->client, completion) == NQ_OK) {
            return true;
        }
        struct pollfd fd = {.fd = nq_client_fd(rig->client), .events = POLLIN};
        uint64_t wait_ms = nq_client_timeout_ms(rig->client);
        (void)poll(&fd, 1, wait_ms > 5000 ? 5000 : (int)wait_ms);
        cr_assert_eq(nq_client_process(rig->client), NQ_OK);
    }
    return false;
}

Test(async, put_get_done)
{
    struct rig rig = rig_make();
    struct nq_body bodies[] = {{.data = "a", .len = 1}, {.data = "b", .len = 1}};
    int mark;
    uint64_t put = nq_start_put(rig.client, "q", bodies, 2, NULL, &mark);
    cr_assert_neq(put, 0);
    struct nq_completion c;
    cr_assert(next(&rig, &c));
    cr_assert_eq(c.request, put);
    cr_assert_eq(c.user, &mark);
    cr_assert_eq(c.status, NQ_OK);
    cr_assert_eq(c.accepted, 2);
    cr_assert_eq(c.last_seq, 2);
    cr_assert_neq(nq_start_get(rig.client, "q", 5, NULL, NULL), 0);
    cr_assert(next(&rig, &c));
    cr_assert_eq(c.items_count, 2);
    cr_assert(item_is(c.items[0], "a"));
    struct nq_item *first = c.items[0];
    struct nq_item *second = c.items[1];
    nq_free(c.items);
    cr_assert_neq(nq_start_task_done(rig.client, &first, NULL), 0);
    cr_assert_neq(nq_start_requeue(rig.client, &second, NULL, NULL), 0);
    cr_assert(next(&rig, &c));
    cr_assert_eq(c.status, NQ_OK);
    cr_assert(next(&rig, &c));
    cr_assert_eq(c.status, NQ_OK);
    struct fake_counts counts = fake_broker_counts(rig.broker, "q");
    cr_assert_eq(counts.done, 1);
    cr_assert_eq(counts.ready, 1);
    rig_end(&rig);
}

Test(async, wait_completion_is_process_and_poll_in_one)
{
    struct rig rig = rig_make();
    struct nq_body body = {.data = "a", .len = 1};
    struct nq_completion c;
    cr_assert_eq(nq_wait_completion(rig.client, 0, &c), NQ_EMPTY);
    uint64_t put = nq_start_put(rig.client, "q", &body, 1, NULL, NULL);
    cr_assert_eq(nq_wait_completion(rig.client, NQ_WAIT_FOREVER, &c), NQ_OK);
    cr_assert_eq(c.request, put);
    uint64_t get = nq_start_get(rig.client, "empty", 1, NULL, NULL);
    cr_assert_eq(nq_wait_completion(rig.client, 20, &c), NQ_EMPTY); // it waits on
    nq_interrupt(rig.client);
    cr_assert_eq(nq_wait_completion(rig.client, NQ_WAIT_FOREVER, &c), NQ_INTERRUPTED);
    cr_assert_eq(nq_cancel(rig.client, get), NQ_OK);
    cr_assert(next(&rig, &c)); // who polls from now on is woken as before
    cr_assert_eq(c.request, get);
    cr_assert_eq(c.status, NQ_CANCELLED);
    rig_end(&rig);
}

Test(async, those_that_ended_meanwhile_are_collected_in_their_order)
{
    struct rig rig = rig_make();
    struct nq_body body = {.data = "a", .len = 1};
    uint64_t started[3];
    for (size_t i = 0; i < 3; i++) {
        started[i] = nq_start_put(rig.client, "q", &body, 1, NULL, NULL);
    }
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK); // answered behind them
    struct nq_completion c;
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(nq_next_completion(rig.client, &c), NQ_OK);
        cr_assert_eq(c.request, started[i]);
        cr_assert_eq(c.last_seq, i + 1);
    }
    cr_assert_eq(nq_next_completion(rig.client, &c), NQ_EMPTY);
    rig_end(&rig);
}

Test(async, a_waiting_get_is_cancelled)
{
    struct rig rig = rig_make();
    struct nq_completion c;
    uint64_t early = nq_start_get(rig.client, "q", 1, NULL, NULL);
    cr_assert_eq(nq_cancel(rig.client, early), NQ_OK); // before it was sent
    cr_assert(next(&rig, &c));
    cr_assert_eq(c.status, NQ_CANCELLED);
    uint64_t get = nq_start_get(rig.client, "q", 1, NULL, NULL);
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK); // parked by now
    cr_assert_eq(nq_cancel(rig.client, get), NQ_OK);
    cr_assert(next(&rig, &c));
    cr_assert_eq(c.request, get);
    cr_assert_eq(c.status, NQ_CANCELLED);
    cr_assert_eq(nq_cancel(rig.client, get), NQ_BAD_REQUEST);
    rig_end(&rig);
}

// Both were sent to a broker that knew the session no more. The other way round nothing would ever end the get.
Test(async, a_cancel_goes_again_behind_its_get_when_the_session_was_unknown)
{
    struct rig rig = rig_make();
    struct nq_completion completion;
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK);
    fake_broker_pause(rig.broker, true);
    fake_broker_forget_sessions(rig.broker);
    uint64_t request = nq_start_get(rig.client, "q", 1, NULL, NULL);
    cr_assert_eq(nq_client_process(rig.client), NQ_OK);
    cr_assert_eq(nq_cancel(rig.client, request), NQ_OK);
    cr_assert_eq(nq_client_process(rig.client), NQ_OK);
    fake_broker_pause(rig.broker, false);
    cr_assert_eq(nq_wait_completion(rig.client, PATIENCE_MS, &completion), NQ_OK);
    cr_assert_eq(completion.request, request);
    cr_assert_eq(completion.status, NQ_CANCELLED);
    rig_end(&rig);
}

static bool is_put(const struct fake_counts *counts)
{
    return counts->puts == 1;
}

// The broker forgets its streams with the session, and so would take what comes again for another item.
Test(async, what_is_unanswered_at_the_end_is_not_put_again, .timeout = 60)
{
    struct rig rig = rig_make();
    const struct nq_body body = {.data = "a", .len = 1};
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK);
    fake_broker_disconnect_after(rig.broker, 2);
    cr_assert_neq(nq_start_put(rig.client, "q", &body, 1, NULL, NULL), 0);
    cr_assert_eq(nq_client_process(rig.client), NQ_OK);
    cr_assert(rig_wait(&rig, "q", is_put)); // its end waits for a moment only
    nq_client_destroy(&rig.client);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 1);
    rig_end(&rig);
}

Test(async, a_join_completes_when_the_work_is_done)
{
    struct rig rig = rig_make();
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    uint64_t join = nq_start_join(rig.client, "q", NQ_WAIT_FOREVER, NULL);
    struct nq_item *item;
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    cr_assert_eq(nq_task_done(rig.client, &item), NQ_OK);
    struct nq_completion c;
    cr_assert(next(&rig, &c));
    cr_assert_eq(c.request, join);
    cr_assert_eq(c.status, NQ_OK);
    rig_end(&rig);
}

Test(async, refusals_and_leftovers)
{
    struct rig rig = rig_make();
    cr_assert_eq(nq_error_status(rig.client), NQ_OK);
    cr_assert_eq(nq_start_get(rig.client, "bad name", 1, NULL, NULL), 0);
    cr_assert_eq(nq_error_status(rig.client), NQ_BAD_NAME);
    cr_assert_eq(nq_start_put(rig.client, "q", NULL, 0, NULL, NULL), 0);
    cr_assert_neq(strlen(nq_error_text(rig.client)), 0);
    struct nq_completion c;
    cr_assert_eq(nq_next_completion(rig.client, &c), NQ_EMPTY);
    struct nq_body body = {.data = "a", .len = 1};
    cr_assert_neq(nq_start_put(rig.client, "q", &body, 1, NULL, NULL), 0);
    cr_assert_neq(nq_start_get(rig.client, "q", 1, NULL, NULL), 0);
    cr_assert_neq(nq_start_get(rig.client, "other", 1, NULL, NULL), 0);
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK);
    rig_end(&rig); // with completions not collected and a get that waits: nothing leaks
}

Test(async, whole_queues)
{
    struct rig rig = rig_make();
    struct nq_queue_options options = {.given = NQ_GIVEN_MAXSIZE, .maxsize = 7, .dead_letter = "dead"};
    char name[] = "declared";
    uint64_t declare = nq_start_declare(rig.client, name, &options, 0, NULL);
    cr_assert_neq(declare, 0);
    memset(name, 'x', strlen(name)); // the names are kept with the request
    struct nq_completion c;
    cr_assert(next(&rig, &c));
    cr_assert_eq(c.request, declare);
    cr_assert_eq(c.status, NQ_OK);
    cr_assert_not_null(c.stats);
    cr_assert_str_eq(c.stats->name, "declared");
    cr_assert_eq(c.stats->options.maxsize, 7);
    nq_free(c.stats);
    cr_assert_eq(rig_put(&rig, "declared", "a"), NQ_OK);
    cr_assert_neq(nq_start_stat(rig.client, "declared", NULL), 0);
    cr_assert(next(&rig, &c));
    cr_assert_eq(c.stats->ready, 1);
    nq_free(c.stats);
    cr_assert_neq(nq_start_purge(rig.client, "declared", NULL), 0);
    cr_assert(next(&rig, &c));
    cr_assert_eq(c.count, 1);
    cr_assert_neq(nq_start_shutdown(rig.client, "declared", false, NULL), 0);
    cr_assert(next(&rig, &c));
    cr_assert_eq(rig_put(&rig, "declared", "b"), NQ_SHUT_DOWN);
    cr_assert_neq(nq_start_stat(rig.client, "none", NULL), 0);
    cr_assert(next(&rig, &c));
    cr_assert_eq(c.status, NQ_NO_SUCH_QUEUE);
    cr_assert_null(c.stats);
    cr_assert_eq(nq_start_stat(rig.client, "bad name", NULL), 0);
    rig_end(&rig);
}

Test(async, many_items_end_in_one_request)
{
    struct rig rig = rig_make();
    const char *texts[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(rig_put(&rig, "q", texts[i]), NQ_OK);
    }
    struct nq_item *items[3];
    size_t count;
    cr_assert_eq(nq_get_many(rig.client, "q", 3, NULL, items, &count), NQ_OK);
    cr_assert_eq(count, 3);
    const void *bodies[3];
    size_t lens[3];
    nq_items_bodies(items, 3, bodies, lens);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(lens[i], 1);
        cr_assert_eq(*(const char *)bodies[i], *texts[i]);
    }
    struct nq_completion c;
    cr_assert_neq(nq_start_extend(rig.client, items[0], 1000, NULL), 0);
    cr_assert(next(&rig, &c));
    cr_assert_eq(c.status, NQ_OK);
    cr_assert_eq(nq_start_task_done_many(rig.client, items, 0, NULL), 0);
    cr_assert_not_null(items[2]);
    cr_assert_neq(nq_start_task_done_many(rig.client, items, 3, NULL), 0); // the extended item, too, was still ours
    cr_assert(items[0] == NULL && items[1] == NULL && items[2] == NULL);
    cr_assert(next(&rig, &c));
    cr_assert_eq(c.status, NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").done, 3);
    rig_end(&rig);
}

Test(async, a_fence_rises_with_each_delivery)
{
    struct rig rig = rig_make();
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    uint64_t before = 0;
    for (int i = 0; i < 3; i++) {
        struct nq_item *item;
        cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
        cr_assert_gt(nq_item_fence(item), before);
        before = nq_item_fence(item);
        cr_assert_eq(nq_requeue(rig.client, &item, NULL), NQ_OK);
    }
    rig_end(&rig);
}
