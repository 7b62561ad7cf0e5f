// How waits end: served, in time, cancelled, with their queue or session; requests that come twice.
#include <criterion/criterion.h>

#include "dispatch_fixture.h"

TestSuite(dispatch, .init = fixture_start, .fini = fixture_end);

Test(dispatch, gets_wait_in_the_order_of_arrival)
{
    uint64_t a = rig_session(&rig, 1);
    uint64_t b = rig_session(&rig, 2);
    struct queue *queue = rig_queue(&rig, "q");
    get(a, 1, 5, FOREVER);
    get(b, 2, 5, FOREVER);
    cr_assert_eq(engine_queue_consumers(queue), 2u);
    put(a, 3, 0, 1, 1, 0);
    get(b, 4, 1, 0);
    run();
    cr_assert_str_eq(answers(), "3:OK 1:OK 4:EMPTY");
    put(a, 5, 0, 1, 4, 0);
    run();
    cr_assert_str_eq(answers(), "5:OK 2:OK");
    cr_assert_eq(engine_session_leases(rig.engine, b), (size_t)2, "a fair share of four");
}

Test(dispatch, waits_end_in_time)
{
    uint64_t session = rig_session(&rig, 1);
    bounded(1);
    get(session, 1, 1, 20);
    rig_tick(&rig, 19);
    cr_assert_str_eq(answers(), "");
    cr_assert_eq(dispatch_next_deadline_ms(rig.dispatch), rig.now_ms + 1);
    rig_tick(&rig, 1);
    cr_assert_str_eq(answers(), "1:EMPTY");
    put(session, 2, 0, 1, 2, 10);
    dispatch_join(rig.dispatch, rig.now_ms, session, 3, rig_text("q"), 15);
    dispatch_join(rig.dispatch, rig.now_ms, session, 4, rig_text("q"), 0);
    rig_tick(&rig, 20);
    cr_assert_str_eq(answers(), "4:TIMED_OUT 2:FULL 3:TIMED_OUT");
    cr_assert_eq(dispatch_next_deadline_ms(rig.dispatch), UINT64_MAX);
}

Test(dispatch, cancel)
{
    uint64_t session = rig_session(&rig, 1);
    get(session, 1, 1, FOREVER);
    cr_assert(!dispatch_cancel(rig.dispatch, session, 2));
    cr_assert(!dispatch_cancel(rig.dispatch, session + 1, 1));
    cr_assert(dispatch_cancel(rig.dispatch, session, 1));
    cr_assert_str_eq(answers(), "1:CANCELLED");
    cr_assert(!dispatch_session_waits(rig.dispatch, session));
}

Test(dispatch, join_answers_when_all_is_done)
{
    bool gone;
    uint64_t session = rig_session(&rig, 1);
    dispatch_join(rig.dispatch, rig.now_ms, session, 1, rig_text("q"), FOREVER);
    cr_assert_str_eq(answers(), "1:NO_SUCH_QUEUE");
    struct queue *queue = bounded(0);
    dispatch_join(rig.dispatch, rig.now_ms, session, 2, rig_text("q"), FOREVER);
    cr_assert_str_eq(answers(), "2:OK");
    put(session, 3, 0, 1, 1, 0);
    get(session, 4, 1, 0);
    dispatch_join(rig.dispatch, rig.now_ms, session, 5, rig_text("q"), FOREVER);
    run();
    cr_assert_str_eq(answers(), "3:OK 4:OK");
    struct engine_token token = rig_token(&rig, session, 1, 1);
    engine_task_done(rig.engine, rig.now_ms, queue, &token, &gone);
    run();
    cr_assert_str_eq(answers(), "5:OK");
}

// Requests are handled in their order: between a task_done and a put behind it all was done.
Test(dispatch, join_does_not_wait_for_what_is_put_once_all_was_done)
{
    bool gone;
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = bounded(1);
    put(session, 1, 0, 1, 1, 0);
    get(session, 2, 1, 0);
    dispatch_join(rig.dispatch, rig.now_ms, session, 3, rig_text("q"), FOREVER);
    run();
    cr_assert_str_eq(answers(), "1:OK 2:OK");
    struct engine_token token = rig_token(&rig, session, 1, 1);
    engine_task_done(rig.engine, rig.now_ms, queue, &token, &gone);
    put(session, 4, 0, 2, 1, 0);
    run();
    cr_assert_str_eq(answers(), "3:OK 4:OK");
    put(session, 5, 0, 3, 1, FOREVER);
    dispatch_join(rig.dispatch, rig.now_ms, session, 6, rig_text("q"), FOREVER);
    run();
    cr_assert_str_eq(answers(), "");
    engine_purge(rig.engine, rig.now_ms, queue); // what waits for room goes in behind it
    run();
    cr_assert_str_eq(answers(), "6:OK 5:OK");
    cr_assert_eq(queue_unfinished(queue), 1u);
}

