// Files written by version 1 must be read for ever, and what we write must not change unnoticed.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "samples.h"

static uint8_t *read_golden(const char *kind, const char *name, size_t *len)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/v1-%s-%s.bin", NQ_GOLDEN_FOLDER, kind, name);
    FILE *file = fopen(path, "rb");
    cr_assert(file, "no golden file %s", path);
    uint8_t *bytes = malloc(65536);
    cr_assert(bytes);
    *len = fread(bytes, 1, 65536, file);
    fclose(file);
    return bytes;
}

static void check_bytes(const char *kind, const char *name, void *bytes, size_t len)
{
    size_t golden_len;
    uint8_t *golden = read_golden(kind, name, &golden_len);
    cr_assert(bytes);
    cr_assert_eq(len, golden_len, "%s %s: %zu bytes, was %zu", kind, name, len, golden_len);
    cr_assert(memcmp(bytes, golden, len) == 0, "%s %s changed", kind, name);
    free(golden);
    free(bytes);
}

Test(golden_wire, encoder_writes_the_golden_files_byte_for_byte)
{
    size_t count;
    size_t len = 0;
    const struct sample_request *requests = sample_requests(&count);
    for (size_t i = 0; i < count; i++) {
        void *bytes = sample_request_encode(&requests[i], &len);
        check_bytes("request", requests[i].name, bytes, len);
    }
    const struct sample_reply *replies = sample_replies(&count);
    for (size_t i = 0; i < count; i++) {
        void *bytes = sample_reply_encode(&replies[i], &len);
        check_bytes("reply", replies[i].name, bytes, len);
    }
}

Test(golden_wire, decoder_reads_the_golden_requests)
{
    const struct wire_decode_limits limits = {NQ_BODY_BYTES_DEFAULT, NQ_HEADERS_BYTES_DEFAULT};
    size_t count;
    const struct sample_request *requests = sample_requests(&count);
    for (size_t i = 0; i < count; i++) {
        size_t len;
        uint8_t *golden = read_golden("request", requests[i].name, &len);
        struct nq_arena *arena = nq_arena_create(4096, wire_decode_budget(len));
        struct wire_request_frame frame;
        cr_assert_eq(wire_decode_requests(arena, golden, len, &limits, &frame), NQ_OK);
        cr_assert_eq(frame.count, 1);
        cr_assert_eq(frame.requests[0].refused, NQ_OK, "%s: %s", requests[i].name, frame.requests[0].refused_why);
        cr_assert_eq(frame.requests[0].id, requests[i].request.id);
        cr_assert_eq(frame.requests[0].op, requests[i].request.op);
        nq_arena_destroy(&arena);
        free(golden);
    }
}

Test(golden_wire, decoder_reads_the_golden_replies)
{
    size_t count;
    const struct sample_reply *replies = sample_replies(&count);
    for (size_t i = 0; i < count; i++) {
        size_t len;
        uint8_t *golden = read_golden("reply", replies[i].name, &len);
        struct nq_arena *arena = nq_arena_create(4096, wire_decode_budget(len));
        struct wire_reply_frame frame;
        cr_assert_eq(wire_decode_replies(arena, golden, len, &frame), NQ_OK);
        cr_assert_eq(frame.count, 1);
        cr_assert_eq(frame.replies[0].id, replies[i].reply.id);
        cr_assert_eq(frame.replies[0].status, replies[i].reply.status);
        cr_assert_eq(frame.replies[0].result, replies[i].reply.result);
        nq_arena_destroy(&arena);
        free(golden);
    }
}
