// What the files of the overlay share.
#pragma once
#include "arena.h"
#include "overlay.h"
#include "table.h"

enum { SPAN_BITS = 4, SPAN_ITEMS = 1 << SPAN_BITS };
enum { PIECE_BYTES = 32, PIECES_MAX = 128 }; // small items take whole pieces of the arena, larger ones are malloc'd

struct overlay_item {
    struct overlay_item *next; // of the dead, or of the free ones
    uint64_t accepted_ms, put_bytes;
    uint32_t headers_len, own_headers_len, body_len;
    uint32_t pieces; // 0: malloc'd
    uint8_t bytes[]; // headers, then body
};

// Neighbouring seqs of one queue; few, because of many queues each has one.
struct span {
    struct span *next_free;
    uint64_t queue_id, number; // seq >> SPAN_BITS
    uint64_t removed;          // bit per seq: an item below is gone
    unsigned count;            // of the items
    struct overlay_item *items[SPAN_ITEMS];
};

// The last word on a record: written, or dropped.
struct entry {
    struct entry *next_free;
    bool dropped;
    bool fresh; // of an item that was put within this overlay: there is none below
    struct change change;
    max_align_t record[]; // what the change points to
};

enum entry_table { ENTRY_QUEUE, ENTRY_ITEM, ENTRY_RUN, ENTRY_STREAM, ENTRY_SESSION, ENTRY_TABLES };

struct quarantined {
    struct quarantined *next;
    uint64_t queue_id, seq;
};

// A removal too wide to be kept by seq. Items put after it are in their spans, and found there first.
struct wide {
    struct wide *next;
    uint64_t queue_id, first_seq, last_seq;
};

struct dropped_queue {
    struct dropped_queue *next;
    uint64_t queue_id;
};

struct overlay {
    struct nq_arena *arena;
    struct table spans; // (queue id, number)
    struct table entries[ENTRY_TABLES];
    struct quarantined *quarantined;
    struct wide *wide;
    struct dropped_queue *dropped_queues; // whatever was written of them later: below, their streams go
    struct meta_record meta;
    bool has_meta;
    struct span *last; // of the one who changes it

    struct overlay_item *dead; // a reader may still look at their bytes
    struct overlay_item *free_items[PIECES_MAX + 1];
    struct span *free_spans;
    struct entry *free_entries[ENTRY_TABLES];
    size_t free_bytes;   // of the arena, in these lists
    size_t large_bytes;  // malloc'd
    size_t steady_bytes; // of the arena, for records as many as there are queues, streams and sessions
};

// overlay_memory.c. NULL: out of memory.
struct overlay_item *overlay_item_create(struct overlay *self, size_t headers_len, size_t body_len);
void overlay_item_kill(struct overlay *self, struct overlay_item *item);
struct span *overlay_span_for(struct overlay *self, uint64_t queue_id, uint64_t seq);
void overlay_span_release(struct overlay *self, struct span *span); // if it says nothing any more
// The record in a table, or a new one, not yet filled.
struct entry *overlay_entry_for(struct overlay *self, enum entry_table in, uint64_t a, uint64_t b);
void overlay_entry_remove(struct overlay *self, enum entry_table in, uint64_t a, uint64_t b); // if there is one
