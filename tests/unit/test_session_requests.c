// Sessions: opening, taking up again, dying.
#include <criterion/criterion.h>
#include <string.h>

#include "service_fixture.h"

static struct fixture *fixture;
static uint8_t token_1[NQ_RESUME_TOKEN_BYTES];

static void set_up(void)
{
    fixture = fixture_create();
    fixture_hello(fixture, 1, token_1);
    fixture_hello(fixture, 2, NULL);
}

static void tear_down(void)
{
    fixture_destroy(fixture);
}

TestSuite(session, .init = set_up, .fini = tear_down);

static uint8_t id_1[NQ_SESSION_ID_BYTES];

static struct wire_request resume(uint64_t id, const uint8_t *token)
{
    session_id_of(1, id_1);
    struct wire_request hello = {.id = id, .op = WIRE_HELLO, .as.hello.session_id = {sizeof(id_1), id_1}};
    if (token != NULL) {
        hello.as.hello.resume_token = (struct nq_bytes){NQ_RESUME_TOKEN_BYTES, token};
    }
    return hello;
}

static struct wire_request renew(uint64_t id)
{
    session_id_of(1, id_1);
    return (struct wire_request){.id = id, .op = WIRE_RENEW, .as.renew = {{sizeof(id_1), id_1}, {sizeof(token_1), token_1}}};
}

static const struct wire_reply *call(uint64_t connection, struct wire_request request)
{
    return fixture_call(fixture, connection, &request);
}

static uint64_t leased(uint64_t id)
{
    const struct wire_request stat = on_queue_request(id, WIRE_STAT, "q");
    return fixture_call(fixture, 2, &stat)->as.stat.leased;
}

Test(session, hello_tells_the_limits)
{
    const struct wire_reply *reply = call(1, resume(50, token_1));
    cr_assert_eq(reply->as.hello.limits.body_bytes, 1000);
    cr_assert_eq(reply->as.hello.limits.session_timeout_ms, NQ_SESSION_TIMEOUT_MS_DEFAULT);
    cr_assert_eq(reply->as.hello.store_id.len, NQ_STORE_ID_BYTES);
    cr_assert(bytes_are(reply->as.hello.broker_version, NQ_VERSION));
}

Test(session, without_hello_only_ping_and_renew_work)
{
    cr_assert_eq(call(9, on_queue_request(10, WIRE_STAT, "q"))->status, NQ_NO_SESSION);
    cr_assert_eq(call(9, get_request(11, "q", 1, 0))->status, NQ_NO_SESSION);
    const struct wire_request ping = {.id = 12, .op = WIRE_PING};
    const struct wire_reply *reply = fixture_call(fixture, 9, &ping);
    cr_assert_eq(reply->status, NQ_OK);
    cr_assert_eq(reply->as.ping.sessions, 2);
}

Test(session, a_wrong_token_is_refused)
{
    uint8_t wrong[NQ_RESUME_TOKEN_BYTES];
    memcpy(wrong, token_1, sizeof(wrong));
    wrong[NQ_RESUME_TOKEN_BYTES - 1] ^= 1;
    cr_assert_eq(call(3, resume(10, wrong))->status, NQ_NO_SESSION);
    session_id_of(1, id_1);
    const struct wire_request renew = {.id = 11, .op = WIRE_RENEW, .as.renew = {{sizeof(id_1), id_1}, {sizeof(wrong), wrong}}};
    cr_assert_eq(fixture_call(fixture, 3, &renew)->status, NQ_NO_SESSION);
}

Test(session, is_taken_up_on_another_connection_with_its_leases)
{
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    const struct wire_reply *got = call(1, get_request(11, "q", 1, 0));
    fixture->dead_connection = 1;
    const uint64_t held[] = {11};
    struct wire_request hello = resume(12, token_1);
    hello.as.hello.held_gets = held;
    hello.as.hello.held_gets_count = 1;
    const struct wire_reply *reply = fixture_call(fixture, 3, &hello);
    cr_assert(reply->as.hello.resumed);
    const struct wire_request late = get_request(13, "q", 1, 0);
    fixture_send(fixture, 1, &late, 1); // from the old connection: it has no session any more
    fixture_commit(fixture);
    cr_assert_eq(call(3, tokens_request(14, WIRE_TASK_DONE, got))->status, NQ_OK);
}

