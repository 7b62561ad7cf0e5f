// Requests that may wait: order, continuation, limits.
#include <criterion/criterion.h>

#include "dispatch_fixture.h"

TestSuite(dispatch, .init = fixture_start, .fini = fixture_end);

Test(dispatch, blocking_puts_go_in_in_the_order_of_arrival)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = bounded(2);
    put(session, 1, 0, 1, 2, 0);
    put(session, 2, 0, 1, 2, FOREVER);
    put(session, 3, 0, 1, 1, FOREVER);
    run();
    cr_assert_str_eq(answers(), "1:OK");
    get(session, 4, 1, 0);
    run();
    cr_assert_str_eq(answers(), "4:OK");
    put(session, 5, 0, 1, 1, 0);
    run();
    cr_assert_str_eq(answers(), "5:FULL", "nobody overtakes");
    cr_assert_eq(queue_ready(queue), 2u, "the first parked one is in half");
    get(session, 6, 2, 0);
    run();
    cr_assert_str_eq(answers(), "6:OK 2:OK 3:OK");
    cr_assert_eq(dispatch_parked_bytes(rig.dispatch), 0u);
}

Test(dispatch, a_nonblocking_put_behind_waiters_is_full_even_with_room)
{
    uint64_t session = rig_session(&rig, 1);
    bounded(4);
    put(session, 1, 0, 1, 3, 0);
    const void *bodies = rig_keep(&rig, (struct engine_bytes[]){{1, (const uint8_t *)"a"}, {1, (const uint8_t *)"b"}},
                                  2 * sizeof(struct engine_bytes))
                             .data;
    const struct dispatch_put atomic = {
        .session_no = session, .request_id = 2, .put = {.bodies = bodies, .count = 2, .atomic = true}, .wait_ms = 50};
    dispatch_put(rig.dispatch, rig.now_ms, rig_text("q"), &atomic);
    put(session, 3, 0, 1, 1, 0);
    put(session, 4, 0, 1, 1, FOREVER);
    run();
    cr_assert_str_eq(answers(), "1:OK 3:FULL");
    rig_tick(&rig, 50);
    cr_assert_str_eq(answers(), "2:FULL 4:OK", "the one behind it fits");
}

Test(dispatch, a_stream_goes_on_behind_its_parked_run)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = bounded(1);
    put(session, 1, 77, 1, 3, FOREVER);
    put(session, 2, 77, 4, 1, FOREVER);
    put(session, 3, 77, 5, 1, 0);
    put(session, 4, 77, 9, 1, FOREVER);
    run();
    cr_assert_str_eq(answers(), "3:FULL 4:OUT_OF_SEQUENCE");
    for (uint64_t id = 10; id < 14; id++) {
        get(session, id, 1, 0);
        run();
    }
    cr_assert_str_eq(answers(), "10:OK 11:OK 1:OK 12:OK 2:OK 13:OK");
    cr_assert_eq(queue->record.puts, 4u);
    cr_assert_eq(engine_stream_last(rig.engine, queue, 77), 4u);
}

Test(dispatch, a_run_renumbered_after_a_timeout_parks_behind_the_first_one)
{
    uint64_t session = rig_session(&rig, 1);
    bounded(1);
    put(session, 1, 77, 1, 2, FOREVER);
    put(session, 2, 77, 3, 1, 10);
    rig_tick(&rig, 10);
    cr_assert_str_eq(answers(), "2:FULL");
    put(session, 3, 77, 3, 1, FOREVER);
    run();
    cr_assert_str_eq(answers(), "");
}

Test(dispatch, a_stream_goes_on_behind_the_last_that_waits_whichever_of_it_have_gone)
{
    uint64_t session = rig_session(&rig, 1);
    bounded(1);
    put(session, 1, 77, 1, 1, 0);
    put(session, 2, 78, 1, 1, FOREVER); // of another one
    for (uint64_t number = 2; number <= 5; number++) {
        put(session, 10 + number, 77, number, 1, FOREVER);
    }
    dispatch_cancel(rig.dispatch, session, 13);
    dispatch_cancel(rig.dispatch, session, 15);
    dispatch_cancel(rig.dispatch, session, 14);
    put(session, 20, 77, 3, 1, FOREVER);
    dispatch_cancel(rig.dispatch, session, 12);
    dispatch_cancel(rig.dispatch, session, 20);
    put(session, 21, 77, 2, 1, FOREVER);
    cr_assert_str_eq(answers(), "1:OK 13:CANCELLED 15:CANCELLED 14:CANCELLED 12:CANCELLED 20:CANCELLED");
    cr_assert_eq(dispatch_waiting(rig.dispatch, engine_queue_find(rig.engine, rig_text("q"))).puts, 2u);
}

Test(dispatch, a_refused_run_refuses_what_was_pipelined_behind_it)
{
    uint64_t session = rig_session(&rig, 1);
    bounded(1);
    put(session, 1, 77, 1, 1, 0);
    put(session, 2, 77, 2, 1, 10);
    put(session, 3, 77, 3, 1, FOREVER);
    rig_tick(&rig, 10);
    cr_assert_str_eq(answers(), "1:OK 2:FULL 3:OUT_OF_SEQUENCE");
}

// A new broker with these limits.
static void limited(struct dispatch_config limits)
{
    rig.limits = limits;
    dispatch_destroy(&rig.dispatch);
    engine_destroy(&rig.engine);
    rig_start(&rig);
}

