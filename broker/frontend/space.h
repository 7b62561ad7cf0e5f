// May items be accepted? Looks at the room the store has, but not for every put.
#pragma once
#include "log.h"
#include "store.h"

enum { SPACE_LOOK_MS = 250, SPACE_LOOK_BYTES = 4 * 1024 * 1024 }; // whichever comes first

struct space {
    struct store *store;
    uint64_t reserve_bytes; // free room below which no puts are accepted
    uint64_t next_look_ms;
    uint64_t bytes_since; // accepted since the last look
    bool is_full;
};

void space_init(struct space *self, struct store *store, uint64_t reserve_bytes);
// `bytes` are about to be accepted. Says so in the log when the answer changes.
bool space_is_full(struct space *self, uint64_t now_ms, uint64_t bytes);
