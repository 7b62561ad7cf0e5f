// What a connection does not take of the items it asked for.
#include <criterion/criterion.h>
#include <malloc.h>

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

TestSuite(room, .init = set_up, .fini = tear_down);

static const struct wire_reply *call(uint64_t connection, struct wire_request request)
{
    return fixture_call(fixture, connection, &request);
}

Test(room, items_that_a_connection_does_not_take_go_back_to_their_places)
{
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "one"), NQ_OK);
    cr_assert_eq(fixture_put(fixture, 1, 11, "q", 2, "two"), NQ_OK);
    fixture->rig.has_no_room = true;
    cr_assert_eq(call(2, get_request(12, "q", 1, 0))->status, NQ_BUSY);
    struct wire_request peek = on_queue_request(13, WIRE_PEEK, "q");
    peek.as.on_queue.max_items = 1;
    cr_assert_eq(fixture_call(fixture, 2, &peek)->status, NQ_BUSY);
    const struct wire_reply *stat = call(1, on_queue_request(14, WIRE_STAT, "q")); // what holds no items is told
    cr_assert_eq(stat->as.stat.ready, 2);
    cr_assert_eq(stat->as.stat.leased, 0);
    fixture->rig.has_no_room = false;
    const struct wire_reply *got = call(2, get_request(15, "q", 2, 0));
    cr_assert_eq(got->status, NQ_OK);
    cr_assert_eq(got->as.get.count, 2);
    cr_assert(got->as.get.seqs[0] == 1 && got->as.get.seqs[1] == 2);
    cr_assert(got->as.get.failures == NULL);
}

// What is done with its get has to leave, or it is lost.
Test(room, items_got_at_most_once_leave_whatever_the_connection_has_taken)
{
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "one"), NQ_OK);
    fixture->rig.has_no_room = true;
    struct wire_request get = get_request(11, "q", 1, 0);
    get.as.get.at_most_once = true;
    const struct wire_reply *got = call(2, get);
    cr_assert_eq(got->status, NQ_OK);
    cr_assert_eq(got->as.get.count, 1);
}

// Their bodies are copied into the group, and one frame may ask for any number of them.
Test(room, items_got_at_most_once_are_no_more_than_a_group_takes)
{
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "one"), NQ_OK);
    fixture->rig.service.groups.bytes_max = 1;
    struct wire_request get = get_request(11, "q", 1, 0);
    get.as.get.at_most_once = true;
    cr_assert_eq(call(2, get)->status, NQ_BUSY);
    fixture->rig.service.groups.bytes_max = GROUP_BYTES_MAX;
    get.id = 12;
    cr_assert_eq(call(2, get)->as.get.count, 1);
}

// One frame may ask for any number of them, too.
Test(room, items_peeked_at_in_one_frame_are_no_more_than_a_group_takes)
{
    enum { ITEMS = 1000, PEEKS = 25 };
    struct nq_bytes bodies[ITEMS];
    struct wire_request peeks[PEEKS];
    for (size_t i = 0; i < ITEMS; i++) {
        bodies[i] = bytes_of("x");
    }
    cr_assert_eq(call(1, put_request(10, "q", 1, bodies, ITEMS))->status, NQ_OK);
    for (size_t i = 0; i < PEEKS; i++) {
        peeks[i] = on_queue_request(100 + i, WIRE_PEEK, "q");
        peeks[i].as.on_queue.max_items = ITEMS;
    }
    fixture_send(fixture, 2, peeks, PEEKS);
    for (size_t i = 0; i < PEEKS; i++) {
        const struct wire_reply *reply = fixture_take(fixture, 2, 100 + i);
        cr_assert_not_null(reply);
        cr_expect_eq(reply->status, i < GROUP_ITEMS_MAX / ITEMS ? NQ_OK : NQ_BUSY, "peek %zu: %s", i,
                     nq_status_name(reply->status));
    }
    cr_assert_eq(call(2, peeks[PEEKS - 1])->as.peek.count, (size_t)ITEMS, "the next frame is served");
}

