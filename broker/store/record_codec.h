// Records <-> bytes on disk: little-endian, fixed places, a checksum over key and content. The one place that knows the format.
//
// Changing it: raise STORE_FORMAT_VERSION, keep reading the old one, add a golden directory (tests/golden/store).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "changes.h"
#include "store.h"

enum {
    STORE_FORMAT_VERSION = 1,
    STORE_KEY_BYTES = 16,
    STORE_RECORD_BYTES_MAX = 640,
    STORE_ITEM_HEADER_BYTES = 32,
    STORE_NUMBER_BYTES = 12,
    VARINT_BYTES_MAX = 10,
};

enum record_kind { RECORD_META, RECORD_QUEUE, RECORD_ITEM, RECORD_RUN, RECORD_STREAM, RECORD_SESSION, RECORD_KINDS };

// Room for a record of whatever kind.
union any_record {
    struct meta_record meta;
    struct queue_record queue;
    struct item_record item;
    struct run_record run;
    struct stream_record stream;
    struct session_record session;
};

// Two numbers, big-endian, so that keys sort as the pairs do.
void store_key_encode(uint64_t a, uint64_t b, uint8_t key[STORE_KEY_BYTES]);
void store_key_decode(const uint8_t key[STORE_KEY_BYTES], uint64_t *a, uint64_t *b);

size_t record_bytes(enum record_kind kind); // as stored
void record_encode(enum record_kind kind, const uint8_t key[STORE_KEY_BYTES], const void *record, uint8_t *out);
// False: of the wrong size, or damaged. `record` is a struct of the kind, filled.
bool record_decode(enum record_kind kind, const uint8_t key[STORE_KEY_BYTES], const void *data, size_t len, void *record);

// The same without a checksum and as short as may be, for the journal: numbers as varints, bytes without the zeros at their end.
size_t record_packed_bytes_max(enum record_kind kind);
uint8_t *record_pack(enum record_kind kind, const void *record, uint8_t *out); // where it ends
// Where it ends; NULL: it is cut short or makes no sense.
const uint8_t *record_unpack(enum record_kind kind, const uint8_t *in, const uint8_t *end, void *record);

uint8_t *varint_write(uint8_t *out, uint64_t number);                                // at most VARINT_BYTES_MAX
const uint8_t *varint_read(const uint8_t *in, const uint8_t *end, uint64_t *number); // NULL: cut short, or too long

size_t item_stored_bytes(size_t headers_len, size_t body_len);
// Write a whole item to `out` (item_stored_bytes long). `headers` are the item's own, `added` those of moves.
void item_encode(const uint8_t key[STORE_KEY_BYTES], uint64_t accepted_ms, uint64_t put_bytes, struct engine_bytes headers,
                 struct engine_bytes added, struct engine_bytes body, uint8_t *out);
// False: damaged. `item` points into data.
bool item_decode(const uint8_t key[STORE_KEY_BYTES], const void *data, size_t len, struct store_item *item);

// A lone number with its checksum.
void number_encode(const uint8_t key[STORE_KEY_BYTES], uint64_t number, uint8_t out[STORE_NUMBER_BYTES]);
bool number_decode(const uint8_t key[STORE_KEY_BYTES], const void *data, size_t len, uint64_t *number);