Test(session, gets_that_are_not_named_go_back)
{
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    call(1, get_request(11, "q", 1, 0));
    cr_assert_eq(leased(12), 1);
    cr_assert(call(3, resume(13, token_1))->as.hello.resumed);
    cr_assert_eq(leased(14), 0);
}

Test(session, an_answer_that_was_lost_comes_again)
{
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    fixture->lost_connection = 1;
    const struct wire_request get = get_request(11, "q", 1, 0);
    fixture_send(fixture, 1, &get, 1);
    fixture_commit(fixture);
    cr_assert_null(fixture_take(fixture, 1, 11));
    const uint64_t waiting[] = {11};
    struct wire_request hello = resume(12, token_1);
    hello.as.hello.waiting_gets = waiting;
    hello.as.hello.waiting_gets_count = 1;
    fixture_send(fixture, 3, &hello, 1);
    fixture_commit(fixture);
    const struct wire_reply *got = fixture_take(fixture, 3, 11);
    cr_assert_not_null(got);
    cr_assert(bytes_are(got->as.get.bodies[0], "x"));
    cr_assert_eq(leased(13), 1);
}

static const uint64_t get_11[] = {11};

static struct wire_request resume_waiting_for_11(uint64_t id)
{
    struct wire_request hello = resume(id, token_1);
    hello.as.hello.waiting_gets = get_11;
    hello.as.hello.waiting_gets_count = 1;
    return hello;
}

// Found by the simulation of the whole system (seed 629346): the earlier answer was on its way still when HELLO came, and its items went
// to others while their client worked on them.
Test(session, what_was_sent_over_a_connection_does_not_go_back_when_it_is_asked_for_there_again)
{
    const struct wire_request get = get_request(11, "q", 1, 0);
    const struct wire_request hello = resume_waiting_for_11(12);
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    cr_assert_eq(fixture_call(fixture, 1, &get)->status, NQ_OK);
    fixture_send(fixture, 1, &hello, 1);
    fixture_commit(fixture);
    cr_assert_eq(fixture_take(fixture, 1, 11)->status, NQ_OK, "there is room for it once more");
    fixture->rig.has_no_room = true;
    fixture_send(fixture, 1, &hello, 1);
    fixture_commit(fixture);
    cr_assert_eq(fixture_take(fixture, 1, 11)->status, NQ_BUSY);
    cr_assert_eq(leased(13), 1);
    fixture_send(fixture, 3, &hello, 1); // nothing comes over the other one any more
    fixture_commit(fixture);
    cr_assert_eq(fixture_take(fixture, 3, 11)->status, NQ_BUSY);
    cr_assert_eq(leased(14), 0);
}

// A hundred thousand may be named, and each answer have ten thousand items.
Test(session, a_get_that_hello_names_often_is_answered_once)
{
    const uint64_t waiting[] = {11, 11, 12, 11, 11};
    const struct wire_request get = get_request(11, "q", 1, 0);
    struct wire_request hello = resume(12, token_1);
    hello.as.hello.waiting_gets = waiting;
    hello.as.hello.waiting_gets_count = 5;
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    cr_assert_eq(fixture_call(fixture, 1, &get)->status, NQ_OK);
    fixture_send(fixture, 3, &hello, 1);
    fixture_commit(fixture);
    cr_assert_eq(fixture_take(fixture, 3, 11)->status, NQ_OK);
    cr_assert_null(fixture_take(fixture, 3, 11));
}

Test(session, nor_when_it_cannot_be_sent_there_again)
{
    const struct wire_request get = get_request(11, "q", 1, 0);
    const struct wire_request hello = resume_waiting_for_11(12);
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    cr_assert_eq(fixture_call(fixture, 1, &get)->status, NQ_OK);
    fixture->dead_connection = 1;
    fixture_send(fixture, 1, &hello, 1);
    fixture_commit(fixture);
    cr_assert_eq(leased(13), 1, "its client may have it, and come back");
}

