#include <criterion/criterion.h>
#include <stdlib.h>

#include "heap.h"

struct thing {
    int value;
    struct heap_node node;
};

enum { THINGS = 500 };

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

static void expect_order(struct heap *heap)
{
    uint64_t last = 0;
    while (heap->count > 0) {
        struct heap_node *node = heap_min(heap);
        cr_assert(node->key >= last);
        last = node->key;
        heap_remove(heap, node);
        cr_assert(!heap_node_is_in(node));
    }
}

Test(heap, empty)
{
    struct heap heap = {0};
    cr_assert_null(heap_min(&heap));
    cr_assert_eq(heap_min_key(&heap), UINT64_MAX);
    heap_fini(&heap);
}

Test(heap, comes_out_in_order_whatever_was_removed_and_moved)
{
    struct heap heap = {0};
    struct thing things[THINGS] = {0};
    uint64_t state = 1;
    for (int i = 0; i < THINGS; i++) {
        cr_assert(heap_insert(&heap, &things[i].node, next_random(&state) % 100));
    }
    for (int i = 0; i < THINGS; i += 3) {
        heap_remove(&heap, &things[i].node);
    }
    for (int i = 1; i < THINGS; i += 3) {
        heap_rekey(&heap, &things[i].node, next_random(&state) % 1000);
    }
    cr_assert_eq(heap.count, (size_t)(THINGS - (THINGS + 2) / 3));
    expect_order(&heap);
    heap_fini(&heap);
}

Test(heap, keeps_little_memory_when_all_has_been_removed)
{
    struct heap heap = {0};
    struct thing things[THINGS] = {0};
    for (uint64_t again = 0; again < 2; again++) {
        for (uint64_t i = 0; i < THINGS; i++) {
            cr_assert(heap_insert(&heap, &things[i].node, THINGS - i));
        }
        expect_order(&heap);
        cr_assert_leq(heap.capacity, (size_t)THINGS / 2);
    }
    heap_fini(&heap);
}

Test(heap, object_of_node)
{
    struct heap heap = {0};
    struct thing thing = {.value = 42};
    cr_assert(heap_reserve(&heap, 10));
    cr_assert(heap_insert(&heap, &thing.node, 7));
    cr_assert_eq(heap_object(heap_min(&heap), struct thing, node)->value, 42);
    heap_fini(&heap);
}