Test(room, a_frame_that_has_had_enough_lists_no_queues_and_greets_nobody)
{
    struct wire_request requests[] = {
        on_queue_request(10, WIRE_LIST, "q"), on_queue_request(11, WIRE_STAT, "q"), {.id = 12, .op = WIRE_HELLO}};
    uint8_t id[NQ_SESSION_ID_BYTES];
    session_id_of(2, id);
    requests[0].as.list = (struct wire_list){.max = 10};
    requests[2].as.hello.session_id = (struct nq_bytes){sizeof(id), id};
    for (int again = 0; again < 2; again++) {
        fixture->rig.service.groups.open->items = again == 0 ? GROUP_ITEMS_MAX : 0;
        fixture_send(fixture, 2, requests, 3);
        fixture_commit(fixture);
        cr_expect_eq(fixture_take(fixture, 2, 10)->status, again == 0 ? NQ_BUSY : NQ_OK);
        cr_expect_eq(fixture_take(fixture, 2, 11)->status, NQ_NO_SUCH_QUEUE);
        cr_expect_eq(fixture_take(fixture, 2, 12)->status, again == 0 ? NQ_BUSY : NQ_OK);
    }
}

static uint64_t leased(void)
{
    return engine_queue_find(fixture->rig.engine, to_engine_bytes(bytes_of("q")))->leased;
}

// Ten thousand items each time, and a thousand times in a frame.
Test(room, a_get_that_is_sent_again_and_again_is_answered_no_more_than_a_group_takes)
{
    const struct wire_request gets[] = {get_request(11, "q", 1, 0), get_request(12, "q", 1, 0)};
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "one"), NQ_OK);
    cr_assert_eq(fixture_put(fixture, 1, 11, "q", 2, "two"), NQ_OK);
    cr_assert_eq(call(2, gets[0])->status, NQ_OK);
    fixture->rig.service.groups.open->items = GROUP_ITEMS_MAX;
    fixture_send(fixture, 2, gets, 2);
    cr_assert_eq(fixture_take(fixture, 2, 11)->status, NQ_BUSY);
    cr_assert_eq(fixture_take(fixture, 2, 12)->status, NQ_OK, "others are answered");
    cr_assert_eq(leased(), 2u, "its client may have the items");
    fixture_commit(fixture);
    cr_assert_eq(call(2, gets[0])->as.get.count, 1);
}

// Only a get for one item says that its client has use for it now; the rest is got ahead.
Test(room, a_get_for_many_is_no_get_for_one_when_a_group_has_enough)
{
    const struct nq_bytes bodies[] = {bytes_of("a"), bytes_of("b"), bytes_of("c")};
    cr_assert_eq(call(1, put_request(10, "q", 1, bodies, 3))->status, NQ_OK);
    cr_assert_eq(call(2, get_request(11, "q", 1, 0))->status, NQ_OK);
    fixture->rig.service.groups.open->leased = GROUP_ITEMS_MAX - 1;
    const struct wire_request get = get_request(12, "q", 10, 0);
    fixture_send(fixture, 2, &get, 1);
    cr_expect_eq(leased(), 3u);
    fixture->dead_connection = 2;
    fixture_tick(fixture, SESSIONS_PROBE_MS);
    fixture_tick(fixture, NQ_SESSION_GRACE_MS_DEFAULT);
    cr_assert_eq(leased(), 0u);
    cr_assert_eq(engine_queue_find(fixture->rig.engine, to_engine_bytes(bytes_of("q")))->record.failed, 1u);
}

