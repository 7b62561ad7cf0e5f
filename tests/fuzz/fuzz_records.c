// Stored bytes: records, items, groups of changes, journals. What can be decoded is encoded again and must be the same.
//
// The first byte says which. Checksums hold by themselves here (crc32c below): else nearly every input would end at them.
#include <stdlib.h>
#include <string.h>

#include "changes_codec.h"
#include "crc32c.h"
#include "fuzz.h"
#include "fuzz_journal.h"
#include "record_codec.h"

// Found before the one in the store's library. A checksum of zero is what an input must say.
uint32_t crc32c(uint32_t before, const void *data, size_t len)
{
    (void)before;
    (void)data;
    (void)len;
    return 0;
}

static uint8_t *exact_copy(struct fuzz_bytes bytes)
{
    uint8_t *copy = malloc(bytes.left + (bytes.left == 0));
    fuzz_require(copy != NULL, "memory");
    if (bytes.left > 0) {
        memcpy(copy, bytes.at, bytes.left);
    }
    return copy;
}

static void take_key(struct fuzz_bytes *input, uint8_t key[STORE_KEY_BYTES])
{
    for (size_t i = 0; i < STORE_KEY_BYTES; i++) {
        key[i] = fuzz_byte(input);
    }
}

static void try_record(struct fuzz_bytes input, enum record_kind kind)
{
    uint8_t key[STORE_KEY_BYTES];
    uint8_t again[STORE_RECORD_BYTES_MAX];
    union {
        struct queue_record queue;
        struct session_record session;
        struct run_record run;
        struct item_record item;
    } record;
    take_key(&input, key);
    if (!record_decode(kind, key, input.at, input.left, &record)) {
        return;
    }
    fuzz_require(input.left == record_bytes(kind) && input.left <= sizeof(again), "a record has its size");
    record_encode(kind, key, &record, again);
    fuzz_require(memcmp(again, input.at, input.left) == 0, "a record is the same again");
}

static bool is_within(struct engine_bytes part, struct fuzz_bytes whole)
{
    return part.len == 0 ||
           (part.data >= whole.at && part.len <= whole.left && part.data - whole.at <= (ptrdiff_t)(whole.left - part.len));
}

static void try_item(struct fuzz_bytes input)
{
    uint8_t key[STORE_KEY_BYTES];
    struct store_item item;
    take_key(&input, key);
    if (!item_decode(key, input.at, input.left, &item)) {
        return;
    }
    fuzz_require(is_within(item.body, input) && is_within(item.headers, input) && is_within(item.own_headers, input),
                 "an item's parts are within its bytes");
    fuzz_require(item.own_headers.len <= item.headers.len, "an item's own headers are part of all");
    fuzz_require(item_stored_bytes(item.headers.len, item.body.len) == input.left, "an item has its size");
    uint8_t *again = malloc(input.left);
    fuzz_require(again != NULL, "memory");
    const struct engine_bytes added = {item.headers.len - item.own_headers.len, item.headers.data + item.own_headers.len};
    item_encode(key, item.accepted_ms, item.put_bytes, item.own_headers, added, item.body, again);
    fuzz_require(memcmp(again, input.at, 12) == 0 && memcmp(again + 16, input.at + 16, input.left - 16) == 0,
                 "an item is the same again"); // but for four bytes that are kept free
    free(again);
}

static void try_number(struct fuzz_bytes input)
{
    uint8_t key[STORE_KEY_BYTES];
    uint8_t again[STORE_NUMBER_BYTES];
    uint64_t number;
    take_key(&input, key);
    if (number_decode(key, input.at, input.left, &number)) {
        number_encode(key, number, again);
        fuzz_require(memcmp(again, input.at, sizeof(again)) == 0, "a number is the same again");
    }
}

static void try_changes(struct fuzz_bytes input)
{
    struct nq_arena *arena = nq_arena_create(4096, 64u * 1024 * 1024);
    struct changes *changes = changes_create();
    struct changes *second = changes_create();
    fuzz_require(arena != NULL && changes != NULL && second != NULL, "memory");
    if (changes_decode(input.at, input.left, arena, changes)) {
        // Not byte for byte: removals that follow one another are merged, flags are 0 or 1 afterwards, old records written anew.
        uint8_t *bytes = malloc(changes_encoded_bytes_max(changes) + 1);
        fuzz_require(bytes != NULL, "memory");
        size_t len = changes_encode(changes, bytes);
        fuzz_require(changes_decode(bytes, len, arena, second), "what was encoded is decoded");
        uint8_t *again = malloc(changes_encoded_bytes_max(second) + 1);
        fuzz_require(again != NULL, "memory");
        fuzz_require(changes_encode(second, again) == len && changes_count(second) == changes_count(changes), "as many changes");
        fuzz_require(memcmp(bytes, again, len) == 0, "changes are the same again");
        free(bytes);
        free(again);
    }
    changes_destroy(&changes);
    changes_destroy(&second);
    nq_arena_destroy(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MODE_ITEM = RECORD_KINDS, MODE_NUMBER, MODE_CHANGES, MODE_CHANGES_TOO, MODE_JOURNAL, MODES };
    struct fuzz_bytes input = {data, size};
    uint8_t mode = fuzz_byte(&input) % MODES;
    uint8_t *copy = exact_copy(input); // so that a sanitizer sees a read behind its end
    input.at = copy;
    if (mode < RECORD_KINDS) {
        try_record(input, (enum record_kind)mode);
    } else if (mode == MODE_ITEM) {
        try_item(input);
    } else if (mode == MODE_NUMBER) {
        try_number(input);
    } else if (mode == MODE_JOURNAL) {
        fuzz_journal(input);
    } else {
        try_changes(input);
    }
    free(copy);
    return 0;
}
