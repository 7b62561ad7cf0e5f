// Loading from the memory store: each kind of record in the order of its keys.
#include <stdlib.h>

#include "memory_internal.h"

static int compare_slots(const void *a, const void *b)
{
    const struct table_slot *x = a;
    const struct table_slot *y = b;
    if (x->a != y->a) {
        return x->a < y->a ? -1 : 1;
    }
    return x->b < y->b ? -1 : x->b > y->b;
}

// The table's entries in the order of their keys; malloc'd, NULL: out of memory.
static struct table_slot *sorted(const struct table *table)
{
    struct table_slot *slots = malloc((table->count + 1) * sizeof(*slots));
    size_t count = 0;
    for (size_t i = 0; slots != NULL && table->slots != NULL && i <= table->mask; i++) {
        if (table->slots[i].value != NULL) {
            slots[count++] = table->slots[i];
        }
    }
    if (slots != NULL) {
        qsort(slots, count, sizeof(*slots), compare_slots);
    }
    return slots;
}

typedef bool (*load_visit)(struct memory_store *self, const struct store_loader *loader, const struct table_slot *slot);

static bool each_sorted(struct memory_store *self, const struct table *table, const struct store_loader *loader, load_visit visit)
{
    struct table_slot *slots = sorted(table);
    bool ok = slots != NULL;
    for (size_t i = 0; ok && i < table->count; i++) {
        ok = visit(self, loader, &slots[i]);
    }
    free(slots);
    return ok;
}

static bool visit_queue(struct memory_store *self, const struct store_loader *loader, const struct table_slot *slot)
{
    (void)self;
    return loader->queue(loader->context, slot->value);
}

static bool visit_session(struct memory_store *self, const struct store_loader *loader, const struct table_slot *slot)
{
    (void)self;
    return loader->session(loader->context, slot->value);
}

static bool visit_item(struct memory_store *self, const struct store_loader *loader, const struct table_slot *slot)
{
    (void)self;
    return loader->item(loader->context, slot->value);
}

static bool visit_run(struct memory_store *self, const struct store_loader *loader, const struct table_slot *slot)
{
    (void)self;
    return loader->run(loader->context, slot->value);
}

static bool visit_stream(struct memory_store *self, const struct store_loader *loader, const struct table_slot *slot)
{
    (void)self;
    return loader->stream(loader->context, slot->value);
}

static bool in_a_run(const struct memory_store *self, uint64_t queue_id, uint64_t seq)
{
    for (size_t i = 0; self->runs.slots != NULL && i <= self->runs.mask; i++) {
        const struct run_record *run = self->runs.slots[i].value;
        if (run != NULL && run->queue_id == queue_id && seq >= run->first_seq && seq <= run->last_seq) {
            return true;
        }
    }
    return false;
}

static bool is_to_be_loaded(const struct memory_store *self, const struct queue_record *queue, uint64_t seq)
{
    bool left_over = seq >= queue->reclaimed_below && seq < queue->gone_below;
    return (seq < queue->cursor && !left_over) || table_find(&self->items, queue->queue_id, seq) != NULL ||
           in_a_run(self, queue->queue_id, seq);
}

static bool visit_chunk(struct memory_store *self, const struct store_loader *loader, const struct table_slot *slot)
{
    const struct chunk *chunk = slot->value;
    const struct queue_record *queue = table_find(&self->queues, chunk->queue_id, 0);
    bool ok = true;
    for (size_t i = 0; ok && queue != NULL && i < CHUNK_ITEMS; i++) {
        const struct memory_item *item = chunk->items[i];
        uint64_t seq = (chunk->number << CHUNK_BITS) + i;
        if (item != NULL && is_to_be_loaded(self, queue, seq)) {
            ok = loader->stored(loader->context, chunk->queue_id, seq, (uint32_t)(item->headers_len + item->body_len));
        }
    }
    return ok;
}

enum nq_status memory_load(struct store *store, const struct store_loader *loader, struct store_error *error)
{
    struct memory_store *self = memory_of(store);
    bool ok = !self->failed && loader->meta(loader->context, &self->meta) &&
              each_sorted(self, &self->queues, loader, visit_queue) && each_sorted(self, &self->sessions, loader, visit_session) &&
              each_sorted(self, &self->items, loader, visit_item) && each_sorted(self, &self->runs, loader, visit_run) &&
              each_sorted(self, &self->streams, loader, visit_stream) && each_sorted(self, &self->chunks, loader, visit_chunk);
    return ok ? NQ_OK : memory_fail(error, NQ_NO_MEMORY, "memory store: out of memory");
}
