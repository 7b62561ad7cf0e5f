#include "changes_codec.h"

#include <string.h>

#include "record_codec.h"

// Each change: its kind in one byte with PACKED in it, then numbers and lengths as varints, records as record_pack writes them.
// Without PACKED, as written up to version 0.1: numbers of 8 bytes, lengths of 4, records with their key as record_codec stores them.

enum { PACKED = 0x80, LEN_BYTES_MAX = 5 };

static uint8_t *put_bytes(uint8_t *at, struct engine_bytes bytes)
{
    at = varint_write(at, bytes.len);
    if (bytes.len > 0) {
        memcpy(at, bytes.data, bytes.len);
    }
    return at + bytes.len;
}

// The kinds that are one record.
static bool record_of(const struct change *change, enum record_kind *kind, const void **record)
{
    switch (change->kind) {
    case CHANGE_QUEUE:
        *kind = RECORD_QUEUE, *record = change->as.queue;
        return true;
    case CHANGE_ITEM:
        *kind = RECORD_ITEM, *record = change->as.item;
        return true;
    case CHANGE_RUN:
        *kind = RECORD_RUN, *record = change->as.run;
        return true;
    case CHANGE_STREAM:
        *kind = RECORD_STREAM, *record = change->as.stream;
        return true;
    case CHANGE_SESSION:
        *kind = RECORD_SESSION, *record = change->as.session;
        return true;
    case CHANGE_META:
        *kind = RECORD_META, *record = change->as.meta;
        return true;
    case CHANGE_PUT:
    case CHANGE_REMOVE:
    case CHANGE_MOVE:
    case CHANGE_QUARANTINE:
    case CHANGE_QUEUE_DROP:
    case CHANGE_ITEM_DROP:
    case CHANGE_RUN_DROP:
    case CHANGE_STREAM_DROP:
    case CHANGE_SESSION_DROP:
    case CHANGE_COPY:
    case CHANGE_JOURNALED:
        break;
    }
    return false;
}

// The kinds that are a few numbers, and those numbers; the places in a change are the same for reading and writing.
static size_t numbers_of(struct change *change, uint64_t *numbers[3])
{
    switch (change->kind) {
    case CHANGE_REMOVE:
        numbers[0] = &change->as.remove.queue_id, numbers[1] = &change->as.remove.first_seq,
        numbers[2] = &change->as.remove.last_seq;
        return 3;
    case CHANGE_QUARANTINE:
        numbers[0] = &change->as.quarantine.queue_id, numbers[1] = &change->as.quarantine.seq;
        return 2;
    case CHANGE_QUEUE_DROP:
        numbers[0] = &change->as.queue_drop.queue_id;
        return 1;
    case CHANGE_ITEM_DROP:
        numbers[0] = &change->as.item_drop.queue_id, numbers[1] = &change->as.item_drop.seq;
        return 2;
    case CHANGE_RUN_DROP:
        numbers[0] = &change->as.run_drop.queue_id, numbers[1] = &change->as.run_drop.first_seq;
        return 2;
    case CHANGE_STREAM_DROP:
        numbers[0] = &change->as.stream_drop.queue_id, numbers[1] = &change->as.stream_drop.stream;
        return 2;
    case CHANGE_SESSION_DROP:
        numbers[0] = &change->as.session_drop.session_no;
        return 1;
    case CHANGE_PUT:
    case CHANGE_MOVE:
    case CHANGE_QUEUE:
    case CHANGE_ITEM:
    case CHANGE_RUN:
    case CHANGE_STREAM:
    case CHANGE_SESSION:
    case CHANGE_META:
    case CHANGE_COPY:
    case CHANGE_JOURNALED:
        break;
    }
    return 0;
}

static size_t put_run_bytes_max(const struct change *change)
{
    size_t bytes = 5 * VARINT_BYTES_MAX + 1;
    for (size_t i = 0; i < change->as.put.count; i++) {
        bytes += LEN_BYTES_MAX + change->as.put.bodies[i].len;
        bytes += change->as.put.headers == NULL ? 0 : LEN_BYTES_MAX + change->as.put.headers[i].len;
    }
    return bytes;
}

