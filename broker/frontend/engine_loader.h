// What a store holds, handed to a new engine. A target of its own, without sockets: tests start their engines with it, too.
#pragma once
#include "engine.h"
#include "store.h"

struct engine_loader {
    void *context;
    // A new engine, for a store that says so of itself; NULL: out of memory.
    struct engine *(*create)(void *context, const struct meta_record *record);
    // A record that is passed over, named for the log; NULL: nobody is told.
    void (*damaged)(void *context, const char *what);
};

struct engine_load {
    struct engine *engine; // the caller destroys it, whatever the status
    bool was_clean;        // the broker before ended by itself
    uint64_t queues, damaged;
    // The queues with a ttl: the caller restores the ages of their items and then calls engine_restore_done.
    struct queue_record *aging;
    size_t aging_count, aging_capacity;
};

// Errors: as store_load; error (it may be NULL) says what. engine_load_fini after any of them.
enum nq_status engine_load(const struct engine_loader *loader, struct store *store, struct engine_load *out,
                           struct store_error *error);
void engine_load_fini(struct engine_load *self); // all but the engine
