#include "record_codec.h"

#include <string.h>

#include "crc32c.h"

enum { CRC_BYTES = 4 };

// A number of 1, 4 or 8 bytes, or (any other width) bytes as they are.
struct field {
    uint16_t offset, width;
};
#define FIELD(type, member)                                                                                                        \
    {                                                                                                                              \
        offsetof(struct type, member), sizeof(((struct type *)0)->member)                                                          \
    }

static const struct field meta_fields[] = {FIELD(meta_record, now_ms), FIELD(meta_record, epoch), FIELD(meta_record, next_queue_id),
                                           FIELD(meta_record, next_session_no), FIELD(meta_record, clean)};

static const struct field queue_fields[] = {FIELD(queue_record, queue_id),
                                            FIELD(queue_record, name_len),
                                            FIELD(queue_record, name),
                                            FIELD(queue_record, maxsize),
                                            FIELD(queue_record, max_bytes),
                                            FIELD(queue_record, lease_ms),
                                            FIELD(queue_record, hold_max_ms),
                                            FIELD(queue_record, ttl_ms),
                                            FIELD(queue_record, max_deliveries),
                                            FIELD(queue_record, temporary),
                                            FIELD(queue_record, dead_letter_len),
                                            FIELD(queue_record, dead_letter),
                                            FIELD(queue_record, options_given),
                                            FIELD(queue_record, state),
                                            FIELD(queue_record, deleted),
                                            FIELD(queue_record, next_seq),
                                            FIELD(queue_record, cursor),
                                            FIELD(queue_record, gone_below),
                                            FIELD(queue_record, reclaimed_below),
                                            FIELD(queue_record, put_bytes),
                                            FIELD(queue_record, cursor_put_bytes),
                                            FIELD(queue_record, ready),
                                            FIELD(queue_record, delayed),
                                            FIELD(queue_record, leased),
                                            FIELD(queue_record, puts),
                                            FIELD(queue_record, gets),
                                            FIELD(queue_record, dones),
                                            FIELD(queue_record, redelivered),
                                            FIELD(queue_record, requeued),
                                            FIELD(queue_record, failed),
                                            FIELD(queue_record, expired),
                                            FIELD(queue_record, purged),
                                            FIELD(queue_record, dead_lettered),
                                            FIELD(queue_record, dropped),
                                            FIELD(queue_record, quarantined)};

static const struct field item_fields[] = {
    FIELD(item_record, queue_id),    FIELD(item_record, seq),        FIELD(item_record, state),    FIELD(item_record, redelivered),
    FIELD(item_record, put_delayed), FIELD(item_record, deliveries), FIELD(item_record, failures), FIELD(item_record, due_ms),
    FIELD(item_record, session_no),  FIELD(item_record, get_id),     FIELD(item_record, got_ms),   FIELD(item_record, lease_ms),
    FIELD(item_record, hold_max_ms), FIELD(item_record, taken)};

static const struct field run_fields[] = {
    FIELD(run_record, queue_id), FIELD(run_record, first_seq),  FIELD(run_record, last_seq), FIELD(run_record, session_no),
    FIELD(run_record, get_id),   FIELD(run_record, got_ms),     FIELD(run_record, lease_ms), FIELD(run_record, hold_max_ms),
    FIELD(run_record, taken),    FIELD(run_record, redelivered)};

static const struct field stream_fields[] = {FIELD(stream_record, queue_id), FIELD(stream_record, stream),
                                             FIELD(stream_record, last_number), FIELD(stream_record, last_seq),
                                             FIELD(stream_record, used_ms)};

static const struct field session_fields[] = {FIELD(session_record, session_no), FIELD(session_record, id),
                                              FIELD(session_record, token), FIELD(session_record, renewed_ms),
                                              FIELD(session_record, workers)};

static const struct {
    const struct field *fields;
    size_t count;
    size_t struct_bytes;
} kinds[RECORD_KINDS] = {
    [RECORD_META] = {meta_fields, sizeof(meta_fields) / sizeof(struct field), sizeof(struct meta_record)},
    [RECORD_QUEUE] = {queue_fields, sizeof(queue_fields) / sizeof(struct field), sizeof(struct queue_record)},
    [RECORD_ITEM] = {item_fields, sizeof(item_fields) / sizeof(struct field), sizeof(struct item_record)},
    [RECORD_RUN] = {run_fields, sizeof(run_fields) / sizeof(struct field), sizeof(struct run_record)},
    [RECORD_STREAM] = {stream_fields, sizeof(stream_fields) / sizeof(struct field), sizeof(struct stream_record)},
    [RECORD_SESSION] = {session_fields, sizeof(session_fields) / sizeof(struct field), sizeof(struct session_record)},
};

static void write_le(uint8_t *out, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t read_le(const uint8_t *in, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) {
        value |= (uint64_t)in[i] << (8 * i);
    }
    return value;
}