Test(room, queues_with_initial_items_are_no_more_than_a_group_takes)
{
    struct wire_request declares[] = {
        {.id = 10, .op = WIRE_DECLARE}, {.id = 11, .op = WIRE_DECLARE}, {.id = 12, .op = WIRE_DECLARE}};
    const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        declares[i].as.declare = (struct wire_declare){.queue = bytes_of(names[i]), .initial = i == 2 ? 0 : GROUP_ITEMS_MAX};
    }
    fixture_send(fixture, 1, declares, 3);
    fixture_commit(fixture);
    cr_assert_eq(fixture_take(fixture, 1, 10)->as.stat.ready, (uint64_t)GROUP_ITEMS_MAX);
    cr_assert_eq(fixture_take(fixture, 1, 11)->status, NQ_BUSY);
    cr_assert_eq(fixture_take(fixture, 1, 12)->status, NQ_OK, "without items it is as small as others");
    cr_assert_eq(call(1, declares[1])->as.stat.ready, (uint64_t)GROUP_ITEMS_MAX);
}

// Whoever asks meanwhile waits for all of them.
Test(room, redrives_share_a_slice)
{
    struct nq_bytes bodies[REDRIVE_SLICE];
    struct wire_request redrives[] = {on_queue_request(12, WIRE_REDRIVE, "a"), on_queue_request(13, WIRE_REDRIVE, "b")};
    for (size_t i = 0; i < REDRIVE_SLICE; i++) {
        bodies[i] = bytes_of("x");
    }
    cr_assert_eq(call(1, put_request(10, "a", 1, bodies, REDRIVE_SLICE))->status, NQ_OK);
    cr_assert_eq(call(1, put_request(11, "b", 1, bodies, REDRIVE_SLICE))->status, NQ_OK);
    redrives[0].as.on_queue.to = redrives[1].as.on_queue.to = bytes_of("c");
    fixture_send(fixture, 2, redrives, 2);
    const struct queue *to = engine_queue_find(fixture->rig.engine, to_engine_bytes(bytes_of("c")));
    cr_assert_eq(to->record.puts, (uint64_t)REDRIVE_SLICE);
    fixture_tick(fixture, 0);
    fixture_tick(fixture, 0);
    fixture_commit(fixture);
    cr_assert_eq(fixture_take(fixture, 2, 12)->as.count, (uint64_t)REDRIVE_SLICE);
    cr_assert_eq(fixture_take(fixture, 2, 13)->as.count, (uint64_t)REDRIVE_SLICE);
}

// All that is delayed has to be looked at to find none that is ready; and one frame may ask for that a thousand times.
static void put_delayed(const char *queue)
{
    enum { ITEMS = 100 };
    struct nq_bytes bodies[ITEMS];
    for (size_t i = 0; i < ITEMS; i++) {
        bodies[i] = bytes_of("x");
    }
    struct wire_request put = put_request(10, queue, 1, bodies, ITEMS);
    put.as.put.delay_ms = 60000;
    cr_assert_eq(call(1, put)->status, NQ_OK);
}

Test(room, items_that_peeks_in_one_frame_look_at_in_vain_are_no_more_than_a_group_takes)
{
    struct wire_request peeks[] = {on_queue_request(12, WIRE_PEEK, "q"), on_queue_request(13, WIRE_PEEK, "q")};
    put_delayed("q");
    fixture->rig.service.groups.open->items = GROUP_ITEMS_MAX - 5;
    fixture_send(fixture, 2, peeks, 2);
    const struct wire_reply *first = fixture_take(fixture, 2, 12);
    cr_assert_eq(first->status, NQ_OK);
    cr_assert_eq(first->as.peek.count, (size_t)0);
    cr_assert_eq(fixture_take(fixture, 2, 13)->status, NQ_BUSY);
    cr_assert_eq(call(2, peeks[1])->status, NQ_OK, "the next frame is served");
}

Test(room, redrives_that_look_at_much_in_vain_take_turns)
{
    struct wire_request redrives[] = {on_queue_request(12, WIRE_REDRIVE, "q"), on_queue_request(13, WIRE_REDRIVE, "q")};
    put_delayed("q");
    fixture->rig.service.groups.open->items = GROUP_ITEMS_MAX - 5;
    fixture_send(fixture, 2, redrives, 2);
    cr_assert_not_null(fixture_take(fixture, 2, 12));
    cr_assert_null(fixture_take(fixture, 2, 13), "others are served before it");
    fixture_tick(fixture, 0);
    const struct wire_reply *second = fixture_take(fixture, 2, 13);
    cr_assert_not_null(second);
    cr_assert(second->status == NQ_OK && second->as.count == 0);
}

