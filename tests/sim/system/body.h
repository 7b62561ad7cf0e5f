// What the items of the simulation look like: a number, and padding that follows from it.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BODY_BYTES_MAX = 64 };

static inline size_t body_fill(uint64_t id, uint8_t *out)
{
    size_t len = 8 + (size_t)(id * 7 % 40);
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(i < 8 ? id >> (8 * i) : id + i);
    }
    return len;
}

// 0: an empty body, which initial items have. UINT64_MAX: not one of ours.
static inline uint64_t body_id(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint64_t id = 0;
    if (len == 0) {
        return 0;
    }
    for (size_t i = 0; i < 8 && i < len; i++) {
        id |= (uint64_t)bytes[i] << (8 * i);
    }
    bool whole = len == 8 + (size_t)(id * 7 % 40);
    for (size_t i = 8; i < len && whole; i++) {
        whole = bytes[i] == (uint8_t)(id + i);
    }
    return whole ? id : UINT64_MAX;
}
