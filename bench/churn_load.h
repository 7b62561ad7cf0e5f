// A load of commit groups in which sizes are mixed, the backlog is deep and swings, and items are finished in and out of order:
// what makes the free space of a store ragged. Made from a seed, the same on each run; shared by the load program and the tests.
#pragma once
#include "changes.h"
#include "store.h"

struct churn;

struct churn_config {
    uint64_t seed;
    size_t queues;
    uint64_t low_items, high_items; // what waits to be leased swings between these
    size_t bytes_max;               // of an item: 100 B to this
    size_t group_items_max;
};

struct churn_counts {
    uint64_t puts, put_bytes, removed, ready_items, backlog_items, backlog_bytes;
    uint64_t swings; // how often it has been at the highest
};

struct churn *churn_create(const struct churn_config *config); // NULL: out of memory
void churn_destroy(struct churn **self_p);

// The next commit group. Bodies live as long as the load. False: out of memory.
bool churn_next_group(struct churn *self, struct changes *out);
// It is committed: from now on churn_head tells of it.
void churn_committed(struct churn *self);
void churn_counts(const struct churn *self, struct churn_counts *out);

// For a reader, also on another thread: the items of a queue that were never leased are first .. below - 1.
void churn_ready(const struct churn *self, uint64_t queue_id, uint64_t *first_seq, uint64_t *below_seq);
bool churn_is_as_put(const struct churn *self, uint64_t queue_id, const struct store_item *item);
