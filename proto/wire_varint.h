// Protobuf's variable-length integers, for the few places where bytes are read or written by hand.
#pragma once
#include <stddef.h>
#include <stdint.h>

static inline size_t wire_varint_size(uint64_t value)
{
    size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

// Returns how many bytes were written, at most 10.
static inline size_t wire_varint_write(uint8_t *at, uint64_t value)
{
    size_t size = 0;
    while (value >= 0x80) {
        at[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[size++] = (uint8_t)value;
    return size;
}

// Returns how many bytes were read, 0 when they are no number.
static inline size_t wire_varint_read(const uint8_t *at, size_t len, uint64_t *value)
{
    uint64_t result = 0;
    for (size_t i = 0; i < len && i < 10; i++) {
        result |= (uint64_t)(at[i] & 0x7F) << (7 * i);
        if (!(at[i] & 0x80)) {
            *value = result;
            return i + 1;
        }
    }
    return 0;
}
