// The order of answers and commits: nothing leaves before all that was applied ahead of it is durable, items before that may.
#include <criterion/criterion.h>

#include "queue.h"
#include "service_fixture.h"

static struct fixture *fixture;

static void set_up(void)
{
    fixture = fixture_create_for_two();
}

static void tear_down(void)
{
    fixture_destroy(fixture);
}

TestSuite(group, .init = set_up, .fini = tear_down);

static void send_put(uint64_t id, uint64_t number)
{
    const struct nq_bytes body = bytes_of("x");
    const struct wire_request put = put_request(id, "q", number, &body, 1);
    fixture_send(fixture, 1, &put, 1);
}

static void send_get(uint64_t connection, uint64_t id)
{
    const struct wire_request get = get_request(id, "q", 10, 0);
    fixture_send(fixture, connection, &get, 1);
}

Test(group, a_put_is_answered_when_it_is_durable)
{
    send_put(10, 1);
    cr_assert_null(fixture_take(fixture, 1, 10));
    cr_assert(fixture_seal(fixture));
    fixture_tick(fixture, 1);
    cr_assert_null(fixture_take(fixture, 1, 10));
    fixture_land(fixture);
    cr_assert_not_null(fixture_take(fixture, 1, 10));
}

Test(group, a_get_of_durable_items_does_not_wait_for_puts_behind_them)
{
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "x"), NQ_OK);
    send_put(11, 2);
    fixture_seal(fixture);
    const struct wire_request get = get_request(12, "q", 1, 0); // one item: the durable one
    fixture_send(fixture, 2, &get, 1);
    const struct wire_reply *reply = fixture_take(fixture, 2, 12);
    cr_assert_not_null(reply);
    cr_assert_eq(reply->as.get.count, 1);
    cr_assert_null(fixture_take(fixture, 1, 11));
    fixture_land(fixture);
}

Test(group, a_get_waits_for_the_puts_of_its_items)
{
    send_put(10, 1);
    send_get(2, 11);
    fixture_seal(fixture);
    send_put(12, 2);
    cr_assert_null(fixture_take(fixture, 2, 11));
    fixture_land(fixture);
    const struct wire_reply *reply = fixture_take(fixture, 2, 11);
    cr_assert_not_null(reply);
    cr_assert_eq(reply->as.get.count, 1);
    cr_assert(bytes_are(reply->as.get.bodies[0], "x"));
    cr_assert_null(fixture_take(fixture, 1, 12), "the put behind it is not durable yet");
}

Test(group, an_item_in_flight_is_delivered_with_that_commit_not_the_next)
{
    send_put(10, 1);
    fixture_seal(fixture);
    send_get(2, 11);
    cr_assert_null(fixture_take(fixture, 2, 11));
    fixture_land(fixture);
    cr_assert_not_null(fixture_take(fixture, 2, 11));
}

Test(group, an_answer_that_writes_nothing_waits_for_what_was_applied_ahead)
{
    const struct wire_request stat = on_queue_request(20, WIRE_STAT, "q");
    send_put(10, 1);
    fixture_send(fixture, 2, &stat, 1);
    cr_assert_null(fixture_take(fixture, 2, 20), "the put it counts may still be lost");
    fixture_seal(fixture);
    const struct wire_request again = on_queue_request(21, WIRE_STAT, "q");
    fixture_send(fixture, 2, &again, 1); // attached to the commit in flight
    cr_assert_null(fixture_take(fixture, 2, 21));
    fixture_land(fixture);
    cr_assert_not_null(fixture_take(fixture, 2, 20));
    cr_assert_not_null(fixture_take(fixture, 2, 21));
    const struct wire_request free_one = on_queue_request(22, WIRE_STAT, "q");
    fixture_send(fixture, 2, &free_one, 1);
    cr_assert_not_null(fixture_take(fixture, 2, 22), "nothing is pending");
}

Test(group, leases_alone_hold_up_no_answer)
{
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "x"), NQ_OK);
    send_get(2, 11);
    cr_assert_eq(engine_pending(fixture->rig.engine), ENGINE_PENDING_LAZY);
    cr_assert_not_null(fixture_take(fixture, 2, 11));
    const struct wire_request ping = {.id = 12, .op = WIRE_PING};
    fixture_send(fixture, 1, &ping, 1);
    cr_assert_not_null(fixture_take(fixture, 1, 12));
}

Test(group, a_duplicate_waits_for_the_first_one)
{
    send_put(10, 1);
    fixture_seal(fixture);
    send_put(11, 1);
    cr_assert_null(fixture_take(fixture, 1, 11));
    fixture_land(fixture);
    const struct wire_reply *reply = fixture_take(fixture, 1, 11);
    cr_assert_not_null(reply);
    cr_assert(reply->as.put.duplicate);
}

