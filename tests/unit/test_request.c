// Requests about items and queues, from bytes to bytes, over the real engine, dispatch and memory store.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

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

TestSuite(request, .init = set_up, .fini = tear_down);

static const struct wire_reply *call(uint64_t connection, struct wire_request request)
{
    return fixture_call(fixture, connection, &request);
}

static const struct wire_reply *stat_of(uint64_t id, const char *queue)
{
    return call(1, on_queue_request(id, WIRE_STAT, queue));
}

// ----------------------------------------------------------------------------------------------------------------------- items

Test(request, an_item_goes_round)
{
    const struct nq_bytes bodies[] = {bytes_of("a"), bytes_of(""), bytes_of("c")};
    const struct wire_reply *put = call(1, put_request(10, "q", 1, bodies, 3));
    cr_assert_eq(put->status, NQ_OK);
    cr_assert_eq(put->result, WIRE_PUT);
    cr_assert_eq(put->as.put.accepted, 3);
    cr_assert_eq(put->as.put.last_seq, 3);
    const struct wire_reply *got = call(2, get_request(11, "q", 10, 0));
    cr_assert_eq(got->status, NQ_OK);
    cr_assert_eq(got->as.get.count, 3);
    cr_assert(bytes_are(got->as.get.bodies[0], "a") && bytes_are(got->as.get.bodies[1], "") &&
              bytes_are(got->as.get.bodies[2], "c"));
    cr_assert_eq(got->as.get.lease_ms, NQ_LEASE_MS_DEFAULT);
    const struct wire_reply *done = call(2, tokens_request(12, WIRE_TASK_DONE, got));
    cr_assert_eq(done->status, NQ_OK);
    cr_assert_eq(done->as.tokens.gone, 0);
    const struct wire_reply *again = call(2, tokens_request(13, WIRE_TASK_DONE, got));
    cr_assert_eq(again->status, NQ_OK);
    cr_assert_eq(again->as.tokens.gone, 3);
    cr_assert_eq(call(2, get_request(14, "q", 1, 0))->status, NQ_EMPTY);
}

Test(request, headers_travel_with_the_item)
{
    const struct nq_header header = {bytes_of("kind"), bytes_of("red")};
    struct nq_bytes encoded;
    cr_assert_eq(wire_encode_headers(fixture->arena, &header, 1, &encoded), NQ_OK);
    const struct nq_bytes bodies[] = {bytes_of("a"), bytes_of("b")};
    const struct nq_bytes headers[] = {encoded, {0}};
    struct wire_request put = put_request(10, "q", 1, bodies, 2);
    put.as.put.headers = headers;
    cr_assert_eq(call(1, put)->status, NQ_OK);
    const struct wire_reply *got = call(2, get_request(11, "q", 2, 0));
    cr_assert_not_null(got->as.get.headers);
    cr_assert_eq(got->as.get.headers[0].len, encoded.len);
    cr_assert_eq(memcmp(got->as.get.headers[0].data, encoded.data, encoded.len), 0);
    cr_assert_eq(got->as.get.headers[1].len, 0);
}

Test(request, a_get_waits_for_a_put)
{
    const struct wire_request get = get_request(10, "q", 1, 5000);
    fixture_send(fixture, 2, &get, 1);
    fixture_commit(fixture);
    cr_assert_null(fixture_take(fixture, 2, 10));
    cr_assert_eq(fixture_put(fixture, 1, 11, "q", 1, "x"), NQ_OK);
    const struct wire_reply *got = fixture_take(fixture, 2, 10);
    cr_assert_not_null(got);
    cr_assert_eq(got->as.get.count, 1);
}

Test(request, a_wait_ends_in_time)
{
    const struct wire_request get = get_request(10, "q", 1, 500);
    fixture_send(fixture, 2, &get, 1);
    fixture_commit(fixture);
    fixture_tick(fixture, 499);
    cr_assert_null(fixture_take(fixture, 2, 10));
    cr_assert_leq(service_next_deadline_ms(&fixture->rig.service), fixture->rig.now_ms + 1);
    fixture_tick(fixture, 1);
    const struct wire_reply *got = fixture_take(fixture, 2, 10);
    cr_assert_not_null(got);
    cr_assert_eq(got->status, NQ_EMPTY);
}