static size_t change_bytes_max(const struct change *change)
{
    enum record_kind kind;
    const void *record;
    if (change->kind == CHANGE_PUT) {
        return 1 + put_run_bytes_max(change);
    }
    if (change->kind == CHANGE_MOVE) {
        return 1 + 6 * VARINT_BYTES_MAX + 1 + LEN_BYTES_MAX + change->as.move.add_headers.len;
    }
    if (record_of(change, &kind, &record)) {
        return 1 + record_packed_bytes_max(kind);
    }
    return 1 + 3 * VARINT_BYTES_MAX;
}

size_t changes_encoded_bytes_max(const struct changes *changes)
{
    size_t bytes = 0;
    for (size_t i = 0; i < changes_count(changes); i++) {
        bytes += change_bytes_max(changes_at(changes, i));
    }
    return bytes;
}

static uint8_t *encode_put(const struct change *change, uint8_t *at)
{
    at = varint_write(at, change->as.put.queue_id);
    at = varint_write(at, change->as.put.first_seq);
    at = varint_write(at, change->as.put.count);
    at = varint_write(at, change->as.put.accepted_ms);
    at = varint_write(at, change->as.put.put_bytes);
    *at++ = change->as.put.headers != NULL;
    for (size_t i = 0; i < change->as.put.count; i++) {
        at = put_bytes(at, change->as.put.bodies[i]);
        if (change->as.put.headers != NULL) {
            at = put_bytes(at, change->as.put.headers[i]);
        }
    }
    return at;
}

static uint8_t *encode_move(const struct change *change, uint8_t *at)
{
    at = varint_write(at, change->as.move.queue_id);
    at = varint_write(at, change->as.move.seq);
    at = varint_write(at, change->as.move.to_queue_id);
    at = varint_write(at, change->as.move.to_seq);
    at = varint_write(at, change->as.move.accepted_ms);
    at = varint_write(at, change->as.move.put_bytes);
    *at++ = change->as.move.strip_headers;
    return put_bytes(at, change->as.move.add_headers);
}

static uint8_t *encode_one(const struct change *change, uint8_t *at)
{
    enum record_kind kind;
    const void *record;
    uint64_t *numbers[3];
    struct change copy = *change;
    *at++ = (uint8_t)(change->kind | PACKED);
    if (change->kind == CHANGE_PUT) {
        return encode_put(change, at);
    }
    if (change->kind == CHANGE_MOVE) {
        return encode_move(change, at);
    }
    if (record_of(change, &kind, &record)) {
        return record_pack(kind, record, at);
    }
    size_t count = numbers_of(&copy, numbers);
    for (size_t i = 0; i < count; i++) {
        at = varint_write(at, *numbers[i]);
    }
    return at;
}

size_t changes_encode(const struct changes *changes, uint8_t *out)
{
    uint8_t *at = out;
    for (size_t i = 0; i < changes_count(changes); i++) {
        at = encode_one(changes_at(changes, i), at);
    }
    return (size_t)(at - out);
}

// --------------------------------------------------------------------------------------------------------------------- decode

struct reading {
    const uint8_t *at, *end;
    bool packed;
    bool failed;
};

static uint64_t get_fixed(struct reading *reading, size_t width)
{
    uint64_t number = 0;
    if ((size_t)(reading->end - reading->at) < width) {
        reading->failed = true;
        return 0;
    }
    memcpy(&number, reading->at, width);
    reading->at += width;
    return number;
}

// Of `width` bytes unless it is packed.
static uint64_t get_number(struct reading *reading, size_t width)
{
    uint64_t number;
    if (!reading->packed || reading->failed) {
        return get_fixed(reading, width);
    }
    const uint8_t *next = varint_read(reading->at, reading->end, &number);
    if (next == NULL) {
        reading->failed = true;
        return 0;
    }
    reading->at = next;
    return number;
}

static struct engine_bytes get_bytes(struct reading *reading)
{
    uint64_t len = get_number(reading, 4);
    if (reading->failed || (uint64_t)(reading->end - reading->at) < len) {
        reading->failed = true;
        return (struct engine_bytes){0};
    }
    struct engine_bytes bytes = {(size_t)len, reading->at};
    reading->at += len;
    return bytes;
}

