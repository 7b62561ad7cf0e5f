// The store without a disk: opening and closing, reading.
#include "store_memory.h"

#include <stdlib.h>
#include <string.h>

#include "memory_internal.h"

struct memory_store *memory_of(const struct store *store)
{
    const void *self = store; // `store` is its first member
    return (struct memory_store *)(uintptr_t)self;
}

enum nq_status memory_fail(struct store_error *error, enum nq_status status, const char *text)
{
    if (error != NULL) {
        error->status = status;
        strncpy(error->text, text, sizeof(error->text) - 1);
        error->text[sizeof(error->text) - 1] = '\0';
    }
    return status;
}

// ----------------------------------------------------------------------------------------------------------------------- read

static enum nq_status memory_read_begin(struct store *store, struct store_error *error)
{
    struct memory_store *self = memory_of(store);
    self->reading = !self->failed;
    return self->failed ? memory_fail(error, NQ_NO_MEMORY, "memory store: out of memory") : NQ_OK;
}

static void memory_read_end(struct store *store)
{
    struct memory_store *self = memory_of(store);
    memory_free_removed(self);
    self->reading = false;
}

static void describe(const struct memory_item *stored, uint64_t seq, struct store_item *item)
{
    *item = (struct store_item){.seq = seq,
                                .accepted_ms = stored->accepted_ms,
                                .put_bytes = stored->put_bytes,
                                .body = {stored->body_len, stored->bytes + stored->headers_len},
                                .headers = {stored->headers_len, stored->bytes},
                                .own_headers = {stored->own_headers_len, stored->bytes}};
}

static enum nq_status memory_read(struct store *store, uint64_t queue_id, uint64_t seq, uint64_t below_seq, bool or_next,
                                  struct store_item *item)
{
    struct memory_store *self = memory_of(store);
    while (seq < below_seq) {
        const struct chunk *chunk = or_next ? memory_chunk_from(self, queue_id, seq) : memory_chunk_find(self, queue_id, seq);
        if (chunk == NULL) {
            break;
        }
        uint64_t first = chunk->number << CHUNK_BITS;
        for (seq = seq > first ? seq : first; seq < below_seq && seq >> CHUNK_BITS == chunk->number; seq++) {
            const struct memory_item *stored = chunk->items[seq % CHUNK_ITEMS];
            if (stored != NULL) {
                describe(stored, seq, item);
                return NQ_OK;
            }
            if (!or_next) {
                return NQ_EMPTY;
            }
        }
    }
    return NQ_EMPTY;
}

// ----------------------------------------------------------------------------------------------------------------------- rest

static enum nq_status memory_space(struct store *store, struct store_space *space)
{
    const struct memory_store *self = memory_of(store);
    *space = (struct store_space){.used_bytes = self->used_bytes, .free_bytes = UINT64_MAX, .limit_bytes = self->limit_bytes};
    return NQ_OK;
}

static void memory_id(const struct store *store, uint8_t id[16])
{
    memcpy(id, memory_of(store)->id, 16);
}

static void free_records(struct table *table)
{
    for (size_t i = 0; table->slots != NULL && i <= table->mask; i++) {
        free(table->slots[i].value);
    }
    table_fini(table);
}

static void memory_close(struct store **store_p)
{
    struct memory_store *self = memory_of(*store_p);
    for (size_t i = 0; self->chunks.slots != NULL && i <= self->chunks.mask; i++) {
        struct chunk *chunk = self->chunks.slots[i].value;
        for (size_t k = 0; chunk != NULL && k < CHUNK_ITEMS; k++) {
            free(chunk->items[k]);
        }
    }
    struct table *tables[] = {&self->chunks, &self->queues, &self->items, &self->runs, &self->streams, &self->sessions};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        free_records(tables[i]);
    }
    memory_free_removed(self);
    free(self);
    *store_p = NULL;
}

static const struct store_ops memory_ops = {
    .name = "memory",
    .commit_blocks = false,
    .load = memory_load,
    .commit = memory_commit,
    .read_begin = memory_read_begin,
    .read = memory_read,
    .read_end = memory_read_end,
    .space = memory_space,
    .id = memory_id,
    .close = memory_close,
};

struct store *store_memory_create(uint64_t limit_bytes, const uint8_t *store_id)
{
    struct memory_store *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->store.ops = &memory_ops;
    self->limit_bytes = limit_bytes;
    memcpy(self->id, store_id, sizeof(self->id));
    return &self->store;
}
