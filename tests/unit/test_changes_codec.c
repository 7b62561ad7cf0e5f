// Journal groups: every kind of change comes back as it was, and damaged bytes never crash the reader.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "changes_codec.h"

static void fill(struct changes *changes)
{
    static const uint8_t text[] = "some bytes to be stored";
    static const struct engine_bytes bodies[] = {{0, text}, {5, text}, {23, text}};
    static const struct engine_bytes headers[] = {{3, text}, {0, text}, {7, text}};
    struct queue_record queue = {.queue_id = 4, .name_len = 2, .name = "qq", .next_seq = 9, .cursor = 3, .lease_ms = 60000};
    struct item_record item = {.queue_id = 4, .seq = 2, .state = ITEM_LEASED, .deliveries = 3, .session_no = 8, .taken = true};
    struct run_record run = {.queue_id = 4, .first_seq = 5, .last_seq = 6, .session_no = 8, .get_id = 11};
    struct stream_record stream = {.queue_id = 4, .stream = 99, .last_number = 12, .last_seq = 8};
    struct session_record session = {.session_no = 8, .id = {1, 2}, .token = {3}, .workers = 2};
    struct meta_record meta = {.now_ms = 1234, .epoch = 5, .next_queue_id = 6, .clean = true};
    const struct change all[] = {
        {.kind = CHANGE_PUT, .as.put = {4, 7, 3, bodies, headers, 1000, 44}},
        {.kind = CHANGE_PUT, .as.put = {4, 10, 2, bodies + 1, NULL, 1001, 67}},
        {.kind = CHANGE_REMOVE, .as.remove = {4, 1, 6}},
        {.kind = CHANGE_MOVE, .as.move = {4, 7, 5, 1, {4, text}, true, 1002, 3}},
        {.kind = CHANGE_QUARANTINE, .as.quarantine = {4, 8}},
        {.kind = CHANGE_QUEUE, .as.queue = &queue},
        {.kind = CHANGE_QUEUE_DROP, .as.queue_drop = {3}},
        {.kind = CHANGE_ITEM, .as.item = &item},
        {.kind = CHANGE_ITEM_DROP, .as.item_drop = {4, 1}},
        {.kind = CHANGE_RUN, .as.run = &run},
        {.kind = CHANGE_RUN_DROP, .as.run_drop = {4, 2}},
        {.kind = CHANGE_STREAM, .as.stream = &stream},
        {.kind = CHANGE_STREAM_DROP, .as.stream_drop = {4, 98}},
        {.kind = CHANGE_SESSION, .as.session = &session},
        {.kind = CHANGE_SESSION_DROP, .as.session_drop = {7}},
        {.kind = CHANGE_META, .as.meta = &meta},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        cr_assert(changes_add(changes, &all[i]));
    }
}

static uint8_t *encode(const struct changes *changes, size_t *len)
{
    size_t most = changes_encoded_bytes_max(changes);
    uint8_t *bytes = malloc(most + 1);
    *len = changes_encode(changes, bytes);
    cr_assert_leq(*len, most);
    return bytes;
}

// What is read and written again is the same bytes: nothing is lost on the way.
Test(changes_codec, every_kind_survives)
{
    size_t len;
    size_t again_len;
    struct changes *changes = changes_create();
    struct changes *again = changes_create();
    struct nq_arena *arena = nq_arena_create(4096, 0);
    fill(changes);
    uint8_t *bytes = encode(changes, &len);
    cr_assert(changes_decode(bytes, len, arena, again));
    cr_assert_eq(changes_count(again), changes_count(changes));
    uint8_t *again_bytes = encode(again, &again_len);
    cr_assert_eq(again_len, len);
    cr_assert_arr_eq(again_bytes, bytes, len);
    const struct change *put = changes_at(again, 0);
    cr_expect_eq(put->as.put.bodies[2].len, 23);
    cr_expect_eq(memcmp(put->as.put.bodies[2].data, "some bytes to be stored", 23), 0);
    cr_expect_eq(put->as.put.headers[2].len, 7);
    cr_expect_str_eq(changes_at(again, 5)->as.queue->name, "qq");
    free(bytes);
    free(again_bytes);
    changes_destroy(&changes);
    changes_destroy(&again);
    nq_arena_destroy(&arena);
}

// What version 0.1 wrote before records were packed: a journal may be read by a later program than wrote it.
Test(changes_codec, groups_written_before_packing_are_read)
{
    uint8_t old[4096];
    size_t len;
    size_t again_len;
    FILE *file = fopen(NQ_GOLDEN_JOURNAL "/changes-v1.bin", "rb");
    cr_assert_not_null(file);
    size_t old_len = fread(old, 1, sizeof(old), file);
    fclose(file);
    struct changes *changes = changes_create();
    struct changes *again = changes_create();
    struct nq_arena *arena = nq_arena_create(4096, 0);
    fill(changes);
    cr_assert(changes_decode(old, old_len, arena, again));
    uint8_t *bytes = encode(changes, &len);
    uint8_t *again_bytes = encode(again, &again_len);
    cr_assert_eq(again_len, len);
    cr_assert_arr_eq(again_bytes, bytes, len);
    cr_expect_lt(len, old_len / 2);
    free(bytes);
    free(again_bytes);
    changes_destroy(&changes);
    changes_destroy(&again);
    nq_arena_destroy(&arena);
}

Test(changes_codec, cut_or_changed_bytes_are_refused_or_read_without_harm)
{
    size_t len;
    struct changes *changes = changes_create();
    fill(changes);
    uint8_t *bytes = encode(changes, &len);
    size_t refused = 0;
    for (size_t at = 0; at < len; at++) {
        struct changes *out = changes_create();
        struct nq_arena *arena = nq_arena_create(4096, 1024 * 1024);
        uint8_t *cut = malloc(at + 1); // of just this size, so that a sanitizer sees a read behind it
        memcpy(cut, bytes, at);
        refused += changes_decode(cut, at, arena, out) ? 0 : 1;
        free(cut);
        bytes[at] ^= 0x41;
        changes_clear(out);
        changes_decode(bytes, len, arena, out);
        bytes[at] ^= 0x41;
        changes_destroy(&out);
        nq_arena_destroy(&arena);
    }
    cr_expect_gt(refused, len / 2);
    free(bytes);
    changes_destroy(&changes);
}
