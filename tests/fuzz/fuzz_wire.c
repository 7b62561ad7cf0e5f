// Bytes from the network, as requests and as replies; what is decoded is packed and decoded again and must be the same.
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "wire.h"

static uint8_t *pack(const struct wire_packer *packer, size_t *len)
{
    fuzz_require(packer != NULL, "what was decoded can be packed");
    *len = wire_packed_size(packer);
    uint8_t *bytes = malloc(*len + 1);
    fuzz_require(bytes != NULL, "memory");
    wire_pack(packer, bytes);
    return bytes;
}

static void try_requests(struct nq_arena *arena, const uint8_t *data, size_t size)
{
    const struct wire_decode_limits limits = {.body_bytes = 1000, .headers_bytes = 200};
    struct wire_request_frame first;
    nq_arena_budget(arena, wire_decode_budget(size));
    if (wire_decode_requests(arena, data, size, &limits, &first) != NQ_OK)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < first.count; i++)
        if (first.requests[i].refused == NQ_OK)
            first.requests[kept++] = first.requests[i];
    first.count = kept;
    nq_arena_budget(arena, SIZE_MAX);
    size_t first_len;
    uint8_t *first_bytes = pack(wire_prepare_requests(arena, &first), &first_len);
    struct wire_request_frame second;
    fuzz_require(wire_decode_requests(arena, first_bytes, first_len, &limits, &second) == NQ_OK, "what was packed is decoded");
    size_t second_len;
    uint8_t *second_bytes = pack(wire_prepare_requests(arena, &second), &second_len);
    fuzz_require(first_len == second_len && memcmp(first_bytes, second_bytes, first_len) == 0, "requests are the same again");
    free(first_bytes);
    free(second_bytes);
}

static void try_replies(struct nq_arena *arena, const uint8_t *data, size_t size)
{
    struct wire_reply_frame first;
    nq_arena_budget(arena, wire_decode_budget(size));
    if (wire_decode_replies(arena, data, size, &first) != NQ_OK)
        return;
    nq_arena_budget(arena, SIZE_MAX);
    size_t first_len;
    uint8_t *first_bytes = pack(wire_prepare_replies(arena, &first), &first_len);
    struct wire_reply_frame second;
    fuzz_require(wire_decode_replies(arena, first_bytes, first_len, &second) == NQ_OK, "what was packed is decoded");
    size_t second_len;
    uint8_t *second_bytes = pack(wire_prepare_replies(arena, &second), &second_len);
    fuzz_require(first_len == second_len && memcmp(first_bytes, second_bytes, first_len) == 0, "replies are the same again");
    free(first_bytes);
    free(second_bytes);
}

static void try_headers(struct nq_arena *arena, const uint8_t *data, size_t size)
{
    struct nq_header *headers;
    size_t count;
    if (wire_decode_headers(arena, (struct nq_bytes){size, data}, &headers, &count) != NQ_OK)
        return;
    struct nq_bytes encoded;
    fuzz_require(wire_encode_headers(arena, headers, count, &encoded) == NQ_OK, "headers can be encoded");
    struct nq_header *again;
    size_t again_count;
    fuzz_require(wire_decode_headers(arena, encoded, &again, &again_count) == NQ_OK && again_count == count,
                 "headers are the same again");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nq_arena *arena = nq_arena_create(4096, 0);
    fuzz_require(arena != NULL, "memory");
    try_requests(arena, data, size);
    nq_arena_reset(arena);
    try_replies(arena, data, size);
    nq_arena_reset(arena);
    try_headers(arena, data, size);
    nq_arena_destroy(&arena);
    return 0;
}
