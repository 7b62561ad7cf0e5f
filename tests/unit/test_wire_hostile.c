// What no client of ours would send: cut, changed and inflated frames. Run under AddressSanitizer this is the proof that bytes from
// the network cannot hurt.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "samples.h"

static const struct wire_decode_limits limits = {NQ_BODY_BYTES_DEFAULT, NQ_HEADERS_BYTES_DEFAULT};

// Decodes a copy of exactly `len` bytes, so that a read beyond it is seen; touches all that was decoded by packing it again.
static enum nq_status decode_requests(const uint8_t *bytes, size_t len, size_t *used)
{
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    struct nq_arena *arena = nq_arena_create(4096, wire_decode_budget(len));
    struct wire_request_frame frame;
    enum nq_status status = wire_decode_requests(arena, copy, len, &limits, &frame);
    free(copy);
    if (used)
        *used = nq_arena_used(arena);
    if (status == NQ_OK) {
        for (size_t i = 0; i < frame.count; i++)
            if (frame.requests[i].refused != NQ_OK)
                frame.requests[i].op = WIRE_NONE;
        nq_arena_budget(arena, SIZE_MAX);
        struct wire_packer *packer = wire_prepare_requests(arena, &frame);
        uint8_t *again = malloc(wire_packed_size(packer) + 1);
        wire_pack(packer, again);
        free(again);
    }
    nq_arena_destroy(&arena);
    return status;
}

static enum nq_status decode_replies(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    struct nq_arena *arena = nq_arena_create(4096, wire_decode_budget(len));
    struct wire_reply_frame frame;
    enum nq_status status = wire_decode_replies(arena, copy, len, &frame);
    free(copy);
    if (status == NQ_OK) {
        nq_arena_budget(arena, SIZE_MAX);
        struct wire_packer *packer = wire_prepare_replies(arena, &frame);
        uint8_t *again = malloc(wire_packed_size(packer) + 1);
        wire_pack(packer, again);
        free(again);
    }
    nq_arena_destroy(&arena);
    return status;
}

static void cut_everywhere(const uint8_t *bytes, size_t len)
{
    for (size_t cut = 0; cut < len; cut++) {
        decode_requests(bytes, cut, NULL);
        decode_replies(bytes, cut);
    }
}

// Each byte in turn becomes each of the values that matter to protobuf.
static void change_everywhere(uint8_t *bytes, size_t len)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0x0a, 0x12, 0x08, 0x0b, 0x0d, 0x09};
    for (size_t at = 0; at < len; at++) {
        uint8_t was = bytes[at];
        for (size_t i = 0; i < sizeof values + 8; i++) {
            bytes[at] = (uint8_t)(i < sizeof values ? values[i] : was ^ (1u << (i - sizeof values)));
            decode_requests(bytes, len, NULL);
            decode_replies(bytes, len);
        }
        bytes[at] = was;
    }
}

Test(wire_hostile, requests_cut_or_changed_at_every_byte)
{
    size_t count;
    const struct sample_request *samples = sample_requests(&count);
    for (size_t i = 0; i < count; i++) {
        size_t len = 0;
        uint8_t *bytes = sample_request_encode(&samples[i], &len);
        cut_everywhere(bytes, len);
        change_everywhere(bytes, len);
        free(bytes);
    }
}

Test(wire_hostile, replies_cut_or_changed_at_every_byte)
{
    size_t count;
    const struct sample_reply *samples = sample_replies(&count);
    for (size_t i = 0; i < count; i++) {
        size_t len = 0;
        uint8_t *bytes = sample_reply_encode(&samples[i], &len);
        cut_everywhere(bytes, len);
        change_everywhere(bytes, len);
        free(bytes);
    }
}

Test(wire_hostile, random_bytes)
{
    uint64_t state = 20261124;
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[64];
        for (size_t i = 0; i < sizeof bytes; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes[i] = (uint8_t)state;
        }
        decode_requests(bytes, sizeof bytes, NULL);
        decode_replies(bytes, sizeof bytes);
    }
}

