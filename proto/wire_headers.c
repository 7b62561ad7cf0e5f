// Headers of one item. A HeaderList is so simple that it is read and written here by hand: the check of a put's headers must not
// cost an allocation per item.
#include <string.h>

#include "wire_internal.h"
#include "wire_varint.h"

#define NAME_TAG 0x0Au  // field 1, length-delimited
#define VALUE_TAG 0x12u // field 2, length-delimited
#define RESERVED_PREFIX "nq-"

// Takes the next entry off the front of `rest`.
static bool next_entry(struct nq_bytes *rest, uint8_t *tag, struct nq_bytes *entry)
{
    uint64_t len;
    *tag = rest->data[0];
    size_t used = wire_varint_read(rest->data + 1, rest->len - 1, &len);
    if (used == 0 || len > rest->len - 1 - used)
        return false;
    *entry = (struct nq_bytes){.len = (size_t)len, .data = rest->data + 1 + used};
    rest->data = entry->data + entry->len;
    rest->len -= 1 + used + entry->len;
    return true;
}

static bool name_is_reserved(struct nq_bytes name)
{
    return name.len >= sizeof RESERVED_PREFIX - 1 && memcmp(name.data, RESERVED_PREFIX, sizeof RESERVED_PREFIX - 1) == 0;
}

bool wire_headers_are_valid(struct nq_bytes encoded, bool refuse_reserved, size_t *count)
{
    size_t names = 0;
    size_t values = 0;
    while (encoded.len > 0) {
        uint8_t tag;
        struct nq_bytes entry;
        if (!next_entry(&encoded, &tag, &entry))
            return false;
        if (tag == NAME_TAG) {
            if (entry.len == 0 || (refuse_reserved && name_is_reserved(entry)))
                return false;
            names++;
        } else if (tag == VALUE_TAG) {
            values++;
        } else {
            return false;
        }
    }
    *count = names;
    return names == values;
}

enum nq_status wire_decode_headers(struct nq_arena *arena, struct nq_bytes encoded, struct nq_header **out, size_t *count)
{
    size_t total;
    *out = NULL;
    *count = 0;
    if (!wire_headers_are_valid(encoded, false, &total))
        return NQ_BAD_REQUEST;
    if (total == 0)
        return NQ_OK;
    struct nq_header *headers = nq_arena_calloc(arena, total, sizeof *headers);
    if (!headers)
        return NQ_NO_MEMORY;
    size_t names = 0;
    size_t values = 0;
    while (encoded.len > 0) {
        uint8_t tag;
        struct nq_bytes entry;
        next_entry(&encoded, &tag, &entry);
        if (tag == NAME_TAG)
            headers[names++].name = entry;
        else
            headers[values++].value = entry;
    }
    *out = headers;
    *count = total;
    return NQ_OK;
}

static uint8_t *write_entry(uint8_t *at, uint8_t tag, struct nq_bytes entry)
{
    *at++ = tag;
    at += wire_varint_write(at, entry.len);
    if (entry.len > 0)
        memcpy(at, entry.data, entry.len);
    return at + entry.len;
}

enum nq_status wire_encode_headers(struct nq_arena *arena, const struct nq_header *headers, size_t count, struct nq_bytes *out)
{
    size_t size = 0;
    *out = (struct nq_bytes){0};
    if (count == 0)
        return NQ_OK;
    for (size_t i = 0; i < count; i++) {
        size += 1 + wire_varint_size(headers[i].name.len) + headers[i].name.len;
        size += 1 + wire_varint_size(headers[i].value.len) + headers[i].value.len;
    }
    uint8_t *bytes = nq_arena_alloc(arena, size);
    if (!bytes)
        return NQ_NO_MEMORY;
    uint8_t *at = bytes;
    for (size_t i = 0; i < count; i++) // all names first, as protobuf writes them
        at = write_entry(at, NAME_TAG, headers[i].name);
    for (size_t i = 0; i < count; i++)
        at = write_entry(at, VALUE_TAG, headers[i].value);
    *out = (struct nq_bytes){.len = size, .data = bytes};
    return NQ_OK;
}
