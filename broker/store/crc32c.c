#include "crc32c.h"

#include <stdbool.h>
#include <string.h>

enum { POLYNOMIAL_BITS = 8 };

static uint32_t table_entry(uint32_t byte)
{
    for (int bit = 0; bit < POLYNOMIAL_BITS; bit++) {
        byte = byte >> 1 ^ (0x82F63B78u & (0u - (byte & 1)));
    }
    return byte;
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc = crc >> 8 ^ table_entry((crc ^ bytes[i]) & 0xFF);
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint64_t state = ~crc;
    for (; len >= 8; len -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        state = __builtin_ia32_crc32di(state, word);
    }
    uint32_t tail = (uint32_t)state;
    for (; len > 0; len--) {
        tail = __builtin_ia32_crc32qi(tail, *bytes++);
    }
    return ~tail;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(crc, data, len) : crc32c_portable(crc, data, len);
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    return crc32c_portable(crc, data, len);
}
#endif
