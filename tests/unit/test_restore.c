// Starts on a store that another broker has left, cleanly or not.
#include <criterion/criterion.h>
#include <string.h>

#include "restore.h"
#include "service_fixture.h"

static struct fixture *restart(struct fixture *before, uint64_t pause_ms)
{
    uint64_t now_ms = before->rig.now_ms;
    struct fixture *after = fixture_create_on(fixture_destroy_but_store(before));
    after->rig.now_ms = after->rig.now_ms > now_ms + pause_ms ? after->rig.now_ms : now_ms + pause_ms;
    return after;
}

// As a graceful stop: the last commit says so.
static void commit_cleanly(struct fixture *self)
{
    struct store_error error;
    fixture_commit(self);
    const struct changes *changes = groups_seal(&self->rig.service.groups, self->rig.now_ms, true);
    cr_assert_eq(store_commit(self->rig.store, changes, &error), NQ_OK);
    groups_landed(&self->rig.service.groups);
}

Test(restore, puts_are_there_and_the_epoch_has_risen)
{
    struct fixture *fixture = fixture_create();
    fixture_hello(fixture, 1, NULL);
    uint64_t epoch = engine_epoch(fixture->rig.engine);
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "x"), NQ_OK);
    fixture = restart(fixture, 0);
    cr_assert_gt(engine_epoch(fixture->rig.engine), epoch);
    fixture_hello(fixture, 1, NULL);
    const struct nq_bytes body = bytes_of("x");
    const struct wire_request again = put_request(11, "q", 1, &body, 1);
    const struct wire_reply *reply = fixture_call(fixture, 1, &again);
    cr_assert(reply->as.put.duplicate);
    const struct wire_request get = get_request(12, "q", 5, 0);
    reply = fixture_call(fixture, 1, &get);
    cr_assert_eq(reply->as.get.count, 1);
    cr_assert_not_null(reply->as.get.redelivered, "it may have been handed out before the crash");
    fixture_destroy(fixture);
}

// Session 1 has one item on lease, by its get 11; its broker has ended by itself, and started again so much later.
static struct fixture *restarted_with_one_on_lease(uint64_t pause_ms, uint8_t *token)
{
    struct fixture *fixture = fixture_create();
    fixture_hello(fixture, 1, token);
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "x"), NQ_OK);
    const struct wire_request get = get_request(11, "q", 1, 0);
    fixture_call(fixture, 1, &get);
    commit_cleanly(fixture);
    return restart(fixture, pause_ms);
}

Test(restore, after_a_clean_stop_leases_and_sessions_go_on)
{
    uint8_t token[NQ_RESUME_TOKEN_BYTES];
    struct fixture *fixture = restarted_with_one_on_lease(1000, token);
    uint8_t id[NQ_SESSION_ID_BYTES];
    session_id_of(1, id);
    const uint64_t held[] = {11};
    const struct wire_request hello = {
        .id = 12,
        .op = WIRE_HELLO,
        .as.hello = {
            .session_id = {sizeof(id), id}, .resume_token = {sizeof(token), token}, .held_gets = held, .held_gets_count = 1}};
    cr_assert(fixture_call(fixture, 1, &hello)->as.hello.resumed);
    const struct wire_request stat = on_queue_request(13, WIRE_STAT, "q");
    const struct wire_reply *reply = fixture_call(fixture, 1, &stat);
    cr_assert_eq(reply->as.stat.leased, 1);
    cr_assert_eq(reply->as.stat.ready, 0);
    fixture_destroy(fixture);
}

// What is ready, of which nothing was ever handed out, and what is on lease.
static struct fixture *stopped_with_one_on_lease(void)
{
    struct fixture *fixture = fixture_create();
    fixture_hello(fixture, 1, NULL);
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "held"), NQ_OK);
    const struct wire_request get = get_request(11, "q", 1, 0);
    cr_assert_eq(fixture_call(fixture, 1, &get)->as.get.count, 1);
    cr_assert_eq(fixture_put(fixture, 1, 12, "q", 2, "ready"), NQ_OK);
    return fixture;
}

// A broker that finds its port in use ends before it has served.
static struct fixture *fail_to_start(struct fixture *before)
{
    struct fixture *fixture = restart(before, 0);
    restore_take_back(fixture->rig.engine, fixture->rig.store, fixture->rig.now_ms);
    return fixture;
}

Test(restore, a_start_that_is_taken_back_is_no_crash)
{
    struct fixture *fixture = stopped_with_one_on_lease();
    commit_cleanly(fixture);
    fixture = restart(fail_to_start(fail_to_start(fixture)), 0);
    fixture_hello(fixture, 2, NULL);
    const struct wire_request get = get_request(13, "q", 5, 0);
    const struct wire_reply *reply = fixture_call(fixture, 2, &get);
    cr_assert_eq(reply->as.get.count, 1, "the lease of the first session goes on");
    cr_assert(bytes_are(reply->as.get.bodies[0], "ready"));
    cr_assert_null(reply->as.get.redelivered, "nobody can have had it");
    fixture_destroy(fixture);
}

