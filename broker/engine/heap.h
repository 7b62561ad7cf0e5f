// An intrusive binary min-heap: each object knows its place, so that it can be removed or moved in O(log n).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t key;
    size_t index; // 1-based; 0: in no heap
};

struct heap {
    struct heap_node **nodes; // [1 .. count]
    size_t count, capacity;
};

void heap_fini(struct heap *self);                                         // frees the array, not the objects
bool heap_reserve(struct heap *self, size_t more);                         // so that as many inserts cannot fail
bool heap_insert(struct heap *self, struct heap_node *node, uint64_t key); // false: out of memory
void heap_remove(struct heap *self, struct heap_node *node);
void heap_rekey(struct heap *self, struct heap_node *node, uint64_t key);
struct heap_node *heap_min(const struct heap *self); // NULL: empty
uint64_t heap_min_key(const struct heap *self);      // UINT64_MAX: empty

static inline bool heap_node_is_in(const struct heap_node *node)
{
    return node->index != 0;
}
#define heap_object(node_p, type, member) ((type *)(void *)((char *)(node_p)-offsetof(type, member)))
