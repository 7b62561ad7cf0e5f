#include "arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 16u
// Chunks double up to this many times the first size, so that a steady load settles in the one chunk that reset keeps.
#define CHUNK_GROWTH_MAX 16u

struct chunk {
    struct chunk *next;
    size_t size;
    size_t used;
    size_t pad; // keeps `bytes` aligned
    unsigned char bytes[];
};
_Static_assert(sizeof(struct chunk) % ALIGNMENT == 0, "what follows a chunk's head must be aligned");

struct nq_arena {
    struct chunk *chunks; // the first one is being filled
    size_t chunk_bytes;
    size_t grown_bytes;  // size of the next regular chunk
    size_t cap_at_reset; // SIZE_MAX: none
    size_t cap;
    size_t used;
    bool failed; // an allocation within the cap failed
};

struct nq_arena *nq_arena_create(size_t chunk_bytes, size_t cap_bytes)
{
    struct nq_arena *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->chunk_bytes = chunk_bytes < 1024 ? 1024 : chunk_bytes;
    self->grown_bytes = self->chunk_bytes;
    self->cap_at_reset = cap_bytes ? cap_bytes : SIZE_MAX;
    self->cap = self->cap_at_reset;
    return self;
}

void nq_arena_destroy(struct nq_arena **self_p)
{
    if (!self_p || !*self_p)
        return;
    struct chunk *chunk = (*self_p)->chunks;
    while (chunk) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    free(*self_p);
    *self_p = NULL;
}

static struct chunk *chunk_add(struct nq_arena *self, size_t bytes)
{
    bool regular = bytes <= self->grown_bytes;
    size_t size = regular ? self->grown_bytes : bytes;
    struct chunk *chunk = size > SIZE_MAX - sizeof(struct chunk) ? NULL : malloc(sizeof *chunk + size);
    if (!chunk) {
        self->failed = true;
        return NULL;
    }
    chunk->size = size;
    chunk->used = 0;
    if (regular && self->chunks && self->grown_bytes <= SIZE_MAX / 2 && self->grown_bytes < self->chunk_bytes * CHUNK_GROWTH_MAX)
        self->grown_bytes *= 2;
    // A big block of its own must not hide the room left in the chunk being filled.
    if (!regular && self->chunks) {
        chunk->next = self->chunks->next;
        self->chunks->next = chunk;
    } else {
        chunk->next = self->chunks;
        self->chunks = chunk;
    }
    return chunk;
}

void *nq_arena_alloc(struct nq_arena *self, size_t bytes)
{
    if (bytes > SIZE_MAX - ALIGNMENT)
        return NULL;
    size_t rounded = bytes ? (bytes + (ALIGNMENT - 1)) & ~(size_t)(ALIGNMENT - 1) : ALIGNMENT;
    if (self->cap < self->used || rounded > self->cap - self->used)
        return NULL;
    struct chunk *chunk = self->chunks;
    if (!chunk || rounded > chunk->size - chunk->used) {
        chunk = chunk_add(self, rounded);
        if (!chunk)
            return NULL;
    }
    void *block = chunk->bytes + chunk->used;
    chunk->used += rounded;
    self->used += rounded;
    return block;
}

void *nq_arena_calloc(struct nq_arena *self, size_t count, size_t bytes)
{
    if (bytes && count > SIZE_MAX / bytes)
        return NULL;
    void *block = nq_arena_alloc(self, count * bytes);
    if (block)
        memset(block, 0, count * bytes);
    return block;
}

void nq_arena_budget(struct nq_arena *self, size_t more_bytes)
{
    self->cap = more_bytes > SIZE_MAX - self->used ? SIZE_MAX : self->used + more_bytes;
}

void nq_arena_reset(struct nq_arena *self)
{
    // The largest chunk stays, unless it was made for one outsize block: an arena must not grow for good by one big frame.
    size_t keep_bytes_max = self->chunk_bytes > SIZE_MAX / CHUNK_GROWTH_MAX ? SIZE_MAX : self->chunk_bytes * CHUNK_GROWTH_MAX;
    struct chunk *keep = NULL;
    struct chunk *chunk = self->chunks;
    while (chunk) {
        struct chunk *next = chunk->next;
        if (chunk->size <= keep_bytes_max && (!keep || chunk->size > keep->size)) {
            free(keep);
            keep = chunk;
        } else {
            free(chunk);
        }
        chunk = next;
    }
    if (keep) {
        keep->next = NULL;
        keep->used = 0;
    }
    self->chunks = keep;
    self->used = 0;
    self->failed = false;
    self->cap = self->cap_at_reset;
}

size_t nq_arena_used(const struct nq_arena *self)
{
    return self->used;
}

bool nq_arena_failed(const struct nq_arena *self)
{
    return self->failed;
}
