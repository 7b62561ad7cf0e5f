// Items of the memory store: chunks of neighbouring seqs, so that finding and removing one is O(1).
#include <stdlib.h>
#include <string.h>

#include "memory_internal.h"

struct chunk *memory_chunk_find(struct memory_store *self, uint64_t queue_id, uint64_t seq)
{
    struct chunk *chunk = self->last_chunk;
    if (chunk == NULL || chunk->queue_id != queue_id || chunk->number != seq >> CHUNK_BITS) {
        chunk = table_find(&self->chunks, queue_id, seq >> CHUNK_BITS);
        self->last_chunk = chunk != NULL ? chunk : self->last_chunk;
    }
    return chunk;
}

static struct chunk *chunk_for(struct memory_store *self, uint64_t queue_id, uint64_t seq)
{
    struct chunk *chunk = memory_chunk_find(self, queue_id, seq);
    if (chunk == NULL) {
        chunk = calloc(1, sizeof(*chunk));
        if (chunk == NULL || !table_insert(&self->chunks, queue_id, seq >> CHUNK_BITS, chunk)) {
            free(chunk);
            return NULL;
        }
        chunk->queue_id = queue_id;
        chunk->number = seq >> CHUNK_BITS;
        self->used_bytes += sizeof(*chunk);
    }
    return chunk;
}

// Neighbours are tried before all are looked through.
struct chunk *memory_chunk_from(struct memory_store *self, uint64_t queue_id, uint64_t seq)
{
    enum { NEIGHBOURS = 16 };
    struct chunk *first = memory_chunk_find(self, queue_id, seq);
    uint64_t number = seq >> CHUNK_BITS;
    for (uint64_t i = 1; first == NULL && i <= NEIGHBOURS; i++) {
        first = table_find(&self->chunks, queue_id, number + i);
    }
    if (first != NULL) {
        return first;
    }
    for (size_t i = 0; self->chunks.slots != NULL && i <= self->chunks.mask; i++) {
        struct chunk *chunk = self->chunks.slots[i].value;
        if (chunk != NULL && chunk->queue_id == queue_id && chunk->number > number &&
            (first == NULL || chunk->number < first->number)) {
            first = chunk;
        }
    }
    return first;
}

static uint64_t item_weight(const struct memory_item *item)
{
    return sizeof(*item) + item->headers_len + item->body_len;
}

static uint8_t *append(uint8_t *at, struct engine_bytes bytes)
{
    if (bytes.len > 0) {
        memcpy(at, bytes.data, bytes.len);
    }
    return at + bytes.len;
}

struct memory_item *memory_item_make(struct engine_bytes own, struct engine_bytes added, struct engine_bytes body)
{
    struct memory_item *item = malloc(sizeof(*item) + own.len + added.len + body.len);
    if (item == NULL) {
        return NULL;
    }
    item->headers_len = own.len + added.len;
    item->own_headers_len = own.len;
    item->body_len = body.len;
    append(append(append(item->bytes, own), added), body);
    return item;
}

bool memory_item_insert(struct memory_store *self, uint64_t queue_id, uint64_t seq, struct memory_item *item)
{
    struct chunk *chunk = item == NULL ? NULL : chunk_for(self, queue_id, seq);
    if (chunk == NULL) {
        free(item);
        return false;
    }
    chunk->items[seq % CHUNK_ITEMS] = item;
    chunk->count++;
    self->used_bytes += item_weight(item);
    return true;
}

static void chunk_drop_if_empty(struct memory_store *self, struct chunk *chunk)
{
    if (chunk->count == 0) {
        table_remove(&self->chunks, chunk->queue_id, chunk->number);
        self->last_chunk = self->last_chunk == chunk ? NULL : self->last_chunk;
        self->used_bytes -= sizeof(*chunk);
        free(chunk);
    }
}

struct memory_item *memory_item_take(struct memory_store *self, uint64_t queue_id, uint64_t seq)
{
    struct chunk *chunk = memory_chunk_find(self, queue_id, seq);
    struct memory_item *item = chunk == NULL ? NULL : chunk->items[seq % CHUNK_ITEMS];
    if (item != NULL) {
        chunk->items[seq % CHUNK_ITEMS] = NULL;
        chunk->count--;
        self->used_bytes -= item_weight(item);
        chunk_drop_if_empty(self, chunk);
    }
    return item;
}

void memory_item_discard(struct memory_store *self, struct memory_item *item)
{
    if (item != NULL && self->reading) {
        item->next_removed = self->removed;
        self->removed = item;
    } else {
        free(item);
    }
}

void memory_free_removed(struct memory_store *self)
{
    while (self->removed != NULL) {
        struct memory_item *next = self->removed->next_removed;
        free(self->removed);
        self->removed = next;
    }
}
