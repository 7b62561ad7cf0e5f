// The arena as protobuf-c's allocator. Three things make it frugal, so that what a frame may allocate can be bounded tightly:
// small blocks are packed at 8 bytes, protobuf-c's own scratch slabs (32 << n bytes, freed after each message) are used again,
// and nothing else is ever freed.
#include <stddef.h>

#include "wire_internal.h"

#define SMALL_BYTES_MAX 256u
#define SMALL_POOL_BYTES 4096u
#define SLAB_BYTES_MIN 1024u // protobuf-c's first scratch slab taken from its allocator

static void *alloc_small(struct wire_allocator *self, size_t size)
{
    size_t rounded = (size + 7u) & ~(size_t)7u;
    if (rounded > self->small_left) {
        self->small = nq_arena_alloc(self->arena, SMALL_POOL_BYTES);
        self->small_left = self->small ? SMALL_POOL_BYTES : 0;
        if (!self->small)
            return NULL;
    }
    void *block = self->small;
    self->small += rounded;
    self->small_left -= rounded;
    return block;
}

static bool is_slab_size(size_t size)
{
    return size >= SLAB_BYTES_MIN && (size & (size - 1)) == 0;
}

static void *alloc_slab(struct wire_allocator *self, size_t size)
{
    for (size_t i = 0; i < self->slab_count; i++) {
        struct wire_slab *slab = &self->slabs[i];
        if (!slab->in_use && slab->size == size) {
            slab->in_use = true;
            return slab->block;
        }
    }
    void *block = nq_arena_alloc(self->arena, size);
    if (block && self->slab_count < WIRE_SLABS_MAX)
        self->slabs[self->slab_count++] = (struct wire_slab){.block = block, .size = size, .in_use = true};
    return block;
}

static void *arena_alloc(void *data, size_t size)
{
    struct wire_allocator *self = data;
    void *block;
    if (size <= SMALL_BYTES_MAX)
        block = alloc_small(self, size);
    else if (is_slab_size(size))
        block = alloc_slab(self, size);
    else
        block = nq_arena_alloc(self->arena, size);
    if (!block)
        self->exhausted = true;
    return block;
}

static void arena_free(void *data, void *block)
{
    struct wire_allocator *self = data;
    for (size_t i = 0; i < self->slab_count; i++)
        if (self->slabs[i].block == block)
            self->slabs[i].in_use = false;
}

void wire_allocator_init(struct wire_allocator *self, struct nq_arena *arena)
{
    self->base = (ProtobufCAllocator){.alloc = arena_alloc, .free = arena_free, .allocator_data = self};
    self->arena = arena;
    self->exhausted = false;
    self->small = NULL;
    self->small_left = 0;
    self->slab_count = 0;
}

enum nq_status wire_unpack(struct nq_arena *arena, const ProtobufCMessageDescriptor *descriptor, const void *data, size_t len,
                           ProtobufCMessage **out)
{
    struct wire_allocator allocator;
    wire_allocator_init(&allocator, arena);
    *out = NULL;
    if (len > INT32_MAX) // protobuf-c counts in 32 bits
        return NQ_BAD_REQUEST;
    *out = protobuf_c_message_unpack(descriptor, &allocator.base, len, data);
    if (*out)
        return NQ_OK;
    return allocator.exhausted ? NQ_NO_MEMORY : NQ_BAD_REQUEST;
}
