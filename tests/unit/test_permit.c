// Keys and their rights in the service: every operation asks, what was asked is kept, and what changes takes effect.
#include <criterion/criterion.h>
#include <string.h>

#include "queue.h"
#include "service_fixture.h"

enum { ALL = 1, PUTTER = 2, NOBODY = 3, STRANGER = 4 };

static struct fixture *fixture;
static struct access *access_set;
static int key_asked;
static const char *key_of_frame;

static const char *sender(void *context)
{
    (void)context;
    key_asked++;
    return key_of_frame;
}

static struct access *make_access(bool with_putter)
{
    struct access *access = access_create();
    struct principal *principal;
    cr_assert_eq(access_add(access, "all", "key-1", &principal), ACCESS_ADDED);
    access_grant(principal, ACCESS_PUT, "*");
    access_grant(principal, ACCESS_GET, "*");
    access_grant(principal, ACCESS_ADMIN, "*");
    if (with_putter) {
        cr_assert_eq(access_add(access, "putter", "key-2", &principal), ACCESS_ADDED);
        access_grant(principal, ACCESS_PUT, "work.*");
        access_grant(principal, ACCESS_GET, "work.*");
    }
    cr_assert_eq(access_add(access, "nobody", "key-3", &principal), ACCESS_ADDED);
    return access;
}

static const struct wire_reply *call(uint64_t connection, struct wire_request request)
{
    static const char *const keys[] = {NULL, "key-1", "key-2", "key-3", "key-4"};
    key_of_frame = keys[connection];
    return fixture_call(fixture, connection, &request);
}

static enum nq_status hello(uint64_t connection)
{
    static uint8_t ids[5][NQ_SESSION_ID_BYTES];
    session_id_of(connection, ids[connection]);
    return call(connection,
                (struct wire_request){.id = 1, .op = WIRE_HELLO, .as.hello.session_id = {NQ_SESSION_ID_BYTES, ids[connection]}})
        ->status;
}

static void set_up(void)
{
    fixture = fixture_create();
    access_set = make_access(true);
    fixture->rig.service.access = access_set;
    fixture->rig.service.config.sender = sender;
    fixture->rig.service.config.sessions_per_key_max = 2;
    for (uint64_t connection = ALL; connection <= NOBODY; connection++) {
        cr_assert_eq(hello(connection), NQ_OK);
    }
}

static void tear_down(void)
{
    struct access *access = fixture->rig.service.access;
    fixture_destroy(fixture);
    access_destroy(&access);
}

TestSuite(permit, .init = set_up, .fini = tear_down);

static enum nq_status put(uint64_t connection, uint64_t id, const char *queue, uint64_t number)
{
    const struct nq_bytes body = bytes_of("x");
    struct wire_request request = put_request(id, queue, number, &body, 1);
    request.as.put.stream = connection;
    return call(connection, request)->status;
}

static struct wire_request request_of(enum wire_op op, uint64_t id, const char *queue)
{
    static const struct nq_bytes body = {1, (const uint8_t *)"x"};
    static const uint64_t seqs[] = {1};
    static const uint8_t text[] = "0123456789abcdef0123456789abcdef";
    const struct queue *found = engine_queue_find(fixture->rig.service.engine, to_engine_bytes(bytes_of(queue)));
    struct wire_request request = on_queue_request(id, op, queue);
    switch (op) {
    case WIRE_PUT:
        return put_request(id, queue, 1, &body, 1);
    case WIRE_GET:
        return get_request(id, queue, 1, 0);
    case WIRE_TASK_DONE:
    case WIRE_EXTEND:
    case WIRE_REQUEUE:
        request.as.tokens = (struct wire_tokens){.queue_id = found == NULL ? 0 : found->record.queue_id,
                                                 .epoch = engine_epoch(fixture->rig.service.engine),
                                                 .seqs = seqs,
                                                 .count = 1};
        return request;
    case WIRE_DECLARE:
        request.as.declare = (struct wire_declare){.queue = bytes_of(queue)};
        return request;
    case WIRE_LIST:
        request.as.list = (struct wire_list){0};
        return request;
    case WIRE_RENEW:
        request.as.renew =
            (struct wire_renew){.session_id = {NQ_SESSION_ID_BYTES, text}, .resume_token = {NQ_RESUME_TOKEN_BYTES, text}};
        return request;
    case WIRE_CANCEL:
        request.as.cancel_id = 7;
        return request;
    default:
        return request;
    }
}

