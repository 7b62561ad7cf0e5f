// Time: delays and time to live.
#include <criterion/criterion.h>

#include "engine_rig.h"

static struct rig rig;

static void start(void)
{
    rig_init(&rig);
    rig_start(&rig);
}

static void end(void)
{
    rig_fini(&rig);
}

TestSuite(timing, .init = start, .fini = end);

static enum engine_status put_delayed(struct queue *queue, size_t count, uint64_t delay_ms)
{
    struct engine_bytes bodies[8];
    for (size_t i = 0; i < count; i++) {
        bodies[i] = rig_keep(&rig, "abc", 3);
    }
    const void *kept = rig_keep(&rig, bodies, count * sizeof(*bodies)).data;
    const struct engine_put put = {.bodies = kept, .count = count, .delay_ms = delay_ms};
    struct engine_put_result result;
    return engine_put(rig.engine, rig.now_ms, queue, &put, &result);
}

Test(timing, a_delayed_put_ahead_of_the_cursor_stands_at_its_place)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    put_delayed(queue, 1, 100);
    rig_put(&rig, queue, 0, 1, 1);
    cr_assert_eq(queue_ready(queue), 1u);
    cr_assert_eq(queue->delayed.count, (size_t)1);
    cr_assert_eq(engine_queue_ready_bytes(queue), 6u);
    rig_tick(&rig, 99);
    cr_assert_eq(queue_ready(queue), 1u);
    rig_tick(&rig, 1);
    cr_assert_eq(queue_ready(queue), 2u);
    cr_assert_eq(rig_get_one(&rig, queue, session, 1), 1u);
    cr_assert_eq(rig_get_one(&rig, queue, session, 2), 2u);
}

Test(timing, a_delayed_put_passed_by_the_cursor_comes_first_when_due)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    put_delayed(queue, 2, 100);
    rig_put(&rig, queue, 0, 1, 3);
    cr_assert_eq(rig_get_one(&rig, queue, session, 1), 3u);
    rig_commit(&rig);
    rig_tick(&rig, 100);
    struct engine_grant grant;
    rig_get(&rig, queue, session, 2, 9, &grant);
    cr_assert_eq(grant.count, (size_t)4);
    cr_assert(grant.items[0].seq == 1 && grant.items[1].seq == 2 && grant.items[2].seq == 4);
    cr_assert(!grant.items[0].redelivered && grant.items[0].delivery == 1);
    engine_grant_clear(&grant);
    cr_assert_eq(engine_queue_ready_bytes(queue), 0u);
}

Test(timing, put_delayed_items_count_towards_maxsize_requeued_ones_do_not)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_declare(&rig, "q", &(struct engine_options){.given = ENGINE_OPTION_MAXSIZE, .maxsize = 2});
    cr_assert_eq(put_delayed(queue, 1, 100), ENGINE_OK);
    cr_assert_eq(rig_put(&rig, queue, 0, 1, 2), ENGINE_FULL);
    rig_get_one(&rig, queue, session, 1);
    struct engine_token token = rig_token(&rig, session, 2, 1);
    engine_requeue(rig.engine, rig.now_ms, queue, &token, &(struct engine_requeue){.delay_ms = 50});
    cr_assert_eq(queue->delayed.count, (size_t)2);
    cr_assert_eq(rig_put(&rig, queue, 0, 1, 2), ENGINE_FULL);
    cr_assert_eq(queue_ready(queue), 1u);
    rig_tick(&rig, 50);
    cr_assert_eq(queue_ready(queue), 2u);
    cr_assert_eq(rig_get_one(&rig, queue, session, 2), 2u);
}

Test(timing, delayed_items_are_limited)
{
    rig.config.delayed_max = 2;
    dispatch_destroy(&rig.dispatch);
    engine_destroy(&rig.engine);
    rig_start(&rig);
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    cr_assert_eq(put_delayed(queue, 3, 10), ENGINE_LIMIT_REACHED);
    cr_assert_eq(queue->delayed.count, 2u); // accepted from the front, as far as the limit allows
    cr_assert_eq(put_delayed(queue, 1, 10), ENGINE_LIMIT_REACHED);
    cr_assert_eq(queue->delayed.count, 2u);
    rig_put(&rig, queue, 0, 1, 1);
    rig_get_one(&rig, queue, session, 1);
    struct engine_token token = rig_token(&rig, session, 3, 1);
    cr_assert_eq(engine_requeue(rig.engine, rig.now_ms, queue, &token, &(struct engine_requeue){.delay_ms = 5}),
                 ENGINE_LIMIT_REACHED);
    cr_assert_eq(queue->leased, 1u);
    cr_assert_eq(engine_requeue(rig.engine, rig.now_ms, queue, &token, &(struct engine_requeue){0}), ENGINE_OK);
}

