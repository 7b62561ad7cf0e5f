#include "heap.h"

#include <assert.h>
#include <stdlib.h>

enum { PLACES_KEPT = 256 };

void heap_fini(struct heap *self)
{
    free(self->nodes);
    *self = (struct heap){0};
}

bool heap_reserve(struct heap *self, size_t more)
{
    size_t need = self->count + more + 1;
    if (need <= self->capacity) {
        return true;
    }
    size_t capacity = self->capacity == 0 ? 16 : self->capacity;
    while (capacity < need) {
        capacity *= 2;
    }
    struct heap_node **nodes = realloc(self->nodes, capacity * sizeof(*nodes));
    if (nodes == NULL) {
        return false;
    }
    self->nodes = nodes;
    self->capacity = capacity;
    return true;
}

static void place(struct heap *self, struct heap_node *node, size_t index)
{
    self->nodes[index] = node;
    node->index = index;
}

static void sift_up(struct heap *self, struct heap_node *node)
{
    size_t index = node->index;
    while (index > 1 && self->nodes[index / 2]->key > node->key) {
        place(self, self->nodes[index / 2], index);
        index /= 2;
    }
    place(self, node, index);
}

static void sift_down(struct heap *self, struct heap_node *node)
{
    size_t index = node->index;
    for (;;) {
        size_t child = index * 2;
        if (child > self->count) {
            break;
        }
        if (child < self->count && self->nodes[child + 1]->key < self->nodes[child]->key) {
            child++;
        }
        if (self->nodes[child]->key >= node->key) {
            break;
        }
        place(self, self->nodes[child], index);
        index = child;
    }
    place(self, node, index);
}

bool heap_insert(struct heap *self, struct heap_node *node, uint64_t key)
{
    assert(node->index == 0);
    if (!heap_reserve(self, 1)) {
        return false;
    }
    node->key = key;
    place(self, node, ++self->count);
    sift_up(self, node);
    return true;
}

void heap_remove(struct heap *self, struct heap_node *node)
{
    assert(node->index != 0 && self->nodes[node->index] == node);
    struct heap_node *last = self->nodes[self->count--];
    if (last != node) {
        place(self, last, node->index);
        sift_up(self, last);
        sift_down(self, last);
    }
    node->index = 0;
    if (self->count == 0 && self->capacity > PLACES_KEPT) { // there are many heaps, two for each queue
        heap_fini(self);
    }
}

void heap_rekey(struct heap *self, struct heap_node *node, uint64_t key)
{
    node->key = key;
    sift_up(self, node);
    sift_down(self, node);
}

struct heap_node *heap_min(const struct heap *self)
{
    return self->count == 0 ? NULL : self->nodes[1];
}

uint64_t heap_min_key(const struct heap *self)
{
    return self->count == 0 ? UINT64_MAX : self->nodes[1]->key;
}
