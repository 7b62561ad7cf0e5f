// May items be accepted? Looks at the room the store has, and at the process's memory where that is limited, but not for every put.
#pragma once
#include "log.h"
#include "memory_room.h"
#include "status.h"
#include "store.h"

enum { SPACE_LOOK_MS = 250, SPACE_LOOK_BYTES = 4 * 1024 * 1024 }; // whichever comes first

struct space {
    struct store *store;
    uint64_t reserve_bytes;             // free room below which no puts are accepted
    struct memory_room (*memory)(void); // NULL: not looked at
    uint64_t next_look_ms;
    uint64_t bytes_since; // accepted since the last look
    enum nq_status state;
};

void space_init(struct space *self, struct store *store, uint64_t reserve_bytes, struct memory_room (*memory)(void));
// `bytes` are about to be accepted, and so many are under way that will take memory yet: OK, NO_SPACE (the disk), BUSY (the memory). Says so
// in the log when the answer changes.
enum nq_status space_state(struct space *self, uint64_t now_ms, uint64_t bytes, uint64_t under_way);
