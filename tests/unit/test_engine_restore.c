// Restarts: what a graceful stop keeps, what a crash loses.
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

TestSuite(restore, .init = start, .fini = end);

Test(restore, nothing)
{
    cr_assert_eq(engine_pending(rig.engine), ENGINE_PENDING_LAZY);
    rig_restart(&rig, false);
    cr_assert_eq(engine_queue_count(rig.engine), (size_t)0);
    rig_restart(&rig, true);
    cr_assert_eq(engine_queue_count(rig.engine), (size_t)0);
}

Test(restore, graceful_keeps_leases_and_their_time)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 10);
    struct engine_grant grant;
    rig_get(&rig, queue, session, 1, 4, &grant);
    engine_grant_clear(&grant);
    engine_session_taken(rig.engine, session, 1, 2);
    struct engine_token token = rig_token(&rig, session, 1, 1);
    engine_requeue(rig.engine, rig.now_ms, queue, &token, &(struct engine_requeue){.failed = true});
    rig_tick(&rig, 1000);
    engine_session_renew(rig.engine, rig.now_ms, session);
    rig_restart(&rig, true);
    queue = rig_queue(&rig, "q");
    cr_assert_eq(queue->leased, 3u);
    cr_assert_eq(queue_ready(queue), 7u);
    cr_assert_eq(engine_session_leases(rig.engine, session), (size_t)3);
    cr_assert_eq(engine_next_deadline_ms(rig.engine), rig.now_ms + 60000);
    rig_tick(&rig, 60000);
    cr_assert_eq(queue_ready(queue), 10u);
    cr_assert_eq(queue->record.failed, 2u, "one before, one of the three was reported taken");
    uint64_t other = rig_session(&rig, 2);
    rig_get(&rig, queue, other, 1, 10, &grant);
    cr_assert(grant.items[0].redelivered && grant.items[0].failures == 1 && grant.items[0].delivery == 2);
    cr_assert(!grant.items[4].redelivered, "a graceful stop redelivers nothing else");
    engine_grant_clear(&grant);
}

Test(restore, crash_loses_what_was_not_flushed_and_says_so)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 4);
    rig_get_one(&rig, queue, session, 1);
    rig_commit(&rig);
    rig_get_one(&rig, queue, session, 2);
    rig_put(&rig, queue, 0, 5, 1);
    rig_restart(&rig, false);
    queue = rig_queue(&rig, "q");
    cr_assert_eq(queue->record.next_seq, 5u);
    cr_assert_eq(queue->leased, 1u);
    struct engine_grant grant;
    rig_get(&rig, queue, session, 3, 10, &grant);
    cr_assert_eq(grant.count, (size_t)3);
    cr_assert(grant.items[0].seq == 2 && grant.items[0].redelivered);
    engine_grant_clear(&grant);
}

Test(restore, a_ready_item_leased_and_lost_in_a_crash_is_flagged)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    struct engine_bytes *kept =
        (struct engine_bytes *)(void *)(uintptr_t)rig_keep(&rig, &(struct engine_bytes){0}, sizeof(*kept)).data;
    kept[0] = rig_keep(&rig, "x", 1);
    struct engine_put_result result;
    engine_put(rig.engine, rig.now_ms, queue, &(struct engine_put){.bodies = kept, .count = 1, .delay_ms = 10}, &result);
    rig_put(&rig, queue, 0, 1, 1);
    rig_get_one(&rig, queue, session, 1);
    rig_tick(&rig, 10);
    rig_commit(&rig);
    cr_assert_eq(rig_get_one(&rig, queue, session, 2), 1u);
    rig_restart(&rig, false);
    queue = rig_queue(&rig, "q");
    struct engine_grant grant;
    cr_assert_eq(rig_get(&rig, queue, session, 3, 1, &grant), ENGINE_OK);
    cr_assert(grant.items[0].seq == 1 && grant.items[0].redelivered);
    engine_grant_clear(&grant);
}