void store_key_encode(uint64_t a, uint64_t b, uint8_t key[STORE_KEY_BYTES])
{
    a = __builtin_bswap64(a);
    b = __builtin_bswap64(b);
    memcpy(key, &a, 8); // netqueue runs on little-endian machines; the golden store would tell otherwise
    memcpy(key + 8, &b, 8);
}

void store_key_decode(const uint8_t key[STORE_KEY_BYTES], uint64_t *a, uint64_t *b)
{
    memcpy(a, key, 8);
    memcpy(b, key + 8, 8);
    *a = __builtin_bswap64(*a);
    *b = __builtin_bswap64(*b);
}

size_t record_bytes(enum record_kind kind)
{
    size_t bytes = CRC_BYTES;
    for (size_t i = 0; i < kinds[kind].count; i++) {
        bytes += kinds[kind].fields[i].width;
    }
    return bytes;
}

static void encode_field(const struct field *field, const uint8_t *member, uint8_t *out)
{
    uint32_t four;
    uint64_t eight;
    switch (field->width) {
    case 4:
        memcpy(&four, member, 4);
        write_le(out, four, 4);
        break;
    case 8:
        memcpy(&eight, member, 8);
        write_le(out, eight, 8);
        break;
    default:
        memcpy(out, member, field->width);
    }
}

static void decode_field(const struct field *field, const uint8_t *in, uint8_t *member)
{
    uint32_t four;
    uint64_t eight;
    switch (field->width) {
    case 4:
        four = (uint32_t)read_le(in, 4);
        memcpy(member, &four, 4);
        break;
    case 8:
        eight = read_le(in, 8);
        memcpy(member, &eight, 8);
        break;
    default:
        memcpy(member, in, field->width);
    }
}

static uint32_t checksum(const uint8_t key[STORE_KEY_BYTES], const uint8_t *data, size_t len)
{
    return crc32c(crc32c(0, key, STORE_KEY_BYTES), data + CRC_BYTES, len - CRC_BYTES);
}

void record_encode(enum record_kind kind, const uint8_t key[STORE_KEY_BYTES], const void *record, uint8_t *out)
{
    uint8_t *at = out + CRC_BYTES;
    for (size_t i = 0; i < kinds[kind].count; i++) {
        const struct field *field = &kinds[kind].fields[i];
        encode_field(field, (const uint8_t *)record + field->offset, at);
        at += field->width;
    }
    write_le(out, checksum(key, out, (size_t)(at - out)), CRC_BYTES);
}

// A flag or a length that no writer of ours would have written.
static bool is_plausible(enum record_kind kind, const void *record)
{
    if (kind == RECORD_QUEUE) {
        const struct queue_record *queue = record;
        return queue->name_len > 0 && queue->name_len <= ENGINE_NAME_BYTES_MAX && queue->dead_letter_len <= ENGINE_NAME_BYTES_MAX &&
               queue->cursor <= queue->next_seq && queue->gone_below <= queue->next_seq;
    }
    if (kind == RECORD_ITEM) {
        const struct item_record *item = record;
        return item->state >= ITEM_READY && item->state <= ITEM_LEASED;
    }
    return true;
}

bool record_decode(enum record_kind kind, const uint8_t key[STORE_KEY_BYTES], const void *data, size_t len, void *record)
{
    const uint8_t *in = data;
    if (len != record_bytes(kind) || read_le(in, CRC_BYTES) != checksum(key, in, len)) {
        return false;
    }
    memset(record, 0, kinds[kind].struct_bytes);
    const uint8_t *at = in + CRC_BYTES;
    for (size_t i = 0; i < kinds[kind].count; i++) {
        const struct field *field = &kinds[kind].fields[i];
        decode_field(field, at, (uint8_t *)record + field->offset);
        at += field->width;
    }
    return is_plausible(kind, record);
}

// --------------------------------------------------------------------------------------------------------------------- packed

uint8_t *varint_write(uint8_t *out, uint64_t number)
{
    for (; number >= 0x80; number >>= 7) {
        *out++ = (uint8_t)(number | 0x80);
    }
    *out++ = (uint8_t)number;
    return out;
}

const uint8_t *varint_read(const uint8_t *in, const uint8_t *end, uint64_t *number)
{
    *number = 0;
    for (unsigned shift = 0; in < end && shift < 64; shift += 7) {
        uint8_t byte = *in++;
        *number |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return in;
        }
    }
    return NULL;
}

static bool is_number(const struct field *field)
{
    return field->width == 1 || field->width == 4 || field->width == 8;
}

size_t record_packed_bytes_max(enum record_kind kind)
{
    size_t bytes = 0;
    for (size_t i = 0; i < kinds[kind].count; i++) {
        bytes += VARINT_BYTES_MAX + (is_number(&kinds[kind].fields[i]) ? 0u : kinds[kind].fields[i].width);
    }
    return bytes;
}

