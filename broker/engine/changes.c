// The growing list of changes, with the memory of the records in it.
#include "changes.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 64 * 1024, ALIGN = 16 };

struct block {
    struct block *next;
    size_t used, capacity;
};

struct changes {
    struct change *list;
    size_t count, capacity;
    struct block *first, *current; // filled in order; kept and reused by changes_clear
};

struct changes *changes_create(void)
{
    return calloc(1, sizeof(struct changes));
}

void changes_destroy(struct changes **self_p)
{
    struct changes *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (struct block *block = self->first; block != NULL;) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    free(self->list);
    free(self);
    *self_p = NULL;
}

void changes_clear(struct changes *self)
{
    self->count = 0;
    for (struct block *block = self->first; block != NULL; block = block->next) {
        block->used = 0;
    }
    self->current = self->first;
}

size_t changes_count(const struct changes *self)
{
    return self->count;
}

const struct change *changes_at(const struct changes *self, size_t index)
{
    return &self->list[index];
}

static struct block *next_block(struct changes *self, size_t bytes)
{
    if (self->current != NULL && self->current->next != NULL && self->current->next->capacity >= bytes) {
        return self->current->next;
    }
    size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    struct block *block = malloc(sizeof(*block) + ALIGN + capacity);
    if (block == NULL) {
        return NULL;
    }
    block->used = 0;
    block->capacity = capacity;
    if (self->current == NULL) {
        block->next = self->first;
        self->first = block;
    } else {
        block->next = self->current->next;
        self->current->next = block;
    }
    return block;
}

static void *copy(struct changes *self, const void *data, size_t len)
{
    size_t bytes = (len + ALIGN - 1) / ALIGN * ALIGN;
    if (self->current == NULL || self->current->capacity - self->current->used < bytes) {
        struct block *block = next_block(self, bytes);
        if (block == NULL) {
            return NULL;
        }
        self->current = block;
    }
    uint8_t *memory = (uint8_t *)(self->current + 1);
    memory += (ALIGN - sizeof(struct block) % ALIGN) % ALIGN + self->current->used;
    self->current->used += bytes;
    if (len > 0) {
        memcpy(memory, data, len);
    }
    return memory;
}

// Items of one queue are mostly finished in order: one range instead of many single ones.
static bool merge_remove(struct changes *self, const struct change *change)
{
    struct change *last = self->count == 0 ? NULL : &self->list[self->count - 1];
    if (change->kind != CHANGE_REMOVE || last == NULL || last->kind != CHANGE_REMOVE ||
        last->as.remove.queue_id != change->as.remove.queue_id || last->as.remove.last_seq + 1 != change->as.remove.first_seq) {
        return false;
    }
    last->as.remove.last_seq = change->as.remove.last_seq;
    return true;
}

// The record that `change` borrows is copied, so that it lives as long as the list.
static bool own_record(struct changes *self, struct change *change)
{
    const void *record = NULL;
    switch (change->kind) {
    case CHANGE_QUEUE:
        record = change->as.queue = copy(self, change->as.queue, sizeof(*change->as.queue));
        break;
    case CHANGE_ITEM:
        record = change->as.item = copy(self, change->as.item, sizeof(*change->as.item));
        break;
    case CHANGE_RUN:
        record = change->as.run = copy(self, change->as.run, sizeof(*change->as.run));
        break;
    case CHANGE_STREAM:
        record = change->as.stream = copy(self, change->as.stream, sizeof(*change->as.stream));
        break;
    case CHANGE_SESSION:
        record = change->as.session = copy(self, change->as.session, sizeof(*change->as.session));
        break;
    case CHANGE_META:
        record = change->as.meta = copy(self, change->as.meta, sizeof(*change->as.meta));
        break;
    case CHANGE_MOVE:
        record = change->as.move.add_headers.data = copy(self, change->as.move.add_headers.data, change->as.move.add_headers.len);
        break;
    case CHANGE_PUT:
    case CHANGE_REMOVE:
    case CHANGE_QUARANTINE:
    case CHANGE_QUEUE_DROP:
    case CHANGE_ITEM_DROP:
    case CHANGE_RUN_DROP:
    case CHANGE_STREAM_DROP:
    case CHANGE_SESSION_DROP:
    case CHANGE_COPY:
    case CHANGE_JOURNALED:
        return true;
    }
    return record != NULL;
}

bool changes_add(struct changes *self, const struct change *change)
{
    if (merge_remove(self, change)) {
        return true;
    }
    if (self->count == self->capacity) {
        size_t capacity = self->capacity == 0 ? 64 : self->capacity * 2;
        struct change *list = realloc(self->list, capacity * sizeof(*list));
        if (list == NULL) {
            return false;
        }
        self->list = list;
        self->capacity = capacity;
    }
    struct change own = *change;
    if (!own_record(self, &own)) {
        return false;
    }
    self->list[self->count++] = own;
    return true;
}
