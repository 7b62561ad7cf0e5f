#include "pool.h"

#include <stdlib.h>
#include <string.h>

enum { SLAB_BYTES = 64 * 1024, ALIGN = 16 };

struct slab {
    struct slab *next;
    size_t padding; // keeps the objects 16-byte aligned
};

void pool_init(struct pool *self, size_t object_bytes)
{
    *self = (struct pool){.object_bytes = (object_bytes + ALIGN - 1) / ALIGN * ALIGN};
}

void pool_fini(struct pool *self)
{
    for (struct slab *slab = self->slabs; slab != NULL;) {
        struct slab *next = slab->next;
        free(slab);
        slab = next;
    }
    self->slabs = NULL;
    self->free_list = NULL;
}

static int add_slab(struct pool *self)
{
    struct slab *slab = malloc(SLAB_BYTES);
    if (slab == NULL) {
        return 0;
    }
    slab->next = self->slabs;
    self->slabs = slab;
    char *object = (char *)(slab + 1);
    char *end = (char *)slab + SLAB_BYTES;
    for (; object + self->object_bytes <= end; object += self->object_bytes) {
        memcpy(object, &self->free_list, sizeof(void *));
        self->free_list = object;
    }
    return 1;
}

void *pool_get(struct pool *self)
{
    if (self->free_list == NULL && !add_slab(self)) {
        return NULL;
    }
    void *object = self->free_list;
    memcpy(&self->free_list, object, sizeof(void *));
    memset(object, 0, self->object_bytes);
    self->used++;
    return object;
}

void pool_put(struct pool *self, void *object)
{
    memcpy(object, &self->free_list, sizeof(void *));
    self->free_list = object;
    self->used--;
}