static uint64_t number_at(const uint8_t *member, size_t width)
{
    uint64_t number = 0; // little-endian machines: the low bytes come first
    memcpy(&number, member, width);
    return number;
}

uint8_t *record_pack(enum record_kind kind, const void *record, uint8_t *out)
{
    for (size_t i = 0; i < kinds[kind].count; i++) {
        const struct field *field = &kinds[kind].fields[i];
        const uint8_t *member = (const uint8_t *)record + field->offset;
        if (is_number(field)) {
            out = varint_write(out, number_at(member, field->width));
            continue;
        }
        size_t len = field->width;
        while (len > 0 && member[len - 1] == 0) {
            len--;
        }
        out = varint_write(out, len);
        memcpy(out, member, len);
        out += len;
    }
    return out;
}

const uint8_t *record_unpack(enum record_kind kind, const uint8_t *in, const uint8_t *end, void *record)
{
    memset(record, 0, kinds[kind].struct_bytes);
    for (size_t i = 0; i < kinds[kind].count; i++) {
        const struct field *field = &kinds[kind].fields[i];
        uint8_t *member = (uint8_t *)record + field->offset;
        uint64_t number;
        in = varint_read(in, end, &number);
        if (in == NULL) {
            return NULL;
        }
        if (is_number(field)) {
            if (field->width < 8 && number >> (8 * field->width) != 0) {
                return NULL;
            }
            memcpy(member, &number, field->width);
            continue;
        }
        if (number > field->width || number > (uint64_t)(end - in)) {
            return NULL;
        }
        memcpy(member, in, (size_t)number);
        in += number;
    }
    return is_plausible(kind, record) ? in : NULL;
}

// ---------------------------------------------------------------------------------------------------------------------- items

size_t item_stored_bytes(size_t headers_len, size_t body_len)
{
    return STORE_ITEM_HEADER_BYTES + headers_len + body_len;
}

static uint8_t *append(uint8_t *at, struct engine_bytes bytes)
{
    if (bytes.len > 0) {
        memcpy(at, bytes.data, bytes.len);
    }
    return at + bytes.len;
}

// 0 crc32c, 4 own headers' length, 8 all headers' length, 12 zero, 16 accepted_ms, 24 put_bytes, 32 headers, then the body.
void item_encode(const uint8_t key[STORE_KEY_BYTES], uint64_t accepted_ms, uint64_t put_bytes, struct engine_bytes headers,
                 struct engine_bytes added, struct engine_bytes body, uint8_t *out)
{
    write_le(out + 4, headers.len, 4);
    write_le(out + 8, headers.len + added.len, 4);
    write_le(out + 12, 0, 4);
    write_le(out + 16, accepted_ms, 8);
    write_le(out + 24, put_bytes, 8);
    append(append(append(out + STORE_ITEM_HEADER_BYTES, headers), added), body);
    write_le(out, checksum(key, out, item_stored_bytes(headers.len + added.len, body.len)), CRC_BYTES);
}

bool item_decode(const uint8_t key[STORE_KEY_BYTES], const void *data, size_t len, struct store_item *item)
{
    const uint8_t *in = data;
    if (len < STORE_ITEM_HEADER_BYTES || read_le(in, CRC_BYTES) != checksum(key, in, len)) {
        return false;
    }
    size_t own = (size_t)read_le(in + 4, 4);
    size_t headers = (size_t)read_le(in + 8, 4);
    if (own > headers || headers > len - STORE_ITEM_HEADER_BYTES) {
        return false;
    }
    const uint8_t *content = in + STORE_ITEM_HEADER_BYTES;
    item->accepted_ms = read_le(in + 16, 8);
    item->put_bytes = read_le(in + 24, 8);
    item->own_headers = (struct engine_bytes){own, content};
    item->headers = (struct engine_bytes){headers, content};
    item->body = (struct engine_bytes){len - STORE_ITEM_HEADER_BYTES - headers, content + headers};
    return true;
}

void number_encode(const uint8_t key[STORE_KEY_BYTES], uint64_t number, uint8_t out[STORE_NUMBER_BYTES])
{
    write_le(out + CRC_BYTES, number, 8);
    write_le(out, checksum(key, out, STORE_NUMBER_BYTES), CRC_BYTES);
}

bool number_decode(const uint8_t key[STORE_KEY_BYTES], const void *data, size_t len, uint64_t *number)
{
    const uint8_t *in = data;
    if (len != STORE_NUMBER_BYTES || read_le(in, CRC_BYTES) != checksum(key, in, len)) {
        return false;
    }
    *number = read_le(in + CRC_BYTES, 8);
    return true;
}