// As a client does it on a new connection: HELLO brings the answer, the get sent again is one too many.
Test(session, a_get_that_is_sent_again_does_not_give_back_what_its_answer_has_brought)
{
    const struct wire_request get = get_request(11, "q", 1, 0);
    const struct wire_request hello = resume_waiting_for_11(12);
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    fixture->lost_connection = 1;
    fixture_send(fixture, 1, &get, 1);
    fixture_commit(fixture);
    fixture_send(fixture, 3, &hello, 1);
    fixture_commit(fixture);
    cr_assert_eq(fixture_take(fixture, 3, 11)->status, NQ_OK);
    fixture->rig.has_no_room = true;
    cr_assert_eq(call(3, get)->status, NQ_BUSY);
    cr_assert_eq(leased(13), 1);
    fixture->rig.has_no_room = false;
    cr_assert_eq(call(3, get)->as.get.count, 1);
}

// Both in one frame, and room is found between the two answers.
Test(session, items_that_have_gone_back_do_not_leave_with_a_get_that_was_sent_again)
{
    const struct wire_request get = get_request(11, "q", 1, 0);
    const struct wire_request both[] = {resume_waiting_for_11(12), get};
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    fixture->lost_connection = 1;
    fixture_send(fixture, 1, &get, 1);
    fixture_commit(fixture);
    fixture->rig.has_no_room = fixture->rig.room_returns = true;
    fixture_send(fixture, 3, both, 2);
    fixture_commit(fixture);
    cr_assert_eq(leased(13), 0);
    cr_assert_eq(fixture_take(fixture, 3, 11)->status, NQ_BUSY);
    cr_assert_eq(fixture_take(fixture, 3, 11)->status, NQ_BUSY);
}

Test(session, a_parked_get_is_answered_where_the_session_lives)
{
    const struct wire_request get = get_request(11, "q", 1, NQ_WAIT_FOREVER);
    fixture_send(fixture, 1, &get, 1);
    const uint64_t waiting[] = {11};
    struct wire_request hello = resume(12, token_1);
    hello.as.hello.waiting_gets = waiting;
    hello.as.hello.waiting_gets_count = 1;
    fixture_call(fixture, 3, &hello);
    cr_assert_eq(fixture_put(fixture, 2, 13, "q", 1, "x"), NQ_OK);
    cr_assert_null(fixture_take(fixture, 1, 11));
    cr_assert_not_null(fixture_take(fixture, 3, 11));
}

// Found by the simulation of the whole system (seed 4439): its end, FULL, crossed the second sending, which was then a new put.
Test(session, a_parked_put_is_forgotten_when_the_session_goes_on_elsewhere)
{
    struct wire_request declare = {.id = 10, .op = WIRE_DECLARE};
    declare.as.declare.queue = bytes_of("q");
    declare.as.declare.options = (struct wire_options){.given = NQ_OPTION_MAXSIZE, .maxsize = 1};
    cr_assert_eq(fixture_call(fixture, 2, &declare)->status, NQ_OK);
    cr_assert_eq(fixture_put(fixture, 2, 11, "q", 1, "x"), NQ_OK);
    const struct nq_bytes body = bytes_of("y");
    struct wire_request put = {.id = 12, .op = WIRE_PUT};
    put.as.put =
        (struct wire_put){.queue = bytes_of("q"), .bodies = &body, .count = 1, .stream = 77, .first_number = 1, .wait_ms = 1000};
    fixture_send(fixture, 1, &put, 1);
    const struct wire_request hello = resume(13, token_1);
    fixture_call(fixture, 3, &hello);
    fixture_tick(fixture, 2000);
    fixture_commit(fixture);
    cr_assert_null(fixture_take(fixture, 1, 12));
    cr_assert_null(fixture_take(fixture, 3, 12), "its client will send it again");
    fixture_send(fixture, 3, &put, 1);
    fixture_tick(fixture, 2000);
    fixture_commit(fixture);
    const struct wire_reply *full = fixture_take(fixture, 3, 12);
    cr_assert_not_null(full);
    cr_assert_eq(full->status, NQ_FULL);
}

