#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "arena.h"

Test(arena, blocks_are_aligned_and_do_not_overlap)
{
    struct nq_arena *arena = nq_arena_create(1024, 0);
    unsigned char *blocks[200];
    for (size_t i = 0; i < 200; i++) {
        blocks[i] = nq_arena_alloc(arena, i * 7);
        cr_assert(blocks[i]);
        cr_assert_eq((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)i, i * 7);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t k = 0; k < i * 7; k++)
            cr_assert_eq(blocks[i][k], (unsigned char)i);
    nq_arena_destroy(&arena);
    cr_assert_null(arena);
}

Test(arena, cap_bounds_what_is_handed_out_until_reset)
{
    struct nq_arena *arena = nq_arena_create(4096, 100);
    cr_assert(nq_arena_alloc(arena, 64));
    cr_assert_null(nq_arena_alloc(arena, 64));
    cr_assert(nq_arena_alloc(arena, 32));
    cr_assert_eq(nq_arena_used(arena), 96);
    nq_arena_reset(arena);
    cr_assert_eq(nq_arena_used(arena), 0);
    cr_assert(nq_arena_alloc(arena, 64));
    nq_arena_destroy(&arena);
}

Test(arena, budget_is_on_top_of_what_is_handed_out_and_ends_with_reset)
{
    struct nq_arena *arena = nq_arena_create(4096, 0);
    cr_assert(nq_arena_alloc(arena, 1000));
    nq_arena_budget(arena, 160);
    cr_assert(nq_arena_alloc(arena, 160));
    cr_assert_null(nq_arena_alloc(arena, 1));
    nq_arena_budget(arena, SIZE_MAX);
    cr_assert(nq_arena_alloc(arena, 100000));
    nq_arena_budget(arena, 0);
    cr_assert_null(nq_arena_alloc(arena, 0));
    nq_arena_reset(arena);
    cr_assert(nq_arena_alloc(arena, 100000));
    nq_arena_destroy(&arena);
}

Test(arena, impossible_sizes_are_refused)
{
    struct nq_arena *arena = nq_arena_create(0, 0);
    cr_assert_null(nq_arena_alloc(arena, SIZE_MAX));
    cr_assert_null(nq_arena_alloc(arena, SIZE_MAX - 16));
    cr_assert_null(nq_arena_calloc(arena, SIZE_MAX / 2, 3));
    cr_assert_eq(nq_arena_used(arena), 0);
    nq_arena_destroy(&arena);
}

Test(arena, calloc_zeroes_memory_used_before)
{
    struct nq_arena *arena = nq_arena_create(1024, 0);
    memset(nq_arena_alloc(arena, 512), 0xAA, 512);
    nq_arena_reset(arena);
    const unsigned char *block = nq_arena_calloc(arena, 64, 8);
    for (size_t i = 0; i < 512; i++)
        cr_assert_eq(block[i], 0);
    nq_arena_destroy(&arena);
}

Test(arena, block_larger_than_a_chunk_leaves_the_chunk_in_use)
{
    struct nq_arena *arena = nq_arena_create(1024, 0);
    const char *first = nq_arena_alloc(arena, 16);
    memset(nq_arena_alloc(arena, 1u << 20), 1, 1u << 20);
    const char *second = nq_arena_alloc(arena, 16);
    cr_assert_eq(second - first, 16);
    nq_arena_reset(arena);
    nq_arena_destroy(&arena);
}

Test(arena, destroy_accepts_null)
{
    struct nq_arena *arena = NULL;
    nq_arena_destroy(&arena);
    nq_arena_destroy(NULL);
}