Test(group, answers_for_one_connection_share_a_frame)
{
    const struct wire_request pings[] = {{.id = 30, .op = WIRE_PING}, {.id = 31, .op = WIRE_PING}, {.id = 32, .op = WIRE_PING}};
    size_t before = fixture->frame_count;
    fixture_send(fixture, 1, pings, 3);
    cr_assert_eq(fixture->frame_count, before + 1);
    cr_assert_not_null(fixture_take(fixture, 1, 32));
}

Test(group, answers_beyond_the_frame_limit_are_split)
{
    fixture->rig.outbox.frame_bytes_max = 2000;
    char text[901];
    memset(text, 'a', 900);
    text[900] = '\0';
    for (uint64_t i = 1; i <= 4; i++) {
        cr_assert_eq(fixture_put(fixture, 1, 10 + i, "q", i, text), NQ_OK);
    }
    struct wire_request gets[4];
    for (size_t i = 0; i < 4; i++) {
        gets[i] = get_request(20 + i, "q", 1, 0);
    }
    size_t before = fixture->frame_count;
    fixture_send(fixture, 2, gets, 4);
    cr_assert_eq(fixture->frame_count, before + 4);
    for (uint64_t i = 0; i < 4; i++) {
        cr_assert_not_null(fixture_take(fixture, 2, 20 + i));
    }
}

Test(group, requests_that_change_nothing_do_not_fill_it)
{
    for (uint64_t i = 0; i < 2 * GROUP_ITEMS_MAX / 500; i++) {
        struct wire_request pings[500];
        for (size_t at = 0; at < 500; at++) {
            pings[at] = (struct wire_request){.id = 100 + at, .op = WIRE_PING};
        }
        fixture->reply_count = 0;
        nq_arena_reset(fixture->arena);
        fixture_send(fixture, 1, pings, 500);
        cr_assert_not(groups_open_is_full(&fixture->rig.service.groups));
    }
    fixture->reply_count = 0;
}

Test(group, is_full_with_its_items)
{
    struct nq_bytes bodies[5000];
    for (size_t i = 0; i < 5000; i++) {
        bodies[i] = bytes_of("x");
    }
    for (uint64_t i = 0; i < 4; i++) {
        cr_assert_not(groups_open_is_full(&fixture->rig.service.groups));
        const struct wire_request put = put_request(10 + i, "q", 1 + i * 5000, bodies, 5000);
        fixture_send(fixture, 1, &put, 1);
    }
    cr_assert(groups_open_is_full(&fixture->rig.service.groups));
    fixture_commit(fixture);
    cr_assert_not(groups_open_is_full(&fixture->rig.service.groups));
}

static enum nq_status put_many(const struct nq_bytes *bodies, size_t count)
{
    const struct wire_request put = put_request(10, "q", 1, bodies, count);
    return fixture_call(fixture, 1, &put)->status;
}

Test(group, the_gets_of_one_frame_lease_no_more_than_a_group_takes)
{
    enum { ITEMS = 20, GETS = 3, LEFT = 4 };
    static const size_t expected[GETS] = {LEFT, 2, 2};
    struct nq_bytes bodies[ITEMS];
    struct wire_request gets[GETS];
    for (size_t i = 0; i < ITEMS; i++) {
        bodies[i] = bytes_of("x");
    }
    cr_assert_eq(put_many(bodies, ITEMS), NQ_OK);
    for (size_t i = 0; i < GETS; i++) {
        gets[i] = get_request(11 + i, "q", 10, 0);
    }
    fixture->rig.service.groups.open->leased = GROUP_ITEMS_MAX - LEFT;
    fixture_send(fixture, 2, gets, GETS);
    for (size_t i = 0; i < GETS; i++) {
        const struct wire_reply *got = fixture_take(fixture, 2, 11 + i);
        cr_assert(got != NULL && got->status == NQ_OK);
        cr_assert_eq(got->as.get.count, expected[i], "get %zu: %zu items", i, got->as.get.count);
    }
}

static size_t moves_in(const struct changes *changes)
{
    size_t moves = 0;
    for (size_t i = 0; i < changes_count(changes); i++) {
        moves += changes_at(changes, i)->kind == CHANGE_MOVE;
    }
    return moves;
}