// The lease of the first ended, and the second had the items, when the broker crashed: of that nothing is known any more.
Test(restore, an_answer_given_again_after_a_crash_says_that_others_may_have_had_its_items)
{
    uint64_t first = rig_session(&rig, 1), second = rig_session(&rig, 2);
    struct queue *queue = rig_queue(&rig, "q");
    struct engine_grant grant;
    rig_put(&rig, queue, 0, 1, 3);
    rig_get(&rig, queue, first, 1, 3, &grant);
    engine_grant_clear(&grant);
    rig_commit(&rig);
    rig_tick(&rig, 3600 * 1000);
    rig_get(&rig, queue, second, 1, 3, &grant);
    cr_assert_eq(grant.count, (size_t)3);
    engine_grant_clear(&grant);
    for (int start = 0; start < 2; start++) { // a graceful stop does not end the doubt
        rig_restart(&rig, start > 0);
        cr_assert_eq(engine_session_grant(rig.engine, first, 1, &grant), ENGINE_OK);
        cr_assert_eq(grant.count, (size_t)3);
        cr_assert(grant.items[0].redelivered && grant.items[1].redelivered && grant.items[2].redelivered);
        engine_grant_clear(&grant);
    }
}

Test(restore, streams_expire_by_their_last_use_after_a_restart)
{
    uint64_t a = rig_session(&rig, 1);
    uint64_t b = rig_session(&rig, 2);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, b, 1, 1);
    rig_tick(&rig, 1000);
    rig_put(&rig, queue, a, 1, 1);
    rig_restart(&rig, true);
    queue = rig_queue(&rig, "q");
    rig_tick(&rig, rig.config.dedup_keep_ms - 1000);
    cr_assert_eq(engine_stream_last(rig.engine, queue, 1000 + b), 0u);
    cr_assert_eq(engine_stream_last(rig.engine, queue, 1000 + a), 1u);
}

Test(restore, numbers_are_never_used_again)
{
    struct queue *queue = rig_queue(&rig, "q");
    uint64_t queue_id = queue->record.queue_id;
    engine_delete(rig.engine, rig.now_ms, queue);
    rig_settle(&rig);
    rig_restart(&rig, false);
    cr_assert(rig_queue(&rig, "q")->record.queue_id > queue_id);
    cr_assert(engine_queue_id_was_used(rig.engine, queue_id));
}

// A start with a lower limit has no place for the second session, which opens anew when the first has gone.
Test(restore, a_session_that_found_no_place_does_not_come_back_in_the_way_of_its_successor)
{
    uint64_t first = rig_session(&rig, 1);
    uint64_t second = rig_session(&rig, 2);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 3);
    rig_get_one(&rig, queue, first, 1);
    rig_get_one(&rig, queue, second, 2);
    rig.config.sessions_max = 1;
    rig_restart(&rig, true);
    cr_assert_eq(engine_session_leases(rig.engine, first), (size_t)1);
    cr_assert_eq(engine_session_leases(rig.engine, second), (size_t)0);
    engine_session_end(rig.engine, rig.now_ms, first, true);
    uint64_t successor = rig_session(&rig, 2);
    rig_get_one(&rig, rig_queue(&rig, "q"), successor, 3);
    rig.config.sessions_max = 100;
    rig_restart(&rig, true);
    cr_assert_eq(engine_session_count(rig.engine), (size_t)1);
    cr_assert_eq(engine_session_leases(rig.engine, successor), (size_t)1, "what it holds stays its own");
}

Test(restore, pending_tells_whether_anybody_waits)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    cr_assert_eq(engine_pending(rig.engine), ENGINE_PENDING_WAITED);
    rig_put(&rig, queue, 0, 1, 1);
    rig_commit(&rig);
    cr_assert_eq(engine_pending(rig.engine), ENGINE_PENDING_NONE);
    rig_get_one(&rig, queue, session, 1);
    cr_assert_eq(engine_pending(rig.engine), ENGINE_PENDING_LAZY);
    rig_commit(&rig);
    bool gone;
    struct engine_token token = rig_token(&rig, session, 1, 1);
    engine_task_done(rig.engine, rig.now_ms, queue, &token, &gone);
    cr_assert_eq(engine_pending(rig.engine), ENGINE_PENDING_WAITED);
}

