// The memory of an overlay. What is put and removed within it is used again, so that it grows by what stays only.
#include <stdlib.h>
#include <string.h>

#include "overlay_internal.h"

enum { ARENA_CHUNK_BYTES = 1024 * 1024 };

struct overlay *overlay_create(void)
{
    struct overlay *self = calloc(1, sizeof(*self));
    if (self != NULL) {
        self->arena = nq_arena_create(ARENA_CHUNK_BYTES, 0);
        if (self->arena == NULL) {
            overlay_destroy(&self);
        }
    }
    return self;
}

static void free_large_items(struct overlay *self)
{
    for (size_t i = 0; self->spans.slots != NULL && i <= self->spans.mask; i++) {
        struct span *span = self->spans.slots[i].value;
        for (size_t k = 0; span != NULL && k < SPAN_ITEMS; k++) {
            if (span->items[k] != NULL && span->items[k]->pieces == 0) {
                free(span->items[k]);
            }
        }
    }
}

void overlay_destroy(struct overlay **self_p)
{
    struct overlay *self = *self_p;
    if (self == NULL) {
        return;
    }
    overlay_reuse(self);
    if (self->large_bytes > 0) {
        free_large_items(self);
    }
    nq_arena_destroy(&self->arena);
    table_fini(&self->spans);
    for (size_t i = 0; i < ENTRY_TABLES; i++) {
        table_fini(&self->entries[i]);
    }
    free(self);
    *self_p = NULL;
}

static size_t slots_bytes(const struct table *table)
{
    return table->mask * sizeof(struct table_slot);
}

size_t overlay_bytes(const struct overlay *self)
{
    size_t bytes = nq_arena_used(self->arena) - self->free_bytes + self->large_bytes + slots_bytes(&self->spans);
    for (size_t i = 0; i < ENTRY_TABLES; i++) {
        bytes += slots_bytes(&self->entries[i]);
    }
    return bytes;
}

size_t overlay_steady_bytes(const struct overlay *self)
{
    return self->steady_bytes + slots_bytes(&self->entries[ENTRY_QUEUE]) + slots_bytes(&self->entries[ENTRY_STREAM]) +
           slots_bytes(&self->entries[ENTRY_SESSION]);
}

bool overlay_is_empty(const struct overlay *self)
{
    return !self->has_meta && nq_arena_used(self->arena) == 0;
}

// ---------------------------------------------------------------------------------------------------------------------- items

static size_t item_bytes(const struct overlay_item *item)
{
    return sizeof(*item) + item->headers_len + item->body_len;
}

struct overlay_item *overlay_item_create(struct overlay *self, size_t headers_len, size_t body_len)
{
    size_t bytes = sizeof(struct overlay_item) + headers_len + body_len;
    size_t pieces = (bytes + PIECE_BYTES - 1) / PIECE_BYTES;
    bool large = pieces > PIECES_MAX;
    struct overlay_item *item = large ? NULL : self->free_items[pieces];
    if (item != NULL) {
        self->free_items[pieces] = item->next;
        self->free_bytes -= pieces * PIECE_BYTES;
    } else {
        item = large ? malloc(bytes) : nq_arena_alloc(self->arena, pieces * PIECE_BYTES);
    }
    if (item == NULL) {
        return NULL;
    }
    self->large_bytes += large ? bytes : 0;
    item->next = NULL;
    item->headers_len = (uint32_t)headers_len;
    item->body_len = (uint32_t)body_len;
    item->pieces = large ? 0 : (uint32_t)pieces;
    return item;
}

void overlay_item_kill(struct overlay *self, struct overlay_item *item)
{
    item->next = self->dead;
    self->dead = item;
}

void overlay_reuse(struct overlay *self)
{
    while (self->dead != NULL) {
        struct overlay_item *item = self->dead;
        self->dead = item->next;
        if (item->pieces == 0) {
            self->large_bytes -= item_bytes(item);
            free(item);
        } else {
            item->next = self->free_items[item->pieces];
            self->free_items[item->pieces] = item;
            self->free_bytes += item->pieces * PIECE_BYTES;
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------- spans

static struct span *new_span(struct overlay *self)
{
    struct span *span = self->free_spans;
    if (span == NULL) {
        return nq_arena_calloc(self->arena, 1, sizeof(*span));
    }
    self->free_spans = span->next_free;
    self->free_bytes -= sizeof(*span);
    memset(span, 0, sizeof(*span));
    return span;
}

struct span *overlay_span_for(struct overlay *self, uint64_t queue_id, uint64_t seq)
{
    uint64_t number = seq >> SPAN_BITS;
    if (self->last != NULL && self->last->queue_id == queue_id && self->last->number == number) {
        return self->last;
    }
    struct span *span = table_find(&self->spans, queue_id, number);
    if (span == NULL) {
        span = new_span(self);
        if (span == NULL || !table_insert(&self->spans, queue_id, number, span)) {
            return NULL;
        }
        span->queue_id = queue_id;
        span->number = number;
    }
    self->last = span;
    return span;
}

void overlay_span_release(struct overlay *self, struct span *span)
{
    if (span->count > 0 || span->removed != 0) {
        return;
    }
    table_remove(&self->spans, span->queue_id, span->number);
    self->last = self->last == span ? NULL : self->last;
    span->next_free = self->free_spans;
    self->free_spans = span;
    self->free_bytes += sizeof(*span);
}

// -------------------------------------------------------------------------------------------------------------------- records

static bool is_steady(enum entry_table in)
{
    return in == ENTRY_QUEUE || in == ENTRY_STREAM || in == ENTRY_SESSION;
}

static size_t entry_bytes(enum entry_table in)
{
    static const size_t records[ENTRY_TABLES] = {[ENTRY_QUEUE] = sizeof(struct queue_record),
                                                 [ENTRY_ITEM] = sizeof(struct item_record),
                                                 [ENTRY_RUN] = sizeof(struct run_record),
                                                 [ENTRY_STREAM] = sizeof(struct stream_record),
                                                 [ENTRY_SESSION] = sizeof(struct session_record)};
    return sizeof(struct entry) + records[in];
}

struct entry *overlay_entry_for(struct overlay *self, enum entry_table in, uint64_t a, uint64_t b)
{
    struct entry *entry = table_find(&self->entries[in], a, b);
    if (entry != NULL) {
        return entry;
    }
    entry = self->free_entries[in];
    if (entry != NULL) {
        self->free_entries[in] = entry->next_free;
        self->free_bytes -= entry_bytes(in);
    } else {
        entry = nq_arena_alloc(self->arena, entry_bytes(in));
    }
    if (entry == NULL || !table_insert(&self->entries[in], a, b, entry)) {
        return NULL;
    }
    self->steady_bytes += is_steady(in) ? entry_bytes(in) : 0;
    entry->fresh = false;
    return entry;
}

void overlay_entry_remove(struct overlay *self, enum entry_table in, uint64_t a, uint64_t b)
{
    struct entry *entry = table_remove(&self->entries[in], a, b);
    if (entry != NULL) {
        entry->next_free = self->free_entries[in];
        self->free_entries[in] = entry;
        self->free_bytes += entry_bytes(in);
        self->steady_bytes -= is_steady(in) ? entry_bytes(in) : 0;
    }
}
