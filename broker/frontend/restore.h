// A start on a store: loads it into a new engine and makes the new epoch durable, before anything is served.
#pragma once
#include "engine.h"
#include "reader.h"

struct restore_order {
    struct store *store;
    struct reader *reader; // of that store
    const struct engine_config *config;
    // Broker time begins: the last time that was stored goes in, now comes out.
    void *context;
    uint64_t (*start_clock)(void *context, uint64_t last_stored_ms);
};

struct restore_result {
    struct engine *engine; // the caller destroys it
    bool was_clean;        // the broker before ended by itself
    uint64_t queues, damaged;
};

// Errors: as store_load and store_commit; error->text says what. Damaged records are logged and passed over.
enum nq_status restore(const struct restore_order *order, struct restore_result *out, struct store_error *error);

// The start is over before anything was served: the store is told that its broker has ended by itself, as that before it, whose clean end
// would be forgotten otherwise. Of the engine only its end may follow. Should it fail, the next start begins as after a crash.
void restore_take_back(struct engine *engine, struct store *store, uint64_t now_ms);