// The table of permissions has a row for each operation: whoever adds one is reminded here.
Test(permit, every_operation_on_a_queue_needs_a_right)
{
    static const enum wire_op free_for_any_key[] = {WIRE_HELLO, WIRE_LIST, WIRE_RENEW, WIRE_CANCEL, WIRE_PING, WIRE_GOODBYE};
    cr_assert_eq(put(ALL, 2, "q", 1), NQ_OK);
    for (int op = WIRE_NONE + 1; op < WIRE_GOODBYE; op++) {
        bool any = false;
        for (size_t i = 0; i < sizeof(free_for_any_key) / sizeof(free_for_any_key[0]); i++) {
            any |= op == (int)free_for_any_key[i];
        }
        if (op == WIRE_HELLO) {
            continue;
        }
        const struct wire_reply *reply = call(NOBODY, request_of((enum wire_op)op, 100 + (uint64_t)op, "q"));
        cr_assert_eq(reply->status == NQ_NOT_AUTHORISED, !any, "operation %d", op);
        cr_assert(any || reply->detail.len > 0, "operation %d says why", op);
    }
}

Test(permit, a_key_that_is_not_authorised_may_do_nothing_at_all)
{
    for (int op = WIRE_NONE + 1; op <= WIRE_GOODBYE; op++) {
        struct wire_request request = request_of((enum wire_op)op, 100 + (uint64_t)op, "q");
        uint8_t id[NQ_SESSION_ID_BYTES] = {9};
        if (op == WIRE_HELLO) {
            request.as.hello = (struct wire_hello){.session_id = {sizeof(id), id}};
        }
        cr_assert_eq(call(STRANGER, request)->status, NQ_NOT_AUTHORISED, "operation %d", op);
    }
    cr_assert_eq(engine_session_count(fixture->rig.service.engine), 3);
}

Test(permit, a_session_is_not_asked_for_its_key_again)
{
    int before = key_asked;
    for (uint64_t i = 0; i < 20; i++) {
        cr_assert_eq(put(PUTTER, 10 + i, "work.a", 1 + i), NQ_OK);
    }
    cr_assert_eq(key_asked, before);
}

Test(permit, rights_are_kept_for_each_queue)
{
    for (uint64_t i = 0; i < 5; i++) {
        char good[] = "work.a";
        char bad[] = "wark.a";
        good[5] = bad[5] = (char)('a' + i);
        cr_assert_eq(put(PUTTER, 10 + 2 * i, bad, 1), NQ_NOT_AUTHORISED);
        cr_assert_eq(put(PUTTER, 11 + 2 * i, good, 1), NQ_OK);
        cr_assert_eq(put(PUTTER, 30 + 2 * i, bad, 1), NQ_NOT_AUTHORISED);
        cr_assert_eq(put(PUTTER, 31 + 2 * i, good, 2), NQ_OK);
    }
}

Test(permit, another_keys_session_cannot_be_taken_up)
{
    uint8_t id[NQ_SESSION_ID_BYTES];
    session_id_of(ALL, id);
    struct wire_request steal = {.id = 50, .op = WIRE_HELLO, .as.hello.session_id = {sizeof(id), id}};
    uint64_t own = fixture->rig.service.sessions.by_connection.count;
    const struct wire_reply *reply = call(PUTTER, steal);
    cr_assert(reply->status != NQ_OK || !reply->as.hello.resumed);
    cr_assert_eq(fixture->rig.service.sessions.by_connection.count, own);
    cr_assert_eq(put(ALL, 51, "q", 1), NQ_OK, "whose it is still has it");
}

Test(permit, sessions_of_a_key_are_counted)
{
    uint8_t ids[3][NQ_SESSION_ID_BYTES] = {{1}, {2}, {3}};
    struct wire_request again = {.id = 60, .op = WIRE_HELLO, .as.hello.session_id = {sizeof(ids[0]), ids[0]}};
    cr_assert_eq(call(ALL, again)->status, NQ_OK, "the second");
    again.as.hello.session_id.data = ids[1];
    cr_assert_eq(call(ALL, again)->status, NQ_LIMIT_REACHED);
    cr_assert_eq(call(ALL, (struct wire_request){.id = 61, .op = WIRE_GOODBYE})->status, NQ_OK);
    cr_assert_eq(call(ALL, again)->status, NQ_OK);
}