// The store copies what moves, and holds a whole group of that in memory.
Test(group, redrive_moves_no_more_bytes_in_a_group_than_one_takes)
{
    enum { ITEMS = 40, BODY_BYTES = 900, TAKES = 8 };
    static uint8_t body[BODY_BYTES];
    struct nq_bytes bodies[ITEMS];
    for (size_t i = 0; i < ITEMS; i++) {
        bodies[i] = (struct nq_bytes){sizeof(body), body};
    }
    cr_assert_eq(put_many(bodies, ITEMS), NQ_OK);
    struct groups *groups = &fixture->rig.service.groups;
    groups->bytes_max = nq_arena_used(groups_arena(groups)) + (uint64_t)TAKES * BODY_BYTES;
    struct wire_request redrive = on_queue_request(11, WIRE_REDRIVE, "q");
    redrive.as.on_queue.to = bytes_of("elsewhere");
    fixture_send(fixture, 1, &redrive, 1);
    cr_assert(fixture_seal(fixture));
    size_t moves = moves_in(groups->flying->changes);
    cr_assert(moves > 0 && moves <= TAKES, "%zu in the first group", moves);
    fixture_land(fixture);
    fixture_commit(fixture);
    const struct wire_reply *reply = fixture_take(fixture, 1, 11);
    cr_assert(reply != NULL && reply->status == NQ_OK);
    cr_assert_eq(reply->as.count, ITEMS);
}

static void declare_mortal(const char *name)
{
    struct wire_request declare = {.id = 900, .op = WIRE_DECLARE, .as.declare.queue = bytes_of(name)};
    declare.as.declare.options = (struct wire_options){
        .given = NQ_OPTION_MAX_DELIVERIES | NQ_OPTION_DEAD_LETTER, .max_deliveries = 1, .dead_letter = bytes_of("dead")};
    cr_assert_eq(fixture_call(fixture, 1, &declare)->status, NQ_OK);
}

static uint64_t dead_letters(void)
{
    const struct queue *queue = engine_queue_find(fixture->rig.engine, to_engine_bytes(bytes_of("dead")));
    return queue == NULL ? 0 : queue->record.puts;
}

// As when a network goes, and all consumers with it.
Test(group, the_end_of_many_sessions_moves_no_more_bytes_in_a_group_than_one_takes)
{
    enum { SESSIONS = 6, BODY_BYTES = 900, TAKES = 2 };
    static uint8_t body[BODY_BYTES];
    struct nq_bytes bodies[SESSIONS];
    struct service *service = &fixture->rig.service;
    declare_mortal("q");
    for (uint64_t i = 0; i < SESSIONS; i++) {
        bodies[i] = (struct nq_bytes){sizeof(body), body};
    }
    cr_assert_eq(put_many(bodies, SESSIONS), NQ_OK);
    for (uint64_t connection = 1; connection <= SESSIONS; connection++) {
        const struct wire_request get = get_request(11, "q", 1, 0);
        if (connection > 2) {
            fixture_hello(fixture, connection, NULL);
        }
        cr_assert_eq(fixture_call(fixture, connection, &get)->status, NQ_OK);
    }
    service->groups.bytes_max = (uint64_t)TAKES * BODY_BYTES;
    fixture_tick(fixture, NQ_SESSION_TIMEOUT_MS_DEFAULT);
    cr_assert(dead_letters() > 0 && dead_letters() <= TAKES, "%d in the first group", (int)dead_letters());
    cr_assert_gt(service_next_deadline_ms(service), fixture->rig.now_ms, "nothing is to be done before a commit has ended");
    fixture_commit(fixture);
    cr_assert_eq(dead_letters(), (uint64_t)SESSIONS);
}

Test(group, a_requeue_moves_no_more_bytes_in_a_group_than_one_takes)
{
    const struct nq_bytes bodies[] = {bytes_of("a"), bytes_of("b"), bytes_of("c")};
    declare_mortal("q");
    cr_assert_eq(put_many(bodies, 3), NQ_OK);
    const struct wire_request get = get_request(11, "q", 3, 0);
    struct wire_request requeue = tokens_request(12, WIRE_REQUEUE, fixture_call(fixture, 1, &get));
    requeue.as.tokens.dead = true;
    fixture->rig.service.groups.bytes_max = 1;
    const struct wire_reply *reply = fixture_call(fixture, 1, &requeue);
    const uint32_t *statuses = reply->as.tokens.statuses;
    cr_assert_eq(reply->as.tokens.count, (size_t)3);
    cr_assert(statuses[0] == NQ_OK && statuses[1] == NQ_BUSY && statuses[2] == NQ_BUSY);
    cr_assert_eq(dead_letters(), 1u);
    fixture->rig.service.groups.bytes_max = GROUP_BYTES_MAX;
    statuses = fixture_call(fixture, 1, &requeue)->as.tokens.statuses;
    cr_assert(statuses[0] == NQ_LEASE_LOST && statuses[1] == NQ_OK && statuses[2] == NQ_OK);
    cr_assert_eq(dead_letters(), 3u);
}
