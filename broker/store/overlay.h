// What commits since the last checkpoint have changed, in memory: the net effect of their changes. Items that are put and removed
// within it leave nothing behind.
//
// Changing it and reading it at the same time is the caller's to prevent. What a find returns lives as long as the overlay.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store.h"

struct overlay;

struct overlay *overlay_create(void); // NULL: out of memory
void overlay_destroy(struct overlay **self_p);

// Where items are found that are not in this overlay (a move copies one). EMPTY: none; DAMAGED: it is set aside; else it cannot be read.
struct overlay_below {
    void *context;
    enum nq_status (*find)(void *context, uint64_t queue_id, uint64_t seq, struct store_item *item);
};

// Take in one commit. False: out of memory, or an item cannot be read; the overlay is of no more use.
bool overlay_apply(struct overlay *self, const struct changes *changes, const struct overlay_below *below);

// What was put and removed within the overlay is used again from here on: nobody may still look at what a find returned.
void overlay_reuse(struct overlay *self);

enum overlay_found { OVERLAY_NOTHING, OVERLAY_ITEM, OVERLAY_REMOVED };
enum overlay_found overlay_find(const struct overlay *self, uint64_t queue_id, uint64_t seq, struct store_item *item);
// The lowest seq from `from` up to, not including, `below` that has an item here. False: none.
bool overlay_next(const struct overlay *self, uint64_t queue_id, uint64_t from, uint64_t below, uint64_t *seq);

size_t overlay_bytes(const struct overlay *self);        // of memory, in use
size_t overlay_steady_bytes(const struct overlay *self); // of these: bounded by the number of queues, streams and sessions
bool overlay_is_empty(const struct overlay *self);

// Add to `out` what brings a store below up to date. Borrows from the overlay. False: out of memory.
bool overlay_emit(const struct overlay *self, struct changes *out);