// 2 bytes on the wire that become a struct each: requests, operations of one request, items, unknown fields.
Test(wire_hostile, inflated_frames_are_refused_within_the_budget)
{
    static const uint8_t patterns[][2] = {{0x12, 0x00}, {0x18, 0x01}, {0x78, 0x01}, {0x7a, 0x00}};
    const size_t len = 100000;
    uint8_t *bytes = malloc(len + 16);
    for (size_t p = 0; p < sizeof patterns / sizeof patterns[0]; p++) {
        bytes[0] = 0x08;
        bytes[1] = 0x01;
        for (size_t i = 2; i < len; i += 2)
            memcpy(bytes + i, patterns[p], 2);
        size_t used;
        enum nq_status status = decode_requests(bytes, len, &used);
        cr_assert(status == NQ_NO_MEMORY || status == NQ_BAD_REQUEST, "pattern %zu: %d", p, (int)status);
        cr_assert(used <= wire_decode_budget(len));
        cr_assert(used < 4u << 20, "pattern %zu took %zu bytes", p, used);
    }
    free(bytes);
}

// The same operation again and again in one request: protobuf merges them, and would copy what came before each time.
Test(wire_hostile, repeated_operations_of_one_request_are_bounded)
{
    const size_t len = 100000;
    uint8_t *bytes = calloc(1, len + 16);
    static const uint8_t head[] = {0x08, 0x01, 0x12, 0x9a, 0x8d, 0x06}; // a request of 99,994 bytes
    static const uint8_t put[] = {0x1a, 0x02, 0x22, 0x00};              // put with one empty body
    memcpy(bytes, head, sizeof head);
    for (size_t at = sizeof head; at + sizeof put <= len; at += sizeof put)
        memcpy(bytes + at, put, sizeof put);
    size_t used;
    enum nq_status status = decode_requests(bytes, len, &used);
    cr_assert(status == NQ_NO_MEMORY || status == NQ_BAD_REQUEST, "%d", (int)status);
    cr_assert(used < 4u << 20);
    free(bytes);
}

// A frame full of the smallest items that the limits allow is no attack and must be decoded.
Test(wire_hostile, full_frame_of_the_smallest_items_is_decoded)
{
    enum { REQUESTS = 20, ITEMS = NQ_ITEMS_PER_REQUEST_MAX };
    static struct nq_bytes bodies[ITEMS];
    for (size_t size = 0; size < 3; size++) {
        for (size_t i = 0; i < ITEMS; i++)
            bodies[i] = (struct nq_bytes){.len = size, .data = (const uint8_t *)"ab"};
        struct wire_request requests[REQUESTS];
        for (size_t i = 0; i < REQUESTS; i++)
            requests[i] =
                (struct wire_request){.id = i + 1,
                                      .op = WIRE_PUT,
                                      .as.put = {{1, (const uint8_t *)"q"}, 1, 1 + i * ITEMS, bodies, NULL, ITEMS, 0, 0, false}};
        struct wire_request_frame in = {.version = NQ_PROTOCOL_VERSION, .requests = requests, .count = REQUESTS};
        struct nq_arena *arena = nq_arena_create(65536, 0);
        struct wire_packer *packer = wire_prepare_requests(arena, &in);
        size_t len = wire_packed_size(packer);
        uint8_t *bytes = malloc(len);
        wire_pack(packer, bytes);
        cr_assert_eq(decode_requests(bytes, len, NULL), NQ_OK);
        free(bytes);
        nq_arena_destroy(&arena);
    }
}