Test(session, is_probed_and_ends_after_the_grace_when_its_connection_is_gone)
{
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    call(1, get_request(11, "q", 1, 0));
    fixture_tick(fixture, SESSIONS_PROBE_MS);
    cr_assert_geq(fixture->probe_count, 1);
    fixture->dead_connection = 1;
    fixture_tick(fixture, SESSIONS_PROBE_MS);
    cr_assert_eq(leased(12), 1, "it has time to come back");
    fixture_tick(fixture, NQ_SESSION_GRACE_MS_DEFAULT - 1);
    cr_assert_eq(leased(13), 1);
    fixture_tick(fixture, 1);
    cr_assert_eq(leased(14), 0);
    const struct wire_reply *reply = call(3, resume(15, token_1));
    cr_assert_eq(reply->status, NQ_OK);
    cr_assert_not(reply->as.hello.resumed, "a new one under the same id");
}

// It is known to be gone before its grace is over; an item on lease to it until then would count as failed.
Test(session, that_has_no_connection_is_given_nothing)
{
    const struct wire_request get = get_request(11, "q", 1, NQ_WAIT_FOREVER);
    fixture_send(fixture, 1, &get, 1);
    fixture->dead_connection = 1;
    fixture_tick(fixture, SESSIONS_PROBE_MS);
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    fixture_tick(fixture, NQ_SESSION_GRACE_MS_DEFAULT / 2);
    cr_assert_eq(leased(12), 0);
    fixture_tick(fixture, NQ_SESSION_GRACE_MS_DEFAULT);
    const struct wire_reply *got = call(2, get_request(13, "q", 1, 0));
    cr_assert_eq(got->status, NQ_OK);
    cr_assert_null(got->as.get.failures);
}

// The connection is found gone by the answer itself.
Test(session, an_answer_that_cannot_be_sent_gives_its_items_back_uncounted)
{
    const struct nq_bytes bodies[] = {bytes_of("a"), bytes_of("b"), bytes_of("c")};
    const struct wire_request put = put_request(10, "q", 1, bodies, 3);
    const struct wire_request gets[] = {get_request(11, "q", 1, NQ_WAIT_FOREVER), get_request(12, "q", 1, NQ_WAIT_FOREVER)};
    fixture_send(fixture, 1, gets, 2);
    fixture->dead_connection = 1;
    fixture_call(fixture, 2, &put);
    cr_assert_eq(leased(13), 0);
    fixture_tick(fixture, NQ_SESSION_GRACE_MS_DEFAULT);
    const struct wire_reply *got = call(2, get_request(14, "q", 3, 0));
    cr_assert_eq(got->as.get.count, 3);
    cr_assert_null(got->as.get.failures);
    cr_assert_not_null(got->as.get.redelivered);
    cr_assert(got->as.get.redelivered[0], "others may have got later ones meanwhile: what is not marked comes in order");
}

Test(session, ends_when_it_is_connected_but_silent)
{
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    call(1, get_request(11, "q", 1, 0));
    for (int i = 0; i < 14; i++) {
        fixture_tick(fixture, 1000);
    }
    cr_assert_eq(leased(12), 1);
    fixture_tick(fixture, 1000);
    cr_assert_eq(leased(13), 0);
    cr_assert_eq(call(1, get_request(14, "q", 1, 0))->status, NQ_NO_SESSION);
}

// One that was stopped, or whose disk took so long, has heard nobody meanwhile.
Test(session, is_not_silent_while_the_broker_stands_still)
{
    struct sessions *sessions = &fixture->rig.service.sessions;
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    call(1, get_request(11, "q", 1, 0));
    cr_assert_not(sessions_excuse(sessions, fixture->rig.now_ms, SESSIONS_LATE_MS - 1));
    fixture->rig.now_ms += 10 * NQ_LEASE_MS_DEFAULT;
    cr_assert(sessions_excuse(sessions, fixture->rig.now_ms, 10 * NQ_LEASE_MS_DEFAULT));
    fixture_tick(fixture, NQ_SESSION_TIMEOUT_MS_DEFAULT - 1);
    cr_assert_eq(leased(12), 1);
    fixture_tick(fixture, 1);
    cr_assert_eq(leased(13), 0, "it is silent since");
}

