// Objects of one size from slabs, with a free list: no malloc per object. Memory goes back when the pool does.
#pragma once
#include <stddef.h>

struct pool {
    size_t object_bytes;
    void *free_list;
    void *slabs;
    size_t used;
};

void pool_init(struct pool *self, size_t object_bytes);
void pool_fini(struct pool *self);
void *pool_get(struct pool *self); // zeroed; NULL: out of memory
void pool_put(struct pool *self, void *object);
