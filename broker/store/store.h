// Where items and the state of queues live: the contract, the same for every implementation and tested by one suite.
//
// The contract
//  - store_commit is atomic: after OK all of the changes are in place, after anything else none of them is.
//  - With sync `always`, OK means that they survive power loss. With `none` they survive a crash of the process, not of the machine.
//  - store_load yields exactly the state after the last commit that was answered OK (or, after a crash, of one later commit that
//    was complete on disk).
//  - Reads see the last commit that ended before store_read_begin, and perhaps later ones; what they return stays valid and unchanged until store_read_end.
//  - One thread commits, one thread reads; they may be different ones and run at the same time. open, load, close: alone.
//  - A stored item carries a checksum over all of its record. One that does not match is never returned: the read says DAMAGED.
//  - After NQ_STORAGE_FAILED the store answers nothing but that: the process must end (exit 73) and start anew, because a page
//    that could not be written may since be thought clean by the kernel.
//  - Nothing given to a store is kept after the call, nothing it returns is freed by the caller unless it says so.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "changes.h"
#include "status.h"

struct store;

struct store_error {
    enum nq_status status;
    char text[256]; // for a human: what was tried, and why it failed
};

// An item as stored. `body` and `headers` point into the store and live until store_read_end.
struct store_item {
    uint64_t seq;
    uint64_t accepted_ms;
    uint64_t put_bytes; // the queue's cumulative counter just before this item
    struct engine_bytes body;
    struct engine_bytes headers;
    struct engine_bytes own_headers; // those of the put, without what moves added: a prefix of `headers`
};

// Called by store_load in this order: meta (always, zeroed for a new store), queues, sessions, item records, runs, streams, and
// then, for each queue, rising by seq and once each: every stored item below its cursor (but for reclaimed_below .. gone_below - 1,
// which may be millions waiting to be removed), and every stored item anywhere that has an item_record or lies in a run.
// A callback returns false to stop the load with NO_MEMORY.
struct store_loader {
    void *context;
    bool (*meta)(void *context, const struct meta_record *record);
    bool (*queue)(void *context, const struct queue_record *record);
    bool (*session)(void *context, const struct session_record *record);
    bool (*item)(void *context, const struct item_record *record);
    bool (*run)(void *context, const struct run_record *record);
    bool (*stream)(void *context, const struct stream_record *record);
    bool (*stored)(void *context, uint64_t queue_id, uint64_t seq, uint32_t item_bytes); // body and headers
    // A record that cannot be read, named for the log. It is passed over.
    bool (*damaged)(void *context, const char *what);
};

struct store_space {
    uint64_t used_bytes;  // by what is stored, on its medium (or in memory); drained, a store uses less, also when its file stays
    uint64_t free_bytes;  // that can still be written: left on the medium, or free inside the store; UINT64_MAX when unknown
    uint64_t limit_bytes; // --max-disk, or what the address space allows; 0: none
    bool reserve_in_use;  // the preallocated reserve had to be given up, and as much is not free inside the store
};

struct store_ops {
    const char *name;   // "lmdb", "memory"
    bool commit_blocks; // true: commit waits for a disk, so run it on a thread of its own
    enum nq_status (*load)(struct store *self, const struct store_loader *loader, struct store_error *error);
    enum nq_status (*commit)(struct store *self, const struct changes *changes, struct store_error *error);
    enum nq_status (*read_begin)(struct store *self, struct store_error *error);
    // The item `seq`, or with `or_next` the first at or after it, below `below_seq`. EMPTY: none. DAMAGED: item->seq is set, no more.
    enum nq_status (*read)(struct store *self, uint64_t queue_id, uint64_t seq, uint64_t below_seq, bool or_next,
                           struct store_item *item);
    void (*read_end)(struct store *self);
    enum nq_status (*space)(struct store *self, struct store_space *space);
    void (*id)(const struct store *self, uint8_t id[16]);
    void (*close)(struct store **self_p);
};

// Every implementation's struct begins with this.
struct store {
    const struct store_ops *ops;
};

// The functions callers use. Errors where they return a status, beside those named above:
//   NO_SPACE        commit: the medium is full and nothing of this commit was written; the store goes on
//   STORAGE_FAILED  any other failure of the medium: see the contract
//   NO_MEMORY
// `error` may be NULL; else its text says what failed.
static inline enum nq_status store_load(struct store *self, const struct store_loader *loader, struct store_error *error)
{
    return self->ops->load(self, loader, error);
}
static inline enum nq_status store_commit(struct store *self, const struct changes *changes, struct store_error *error)
{
    return self->ops->commit(self, changes, error);
}
static inline enum nq_status store_read_begin(struct store *self, struct store_error *error)
{
    return self->ops->read_begin(self, error);
}
static inline enum nq_status store_read(struct store *self, uint64_t queue_id, uint64_t seq, struct store_item *item)
{
    return self->ops->read(self, queue_id, seq, seq + 1, false, item);
}
static inline enum nq_status store_read_next(struct store *self, uint64_t queue_id, uint64_t from_seq, uint64_t below_seq,
                                             struct store_item *item)
{
    return self->ops->read(self, queue_id, from_seq, below_seq, true, item);
}
static inline void store_read_end(struct store *self)
{
    self->ops->read_end(self);
}
static inline enum nq_status store_space(struct store *self, struct store_space *space)
{
    return self->ops->space(self, space);
}
static inline void store_id(const struct store *self, uint8_t id[16])
{
    self->ops->id(self, id);
}
static inline bool store_commit_blocks(const struct store *self)
{
    return self->ops->commit_blocks;
}
static inline void store_close(struct store **self_p) // accepts NULL inside
{
    if (*self_p != NULL) {
        (*self_p)->ops->close(self_p);
    }
}
