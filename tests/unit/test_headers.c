#include <criterion/criterion.h>
#include <string.h>

#include "wire.h"

static struct nq_bytes text(const char *of)
{
    return (struct nq_bytes){.len = strlen(of), .data = (const uint8_t *)of};
}

static enum nq_status decode(const char *bytes, size_t len, size_t *count)
{
    struct nq_arena *arena = nq_arena_create(4096, 0);
    struct nq_header *headers;
    enum nq_status status = wire_decode_headers(arena, (struct nq_bytes){len, (const uint8_t *)bytes}, &headers, count);
    nq_arena_destroy(&arena);
    return status;
}

Test(headers, round_trip)
{
    char longer[300];
    memset(longer, 'v', sizeof longer);
    struct nq_header in[] = {{text("color"), text("red")},
                             {text("empty"), text("")},
                             {text("color"), text("again")},
                             {text("long"), {300, (uint8_t *)longer}}};
    struct nq_arena *arena = nq_arena_create(4096, 0);
    struct nq_bytes encoded;
    cr_assert_eq(wire_encode_headers(arena, in, 4, &encoded), NQ_OK);
    struct nq_header *out;
    size_t count;
    cr_assert_eq(wire_decode_headers(arena, encoded, &out, &count), NQ_OK);
    cr_assert_eq(count, 4);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(out[i].name.len, in[i].name.len);
        cr_assert_eq(out[i].value.len, in[i].value.len);
        cr_assert(memcmp(out[i].name.data, in[i].name.data, in[i].name.len) == 0);
        cr_assert(memcmp(out[i].value.data, in[i].value.data, in[i].value.len) == 0);
    }
    nq_arena_destroy(&arena);
}

Test(headers, none_is_no_bytes)
{
    struct nq_bytes encoded = {1, NULL};
    size_t count = 7;
    cr_assert_eq(wire_encode_headers(NULL, NULL, 0, &encoded), NQ_OK);
    cr_assert_eq(encoded.len, 0);
    cr_assert_eq(decode("", 0, &count), NQ_OK);
    cr_assert_eq(count, 0);
}

Test(headers, names_and_values_may_be_written_in_turn)
{
    size_t count;
    cr_assert_eq(decode("\x0a\x01"
                        "a\x12\x01x\x0a\x01"
                        "b\x12\x01y",
                        12, &count),
                 NQ_OK);
    cr_assert_eq(count, 2);
}

Test(headers, malformed_ones_are_bad_requests)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\x0a", 1}, // no length
        {"\x0a\x05"
         "ab",
         4}, // shorter than it says
        {"\x0a\x01"
         "a",
         3}, // a name without a value
        {"\x12\x01"
         "a",
         3},                                                          // a value without a name
        {"\x0a\x00\x12\x01v", 5},                                     // an empty name
        {"\x08\x01", 2},                                              // another wire type
        {"\x1a\x01z", 3},                                             // another field
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},         // a length of 2^64 - 1
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13}, // no number at all
        {"plain text", 10},
    };
    size_t count;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(decode(bad[i].bytes, bad[i].len, &count), NQ_BAD_REQUEST, "row %zu", i);
}

Test(headers, full_arena_is_no_memory)
{
    struct nq_arena *arena = nq_arena_create(1024, 32);
    struct nq_header in[] = {{text("name"), text("a value of more than thirty-two bytes")}, {text("n"), text("v")}};
    struct nq_bytes encoded;
    cr_assert_eq(wire_encode_headers(arena, in, 1, &encoded), NQ_NO_MEMORY);
    struct nq_header *out;
    size_t count;
    struct nq_bytes two = {12, (const uint8_t *)"\x0a\x01"
                                                "a\x0a\x01"
                                                "b\x12\x01x\x12\x01y"};
    cr_assert_eq(wire_decode_headers(arena, two, &out, &count), NQ_NO_MEMORY);
    nq_arena_destroy(&arena);
}