Test(request, cancel_ends_a_wait)
{
    const struct wire_request get = get_request(10, "q", 1, NQ_WAIT_FOREVER);
    fixture_send(fixture, 2, &get, 1);
    const struct wire_request cancel = {.id = 11, .op = WIRE_CANCEL, .as.cancel_id = 10};
    cr_assert_eq(fixture_call(fixture, 2, &cancel)->status, NQ_OK);
    const struct wire_reply *got = fixture_take(fixture, 2, 10);
    cr_assert_not_null(got);
    cr_assert_eq(got->status, NQ_CANCELLED);
}

Test(request, a_join_ends_with_the_item_that_leaves_at_most_once)
{
    const struct nq_bytes body = bytes_of("a");
    struct wire_request get = get_request(10, "q", 1, 1000);
    get.as.get.at_most_once = true;
    fixture_send(fixture, 2, &get, 1);
    struct wire_request requests[] = {put_request(20, "q", 1, &body, 1), on_queue_request(21, WIRE_JOIN, "q")};
    requests[1].as.on_queue.wait_ms = 1000;
    fixture_send(fixture, 1, requests, 2);
    const struct queue *queue = engine_queue_find(fixture->rig.service.engine, to_engine_bytes(bytes_of("q")));
    cr_assert_eq(dispatch_waiting(fixture->rig.service.dispatch, queue).joins, 0, "all is done: it waits for nothing but the disk");
    fixture_commit(fixture);
    cr_assert_eq(fixture_take(fixture, 1, 21)->status, NQ_OK);
}

Test(request, at_most_once_is_done_as_it_leaves)
{
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "x"), NQ_OK);
    struct wire_request get = get_request(11, "q", 5, 0);
    get.as.get.at_most_once = true;
    fixture_send(fixture, 2, &get, 1);
    cr_assert_null(fixture_take(fixture, 2, 11), "it leaves when it is durably done");
    fixture_commit(fixture);
    const struct wire_reply *got = fixture_take(fixture, 2, 11);
    cr_assert_not_null(got);
    cr_assert(bytes_are(got->as.get.bodies[0], "x"));
    const struct wire_reply *stat = stat_of(12, "q");
    cr_assert_eq(stat->as.stat.unfinished, 0);
    cr_assert_eq(stat->as.stat.dones, 1);
}

Test(request, requeue_and_extend)
{
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "x"), NQ_OK);
    const struct wire_reply *got = call(2, get_request(11, "q", 1, 0));
    cr_assert_eq(call(2, tokens_request(12, WIRE_EXTEND, got))->status, NQ_OK);
    cr_assert_eq(call(2, tokens_request(13, WIRE_REQUEUE, got))->status, NQ_OK);
    cr_assert_eq(call(2, tokens_request(14, WIRE_EXTEND, got))->status, NQ_LEASE_LOST);
    const struct wire_reply *again = call(1, get_request(15, "q", 1, 0));
    cr_assert_not_null(again->as.get.deliveries);
    cr_assert_eq(again->as.get.deliveries[0], 2);
    cr_assert_eq(call(2, tokens_request(16, WIRE_TASK_DONE, got))->status, NQ_LEASE_LOST);
}

Test(request, tokens_differ_each_has_its_status)
{
    const struct nq_bytes bodies[] = {bytes_of("a"), bytes_of("b")};
    cr_assert_eq(call(1, put_request(10, "q", 1, bodies, 2))->status, NQ_OK);
    const struct wire_reply *got = call(2, get_request(11, "q", 1, 0));
    const uint64_t seqs[] = {1, 2};
    struct wire_request done = tokens_request(12, WIRE_TASK_DONE, got);
    done.as.tokens.seqs = seqs;
    done.as.tokens.count = 2;
    const struct wire_reply *reply = call(2, done);
    cr_assert_eq(reply->as.tokens.count, 2);
    cr_assert_eq(reply->as.tokens.statuses[0], NQ_OK);
    cr_assert_eq(reply->as.tokens.statuses[1], NQ_NOT_LEASED);
}

