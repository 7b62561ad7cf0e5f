// Tokens: the cases of task_done, requeue and extend.
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

TestSuite(finish, .init = start, .fini = end);

static enum engine_status done(struct queue *queue, struct engine_token token, bool *gone)
{
    return engine_task_done(rig.engine, rig.now_ms, queue, &token, gone);
}

static enum engine_status requeue(struct queue *queue, struct engine_token token)
{
    return engine_requeue(rig.engine, rig.now_ms, queue, &token, &(struct engine_requeue){0});
}

Test(finish, done_is_idempotent)
{
    bool gone;
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 1);
    rig_get_one(&rig, queue, session, 1);
    struct engine_token token = rig_token(&rig, session, 1, 1);
    cr_assert_eq(done(queue, token, &gone), ENGINE_OK);
    cr_assert(!gone);
    cr_assert_eq(done(queue, token, &gone), ENGINE_OK);
    cr_assert(gone);
    cr_assert_eq(queue->record.dones, 1u);
    cr_assert_eq(queue_unfinished(queue), 0u);
    cr_assert_eq(requeue(queue, token), ENGINE_LEASE_LOST);
}

Test(finish, a_lost_lease_of_a_waiting_item_is_done_by_the_same_session_only)
{
    bool gone;
    uint64_t a = rig_session(&rig, 1);
    uint64_t b = rig_session(&rig, 2);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 1);
    rig_get_one(&rig, queue, a, 1);
    rig_tick(&rig, 60000);
    struct engine_token token = rig_token(&rig, a, 1, 1);
    struct engine_token foreign = rig_token(&rig, b, 1, 1);
    cr_assert_eq(done(queue, foreign, &gone), ENGINE_LEASE_LOST);
    cr_assert_eq(requeue(queue, token), ENGINE_LEASE_LOST);
    cr_assert_eq(done(queue, token, &gone), ENGINE_OK);
    cr_assert(!gone);
    cr_assert_eq(queue_ready(queue), 0u);
}

Test(finish, leased_again_is_lost)
{
    bool gone;
    uint64_t a = rig_session(&rig, 1);
    uint64_t b = rig_session(&rig, 2);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 1);
    rig_get_one(&rig, queue, a, 1);
    requeue(queue, rig_token(&rig, a, 1, 1));
    rig_get_one(&rig, queue, b, 1);
    cr_assert_eq(done(queue, rig_token(&rig, a, 1, 1), &gone), ENGINE_LEASE_LOST);
    cr_assert_eq(done(queue, rig_token(&rig, a, 1, 2), &gone), ENGINE_LEASE_LOST, "not its session");
    cr_assert_eq(done(queue, rig_token(&rig, b, 1, 2), &gone), ENGINE_OK);
}

Test(finish, never_issued)
{
    bool gone;
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 2);
    rig_get_one(&rig, queue, session, 1);
    cr_assert_eq(done(queue, rig_token(&rig, session, 0, 1), &gone), ENGINE_NOT_LEASED);
    cr_assert_eq(done(queue, rig_token(&rig, session, 1, 0), &gone), ENGINE_NOT_LEASED);
    cr_assert_eq(done(queue, rig_token(&rig, session, 1, 2), &gone), ENGINE_NOT_LEASED);
    cr_assert_eq(done(queue, rig_token(&rig, session, 2, 1), &gone), ENGINE_NOT_LEASED);
    cr_assert_eq(done(queue, rig_token(&rig, session, 3, 1), &gone), ENGINE_NOT_LEASED);
    struct engine_token future = rig_token(&rig, session, 1, 1);
    future.epoch++;
    cr_assert_eq(done(queue, future, &gone), ENGINE_NOT_LEASED);
    cr_assert_eq(requeue(queue, future), ENGINE_NOT_LEASED);
    cr_assert_eq(queue->leased, 1u);
}

Test(finish, purged_while_leased_can_be_done)
{
    bool gone;
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 3);
    rig_get_one(&rig, queue, session, 1);
    rig_get_one(&rig, queue, session, 2);
    cr_assert_eq(engine_purge(rig.engine, rig.now_ms, queue), 1u);
    cr_assert_eq(done(queue, rig_token(&rig, session, 1, 1), &gone), ENGINE_OK);
    cr_assert(!gone);
    cr_assert_eq(requeue(queue, rig_token(&rig, session, 2, 1)), ENGINE_OK);
    cr_assert_eq(queue_unfinished(queue), 0u);
    cr_assert_eq(queue->record.purged, 2u);
    cr_assert_eq(done(queue, rig_token(&rig, session, 3, 1), &gone), ENGINE_OK);
    cr_assert(gone);
}

Test(finish, tokens_outlive_a_graceful_restart)
{
    bool gone;
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 3);
    rig_get_one(&rig, queue, session, 1);
    rig_get_one(&rig, queue, session, 2);
    struct engine_token token = rig_token(&rig, session, 1, 1);
    rig_restart(&rig, true);
    queue = rig_queue(&rig, "q");
    cr_assert_eq(queue->leased, 2u);
    cr_assert_eq(done(queue, token, &gone), ENGINE_OK);
    cr_assert(!gone);
    struct engine_token given_again = rig_token(&rig, session, 2, 1); // the answer was lost and came again after the start
    cr_assert_eq(done(queue, given_again, &gone), ENGINE_OK);
    cr_assert(!gone);
    cr_assert_eq(queue->leased, 0u);
}

Test(finish, a_lease_that_a_crash_took_is_lost_even_if_given_out_again)
{
    bool gone;
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 1);
    rig_commit(&rig);
    uint64_t session = rig_session(&rig, 1);
    rig_get_one(&rig, queue, session, 1);
    struct engine_token old = rig_token(&rig, session, 1, 1);
    rig_restart(&rig, false);
    queue = rig_queue(&rig, "q");
    uint64_t again = rig_session(&rig, 1);
    old.session_no = again;
    cr_assert_eq(done(queue, old, &gone), ENGINE_LEASE_LOST, "ready, but nobody knows who had it");
    rig_get_one(&rig, queue, again, 1);
    cr_assert_eq(done(queue, old, &gone), ENGINE_LEASE_LOST, "the same numbers but for the epoch");
    cr_assert_eq(done(queue, rig_token(&rig, again, 1, 1), &gone), ENGINE_OK);
}
