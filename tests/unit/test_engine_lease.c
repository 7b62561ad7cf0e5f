// get and leases: order, shares, ends.
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

TestSuite(lease, .init = start, .fini = end);

Test(lease, returned_items_keep_their_place)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 5);
    struct engine_grant grant;
    cr_assert_eq(rig_get(&rig, queue, session, 1, 3, &grant), ENGINE_OK);
    engine_grant_clear(&grant);
    struct engine_token token = rig_token(&rig, session, 2, 1);
    engine_requeue(rig.engine, rig.now_ms, queue, &token, &(struct engine_requeue){0});
    cr_assert_eq(rig_get(&rig, queue, session, 2, 3, &grant), ENGINE_OK);
    cr_assert_eq(grant.count, (size_t)3);
    cr_assert_eq(grant.items[0].seq, 2u);
    cr_assert_eq(grant.items[0].delivery, 2u);
    cr_assert(grant.items[0].redelivered);
    cr_assert_eq(grant.items[1].seq, 4u);
    cr_assert(!grant.items[1].redelivered);
    cr_assert_eq(queue->record.redelivered, 1u);
    engine_grant_clear(&grant);
}

Test(lease, expires_and_renew_puts_it_off)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 1);
    rig_get_one(&rig, queue, session, 1);
    rig_tick(&rig, 59999);
    cr_assert_eq(queue->leased, 1u);
    engine_session_renew(rig.engine, rig.now_ms, session);
    rig_tick(&rig, 59999);
    cr_assert_eq(queue->leased, 1u);
    cr_assert_eq(engine_next_deadline_ms(rig.engine), rig.now_ms + 1);
    rig_tick(&rig, 1);
    cr_assert_eq(queue->leased, 0u);
    cr_assert_eq(queue_ready(queue), 1u);
    cr_assert_eq(queue->record.failed, 1u);
}

Test(lease, a_get_may_name_its_own_lease)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 1);
    struct engine_grant grant;
    const struct engine_get get = {
        .session_no = session, .get_id = 1, .max_items = 1, .max_bytes = 1, .lease_ms = 100, .hold_max_ms = 150};
    cr_assert_eq(engine_get(rig.engine, rig.now_ms, queue, &get, &grant), ENGINE_OK);
    cr_assert(grant.lease_ms == 100 && grant.hold_max_ms == 150);
    engine_grant_clear(&grant);
    rig_tick(&rig, 99);
    engine_session_renew(rig.engine, rig.now_ms, session);
    rig_tick(&rig, 50);
    cr_assert_eq(queue->leased, 1u);
    rig_tick(&rig, 1);
    cr_assert_eq(queue->leased, 0u, "hold_max ends it whatever is renewed");
}

Test(lease, extend_restarts_hold_max)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_declare(
        &rig, "q",
        &(struct engine_options){.given = ENGINE_OPTION_LEASE | ENGINE_OPTION_HOLD_MAX, .lease_ms = 1000, .hold_max_ms = 1500});
    rig_put(&rig, queue, 0, 1, 2);
    struct engine_grant grant;
    rig_get(&rig, queue, session, 1, 2, &grant);
    engine_grant_clear(&grant);
    rig_tick(&rig, 900);
    struct engine_token token = rig_token(&rig, session, 1, 1);
    cr_assert_eq(engine_extend(rig.engine, rig.now_ms, queue, &token, 0), ENGINE_OK);
    rig_tick(&rig, 100);
    cr_assert_eq(queue->leased, 1u, "the other one ended");
    engine_session_renew(rig.engine, rig.now_ms, session);
    rig_tick(&rig, 999);
    cr_assert_eq(queue->leased, 1u);
    engine_session_renew(rig.engine, rig.now_ms, session);
    rig_tick(&rig, 401);
    cr_assert_eq(queue->leased, 0u, "900 + 1500");
}

Test(lease, extend_refusals)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 2);
    rig_get_one(&rig, queue, session, 1);
    struct engine_token held = rig_token(&rig, session, 1, 1);
    struct engine_token never = rig_token(&rig, session, 2, 1);
    cr_assert_eq(engine_extend(rig.engine, rig.now_ms, queue, &never, 0), ENGINE_NOT_LEASED);
    engine_requeue(rig.engine, rig.now_ms, queue, &held, &(struct engine_requeue){0});
    cr_assert_eq(engine_extend(rig.engine, rig.now_ms, queue, &held, 0), ENGINE_LEASE_LOST);
}

Test(lease, share_is_fair)
{
    uint64_t a = rig_session(&rig, 1);
    uint64_t b = rig_session(&rig, 2);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 10);
    struct engine_grant grant;
    engine_session_waits(rig.engine, b, queue, 1);
    rig_get(&rig, queue, a, 1, 100, &grant);
    cr_assert_eq(grant.count, (size_t)5, "the other one waits");
    engine_grant_clear(&grant);
    engine_session_waits(rig.engine, b, queue, -1);
    rig_get(&rig, queue, b, 1, 100, &grant);
    cr_assert_eq(grant.count, (size_t)3, "ceil(5 / 2): the first one holds");
    engine_grant_clear(&grant);
    engine_session_end(rig.engine, rig.now_ms, a, true);
    cr_assert_eq(engine_queue_consumers(queue), 1u);
    rig_get(&rig, queue, b, 2, 100, &grant);
    cr_assert_eq(grant.count, (size_t)7);
    engine_grant_clear(&grant);
}

Test(lease, max_bytes_lets_one_through)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 5); // of 3 bytes each
    const struct engine_get one = {.session_no = session, .get_id = 1, .max_items = 5, .max_bytes = 1};
    const struct engine_get two = {.session_no = session, .get_id = 2, .max_items = 5, .max_bytes = 8};
    struct engine_grant grant;
    engine_get(rig.engine, rig.now_ms, queue, &one, &grant);
    cr_assert_eq(grant.count, (size_t)1);
    engine_grant_clear(&grant);
    engine_get(rig.engine, rig.now_ms, queue, &two, &grant);
    cr_assert_eq(grant.count, (size_t)2);
    engine_grant_clear(&grant);
}

Test(lease, refusals)
{
    rig.config.leases_per_session_max = 2;
    dispatch_destroy(&rig.dispatch);
    engine_destroy(&rig.engine);
    rig_start(&rig);
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    struct engine_grant grant;
    cr_assert_eq(rig_get(&rig, queue, session, 1, 1, &grant), ENGINE_EMPTY);
    cr_assert_eq(rig_get(&rig, queue, 999, 1, 1, &grant), ENGINE_NO_SESSION);
    rig_put(&rig, queue, 0, 1, 3);
    cr_assert_eq(rig_get(&rig, queue, session, 2, 5, &grant), ENGINE_OK);
    cr_assert_eq(grant.count, (size_t)2);
    engine_grant_clear(&grant);
    cr_assert_eq(rig_get(&rig, queue, session, 3, 5, &grant), ENGINE_LIMIT_REACHED);
}