Test(request, tokens_of_a_queue_that_is_gone_or_never_was)
{
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "x"), NQ_OK);
    const struct wire_reply *got = call(2, get_request(11, "q", 1, 0));
    cr_assert_eq(call(1, on_queue_request(12, WIRE_DELETE, "q"))->status, NQ_OK);
    const struct wire_reply *done = call(2, tokens_request(13, WIRE_TASK_DONE, got));
    cr_assert_eq(done->status, NQ_OK);
    cr_assert_eq(done->as.tokens.gone, 1);
    cr_assert_eq(call(2, tokens_request(14, WIRE_REQUEUE, got))->status, NQ_LEASE_LOST);
    struct wire_request never = tokens_request(15, WIRE_TASK_DONE, got);
    never.as.tokens.queue_id += 1000;
    cr_assert_eq(call(2, never)->status, NQ_NOT_LEASED);
}

Test(request, join_waits_until_all_is_done)
{
    cr_assert_eq(call(1, on_queue_request(9, WIRE_JOIN, "q"))->status, NQ_NO_SUCH_QUEUE);
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "x"), NQ_OK);
    struct wire_request join = on_queue_request(11, WIRE_JOIN, "q");
    cr_assert_eq(fixture_call(fixture, 1, &join)->status, NQ_TIMED_OUT);
    join.id = 12;
    join.as.on_queue.wait_ms = 10000;
    fixture_send(fixture, 1, &join, 1);
    const struct wire_reply *got = call(2, get_request(13, "q", 1, 0));
    const struct wire_request done = tokens_request(14, WIRE_TASK_DONE, got);
    fixture_send(fixture, 2, &done, 1);
    cr_assert_null(fixture_take(fixture, 1, 12), "task_done is not durable yet");
    fixture_commit(fixture);
    const struct wire_reply *joined = fixture_take(fixture, 1, 12);
    cr_assert_not_null(joined);
    cr_assert_eq(joined->status, NQ_OK);
}

Test(request, one_frame_several_requests)
{
    const struct nq_bytes body = bytes_of("x");
    const struct wire_request requests[] = {put_request(10, "q", 1, &body, 1), get_request(11, "q", 1, 0),
                                            on_queue_request(12, WIRE_STAT, "q")};
    fixture_send(fixture, 1, requests, 3);
    size_t before = fixture->frame_count;
    fixture_commit(fixture);
    cr_assert_eq(fixture->frame_count, before + 1);
    cr_assert_eq(fixture_take(fixture, 1, 10)->status, NQ_OK);
    cr_assert_eq(fixture_take(fixture, 1, 11)->as.get.count, 1);
    cr_assert_eq(fixture_take(fixture, 1, 12)->as.stat.leased, 1);
}

// ---------------------------------------------------------------------------------------------------------------------- queues

static struct wire_request declare(uint64_t id, const char *queue, uint64_t maxsize, uint64_t initial)
{
    return (struct wire_request){
        .id = id,
        .op = WIRE_DECLARE,
        .as.declare = {.queue = bytes_of(queue), .options = {.given = NQ_OPTION_MAXSIZE, .maxsize = maxsize}, .initial = initial}};
}

Test(request, declare_creates_compares_and_fills)
{
    const struct wire_reply *reply = call(1, declare(10, "q", 5, 3));
    cr_assert_eq(reply->status, NQ_OK);
    cr_assert_eq(reply->result, WIRE_STAT);
    cr_assert_eq(reply->as.stat.ready, 3);
    cr_assert_eq(reply->as.stat.options.maxsize, 5);
    cr_assert(bytes_are(reply->as.stat.name, "q"));
    cr_assert_eq(call(1, declare(11, "q", 5, 3))->as.stat.ready, 3);
    cr_assert_eq(call(1, declare(12, "q", 6, 0))->status, NQ_DIFFERENT_OPTIONS);
    cr_assert_eq(call(1, declare(13, "r", 5, 6))->status, NQ_TOO_LARGE);
    cr_assert_eq(stat_of(14, "r")->status, NQ_NO_SUCH_QUEUE);
    const struct wire_reply *got = call(2, get_request(15, "q", 10, 0));
    cr_assert_eq(got->as.get.count, 3);
    cr_assert_eq(got->as.get.bodies[2].len, 0);
}

