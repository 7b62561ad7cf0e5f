#include "frame.h"

#include <stdlib.h>

static const struct {
    size_t frame_len_max;
    size_t chunk_bytes;
} classes[FRAME_CLASSES] = {{1024, 4096}, {SIZE_MAX, 128 * 1024}};

static void frame_free(struct frame *self)
{
    nq_arena_destroy(&self->arena);
    free(self);
}

static struct frame *frame_create(struct frame_pool *pool, size_t len)
{
    size_t class_index = len <= classes[0].frame_len_max ? 0 : 1;
    struct frame *self = pool->spare[class_index];
    if (self != NULL) {
        pool->spare[class_index] = self->next;
        pool->spare_count[class_index]--;
        return self;
    }
    self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->class_index = class_index;
    self->arena = nq_arena_create(classes[class_index].chunk_bytes, 0);
    if (self->arena == NULL) {
        free(self);
        return NULL;
    }
    return self;
}

enum nq_status frame_decode(struct frame_pool *pool, const void *data, size_t len, struct frame **out)
{
    struct frame *self = frame_create(pool, len);
    if (self == NULL) {
        return NQ_NO_MEMORY;
    }
    self->refs = 1;
    self->next = NULL;
    nq_arena_budget(self->arena, wire_decode_budget(len));
    enum nq_status status = wire_decode_replies(self->arena, data, len, &self->replies);
    if (status != NQ_OK && status != NQ_UNSUPPORTED_VERSION) { // then its answers say just that
        frame_unref(pool, self);
        return status;
    }
    *out = self;
    return NQ_OK;
}

struct frame *frame_ref(struct frame *self)
{
    self->refs++;
    return self;
}

void frame_unref(struct frame_pool *pool, struct frame *self)
{
    if (self == NULL || --self->refs > 0) {
        return;
    }
    if (pool == NULL || pool->spare_count[self->class_index] >= FRAME_SPARE_MAX) {
        frame_free(self);
        return;
    }
    nq_arena_reset(self->arena);
    self->next = pool->spare[self->class_index];
    pool->spare[self->class_index] = self;
    pool->spare_count[self->class_index]++;
}

void frame_pool_fini(struct frame_pool *pool)
{
    for (size_t i = 0; i < FRAME_CLASSES; i++) {
        while (pool->spare[i] != NULL) {
            struct frame *frame = pool->spare[i];
            pool->spare[i] = frame->next;
            frame_free(frame);
        }
        pool->spare_count[i] = 0;
    }
}