Test(restore, delayed_items_ahead_and_behind_the_cursor)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    struct engine_bytes *kept =
        (struct engine_bytes *)(void *)(uintptr_t)rig_keep(&rig, &(struct engine_bytes){0}, sizeof(*kept)).data;
    kept[0] = rig_keep(&rig, "x", 1);
    struct engine_put_result result;
    engine_put(rig.engine, rig.now_ms, queue, &(struct engine_put){.bodies = kept, .count = 1, .delay_ms = 100}, &result);
    rig_put(&rig, queue, 0, 1, 2);
    engine_put(rig.engine, rig.now_ms, queue, &(struct engine_put){.bodies = kept, .count = 1, .delay_ms = 100}, &result);
    rig_put(&rig, queue, 0, 3, 1);
    cr_assert_eq(rig_get_one(&rig, queue, session, 1), 2u);
    rig_commit(&rig);
    rig_restart(&rig, false);
    queue = rig_queue(&rig, "q");
    cr_assert_eq(queue_ready(queue), 2u);
    cr_assert_eq(queue->delayed.count, (size_t)2);
    cr_assert_eq(queue->put_delayed, 2u);
    rig_tick(&rig, 100);
    for (uint64_t seq = 1; seq <= 5; seq++) {
        cr_assert_eq(rig_get_one(&rig, queue, session, 10 + seq), seq == 2 ? 3 : seq > 2 ? (seq < 5 ? seq + 1 : 0) : seq);
    }
}

Test(restore, a_graceful_stop_does_not_end_the_doubt_of_a_crash)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 2);
    rig_commit(&rig);
    cr_assert_eq(rig_get_one(&rig, queue, session, 1), 1u);
    rig_restart(&rig, false);
    rig_restart(&rig, true);
    queue = rig_queue(&rig, "q");
    session = rig_session(&rig, 2);
    struct engine_grant grant;
    cr_assert_eq(rig_get(&rig, queue, session, 1, 1, &grant), ENGINE_OK);
    cr_assert(grant.items[0].seq == 1 && grant.items[0].redelivered);
    engine_grant_clear(&grant);
}

// More than a crash is reckoned to hide.
enum { MANY = ENGINE_UNFLUSHED_LEASES_MAX + 1 };

static void put_many(struct queue *queue, uint64_t delay_ms)
{
    static const struct engine_bytes empty[MANY];
    struct engine_put_result result;
    engine_put(rig.engine, rig.now_ms, queue, &(struct engine_put){.bodies = empty, .count = MANY, .delay_ms = delay_ms}, &result);
    cr_assert_eq(result.accepted, (size_t)MANY);
}

// The next item, which is this one, got by a new session.
static bool next_is_flagged(const char *name, uint64_t seq)
{
    static unsigned sessions = 1;
    struct engine_grant grant;
    cr_assert_eq(rig_get(&rig, rig_queue(&rig, name), rig_session(&rig, ++sessions), 1, 1, &grant), ENGINE_OK);
    cr_assert_eq(grant.items[0].seq, seq);
    bool redelivered = grant.items[0].redelivered;
    engine_grant_clear(&grant);
    return redelivered;
}

Test(restore, what_was_handed_out_behind_many_delayed_items_is_flagged_after_a_crash)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    put_many(queue, 1000);
    rig_put(&rig, queue, 0, 1, 1);
    rig_commit(&rig);
    cr_assert_eq(rig_get_one(&rig, queue, session, 1), MANY + 1u);
    rig_restart(&rig, false);
    cr_assert(next_is_flagged("q", MANY + 1));
}

// Nobody had recorded that they had expired, when the broker crashed: they are there again, and expire again.
Test(restore, what_was_handed_out_behind_many_expired_items_is_flagged_after_a_crash)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_declare(&rig, "q", &(struct engine_options){.given = ENGINE_OPTION_TTL, .ttl_ms = 1000});
    put_many(queue, 0);
    rig_tick(&rig, 500);
    rig_put(&rig, queue, 0, 1, 1);
    rig_commit(&rig);
    rig_tick(&rig, 500);
    cr_assert_eq(rig_get_one(&rig, queue, session, 1), MANY + 1u);
    rig_restart(&rig, false);
    rig_put(&rig, rig_queue(&rig, "q"), 0, 2, 1);
    rig_tick(&rig, 0);
    cr_assert(next_is_flagged("q", MANY + 1));
    cr_assert_not(next_is_flagged("q", MANY + 2), "it was put after that");
}
