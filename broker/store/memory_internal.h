// What the files of the memory store share.
#pragma once
#include "store_memory.h"
#include "table.h"

enum { CHUNK_BITS = 9, CHUNK_ITEMS = 1 << CHUNK_BITS };

struct memory_item {
    uint64_t accepted_ms;
    union {
        uint64_t put_bytes;
        struct memory_item *next_removed; // of one that is only kept for its readers
    };
    size_t headers_len, own_headers_len, body_len;
    uint8_t bytes[]; // headers, then body
};

struct chunk {
    uint64_t queue_id, number; // seq >> CHUNK_BITS
    size_t count;
    struct memory_item *items[CHUNK_ITEMS];
};

struct memory_store {
    struct store store;
    uint8_t id[16];
    uint64_t limit_bytes, used_bytes;
    bool failed; // out of memory in the middle of a commit: what is here is not a commit's state
    struct meta_record meta;
    struct table chunks;      // (queue id, chunk number)
    struct table queues;      // (queue id, 0) -> struct queue_record; the rest likewise
    struct table items;       // (queue id, seq) -> struct item_record
    struct table runs;        // (queue id, first seq)
    struct table streams;     // (queue id, stream)
    struct table sessions;    // (session no, 0)
    struct chunk *last_chunk; // the one looked up last
    bool reading;
    struct memory_item *removed; // while reading: views of these may be held
};

struct memory_store *memory_of(const struct store *store);
enum nq_status memory_fail(struct store_error *error, enum nq_status status, const char *text); // fills `error`, returns `status`

// memory_items.c
struct chunk *memory_chunk_find(struct memory_store *self, uint64_t queue_id, uint64_t seq); // NULL: none
// The first chunk that may hold `seq` or a later one of the queue.
struct chunk *memory_chunk_from(struct memory_store *self, uint64_t queue_id, uint64_t seq); // NULL: none
// `added` headers follow the item's own ones. NULL: out of memory.
struct memory_item *memory_item_make(struct engine_bytes own, struct engine_bytes added, struct engine_bytes body);
// Takes `item`, which may be NULL. false: out of memory.
bool memory_item_insert(struct memory_store *self, uint64_t queue_id, uint64_t seq, struct memory_item *item);
struct memory_item *memory_item_take(struct memory_store *self, uint64_t queue_id, uint64_t seq); // NULL: not there
// Takes `item`: views of an item live until the end of the reading.
void memory_item_discard(struct memory_store *self, struct memory_item *item);
void memory_free_removed(struct memory_store *self);

// memory_commit.c, memory_load.c
enum nq_status memory_commit(struct store *store, const struct changes *changes, struct store_error *error);
enum nq_status memory_load(struct store *store, const struct store_loader *loader, struct store_error *error);