Test(wire_hostile, requests_per_frame_are_bounded)
{
    static struct wire_request requests[NQ_REQUESTS_PER_FRAME_MAX + 1];
    for (size_t i = 0; i < NQ_REQUESTS_PER_FRAME_MAX + 1; i++)
        requests[i] = (struct wire_request){.id = i + 1, .op = WIRE_PING};
    for (size_t extra = 0; extra < 2; extra++) {
        struct wire_request_frame in = {
            .version = NQ_PROTOCOL_VERSION, .requests = requests, .count = NQ_REQUESTS_PER_FRAME_MAX + extra};
        struct nq_arena *arena = nq_arena_create(65536, 0);
        struct wire_packer *packer = wire_prepare_requests(arena, &in);
        size_t len = wire_packed_size(packer);
        uint8_t *bytes = malloc(len);
        wire_pack(packer, bytes);
        cr_assert_eq(decode_requests(bytes, len, NULL), extra ? NQ_BAD_REQUEST : NQ_OK);
        free(bytes);
        nq_arena_destroy(&arena);
    }
}

static enum nq_status decode_request_with(const char *more, size_t more_len, size_t times, struct wire_request *out)
{
    uint8_t bytes[256] = {0x08, 0x01, 0x12, (uint8_t)(4 + more_len * times), 0x08, 0x05, 0x9a, 0x01};
    size_t len = 6;
    static const uint8_t ping[] = {0x9a, 0x01, 0x00};
    bytes[3] = (uint8_t)(2 + sizeof ping + more_len * times);
    memcpy(bytes + len, ping, sizeof ping);
    len += sizeof ping;
    for (size_t i = 0; i < times; i++, len += more_len)
        memcpy(bytes + len, more, more_len);
    struct nq_arena *arena = nq_arena_create(4096, wire_decode_budget(len));
    struct wire_request_frame frame;
    enum nq_status status = wire_decode_requests(arena, bytes, len, &limits, &frame);
    if (status == NQ_OK)
        *out = frame.requests[0];
    nq_arena_destroy(&arena);
    return status;
}

Test(wire_hostile, a_few_unknown_fields_are_ignored_many_are_not)
{
    struct wire_request request = {0};
    cr_assert_eq(decode_request_with("\xf8\x07\x01", 3, 5, &request), NQ_OK); // field 127
    cr_assert_eq(request.refused, NQ_OK);
    cr_assert_eq(request.op, WIRE_PING);
    cr_assert_eq(decode_request_with("\xf8\x07\x01", 3, 33, &request), NQ_OK);
    cr_assert_eq(request.refused, NQ_BAD_REQUEST);
}

Test(wire_hostile, taken_reports_must_be_parallel)
{
    static const uint8_t unequal[] = {0x08, 0x01, 0x1a, 0x02, 0x01, 0x02, 0x22, 0x01, 0x01};
    static const uint8_t equal[] = {0x08, 0x01, 0x1a, 0x02, 0x01, 0x02, 0x22, 0x02, 0x01, 0x01};
    cr_assert_eq(decode_requests(unequal, sizeof unequal, NULL), NQ_BAD_REQUEST);
    cr_assert_eq(decode_requests(equal, sizeof equal, NULL), NQ_OK);
}

Test(wire_hostile, another_version_gives_the_ids_for_answers)
{
    static const uint8_t bytes[] = {0x08, 0x02, 0x12, 0x02, 0x08, 0x07, 0x12, 0x05, 0x08, 0x08, 0x9a, 0x01, 0x00};
    struct nq_arena *arena = nq_arena_create(4096, 0);
    struct wire_request_frame frame;
    cr_assert_eq(wire_decode_requests(arena, bytes, sizeof bytes, &limits, &frame), NQ_UNSUPPORTED_VERSION);
    cr_assert_eq(frame.version, 2);
    cr_assert_eq(frame.count, 2);
    cr_assert_eq(frame.requests[0].id, 7);
    cr_assert_eq(frame.requests[1].id, 8);
    cr_assert_eq(frame.requests[1].refused, NQ_UNSUPPORTED_VERSION);
    nq_arena_destroy(&arena);
}

Test(wire_hostile, empty_frame_is_of_version_0)
{
    cr_assert_eq(decode_requests((const uint8_t *)"", 0, NULL), NQ_UNSUPPORTED_VERSION);
}