Test(request, a_full_queue_parks_and_refuses)
{
    cr_assert_eq(call(1, declare(10, "q", 1, 1))->status, NQ_OK);
    cr_assert_eq(fixture_put(fixture, 1, 11, "q", 1, "x"), NQ_FULL);
    const struct nq_bytes body = bytes_of("x");
    struct wire_request put = put_request(12, "q", 1, &body, 1);
    put.as.put.wait_ms = 1000;
    fixture_send(fixture, 1, &put, 1);
    cr_assert_eq(stat_of(13, "q")->as.stat.waiting_puts, 1);
    call(2, get_request(14, "q", 1, 0));
    fixture_commit(fixture);
    const struct wire_reply *reply = fixture_take(fixture, 1, 12);
    cr_assert_not_null(reply);
    cr_assert_eq(reply->as.put.accepted, 1);
    const struct wire_reply *got = call(2, get_request(15, "q", 1, 0));
    cr_assert(bytes_are(got->as.get.bodies[0], "x"));
}

Test(request, purge_delete_shutdown_count)
{
    const struct nq_bytes bodies[] = {bytes_of("a"), bytes_of("b")};
    cr_assert_eq(call(1, put_request(10, "q", 1, bodies, 2))->status, NQ_OK);
    cr_assert_eq(call(1, on_queue_request(11, WIRE_PURGE, "q"))->as.count, 2);
    cr_assert_eq(call(1, put_request(12, "q", 3, bodies, 1))->status, NQ_OK);
    struct wire_request shutdown = on_queue_request(13, WIRE_SHUTDOWN, "q");
    shutdown.as.on_queue.immediate = true;
    cr_assert_eq(call(1, shutdown)->as.count, 1);
    cr_assert_eq(fixture_put(fixture, 1, 14, "q", 4, "x"), NQ_SHUT_DOWN);
    cr_assert_eq(call(1, on_queue_request(15, WIRE_DELETE, "q"))->status, NQ_OK);
    cr_assert_eq(call(1, on_queue_request(16, WIRE_DELETE, "q"))->status, NQ_NO_SUCH_QUEUE);
    cr_assert_eq(call(1, on_queue_request(17, WIRE_PURGE, "q"))->status, NQ_NO_SUCH_QUEUE);
    cr_assert_eq(call(1, on_queue_request(18, WIRE_SHUTDOWN, "q"))->status, NQ_NO_SUCH_QUEUE);
}

Test(request, delete_ends_those_who_wait)
{
    const struct wire_request get = get_request(10, "q", 1, NQ_WAIT_FOREVER);
    fixture_send(fixture, 2, &get, 1);
    cr_assert_eq(call(1, on_queue_request(11, WIRE_DELETE, "q"))->status, NQ_OK);
    const struct wire_reply *got = fixture_take(fixture, 2, 10);
    cr_assert_not_null(got);
    cr_assert_eq(got->status, NQ_NO_SUCH_QUEUE);
}

Test(request, list_comes_in_pages_by_name)
{
    const char *const names[] = {"b", "a", "d", "c", "e"};
    for (uint64_t i = 0; i < 5; i++) {
        cr_assert_eq(call(1, declare(10 + i, names[i], 0, 0))->status, NQ_OK);
    }
    struct wire_request list = {.id = 20, .op = WIRE_LIST, .as.list.max = 2};
    const struct wire_reply *page = fixture_call(fixture, 1, &list);
    cr_assert_eq(page->as.list.count, 2);
    cr_assert(page->as.list.more);
    cr_assert(bytes_are(page->as.list.queues[1].name, "b"));
    list = (struct wire_request){.id = 21, .op = WIRE_LIST, .as.list = {.after = bytes_of("b")}};
    page = fixture_call(fixture, 1, &list);
    cr_assert_eq(page->as.list.count, 3);
    cr_assert_not(page->as.list.more);
    cr_assert(bytes_are(page->as.list.queues[2].name, "e"));
}

