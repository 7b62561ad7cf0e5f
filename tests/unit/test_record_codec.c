// Records as bytes: what comes back, and that no byte can change unseen.
#include <criterion/criterion.h>
#include <string.h>

#include "record_codec.h"

static const uint8_t item_key[STORE_KEY_BYTES] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 3};

Test(record_codec, keys_sort_as_their_numbers)
{
    uint8_t low[STORE_KEY_BYTES];
    uint8_t high[STORE_KEY_BYTES];
    static const uint64_t pairs[][2] = {{0, 0}, {0, 1}, {0, 255}, {0, 256}, {0, UINT64_MAX}, {1, 0}, {256, 1}, {UINT64_MAX, 0}};
    for (size_t i = 0; i + 1 < sizeof(pairs) / sizeof(pairs[0]); i++) {
        uint64_t a;
        uint64_t b;
        store_key_encode(pairs[i][0], pairs[i][1], low);
        store_key_encode(pairs[i + 1][0], pairs[i + 1][1], high);
        cr_expect_lt(memcmp(low, high, STORE_KEY_BYTES), 0);
        store_key_decode(low, &a, &b);
        cr_expect(a == pairs[i][0] && b == pairs[i][1]);
    }
}

Test(record_codec, run_has_its_fixed_bytes)
{
    const struct run_record run = {
        .queue_id = 1, .first_seq = 2, .last_seq = 0x0102030405060708, .taken = 0x0A0B0C0D, .redelivered = true};
    static const uint8_t seqs[] = {2, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1};
    uint8_t bytes[STORE_RECORD_BYTES_MAX];
    cr_assert_eq(record_bytes(RECORD_RUN), 4 + 8 * 8 + 4 + 1);
    record_encode(RECORD_RUN, item_key, &run, bytes);
    cr_expect_eq(memcmp(bytes + 12, seqs, sizeof(seqs)), 0);
    cr_expect_eq(memcmp(bytes + 68, "\x0D\x0C\x0B\x0A\x01", 5), 0);
}

Test(record_codec, records_fit_where_they_are_encoded)
{
    for (int kind = RECORD_META; kind < RECORD_KINDS; kind++) {
        cr_expect_leq(record_bytes((enum record_kind)kind), STORE_RECORD_BYTES_MAX);
    }
}

Test(record_codec, queue_comes_back_and_any_changed_byte_is_seen)
{
    struct queue_record back;
    const struct queue_record queue = {.queue_id = 3,
                                       .name_len = 4,
                                       .name = "jobs",
                                       .temporary = true,
                                       .next_seq = 10,
                                       .cursor = 9,
                                       .gone_below = 5,
                                       .put_bytes = UINT64_MAX,
                                       .quarantined = 77,
                                       .dead_letter_len = 2,
                                       .dead_letter = "dl"};
    uint8_t bytes[STORE_RECORD_BYTES_MAX];
    size_t len = record_bytes(RECORD_QUEUE);
    record_encode(RECORD_QUEUE, item_key, &queue, bytes);
    cr_assert(record_decode(RECORD_QUEUE, item_key, bytes, len, &back));
    cr_expect_eq(back.queue_id, 3);
    cr_expect_str_eq(back.name, "jobs");
    cr_expect_str_eq(back.dead_letter, "dl");
    cr_expect(back.temporary && !back.deleted);
    cr_expect_eq(back.put_bytes, UINT64_MAX);
    cr_expect_eq(back.quarantined, 77);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 1;
        cr_assert_not(record_decode(RECORD_QUEUE, item_key, bytes, len, &back), "byte %zu", i);
        bytes[i] ^= 1;
    }
    cr_expect_not(record_decode(RECORD_QUEUE, item_key, bytes, len - 1, &back));
    cr_expect_not(record_decode(RECORD_RUN, item_key, bytes, len, &back));
    uint8_t other_key[STORE_KEY_BYTES] = {0};
    cr_expect_not(record_decode(RECORD_QUEUE, other_key, bytes, len, &back), "a record at another's place");
}

Test(record_codec, item_comes_back_and_any_changed_byte_is_seen)
{
    struct store_item item = {0};
    uint8_t bytes[128];
    const struct engine_bytes own = {3, (const uint8_t *)"own"};
    const struct engine_bytes added = {5, (const uint8_t *)"added"};
    const struct engine_bytes body = {4, (const uint8_t *)"body"};
    size_t len = item_stored_bytes(own.len + added.len, body.len);
    cr_assert_eq(len, STORE_ITEM_HEADER_BYTES + 12);
    item_encode(item_key, 111, 222, own, added, body, bytes);
    cr_assert(item_decode(item_key, bytes, len, &item));
    cr_expect(item.accepted_ms == 111 && item.put_bytes == 222);
    cr_expect(item.own_headers.len == 3 && item.headers.len == 8 && memcmp(item.headers.data, "ownadded", 8) == 0);
    cr_expect(item.body.len == 4 && memcmp(item.body.data, "body", 4) == 0);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 0x80;
        cr_assert_not(item_decode(item_key, bytes, len, &item), "byte %zu", i);
        bytes[i] ^= 0x80;
    }
    for (size_t shorter = 0; shorter < len; shorter++) {
        cr_assert_not(item_decode(item_key, bytes, shorter, &item));
    }
}

Test(record_codec, packed_records_come_back_are_short_and_are_refused_when_cut)
{
    struct queue_record back;
    struct queue_record queue = {.queue_id = 3, .name_len = 4, .name = "jobs", .next_seq = 10, .cursor = 9, .temporary = true};
    uint8_t bytes[2 * STORE_RECORD_BYTES_MAX];
    size_t len = (size_t)(record_pack(RECORD_QUEUE, &queue, bytes) - bytes);
    cr_expect_lt(len, 60);
    memset(queue.name, 'n', sizeof(queue.name));
    memset(queue.dead_letter, 0xFF, sizeof(queue.dead_letter));
    queue.name_len = queue.dead_letter_len = ENGINE_NAME_BYTES_MAX;
    queue.queue_id = queue.maxsize = queue.put_bytes = queue.quarantined = UINT64_MAX;
    queue.max_deliveries = UINT32_MAX;
    queue.state = UINT8_MAX;
    len = (size_t)(record_pack(RECORD_QUEUE, &queue, bytes) - bytes);
    cr_assert_leq(len, record_packed_bytes_max(RECORD_QUEUE));
    cr_assert_eq(record_unpack(RECORD_QUEUE, bytes, bytes + len, &back), bytes + len);
    cr_expect_eq(memcmp(&back, &queue, sizeof(back)), 0);
    for (size_t cut = 0; cut < len; cut++) {
        cr_expect_null(record_unpack(RECORD_QUEUE, bytes, bytes + cut, &back), "cut at %zu", cut);
    }
}

Test(record_codec, varints_take_any_number_and_end)
{
    static const uint64_t numbers[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX >> 1, UINT64_MAX};
    uint8_t bytes[VARINT_BYTES_MAX];
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint64_t number = 1;
        const uint8_t *end = varint_write(bytes, numbers[i]);
        cr_expect_eq(varint_read(bytes, end, &number), end);
        cr_expect_eq(number, numbers[i]);
        cr_expect_null(varint_read(bytes, end - 1, &number));
    }
    static const uint8_t endless[11] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    uint64_t number;
    cr_expect_null(varint_read(endless, endless + sizeof(endless), &number));
}