Test(session, that_has_lost_its_connection_may_come_back_after_the_broker_stood_still)
{
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    call(1, get_request(11, "q", 1, 0));
    fixture->dead_connection = 1;
    fixture_tick(fixture, SESSIONS_PROBE_MS);
    fixture->rig.now_ms += 10 * NQ_SESSION_GRACE_MS_DEFAULT;
    sessions_excuse(&fixture->rig.service.sessions, fixture->rig.now_ms, 10 * NQ_SESSION_GRACE_MS_DEFAULT);
    fixture_tick(fixture, NQ_SESSION_GRACE_MS_DEFAULT - 1);
    cr_assert_eq(leased(12), 1);
    fixture_tick(fixture, 1);
    cr_assert_eq(leased(13), 0);
}

Test(session, renew_from_another_connection_keeps_it_alive)
{
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    call(1, get_request(11, "q", 1, 0));
    for (int i = 0; i < 10; i++) {
        fixture_tick(fixture, 10000);
        cr_assert_eq(call(4, renew(12))->status, NQ_OK);
    }
    cr_assert_eq(leased(13), 1, "also beyond the 60 s of its lease");
}

// It works on its item and does not look at its connection; but it lives, and says so.
Test(session, that_is_renewed_from_another_connection_outlives_its_own)
{
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    const struct wire_reply *got = call(1, get_request(11, "q", 1, 0));
    cr_assert_eq(call(4, renew(12))->status, NQ_OK);
    fixture->dead_connection = 1;
    for (int i = 0; i < 20; i++) {
        for (int k = 0; k < 5; k++) {
            fixture_tick(fixture, 1000);
        }
        cr_assert_eq(call(4, renew(12))->status, NQ_OK);
    }
    const uint64_t held[] = {11};
    struct wire_request hello = resume(13, token_1);
    hello.as.hello.held_gets = held;
    hello.as.hello.held_gets_count = 1;
    cr_assert(call(3, hello)->as.hello.resumed);
    cr_assert_eq(call(3, tokens_request(14, WIRE_TASK_DONE, got))->status, NQ_OK);
}

Test(session, ends_after_the_grace_when_the_connection_that_renews_it_is_gone_too)
{
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    call(1, get_request(11, "q", 1, 0));
    cr_assert_eq(call(4, renew(12))->status, NQ_OK);
    cr_assert_eq(call(1, renew(13))->status, NQ_OK, "and from its own, which says nothing of the other");
    fixture->dead_connection = 1;
    fixture_tick(fixture, SESSIONS_PROBE_MS);
    fixture->dead_connection = 4;
    fixture_tick(fixture, NQ_SESSION_GRACE_MS_DEFAULT - 1);
    cr_assert_eq(leased(14), 1);
    fixture_tick(fixture, 1);
    cr_assert_eq(leased(15), 0);
}

Test(session, ends_after_its_timeout_when_it_is_renewed_no_more)
{
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    call(1, get_request(11, "q", 1, 0));
    cr_assert_eq(call(4, renew(12))->status, NQ_OK);
    fixture->dead_connection = 1;
    for (int i = 0; i < 14; i++) {
        fixture_tick(fixture, 1000);
    }
    cr_assert_eq(leased(13), 1);
    fixture_tick(fixture, 1000);
    cr_assert_eq(leased(14), 0);
}

Test(session, that_holds_nothing_may_be_silent)
{
    fixture_tick(fixture, 10 * NQ_SESSION_TIMEOUT_MS_DEFAULT);
    fixture_tick(fixture, 10 * NQ_SESSION_TIMEOUT_MS_DEFAULT);
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "x"), NQ_OK);
}

Test(session, goodbye_gives_everything_back)
{
    cr_assert_eq(fixture_put(fixture, 2, 10, "q", 1, "x"), NQ_OK);
    call(1, get_request(11, "q", 1, 0));
    const struct wire_request goodbye = {.id = 12, .op = WIRE_GOODBYE};
    cr_assert_eq(fixture_call(fixture, 1, &goodbye)->status, NQ_OK);
    cr_assert_eq(leased(13), 0);
    cr_assert_eq(call(1, get_request(14, "q", 1, 0))->status, NQ_NO_SESSION);
}