Test(request, peek_takes_nothing)
{
    const struct nq_bytes bodies[] = {bytes_of("a"), bytes_of("b"), bytes_of("c")};
    cr_assert_eq(call(1, put_request(10, "q", 1, bodies, 3))->status, NQ_OK);
    struct wire_request peek = on_queue_request(11, WIRE_PEEK, "q");
    peek.as.on_queue.from_seq = 2;
    peek.as.on_queue.max_items = 10;
    const struct wire_reply *reply = fixture_call(fixture, 2, &peek);
    cr_assert_eq(reply->status, NQ_OK);
    cr_assert_eq(reply->as.peek.count, 2);
    cr_assert_eq(reply->as.peek.seqs[0], 2);
    cr_assert(bytes_are(reply->as.peek.bodies[1], "c"));
    cr_assert_eq(stat_of(12, "q")->as.stat.ready, 3);
}

static void make_dead_letters(uint64_t count)
{
    struct wire_request work = {
        .id = 100,
        .op = WIRE_DECLARE,
        .as.declare = {.queue = bytes_of("work"), .options = {.given = NQ_OPTION_DEAD_LETTER, .dead_letter = bytes_of("dead")}}};
    cr_assert_eq(call(1, work)->status, NQ_OK);
    for (uint64_t i = 0; i < count; i++) {
        cr_assert_eq(fixture_put(fixture, 1, 110 + i * 3, "work", i + 1, "letter"), NQ_OK);
        const struct wire_reply *got = call(2, get_request(111 + i * 3, "work", 1, 0));
        struct wire_request dead = tokens_request(112 + i * 3, WIRE_REQUEUE, got);
        dead.as.tokens.failed = true;
        dead.as.tokens.dead = true;
        cr_assert_eq(call(2, dead)->status, NQ_OK);
    }
}

Test(request, redrive_brings_dead_letters_back_to_where_they_came_from)
{
    make_dead_letters(3);
    cr_assert_eq(stat_of(10, "dead")->as.stat.ready, 3);
    struct wire_request redrive = on_queue_request(11, WIRE_REDRIVE, "dead");
    redrive.as.on_queue.max_items = 2;
    const struct wire_reply *reply = fixture_call(fixture, 1, &redrive);
    cr_assert_eq(reply->status, NQ_OK);
    cr_assert_eq(reply->as.count, 2);
    cr_assert_eq(stat_of(12, "dead")->as.stat.ready, 1);
    const struct wire_reply *got = call(2, get_request(13, "work", 5, 0));
    cr_assert_eq(got->as.get.count, 2);
    cr_assert(bytes_are(got->as.get.bodies[0], "letter"));
    cr_assert_null(got->as.get.headers, "the headers of the move are left out");
    redrive = on_queue_request(14, WIRE_REDRIVE, "dead");
    redrive.as.on_queue.to = bytes_of("elsewhere");
    cr_assert_eq(fixture_call(fixture, 1, &redrive)->as.count, 1);
    cr_assert_eq(stat_of(15, "elsewhere")->as.stat.ready, 1);
    redrive.id = 16;
    redrive.as.on_queue.to = bytes_of("dead");
    cr_assert_eq(fixture_call(fixture, 1, &redrive)->status, NQ_BAD_REQUEST);
    redrive.as.on_queue.queue = bytes_of("nowhere");
    redrive.id = 17;
    cr_assert_eq(fixture_call(fixture, 1, &redrive)->status, NQ_NO_SUCH_QUEUE);
}