Test(dispatch, shutdown_ends_puts_and_gets)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = bounded(1);
    put(session, 1, 0, 1, 2, FOREVER);
    dispatch_join(rig.dispatch, rig.now_ms, session, 2, rig_text("q"), FOREVER);
    engine_shutdown(rig.engine, rig.now_ms, queue, false);
    run();
    cr_assert_str_eq(answers(), "1:SHUT_DOWN");
    get(session, 3, 1, FOREVER);
    get(session, 4, 1, FOREVER);
    run();
    cr_assert_str_eq(answers(), "3:OK 4:SHUT_DOWN");
    struct engine_token token = rig_token(&rig, session, 1, 1);
    bool gone;
    engine_task_done(rig.engine, rig.now_ms, queue, &token, &gone);
    run();
    cr_assert_str_eq(answers(), "2:OK");
}

Test(dispatch, delete_ends_all_waiters)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = bounded(1);
    put(session, 1, 0, 1, 2, FOREVER);
    dispatch_join(rig.dispatch, rig.now_ms, session, 2, rig_text("q"), FOREVER);
    answers();
    get(session, 3, 1, 0);
    run();
    answers();
    get(session, 4, 9, 0);
    get(session, 5, 1, FOREVER);
    run();
    answers();
    engine_delete(rig.engine, rig.now_ms, queue);
    run();
    cr_assert_str_eq(answers(), "5:NO_SUCH_QUEUE 2:NO_SUCH_QUEUE");
    rig_settle(&rig);
    cr_assert_eq(engine_queue_count(rig.engine), (size_t)0);
}

Test(dispatch, waiters_vanish_with_their_session)
{
    uint64_t a = rig_session(&rig, 1);
    uint64_t b = rig_session(&rig, 2);
    struct queue *queue = bounded(1);
    put(a, 1, 0, 1, 3, FOREVER);
    put(b, 2, 0, 1, 1, FOREVER);
    dispatch_join(rig.dispatch, rig.now_ms, a, 3, rig_text("q"), FOREVER);
    dispatch_session_end(rig.dispatch, a);
    engine_session_end(rig.engine, rig.now_ms, a, false);
    engine_purge(rig.engine, rig.now_ms, queue);
    run();
    cr_assert_str_eq(answers(), "2:OK");
    struct dispatch_counts waiting = dispatch_waiting(rig.dispatch, queue);
    cr_assert(waiting.gets == 0 && waiting.puts == 0 && waiting.joins == 0);
}

Test(dispatch, what_comes_again_while_parked_is_one_request)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = bounded(1);
    put(session, 1, 77, 1, 2, FOREVER);
    put(session, 1, 77, 1, 2, FOREVER);
    cr_assert_eq(dispatch_waiting(rig.dispatch, queue).puts, 1u);
    engine_purge(rig.engine, rig.now_ms, queue);
    run();
    cr_assert_str_eq(answers(), "1:OK");
    engine_purge(rig.engine, rig.now_ms, queue);
    for (int i = 0; i < 2; i++) {
        get(session, 2, 1, FOREVER);
        dispatch_join(rig.dispatch, rig.now_ms, session, 2, rig_text("q"), FOREVER);
    }
    cr_assert_eq(dispatch_waiting(rig.dispatch, queue).gets, 1u);
    cr_assert_eq(dispatch_waiting(rig.dispatch, queue).joins, 0u);
}

Test(dispatch, an_answered_get_that_comes_again_gives_the_same_items)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = bounded(0);
    put(session, 1, 0, 1, 6, 0);
    get(session, 2, 2, 0);
    get(session, 3, 2, 0);
    answers();
    get(session, 2, 2, FOREVER);
    size_t count;
    struct dispatch_answer *answer = dispatch_take_answers(rig.dispatch, &count);
    cr_assert_eq(count, (size_t)1);
    cr_assert(answer->grant.count == 2 && answer->grant.items[0].seq == 1 && answer->grant.items[0].delivery == 1);
    engine_grant_clear(&answer->grant);
    cr_assert_eq(queue->leased, 4u);
}