Test(permit, a_revoked_keys_session_ends_with_its_waiters_and_leases)
{
    const struct wire_request wait = get_request(71, "work.empty", 1, 60000);
    cr_assert_eq(put(ALL, 2, "work.q", 1), NQ_OK);
    cr_assert_eq(call(PUTTER, get_request(70, "work.q", 1, 0))->status, NQ_OK);
    fixture_send(fixture, PUTTER, &wait, 1);
    fixture_commit(fixture);
    cr_assert_null(fixture_take(fixture, PUTTER, 71));
    struct access *now = make_access(false);
    service_reauthorise(&fixture->rig.service, fixture->rig.now_ms, now);
    access_destroy(&access_set);
    fixture_tick(fixture, 0);
    fixture_commit(fixture);
    cr_assert_eq(fixture_take(fixture, PUTTER, 71)->status, NQ_NO_SESSION);
    cr_assert_eq(put(PUTTER, 72, "work.q", 1), NQ_NOT_AUTHORISED);
    cr_assert_eq(call(ALL, on_queue_request(73, WIRE_STAT, "work.q"))->as.stat.ready, 1);
    cr_assert_eq(put(ALL, 74, "work.q", 2), NQ_OK, "the others go on");
}

Test(permit, a_key_that_stays_as_it_was_notices_nothing)
{
    const struct wire_request wait = get_request(71, "work.empty", 1, 60000);
    fixture_send(fixture, PUTTER, &wait, 1);
    service_reauthorise(&fixture->rig.service, fixture->rig.now_ms, make_access(true));
    access_destroy(&access_set);
    fixture_tick(fixture, 0);
    fixture_commit(fixture);
    cr_assert_null(fixture_take(fixture, PUTTER, 71));
    cr_assert_eq(put(PUTTER, 72, "work.empty", 1), NQ_OK);
    cr_assert_eq(fixture_take(fixture, PUTTER, 71)->status, NQ_OK);
}

// Another session of the key of `ALL`.
static void hello_again(uint64_t connection)
{
    uint8_t id[NQ_SESSION_ID_BYTES];
    struct wire_request request = {.id = 1, .op = WIRE_HELLO, .as.hello.session_id = {NQ_SESSION_ID_BYTES, id}};
    session_id_of(connection, id);
    key_of_frame = "key-1";
    cr_assert_eq(fixture_call(fixture, connection, &request)->status, NQ_OK);
}

// A put that waits; the reply when there is one already.
static const struct wire_reply *park(uint64_t connection, uint64_t id)
{
    static const uint8_t text[200];
    static const struct nq_bytes body = {sizeof(text), text};
    struct wire_request request = put_request(id, "work.full", 1, &body, 1);
    request.as.put.stream = 100 + id;
    request.as.put.wait_ms = NQ_WAIT_FOREVER;
    fixture_send(fixture, connection, &request, 1);
    fixture_commit(fixture);
    return fixture_take(fixture, connection, id);
}