Test(dispatch, parked_bytes_are_limited)
{
    limited((struct dispatch_config){.waiters_per_session_max = 3, .parked_bytes_per_session_max = 100, .parked_bytes_max = 150});
    uint64_t a = rig_session(&rig, 1);
    uint64_t b = rig_session(&rig, 2);
    bounded(1);
    put(a, 1, 0, 1, 1, 0);
    put(a, 2, 0, 1, 2, FOREVER); // 2 * (4 + 32) = 72
    put(a, 3, 0, 1, 1, FOREVER);
    put(b, 4, 0, 1, 2, FOREVER);
    put(b, 5, 0, 1, 1, FOREVER);
    run();
    cr_assert_str_eq(answers(), "1:OK 3:BUSY 5:BUSY");
    cr_assert_eq(dispatch_parked_bytes(rig.dispatch), 144u);
    for (uint64_t id = 10; id < 13; id++) {
        dispatch_join(rig.dispatch, rig.now_ms, a, id, rig_text("q"), 100);
    }
    cr_assert_str_eq(answers(), "12:BUSY");
}

static void put_of_key(uint64_t session_no, uint64_t request_id, uint64_t elsewhere)
{
    const void *bodies = rig_keep(&rig, &(struct engine_bytes){4, (const uint8_t *)"abcd"}, sizeof(struct engine_bytes)).data;
    const struct dispatch_put command = {.session_no = session_no,
                                         .request_id = request_id,
                                         .put = {.session_no = session_no, .bodies = bodies, .count = 1},
                                         .wait_ms = FOREVER,
                                         .parked_by_key_elsewhere = elsewhere};
    dispatch_put(rig.dispatch, rig.now_ms, rig_text("q"), &command);
}

Test(dispatch, what_the_sessions_of_a_key_have_parked_is_limited_together)
{
    limited((struct dispatch_config){.waiters_per_session_max = 9,
                                     .parked_bytes_per_session_max = 1000,
                                     .parked_bytes_per_key_max = 100,
                                     .parked_bytes_max = 1000});
    uint64_t a = rig_session(&rig, 1);
    uint64_t b = rig_session(&rig, 2);
    bounded(1);
    put(a, 1, 0, 1, 1, 0);
    put_of_key(a, 2, 0); // 4 + 32 = 36
    put_of_key(b, 3, dispatch_session_parked_bytes(rig.dispatch, a));
    put_of_key(b, 4, dispatch_session_parked_bytes(rig.dispatch, a));
    cr_assert_str_eq(answers(), "1:OK 4:BUSY");
    put_of_key(b, 5, 0); // of another key
    cr_assert_str_eq(answers(), "");
    cr_assert_eq(dispatch_session_parked_bytes(rig.dispatch, b), 72u);
}

Test(dispatch, the_waiting_requests_of_all_sessions_are_limited)
{
    limited((struct dispatch_config){.waiters_per_session_max = 2, .waiters_max = 3});
    uint64_t sessions[] = {rig_session(&rig, 1), rig_session(&rig, 2), rig_session(&rig, 3)};
    bounded(0);
    for (size_t i = 0; i < 3; i++) {
        get(sessions[i], 10 * (i + 1), 1, 100);
        get(sessions[i], 10 * (i + 1) + 1, 1, 100);
    }
    cr_assert_str_eq(answers(), "21:BUSY 30:BUSY 31:BUSY");
    get(sessions[2], 32, 1, 0);
    cr_assert_str_eq(answers(), "32:EMPTY", "what does not wait is served");
    dispatch_session_end(rig.dispatch, sessions[0]);
    get(sessions[2], 33, 1, 100);
    cr_assert_str_eq(answers(), "");
}

Test(dispatch, a_busy_answer_says_of_what_there_is_too_much)
{
    static const struct {
        uint64_t waiters, session, key, all;
        enum dispatch_limit limit;
    } cases[] = {{0, 99, 99, 99, DISPATCH_LIMIT_WAITERS},
                 {9, 35, 99, 99, DISPATCH_LIMIT_BYTES_OF_SESSION},
                 {9, 99, 35, 99, DISPATCH_LIMIT_BYTES_OF_KEY},
                 {9, 99, 99, 35, DISPATCH_LIMIT_BYTES},
                 {9, 36, 0, 36, DISPATCH_LIMIT_NONE}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t count;
        rig.limits = (struct dispatch_config){.waiters_per_session_max = cases[i].waiters,
                                              .parked_bytes_per_session_max = cases[i].session,
                                              .parked_bytes_per_key_max = cases[i].key,
                                              .parked_bytes_max = cases[i].all};
        dispatch_destroy(&rig.dispatch);
        engine_destroy(&rig.engine);
        rig_start(&rig);
        uint64_t session = rig_session(&rig, 1);
        bounded(1);
        put(session, 1, 0, 1, 1, 0);
        put_of_key(session, 2, 0);
        const struct dispatch_answer *list = dispatch_take_answers(rig.dispatch, &count);
        cr_assert_eq(count, cases[i].limit == DISPATCH_LIMIT_NONE ? 1u : 2u, "case %zu", i);
        cr_expect_eq(list[count - 1].limit, cases[i].limit, "case %zu: %d", i, list[count - 1].limit);
    }
}

Test(dispatch, bodies_of_parked_puts_live_until_durable)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = bounded(1);
    put(session, 1, 0, 1, 2, FOREVER);
    run();
    rig_seal(&rig, false);
    get(session, 2, 1, 0);
    run();
    rig_land(&rig); // frees what the request came in
    struct engine_bytes body;
    struct engine_bytes headers;
    cr_assert(engine_recent_item(queue, 2, &body, &headers));
    cr_assert_arr_eq(body.data, "abcd", 4);
    rig_commit(&rig);
    struct store_item item;
    cr_assert_eq(store_read(rig.store, queue->record.queue_id, 2, &item), NQ_OK);
    cr_assert_arr_eq(item.body.data, "abcd", 4);
    answers();
}