// A letter that has just died is not in its queue's store yet: the redrive goes on when it is.
Test(request, redrive_waits_for_letters_that_are_not_durable)
{
    make_dead_letters(1);
    cr_assert_eq(fixture_put(fixture, 1, 200, "work", 2, "late"), NQ_OK);
    const struct wire_reply *got = call(2, get_request(201, "work", 1, 0));
    struct wire_request dead = tokens_request(202, WIRE_REQUEUE, got);
    dead.as.tokens.dead = true;
    fixture_send(fixture, 2, &dead, 1);
    const struct wire_request redrive = on_queue_request(203, WIRE_REDRIVE, "dead");
    fixture_send(fixture, 1, &redrive, 1);
    fixture_commit(fixture);
    fixture_commit(fixture);
    const struct wire_reply *reply = fixture_take(fixture, 1, 203);
    cr_assert_not_null(reply);
    cr_assert_eq(reply->as.count, 2);
}

Test(request, dead_letters_say_where_they_come_from)
{
    make_dead_letters(1);
    const struct wire_reply *got = call(2, get_request(10, "dead", 1, 0));
    cr_assert_not_null(got->as.get.headers);
    struct nq_header *headers;
    size_t count;
    cr_assert_eq(wire_decode_headers(fixture->arena, got->as.get.headers[0], &headers, &count), NQ_OK);
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        found |= bytes_are(headers[i].name, "nq-origin-queue") && bytes_are(headers[i].value, "work");
    }
    cr_assert(found);
}

// ------------------------------------------------------------------------------------------------------------------- refusals

Test(request, what_is_malformed_is_refused_and_the_rest_is_done)
{
    const struct nq_bytes body = bytes_of("x");
    char long_text[1002];
    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    const struct nq_bytes long_body = bytes_of(long_text);
    const struct wire_request requests[] = {put_request(10, "bad name", 1, &body, 1), put_request(11, "q", 1, &long_body, 1),
                                            put_request(12, "q", 1, &body, 1)};
    fixture_send(fixture, 1, requests, 3);
    fixture_commit(fixture);
    cr_assert_eq(fixture_take(fixture, 1, 10)->status, NQ_BAD_NAME);
    cr_assert_eq(fixture_take(fixture, 1, 11)->status, NQ_TOO_LARGE);
    cr_assert_eq(fixture_take(fixture, 1, 12)->status, NQ_OK);
}

Test(request, another_version_is_told_so)
{
    struct wire_request ping = {.id = 10, .op = WIRE_PING};
    const struct wire_request_frame frame = {.version = NQ_PROTOCOL_VERSION + 1, .requests = &ping, .count = 1};
    fixture_send_frame(fixture, 1, &frame);
    const struct wire_reply *reply = fixture_take(fixture, 1, 10);
    cr_assert_not_null(reply);
    cr_assert_eq(reply->status, NQ_UNSUPPORTED_VERSION);
}

// One item is in "q".
static void expect_puts_refused(enum nq_status status)
{
    const struct nq_bytes body = bytes_of("x");
    const struct nq_bytes more[] = {body, bytes_of("y"), bytes_of("z")};
    const struct wire_reply *put = call(1, put_request(11, "q", 2, &body, 1));
    cr_assert_eq(put->status, status);
    cr_assert_eq(put->as.put.last_number, 1);
    put = call(1, put_request(12, "q", 1, &body, 1));
    cr_assert_eq(put->status, NQ_OK, "it was accepted when there was room: a refusal would be a lie");
    cr_assert(put->as.put.duplicate && put->as.put.accepted == 1);
    put = call(1, put_request(20, "q", 1, more, 3));
    cr_assert_eq(put->status, status, "two of the three are new");
    cr_assert(put->as.put.duplicate && put->as.put.accepted == 1 && put->as.put.last_seq == 1 && put->as.put.last_number == 1);
    cr_assert_eq(stat_of(21, "q")->as.stat.puts, 1);
    cr_assert_eq(call(1, declare(13, "r", 0, 5))->status, status);
    const struct wire_reply *got = call(2, get_request(14, "q", 1, 0));
    cr_assert_eq(call(2, tokens_request(15, WIRE_TASK_DONE, got))->status, NQ_OK);
}

static enum nq_status no_room(struct store *store, struct store_space *space)
{
    (void)store;
    *space = (struct store_space){.used_bytes = 100, .free_bytes = UINT64_MAX, .limit_bytes = 100};
    return NQ_OK;
}