// Of the items that answers hold which wait for the store.
static size_t held_bytes(void)
{
    size_t bytes = 0;
    for (const struct answer *answer = fixture->rig.service.groups.open->answers.first; answer != NULL; answer = answer->next) {
        bool has_items = answer->kind == ANSWER_GET || answer->kind == ANSWER_PEEK;
        bytes += has_items ? malloc_usable_size(answer->as.items.items) : 0;
    }
    return bytes;
}

// A request of some bytes may ask for many items, and a group hold thousands of them.
Test(room, answers_hold_memory_for_the_items_they_have_not_for_those_asked_for)
{
    enum { ITEMS = 500, LITTLE = 500 };
    struct nq_bytes bodies[ITEMS];
    for (size_t i = 0; i < ITEMS; i++) {
        bodies[i] = bytes_of("x");
    }
    struct wire_request requests[] = {put_request(10, "q", 1, bodies, ITEMS), on_queue_request(11, WIRE_PEEK, "q"),
                                      get_request(12, "q", ITEMS, 0)};
    requests[1].as.on_queue.max_items = ITEMS;
    requests[1].as.on_queue.max_bytes = requests[2].as.get.max_bytes = 3;
    fixture_send(fixture, 1, requests, 2);
    cr_expect_leq(held_bytes(), (size_t)LITTLE, "%zu bytes for three items of a peek", held_bytes());
    fixture_send(fixture, 1, requests + 2, 1);
    cr_expect_leq(held_bytes(), (size_t)(2 * LITTLE), "%zu bytes for three more of a get", held_bytes());
    fixture_commit(fixture);
    cr_assert_eq(fixture_take(fixture, 1, 11)->as.peek.count, (size_t)3);
    cr_assert_eq(fixture_take(fixture, 1, 12)->as.get.count, (size_t)3);
}

static struct memory_room memory;

static struct memory_room look(void)
{
    return memory;
}

// One frame may bring a million items of no bytes; what each takes once it is stored is not to be seen yet when the next put comes.
Test(room, puts_of_a_frame_are_refused_before_they_take_more_memory_than_there_is)
{
    enum { MEBI = 1024 * 1024, PUTS = 40, ITEMS = 10000, ROOM_MEBI = 16 };
    static const struct nq_bytes bodies[ITEMS];
    struct wire_request puts[PUTS];
    fixture->rig.service.space.memory = look;
    memory = (struct memory_room){.used_bytes = 1000 * MEBI - MEMORY_RESERVE_BYTES - ROOM_MEBI * MEBI, .limit_bytes = 1000 * MEBI};
    for (size_t i = 0; i < PUTS; i++) {
        puts[i] = put_request(100 + i, "q", 1 + i * ITEMS, bodies, ITEMS);
    }
    fixture_tick(fixture, SPACE_LOOK_MS);
    fixture_send(fixture, 1, puts, PUTS);
    fixture_commit(fixture);
    uint64_t accepted = 0;
    for (size_t i = 0; i < PUTS; i++) {
        const struct wire_reply *reply = fixture_take(fixture, 1, 100 + i);
        cr_assert_eq(reply->status, reply->as.put.accepted == ITEMS ? NQ_OK : NQ_BUSY);
        accepted += reply->as.put.accepted;
    }
    cr_assert_gt(accepted, 0u);
    cr_assert_leq(accepted * engine_kept_bytes(0), (uint64_t)ROOM_MEBI * MEBI + 2 * SPACE_LOOK_BYTES);
    fixture_tick(fixture, SPACE_LOOK_MS);
    cr_assert_eq(call(1, put_request(200, "q", 1 + accepted, bodies, 1))->status, NQ_OK, "it was not taken after all");
}