Test(restore, a_start_that_is_taken_back_does_not_end_the_doubt_of_a_crash)
{
    struct fixture *fixture = stopped_with_one_on_lease();
    fixture = restart(fail_to_start(fixture), 0);
    fixture_hello(fixture, 2, NULL);
    const struct wire_request get = get_request(13, "q", 5, 0);
    const struct wire_reply *reply = fixture_call(fixture, 2, &get);
    cr_assert(bytes_are(reply->as.get.bodies[reply->as.get.count - 1], "ready"));
    cr_assert_not_null(reply->as.get.redelivered);
    cr_assert(reply->as.get.redelivered[reply->as.get.count - 1], "it may have been handed out before the crash");
    fixture_destroy(fixture);
}

Test(restore, a_session_that_does_not_come_back_ends_after_its_timeout)
{
    struct fixture *fixture = restarted_with_one_on_lease(0, NULL);
    fixture_hello(fixture, 2, NULL);
    const struct wire_request stat = on_queue_request(12, WIRE_STAT, "q");
    cr_assert_eq(fixture_call(fixture, 2, &stat)->as.stat.leased, 1);
    fixture_tick(fixture, NQ_SESSION_TIMEOUT_MS_DEFAULT);
    const struct wire_request again = on_queue_request(13, WIRE_STAT, "q");
    cr_assert_eq(fixture_call(fixture, 2, &again)->as.stat.leased, 0);
    fixture_destroy(fixture);
}

// It works on its item, and has not looked at its connection since the start; but it lives, and says so.
Test(restore, a_session_that_is_renewed_goes_on_without_coming_back)
{
    uint8_t token[NQ_RESUME_TOKEN_BYTES];
    struct fixture *fixture = restarted_with_one_on_lease(0, token);
    uint8_t id[NQ_SESSION_ID_BYTES];
    session_id_of(1, id);
    const struct wire_request renew = {.id = 12, .op = WIRE_RENEW, .as.renew = {{sizeof(id), id}, {sizeof(token), token}}};
    for (int i = 0; i < 10; i++) {
        fixture_tick(fixture, NQ_SESSION_TIMEOUT_MS_DEFAULT / 3);
        cr_assert_eq(fixture_call(fixture, 4, &renew)->status, NQ_OK);
    }
    fixture_hello(fixture, 2, NULL);
    const struct wire_request stat = on_queue_request(13, WIRE_STAT, "q");
    cr_assert_eq(fixture_call(fixture, 2, &stat)->as.stat.leased, 1);
    fixture_destroy(fixture);
}

// A queue whose items live for ten seconds.
static struct fixture *aging_fixture(void)
{
    struct fixture *fixture = fixture_create();
    const struct wire_request declare = {
        .id = 9, .op = WIRE_DECLARE, .as.declare = {.queue = bytes_of("q"), .options = {.given = NQ_OPTION_TTL, .ttl_ms = 10000}}};
    fixture_hello(fixture, 1, NULL);
    cr_assert_eq(fixture_call(fixture, 1, &declare)->status, NQ_OK);
    return fixture;
}

Test(restore, time_to_live_goes_on_counting_from_the_put)
{
    struct fixture *fixture = aging_fixture();
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "old"), NQ_OK);
    fixture_tick(fixture, 6000);
    cr_assert_eq(fixture_put(fixture, 1, 11, "q", 2, "young"), NQ_OK);
    fixture = restart(fixture, 1000);
    fixture_hello(fixture, 1, NULL);
    fixture_tick(fixture, 2990);
    const struct wire_request stat = on_queue_request(12, WIRE_STAT, "q");
    cr_assert_eq(fixture_call(fixture, 1, &stat)->as.stat.ready, 2, "never early");
    fixture_tick(fixture, 30);
    const struct wire_request again = on_queue_request(13, WIRE_STAT, "q");
    cr_assert_eq(fixture_call(fixture, 1, &again)->as.stat.ready, 1);
    const struct wire_request get = get_request(14, "q", 1, 0);
    const struct wire_reply *got = fixture_call(fixture, 1, &get);
    cr_assert(bytes_are(got->as.get.bodies[0], "young"));
    fixture_destroy(fixture);
}

Test(restore, time_to_live_goes_on_counting_for_what_has_come_back)
{
    struct fixture *fixture = aging_fixture();
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "back"), NQ_OK);
    const struct wire_request get = get_request(11, "q", 1, 0);
    const struct wire_request requeue = tokens_request(12, WIRE_REQUEUE, fixture_call(fixture, 1, &get));
    fixture_tick(fixture, 6000);
    cr_assert_eq(fixture_call(fixture, 1, &requeue)->status, NQ_OK);
    fixture = restart(fixture, 3000);
    fixture_hello(fixture, 1, NULL);
    fixture_tick(fixture, 990);
    const struct wire_request stat = on_queue_request(13, WIRE_STAT, "q");
    cr_assert_eq(fixture_call(fixture, 1, &stat)->as.stat.ready, 1, "never early");
    fixture_tick(fixture, 30);
    const struct wire_request again = on_queue_request(14, WIRE_STAT, "q");
    cr_assert_eq(fixture_call(fixture, 1, &again)->as.stat.ready, 0);
    fixture_destroy(fixture);
}