static struct memory_room memory;

static struct memory_room look(void)
{
    return memory;
}

Test(request, with_little_memory_left_puts_are_refused_and_the_rest_goes_on)
{
    enum { MEBI = 1024 * 1024 };
    const struct nq_bytes body = bytes_of("x");
    fixture->rig.service.space.memory = look;
    memory = (struct memory_room){.used_bytes = 900 * MEBI, .limit_bytes = 1000 * MEBI}; // more than the reserve is left
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "x"), NQ_OK);
    memory.used_bytes = 1000 * MEBI - MEMORY_RESERVE_BYTES + 1;
    fixture_tick(fixture, SPACE_LOOK_MS);
    expect_puts_refused(NQ_BUSY);
    memory = (struct memory_room){.used_bytes = 30 * MEBI, .limit_bytes = 40 * MEBI}; // of little memory a fourth is kept
    fixture_tick(fixture, SPACE_LOOK_MS);
    cr_assert_eq(call(1, put_request(16, "q", 2, &body, 1))->status, NQ_OK);
    memory.used_bytes++;
    fixture_tick(fixture, SPACE_LOOK_MS);
    cr_assert_eq(call(1, put_request(17, "q", 3, &body, 1))->status, NQ_BUSY);
}

Test(request, without_room_puts_are_refused_and_the_rest_goes_on)
{
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "x"), NQ_OK);
    const struct store_ops *ops = fixture->rig.store->ops;
    struct store_ops full = *ops;
    full.space = no_room;
    fixture->rig.store->ops = &full;
    fixture_tick(fixture, SPACE_LOOK_MS);
    expect_puts_refused(NQ_NO_SPACE);
    fixture->rig.store->ops = ops;
    fixture_tick(fixture, SPACE_LOOK_MS);
    cr_assert_eq(fixture_put(fixture, 1, 16, "q", 2, "x"), NQ_OK);
}

static unsigned looks_with_room;

static struct memory_room look_each_time(void)
{
    fixture->rig.service.space.next_look_ms = 0;
    uint64_t used = looks_with_room > 0 ? 0 : 100;
    looks_with_room -= looks_with_room > 0 ? 1 : 0;
    return (struct memory_room){.used_bytes = used, .limit_bytes = 100};
}

// What it moves is written anew, as what is put.
Test(request, redrive_stops_where_no_more_items_may_be_accepted_and_goes_on_later)
{
    make_dead_letters(3);
    fixture->rig.service.space.memory = look_each_time;
    looks_with_room = 2;
    fixture_tick(fixture, SPACE_LOOK_MS);
    struct wire_request redrive = on_queue_request(200, WIRE_REDRIVE, "dead");
    const struct wire_reply *reply = fixture_call(fixture, 1, &redrive);
    cr_assert_eq(reply->status, NQ_BUSY);
    cr_assert_eq(reply->as.count, 2);
    redrive.id = 201;
    redrive.as.on_queue.to = bytes_of("elsewhere");
    reply = fixture_call(fixture, 1, &redrive);
    cr_assert_eq(reply->status, NQ_BUSY);
    cr_assert_eq(reply->as.count, 0);
    cr_assert_eq(stat_of(202, "dead")->as.stat.ready, 1);
    cr_assert_eq(stat_of(203, "elsewhere")->status, NQ_NO_SUCH_QUEUE);
    looks_with_room = 1;
    redrive = on_queue_request(204, WIRE_REDRIVE, "dead");
    reply = fixture_call(fixture, 1, &redrive);
    cr_assert_eq(reply->status, NQ_OK);
    cr_assert_eq(reply->as.count, 1);
    cr_assert_eq(stat_of(205, "work")->as.stat.ready, 3);
}

static uint64_t damaged_seq;
static const struct store_ops *true_ops;

static enum nq_status read_damaged(struct store *store, uint64_t queue_id, uint64_t seq, uint64_t below_seq, bool or_next,
                                   struct store_item *item)
{
    if (seq == damaged_seq) {
        item->seq = seq;
        return NQ_DAMAGED;
    }
    return true_ops->read(store, queue_id, seq, below_seq, or_next, item);
}