static void decode_put(struct reading *reading, struct nq_arena *arena, struct change *change)
{
    change->as.put.queue_id = get_number(reading, 8);
    change->as.put.first_seq = get_number(reading, 8);
    change->as.put.count = (size_t)get_number(reading, 8);
    change->as.put.accepted_ms = get_number(reading, 8);
    change->as.put.put_bytes = get_number(reading, 8);
    bool has_headers = get_fixed(reading, 1) != 0;
    size_t count = change->as.put.count;
    if (reading->failed || count > (size_t)(reading->end - reading->at)) {
        reading->failed = true;
        return;
    }
    struct engine_bytes *bodies = nq_arena_calloc(arena, count + 1, sizeof(*bodies));
    struct engine_bytes *headers = has_headers ? nq_arena_calloc(arena, count + 1, sizeof(*headers)) : NULL;
    reading->failed = bodies == NULL || (has_headers && headers == NULL);
    for (size_t i = 0; i < count && !reading->failed; i++) {
        bodies[i] = get_bytes(reading);
        if (has_headers) {
            headers[i] = get_bytes(reading);
        }
    }
    change->as.put.bodies = bodies;
    change->as.put.headers = headers;
}

static void decode_move(struct reading *reading, struct change *change)
{
    change->as.move.queue_id = get_number(reading, 8);
    change->as.move.seq = get_number(reading, 8);
    change->as.move.to_queue_id = get_number(reading, 8);
    change->as.move.to_seq = get_number(reading, 8);
    change->as.move.accepted_ms = get_number(reading, 8);
    change->as.move.put_bytes = get_number(reading, 8);
    change->as.move.strip_headers = get_fixed(reading, 1) != 0;
    change->as.move.add_headers = get_bytes(reading);
}

static bool decode_record(struct reading *reading, enum record_kind kind, union any_record *record)
{
    if (reading->packed) {
        const uint8_t *next = record_unpack(kind, reading->at, reading->end, record);
        reading->at = next == NULL ? reading->at : next;
        return next != NULL;
    }
    size_t bytes = STORE_KEY_BYTES + record_bytes(kind);
    if ((size_t)(reading->end - reading->at) < bytes ||
        !record_decode(kind, reading->at, reading->at + STORE_KEY_BYTES, record_bytes(kind), record)) {
        return false;
    }
    reading->at += bytes;
    return true;
}

static bool kind_of_record(enum change_kind change_kind, enum record_kind *kind)
{
    static const struct {
        enum change_kind change;
        enum record_kind record;
    } kinds[] = {{CHANGE_QUEUE, RECORD_QUEUE},   {CHANGE_ITEM, RECORD_ITEM},       {CHANGE_RUN, RECORD_RUN},
                 {CHANGE_STREAM, RECORD_STREAM}, {CHANGE_SESSION, RECORD_SESSION}, {CHANGE_META, RECORD_META}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].change == change_kind) {
            *kind = kinds[i].record;
            return true;
        }
    }
    return false;
}

static bool decode_one(struct reading *reading, struct nq_arena *arena, struct changes *out)
{
    union any_record record;
    enum record_kind kind;
    uint64_t *numbers[3];
    uint8_t kind_byte = (uint8_t)get_fixed(reading, 1);
    struct change change = {.kind = (enum change_kind)(kind_byte & ~PACKED)};
    reading->packed = (kind_byte & PACKED) != 0;
    if (change.kind == CHANGE_PUT) {
        decode_put(reading, arena, &change);
    } else if (change.kind == CHANGE_MOVE) {
        decode_move(reading, &change);
    } else if (kind_of_record(change.kind, &kind)) {
        reading->failed = !decode_record(reading, kind, &record);
        change.as.queue = &record.queue; // whichever it is: the pointers share their place, the records theirs
    } else {
        size_t count = numbers_of(&change, numbers);
        reading->failed = reading->failed || count == 0;
        for (size_t i = 0; i < count; i++) {
            *numbers[i] = get_number(reading, 8);
        }
    }
    return !reading->failed && changes_add(out, &change);
}

bool changes_decode(const void *data, size_t len, struct nq_arena *arena, struct changes *out)
{
    struct reading reading = {.at = data, .end = (const uint8_t *)data + len};
    while (reading.at < reading.end) {
        if (!decode_one(&reading, arena, out)) {
            return false;
        }
    }
    return true;
}
