// Every reply, every field; and what a client must refuse.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "samples.h"

static bool same_bytes(struct nq_bytes a, struct nq_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool same_array(const void *a, const void *b, size_t bytes)
{
    return bytes == 0 || (!a && !b) || (a && b && memcmp(a, b, bytes) == 0);
}

static void check_stats(const struct wire_queue_stats *a, const struct wire_queue_stats *b)
{
    struct wire_queue_stats left = *a;
    struct wire_queue_stats right = *b;
    cr_assert(same_bytes(left.name, right.name));
    cr_assert(same_bytes(left.options.dead_letter, right.options.dead_letter));
    left.name = right.name = (struct nq_bytes){0};
    left.options.dead_letter = right.options.dead_letter = (struct nq_bytes){0};
    cr_assert(left.options.temporary == right.options.temporary);
    cr_assert(left.options.given == right.options.given && left.options.maxsize == right.options.maxsize);
    cr_assert(left.options.max_bytes == right.options.max_bytes && left.options.lease_ms == right.options.lease_ms);
    cr_assert(left.options.hold_max_ms == right.options.hold_max_ms && left.options.ttl_ms == right.options.ttl_ms);
    cr_assert(left.options.max_deliveries == right.options.max_deliveries);
    cr_assert_eq(left.queue_id, right.queue_id);
    // From here on the struct is numbers without gaps.
    size_t from = offsetof(struct wire_queue_stats, ready);
    size_t to = offsetof(struct wire_queue_stats, consumers) + sizeof left.consumers;
    cr_assert(memcmp((const char *)&left + from, (const char *)&right + from, to - from) == 0);
}

static void check_get(const struct wire_get_reply *a, const struct wire_get_reply *b)
{
    cr_assert_eq(a->queue_id, b->queue_id);
    cr_assert_eq(a->epoch, b->epoch);
    cr_assert_eq(a->count, b->count);
    cr_assert_eq(!a->headers, !b->headers);
    for (size_t i = 0; i < a->count; i++) {
        cr_assert(same_bytes(a->bodies[i], b->bodies[i]));
        cr_assert(!a->headers || same_bytes(a->headers[i], b->headers[i]));
    }
    cr_assert(same_array(a->seqs, b->seqs, a->count * sizeof(uint64_t)));
    cr_assert(same_array(a->deliveries, b->deliveries, a->count * sizeof(uint32_t)));
    cr_assert(same_array(a->failures, b->failures, a->count * sizeof(uint32_t)));
    cr_assert(same_array(a->redelivered, b->redelivered, a->count * sizeof(bool)));
    cr_assert_eq(a->lease_ms, b->lease_ms);
    cr_assert_eq(a->hold_max_ms, b->hold_max_ms);
}

static void check_hello(const struct wire_hello_reply *a, const struct wire_hello_reply *b)
{
    cr_assert(same_bytes(a->resume_token, b->resume_token));
    cr_assert(same_bytes(a->store_id, b->store_id));
    cr_assert(same_bytes(a->broker_version, b->broker_version));
    cr_assert_eq(a->resumed, b->resumed);
    cr_assert_eq(a->epoch, b->epoch);
    cr_assert_eq(a->limits.body_bytes, b->limits.body_bytes);
    cr_assert_eq(a->limits.headers_bytes, b->limits.headers_bytes);
    cr_assert_eq(a->limits.frame_bytes, b->limits.frame_bytes);
    cr_assert_eq(a->limits.items, b->limits.items);
    cr_assert_eq(a->limits.requests, b->limits.requests);
    cr_assert_eq(a->limits.session_timeout_ms, b->limits.session_timeout_ms);
    cr_assert_eq(a->limits.session_grace_ms, b->limits.session_grace_ms);
}

static void check_ping(const struct wire_ping_reply *a, const struct wire_ping_reply *b)
{
    cr_assert(same_bytes(a->broker_version, b->broker_version));
    cr_assert(same_bytes(a->store_id, b->store_id));
    cr_assert_eq(a->epoch, b->epoch);
    cr_assert_eq(a->uptime_ms, b->uptime_ms);
    cr_assert_eq(a->queues, b->queues);
    cr_assert_eq(a->sessions, b->sessions);
}

static void check_peek(const struct wire_peek_reply *a, const struct wire_peek_reply *b)
{
    cr_assert_eq(a->count, b->count);
    cr_assert(same_array(a->seqs, b->seqs, a->count * sizeof(uint64_t)));
    for (size_t i = 0; i < a->count; i++) {
        cr_assert(same_bytes(a->bodies[i], b->bodies[i]));
        cr_assert(same_bytes(a->headers[i], b->headers[i]));
    }
}

static void check_put(const struct wire_put_reply *a, const struct wire_put_reply *b)
{
    cr_assert_eq(a->accepted, b->accepted);
    cr_assert_eq(a->last_seq, b->last_seq);
    cr_assert_eq(a->duplicate, b->duplicate);
    cr_assert_eq(a->last_number, b->last_number);
}

static void check_tokens(const struct wire_token_reply *a, const struct wire_token_reply *b)
{
    cr_assert_eq(a->count, b->count);
    cr_assert(same_array(a->statuses, b->statuses, a->count * sizeof(uint32_t)));
    cr_assert_eq(a->gone, b->gone);
}

static void check_list(const struct wire_list_reply *a, const struct wire_list_reply *b)
{
    cr_assert_eq(a->count, b->count);
    cr_assert_eq(a->more, b->more);
    for (size_t i = 0; i < a->count; i++)
        check_stats(&a->queues[i], &b->queues[i]);
}

static void check_reply(const struct wire_reply *a, const struct wire_reply *b)
{
    cr_assert_eq(a->id, b->id);
    cr_assert_eq(a->status, b->status);
    cr_assert(same_bytes(a->detail, b->detail));
    cr_assert_eq(a->result, b->result);
    switch (a->result) {
    case WIRE_HELLO:
        check_hello(&a->as.hello, &b->as.hello);
        break;
    case WIRE_PUT:
        check_put(&a->as.put, &b->as.put);
        break;
    case WIRE_GET:
        check_get(&a->as.get, &b->as.get);
        break;
    case WIRE_TASK_DONE:
        check_tokens(&a->as.tokens, &b->as.tokens);
        break;
    case WIRE_STAT:
        check_stats(&a->as.stat, &b->as.stat);
        break;
    case WIRE_LIST:
        check_list(&a->as.list, &b->as.list);
        break;
    case WIRE_PEEK:
        check_peek(&a->as.peek, &b->as.peek);
        break;
    case WIRE_PURGE:
        cr_assert_eq(a->as.count, b->as.count);
        break;
    case WIRE_PING:
        check_ping(&a->as.ping, &b->as.ping);
        break;
    default:
        cr_assert_eq(a->result, WIRE_NONE);
    }
}

static uint8_t *pack(struct nq_arena *arena, struct wire_reply *replies, size_t count, size_t *len)
{
    struct wire_reply_frame frame;
    sample_reply_frame(&frame, replies, count);
    struct wire_packer *packer = wire_prepare_replies(arena, &frame);
    cr_assert(packer);
    *len = wire_packed_size(packer);
    uint8_t *bytes = malloc(*len);
    wire_pack(packer, bytes);
    return bytes;
}

Test(wire_replies, every_result_in_one_frame_comes_back)
{
    size_t count;
    const struct sample_reply *samples = sample_replies(&count);
    struct wire_reply replies[64];
    cr_assert(count < 64);
    for (size_t i = 0; i < count; i++)
        replies[i] = samples[i].reply;
    struct nq_arena *arena = nq_arena_create(4096, 0);
    size_t len;
    uint8_t *bytes = pack(arena, replies, count, &len);
    struct wire_reply_frame out;
    cr_assert_eq(wire_decode_replies(arena, bytes, len, &out), NQ_OK);
    free(bytes);
    cr_assert_eq(out.version, NQ_PROTOCOL_VERSION);
    cr_assert(out.probe);
    cr_assert_eq(out.count, count);
    for (size_t i = 0; i < count; i++)
        check_reply(&replies[i], &out.replies[i]);
    nq_arena_destroy(&arena);
}

// The broker may name a result by the request's own operation; on the wire there is one kind.
Test(wire_replies, results_of_one_kind_are_one)
{
    static const struct {
        enum wire_op sent, received;
    } table[] = {
        {WIRE_TASK_DONE, WIRE_TASK_DONE}, {WIRE_EXTEND, WIRE_TASK_DONE}, {WIRE_REQUEUE, WIRE_TASK_DONE},
        {WIRE_DECLARE, WIRE_STAT},        {WIRE_STAT, WIRE_STAT},        {WIRE_PURGE, WIRE_PURGE},
        {WIRE_DELETE, WIRE_PURGE},        {WIRE_SHUTDOWN, WIRE_PURGE},   {WIRE_REDRIVE, WIRE_PURGE},
        {WIRE_BACKUP, WIRE_PURGE},        {WIRE_JOIN, WIRE_NONE},        {WIRE_GOODBYE, WIRE_NONE},
        {WIRE_NONE, WIRE_NONE},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct nq_arena *arena = nq_arena_create(4096, 0);
        struct wire_reply reply = {.id = 1, .result = table[i].sent};
        size_t len;
        uint8_t *bytes = pack(arena, &reply, 1, &len);
        struct wire_reply_frame out;
        cr_assert_eq(wire_decode_replies(arena, bytes, len, &out), NQ_OK);
        cr_assert_eq(out.replies[0].result, table[i].received);
        free(bytes);
        nq_arena_destroy(&arena);
    }
}

static enum nq_status decode(const uint8_t *bytes, size_t len)
{
    struct nq_arena *arena = nq_arena_create(4096, wire_decode_budget(len));
    struct wire_reply_frame out;
    enum nq_status status = wire_decode_replies(arena, bytes, len, &out);
    nq_arena_destroy(&arena);
    return status;
}

// version 1, one reply with id 1 and the result given
static enum nq_status decode_result(uint8_t field, const char *result, size_t len)
{
    uint8_t bytes[64] = {0x08, 0x01, 0x12, (uint8_t)(len + 4), 0x08, 0x01, (uint8_t)(field << 3 | 2), (uint8_t)len};
    memcpy(bytes + 8, result, len);
    return decode(bytes, len + 8);
}

Test(wire_replies, lengths_that_differ_are_refused)
{
    cr_assert_eq(decode_result(6, "\x1a\x00\x2a\x01\x01", 5), NQ_OK);                          // one body, one seq
    cr_assert_eq(decode_result(6, "\x1a\x00", 2), NQ_BAD_REQUEST);                             // no seq
    cr_assert_eq(decode_result(6, "\x1a\x00\x2a\x02\x01\x02", 6), NQ_BAD_REQUEST);             // two seqs
    cr_assert_eq(decode_result(6, "\x1a\x00\x2a\x01\x01\x22\x00\x22\x00", 9), NQ_BAD_REQUEST); // two headers
    cr_assert_eq(decode_result(6, "\x1a\x00\x2a\x01\x01\x32\x02\x01\x01", 9), NQ_BAD_REQUEST); // two deliveries
    cr_assert_eq(decode_result(6, "\x1a\x00\x2a\x01\x01\x3a\x02\x01\x01", 9), NQ_BAD_REQUEST); // two failures
    cr_assert_eq(decode_result(6, "\x1a\x00\x2a\x01\x01\x42\x02\x01\x01", 9), NQ_BAD_REQUEST); // two flags
    cr_assert_eq(decode_result(10, "\x12\x00", 2), NQ_BAD_REQUEST);                            // peek without seq
    cr_assert_eq(decode_result(10, "\x0a\x01\x01\x12\x00\x1a\x00\x1a\x00", 9), NQ_BAD_REQUEST);
    cr_assert_eq(decode_result(4, "\x0a\x01x", 3), NQ_BAD_REQUEST); // hello with a short token
    cr_assert_eq(decode_result(15, "\x0a\x01x", 3), NQ_OK);         // a result of a later version
}

Test(wire_replies, status_of_a_later_version_is_kept)
{
    static const uint8_t bytes[] = {0x08, 0x01, 0x12, 0x05, 0x08, 0x01, 0x10, 0xe7, 0x07};
    struct nq_arena *arena = nq_arena_create(4096, 0);
    struct wire_reply_frame out;
    cr_assert_eq(wire_decode_replies(arena, bytes, sizeof bytes, &out), NQ_OK);
    cr_assert_eq((int)out.replies[0].status, 999);
    nq_arena_destroy(&arena);
}

Test(wire_replies, another_version_is_told)
{
    static const uint8_t bytes[] = {0x08, 0x02, 0x12, 0x02, 0x08, 0x05};
    struct nq_arena *arena = nq_arena_create(4096, 0);
    struct wire_reply_frame out;
    cr_assert_eq(wire_decode_replies(arena, bytes, sizeof bytes, &out), NQ_UNSUPPORTED_VERSION);
    cr_assert_eq(out.version, 2);
    cr_assert_eq(out.replies[0].id, 5);
    nq_arena_destroy(&arena);
}

Test(wire_replies, full_arena_makes_no_packer)
{
    size_t count;
    const struct sample_reply *samples = sample_replies(&count);
    for (size_t i = 0; i < count; i++) {
        struct wire_reply reply = samples[i].reply;
        struct wire_reply_frame in;
        sample_reply_frame(&in, &reply, 1);
        bool made = false;
        for (size_t cap = 16; !made; cap += 16) {
            struct nq_arena *arena = nq_arena_create(1024, cap);
            made = wire_prepare_replies(arena, &in) != NULL;
            nq_arena_destroy(&arena);
            cr_assert(cap < 4096);
        }
    }
}