Test(permit, the_waiting_puts_of_all_sessions_of_a_key_are_limited)
{
    enum { SECOND = 10 };
    struct principal *principal = access_find(access_set, "key-1");
    struct wire_request declare = {.id = 70, .op = WIRE_DECLARE, .as.declare.queue = bytes_of("work.full")};
    declare.as.declare.options = (struct wire_options){.given = NQ_OPTION_MAXSIZE, .maxsize = 1};
    hello_again(SECOND);
    cr_assert_eq(call(ALL, declare)->status, NQ_OK);
    cr_assert_eq(put(ALL, 71, "work.full", 1), NQ_OK);
    cr_assert_null(park(ALL, 72)); // 200 + 32
    cr_assert_null(park(SECOND, 73));
    const struct wire_reply *reply = park(SECOND, 74);
    cr_assert_not_null(reply);
    cr_assert_eq(reply->status, NQ_BUSY);
    cr_assert(bytes_are(reply->detail, "the waiting puts of this key's sessions hold as many bytes as they may"));
    cr_assert_eq(reply->result, WIRE_PUT, "the client's numbering goes on from it");
    cr_assert_null(park(PUTTER, 75), "another key");
    cr_assert_eq(principal->parked_bytes, 464u);

    cr_assert_eq(call(PUTTER, get_request(80, "work.full", 1, 0))->status, NQ_OK); // the first that waits goes in
    cr_assert_eq(fixture_take(fixture, ALL, 72)->status, NQ_OK);
    cr_assert_eq(principal->parked_bytes, 232u);
    cr_assert_null(park(ALL, 76), "there is room again");
    sessions_end(&fixture->rig.service.sessions, fixture->rig.now_ms, sessions_on(&fixture->rig.service.sessions, SECOND), false);
    cr_assert_eq(principal->parked_bytes, 232u, "a session that ends takes its own with it");
    call(ALL, (struct wire_request){.id = 77, .op = WIRE_CANCEL, .as.cancel_id = 76});
    cr_assert_eq(principal->parked_bytes, 0u);
}

Test(permit, what_a_key_has_waiting_counts_on_when_the_keys_are_read_again)
{
    struct wire_request declare = {.id = 70, .op = WIRE_DECLARE, .as.declare.queue = bytes_of("work.full")};
    declare.as.declare.options = (struct wire_options){.given = NQ_OPTION_MAXSIZE, .maxsize = 1};
    cr_assert_eq(call(ALL, declare)->status, NQ_OK);
    cr_assert_eq(put(ALL, 71, "work.full", 1), NQ_OK);
    cr_assert_null(park(ALL, 72));
    struct access *again = make_access(true);
    service_reauthorise(&fixture->rig.service, fixture->rig.now_ms, again);
    access_destroy(&access_set);
    cr_assert_eq(access_find(again, "key-1")->parked_bytes, 232u);
}

Test(permit, requests_over_the_rate_are_busy_until_the_next_second)
{
    fixture->rig.service.config.requests_per_key_max = 3;
    fixture_tick(fixture, 1000 - fixture->rig.now_ms % 1000);
    for (uint64_t i = 0; i < 3; i++) {
        cr_assert_eq(put(ALL, 80 + i, "q", 1 + i), NQ_OK);
    }
    const struct nq_bytes body = bytes_of("x");
    struct wire_request over = put_request(84, "q", 4, &body, 1);
    over.as.put.stream = ALL;
    const struct wire_reply *reply = call(ALL, over);
    cr_assert_eq(reply->status, NQ_BUSY);
    cr_assert_eq(reply->as.put.last_number, 3);
    over.id = 87;
    over.as.put.first_number = 3;
    reply = call(ALL, over);
    cr_assert_eq(reply->status, NQ_OK, "it was accepted before: a refusal would be a lie");
    cr_assert(reply->as.put.duplicate && reply->as.put.accepted == 1);
    cr_assert_eq(put(PUTTER, 85, "work.q", 1), NQ_OK, "another key");
    fixture_tick(fixture, 1000);
    cr_assert_eq(put(ALL, 86, "q", 4), NQ_OK);
}

// Each is looked at: a frame may hold a thousand lists, and the broker a hundred thousand queues.
Test(permit, queues_that_a_list_does_not_tell_count_as_looked_at)
{
    const struct wire_request list = request_of(WIRE_LIST, 10, "q");
    cr_assert_eq(put(ALL, 2, "a", 1), NQ_OK);
    cr_assert_eq(put(ALL, 3, "b", 1), NQ_OK);
    const struct wire_request lists[] = {list, request_of(WIRE_LIST, 11, "q")};
    fixture->rig.service.groups.open->items = GROUP_ITEMS_MAX - 3;
    key_of_frame = "key-3";
    fixture_send(fixture, NOBODY, lists, 2);
    fixture_commit(fixture);
    const struct wire_reply *reply = fixture_take(fixture, NOBODY, 10);
    cr_assert_eq(reply->status, NQ_OK);
    cr_assert_eq(reply->as.list.count, (size_t)0);
    cr_assert_eq(fixture_take(fixture, NOBODY, 11)->status, NQ_BUSY);
}
