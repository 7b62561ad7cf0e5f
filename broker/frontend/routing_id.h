// The ids that libzmq gives connections, a zero and a counter, and our numbers for them, which are never 0.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { ROUTING_ID_BYTES = 5 };

// False: one that its client has chosen.
static inline bool routing_id_read(const uint8_t *id, int id_len, uint64_t *connection)
{
    uint32_t number;
    if (id_len != ROUTING_ID_BYTES || id[0] != 0) {
        return false;
    }
    memcpy(&number, id + 1, sizeof(number));
    *connection = 1ull << 32 | number;
    return true;
}

static inline void routing_id_write(uint64_t connection, uint8_t id[ROUTING_ID_BYTES])
{
    uint32_t number = (uint32_t)connection;
    id[0] = 0;
    memcpy(id + 1, &number, sizeof(number));
}