Test(session, hello_without_its_token_starts_over_only_where_nothing_is_lost)
{
    cr_assert_not(call(3, resume(10, NULL))->as.hello.resumed);
    cr_assert_eq(fixture_put(fixture, 2, 11, "q", 1, "x"), NQ_OK);
    call(3, get_request(12, "q", 1, 0));
    cr_assert_eq(call(4, resume(13, NULL))->status, NQ_NO_SESSION);
    cr_assert_eq(leased(14), 1);
}

// The client on connection 1, until its session has ended.
static void report_taken_and_vanish(const uint64_t *gets, const uint32_t *counts, size_t count)
{
    const struct wire_request_frame frame = {
        .version = NQ_PROTOCOL_VERSION, .taken_gets = gets, .taken_counts = counts, .taken_count = count, .workers = 1};
    fixture_send_frame(fixture, 1, &frame);
    fixture->dead_connection = 1;
    fixture_tick(fixture, SESSIONS_PROBE_MS);
    fixture_tick(fixture, NQ_SESSION_GRACE_MS_DEFAULT);
}

Test(session, items_reported_taken_count_as_failed)
{
    const struct nq_bytes bodies[] = {bytes_of("a"), bytes_of("b"), bytes_of("c")};
    const struct wire_request put = put_request(10, "q", 1, bodies, 3);
    fixture_call(fixture, 2, &put);
    call(1, get_request(11, "q", 3, 0));
    const uint64_t gets[] = {11};
    const uint32_t counts[] = {2};
    report_taken_and_vanish(gets, counts, 1);
    const struct wire_reply *got = call(2, get_request(12, "q", 3, 0));
    cr_assert_eq(got->as.get.count, 3);
    cr_assert_not_null(got->as.get.failures);
    cr_assert(got->as.get.failures[0] == 1 && got->as.get.failures[1] == 1 && got->as.get.failures[2] == 0);
}

// There may be ten thousand in a frame, each of a get of ten thousand leases.
Test(session, reports_of_a_frame_cost_no_more_than_the_leases_there_are)
{
    const struct nq_bytes bodies[] = {bytes_of("a"), bytes_of("b")};
    const struct wire_request put = put_request(10, "q", 1, bodies, 2);
    struct wire_request get = get_request(11, "q", 3, 0);
    fixture_call(fixture, 2, &put);
    get.as.get.max_bytes = 1; // so that each gets one of the two
    call(1, get);
    get.id = 12;
    call(1, get);
    cr_assert_eq(leased(13), 2);
    const uint64_t gets[] = {11, 11, 12};
    const uint32_t counts[] = {0, 0, 1};
    report_taken_and_vanish(gets, counts, 3);
    const struct wire_reply *got = call(2, get_request(14, "q", 3, 0));
    cr_assert_eq(got->as.get.count, 2);
    cr_assert_not_null(got->as.get.failures);
    cr_assert(got->as.get.failures[0] == 1 && got->as.get.failures[1] == 0,
              "the oldest, as if nothing had been reported of the second");
}

Test(session, at_most_once_loses_nothing_to_a_client_that_is_gone)
{
    struct wire_request get = get_request(10, "q", 1, NQ_WAIT_FOREVER);
    get.as.get.at_most_once = true;
    fixture_send(fixture, 1, &get, 1);
    fixture->dead_connection = 1;
    fixture_tick(fixture, SESSIONS_PROBE_MS);
    cr_assert_eq(fixture_put(fixture, 2, 11, "q", 1, "x"), NQ_OK);
    const struct wire_request stat = on_queue_request(12, WIRE_STAT, "q");
    cr_assert_eq(fixture_call(fixture, 2, &stat)->as.stat.ready, 1);
}

Test(session, beyond_the_limit_hello_says_so)
{
    for (uint64_t i = 3; i <= 10; i++) {
        fixture_hello(fixture, i, NULL);
    }
    uint8_t id[NQ_SESSION_ID_BYTES];
    session_id_of(11, id);
    const struct wire_request hello = {.id = 1, .op = WIRE_HELLO, .as.hello.session_id = {sizeof(id), id}};
    cr_assert_eq(fixture_call(fixture, 11, &hello)->status, NQ_LIMIT_REACHED);
}