static struct queue *with_ttl(uint64_t ttl_ms)
{
    return rig_declare(&rig, "q", &(struct engine_options){.given = ENGINE_OPTION_TTL, .ttl_ms = ttl_ms});
}

Test(timing, ttl_is_never_early_and_hardly_late)
{
    enum { TTL = 102400 };
    struct queue *queue = with_ttl(TTL);
    uint64_t first_ms = rig.now_ms;
    for (int i = 0; i < 500; i++) {
        rig_put(&rig, queue, 0, 1, 1);
        rig_tick(&rig, 37);
    }
    while (queue_unfinished(queue) > 0) {
        uint64_t due = engine_next_deadline_ms(rig.engine);
        rig_tick(&rig, due > rig.now_ms ? due - rig.now_ms : 1);
        uint64_t gone = 500 - queue_unfinished(queue);
        uint64_t must = rig.now_ms < first_ms + TTL + TTL / 1024 ? 0 : (rig.now_ms - first_ms - TTL - TTL / 1024) / 37 + 1;
        uint64_t may = rig.now_ms < first_ms + TTL ? 0 : (rig.now_ms - first_ms - TTL) / 37 + 1;
        cr_assert(gone >= (must < 500 ? must : 500) && gone <= may, "%u gone, %u to %u expected", (unsigned)gone, (unsigned)must,
                  (unsigned)may);
    }
    cr_assert_eq(queue->record.expired, 500u);
    rig_settle(&rig);
    cr_assert_eq(rig_stored_items(&rig, queue->record.queue_id), (size_t)0);
}

Test(timing, ttl_takes_ready_delayed_and_returning_items)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = with_ttl(1000);
    rig_put(&rig, queue, 0, 1, 3);
    put_delayed(queue, 1, 5000);
    rig_get_one(&rig, queue, session, 1);
    rig_get_one(&rig, queue, session, 2);
    struct engine_token back = rig_token(&rig, session, 1, 1);
    engine_requeue(rig.engine, rig.now_ms, queue, &back, &(struct engine_requeue){.delay_ms = 5000});
    rig_tick(&rig, 500);
    rig_put(&rig, queue, 0, 4, 1);
    rig_tick(&rig, 499);
    cr_assert_eq(queue_unfinished(queue), 5u);
    rig_tick(&rig, 1);
    cr_assert_eq(queue->leased, 1u, "can still be finished");
    cr_assert_eq(queue_ready(queue), 1u);
    cr_assert_eq(queue->delayed.count, (size_t)0);
    cr_assert_eq(queue->record.expired, 3u);
    struct engine_token held = rig_token(&rig, session, 2, 1);
    engine_requeue(rig.engine, rig.now_ms, queue, &held, &(struct engine_requeue){0});
    cr_assert_eq(queue->record.expired, 4u);
    cr_assert_eq(engine_queue_ready_bytes(queue), 3u);
    rig_tick(&rig, 500);
    cr_assert_eq(queue_unfinished(queue), 0u);
    rig_settle(&rig);
    cr_assert_eq(rig_stored_items(&rig, queue->record.queue_id), (size_t)0);
}

Test(timing, ttl_goes_on_after_a_restart)
{
    struct queue *queue = with_ttl(1000);
    rig_put(&rig, queue, 0, 1, 2);
    rig_tick(&rig, 600);
    rig_put(&rig, queue, 0, 3, 2);
    rig_restart(&rig, true);
    queue = rig_queue(&rig, "q");
    rig_tick(&rig, 399);
    cr_assert_eq(queue_ready(queue), 4u);
    rig_tick(&rig, 1);
    cr_assert_eq(queue_ready(queue), 2u);
    rig_tick(&rig, 600);
    cr_assert_eq(queue_ready(queue), 0u);
}

Test(timing, a_ttl_that_is_given_later_takes_what_was_there_before_a_restart)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 3);
    rig_get_one(&rig, queue, session, 1);
    rig_restart(&rig, true);
    struct queue *updated;
    bool created;
    const struct engine_options ttl = {.given = ENGINE_OPTION_TTL, .ttl_ms = 1000};
    cr_assert_eq(engine_declare(rig.engine, rig.now_ms, rig_text("q"), &ttl, true, &updated, &created), ENGINE_OK);
    rig_tick(&rig, 999);
    cr_assert_eq(queue_ready(updated), 2u);
    rig_tick(&rig, 1);
    cr_assert_eq(queue_ready(updated), 0u, "how old they are is not known: as if put when the ttl was given");
    cr_assert_eq(updated->record.expired, 2u);
    engine_session_end(rig.engine, rig.now_ms, session, true);
    cr_assert_eq(queue_unfinished(updated), 0u);
}