// Size known from the cursor's read, damaged when its answer is made.
Test(request, a_damaged_item_is_left_out_and_set_aside)
{
    const struct nq_bytes bodies[] = {bytes_of("a"), bytes_of("b"), bytes_of("c")};
    cr_assert_eq(call(1, put_request(10, "q", 1, bodies, 3))->status, NQ_OK);
    const struct wire_reply *got = call(2, get_request(11, "q", 3, 0));
    cr_assert_eq(got->as.get.count, 3);
    call(2, tokens_request(12, WIRE_REQUEUE, got));
    true_ops = fixture->rig.store->ops;
    struct store_ops damaged = *true_ops;
    damaged.read = read_damaged;
    damaged_seq = 2;
    fixture->rig.store->ops = &damaged;
    got = call(2, get_request(13, "q", 3, 0));
    cr_assert_eq(got->as.get.count, 2);
    cr_assert(bytes_are(got->as.get.bodies[1], "c"));
    const struct wire_reply *stat = stat_of(14, "q");
    cr_assert_eq(stat->as.stat.quarantined, 1);
    cr_assert_eq(stat->as.stat.leased, 2);
    call(2, tokens_request(15, WIRE_REQUEUE, got));
    damaged_seq = 1;
    cr_assert_eq(call(2, get_request(16, "q", 1, 0))->status, NQ_BUSY, "nothing of it is left: ask again");
    fixture->rig.store->ops = true_ops;
}

Test(request, puts_beyond_what_may_wait_are_refused_and_tell_where_the_stream_stands)
{
    const struct nq_bytes bodies[] = {bytes_of("a"), bytes_of("b"), bytes_of("c")};
    cr_assert_eq(call(1, put_request(10, "q", 1, bodies, 2))->status, NQ_OK);
    struct wire_request puts[] = {put_request(11, "q", 3, bodies, 3), put_request(12, "q", 6, bodies, 1)};
    struct wire_request mixed[] = {puts[0], on_queue_request(13, WIRE_STAT, "q")};
    const struct wire_request_frame frame = {.version = NQ_PROTOCOL_VERSION, .requests = puts, .count = 2};
    struct wire_request refused[] = {put_request(15, "q", 3, bodies, 0),
                                     put_request(16, "q", 3, bodies, 1)}; // the first has no items
    const struct wire_request_frame bad = {.version = NQ_PROTOCOL_VERSION, .requests = refused, .count = 2};
    refused[0].refused = NQ_TOO_LARGE;
    const struct wire_request_frame other = {.version = NQ_PROTOCOL_VERSION, .requests = mixed, .count = 2};
    struct service *service = &fixture->rig.service;
    cr_assert_not(service_refuse_puts(service, service->now_ms, 1, &other), "it has more than puts");
    cr_assert(service_refuse_puts(service, service->now_ms, 1, &frame));
    fixture_tick(fixture, 0);
    for (uint64_t id = 11; id <= 12; id++) {
        const struct wire_reply *reply = fixture_take(fixture, 1, id);
        cr_assert(reply != NULL && reply->status == NQ_BUSY && reply->as.put.accepted == 0);
        cr_assert_eq(reply->as.put.last_number, 2u);
    }
    cr_assert_null(fixture_take(fixture, 1, 13));
    cr_assert(service_refuse_puts(service, service->now_ms, 1, &bad));
    fixture_tick(fixture, 0);
    cr_assert_eq(fixture_take(fixture, 1, 15)->status, NQ_TOO_LARGE, "what can never be accepted is told so");
    cr_assert_eq(fixture_take(fixture, 1, 16)->status, NQ_BUSY);
    cr_assert(service_refuse_puts(service, service->now_ms, 9, &frame));
    fixture_tick(fixture, 0);
    cr_assert_eq(fixture_take(fixture, 9, 11)->status, NQ_NO_SESSION);
    cr_assert_eq(call(1, put_request(14, "q", 3, bodies, 3))->as.put.accepted, 3u, "sent again it goes in");
}
