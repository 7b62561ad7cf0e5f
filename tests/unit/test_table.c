#include <criterion/criterion.h>

#include "internal.h"

enum { KEYS = 3000 };

static int values[KEYS];

Test(table, empty)
{
    struct table table = {0};
    cr_assert_null(table_find(&table, 1, 2));
    cr_assert_null(table_remove(&table, 1, 2));
    table_fini(&table);
}

Test(table, finds_both_parts_of_the_key)
{
    struct table table = {0};
    cr_assert(table_insert(&table, 1, 2, &values[0]));
    cr_assert(table_insert(&table, 2, 1, &values[1]));
    cr_assert_eq(table_find(&table, 1, 2), &values[0]);
    cr_assert_eq(table_find(&table, 2, 1), &values[1]);
    cr_assert_null(table_find(&table, 1, 1));
    table_fini(&table);
}

Test(table, holds_what_was_put_after_many_removals)
{
    struct table table = {.seed = 99};
    for (uint64_t i = 0; i < KEYS; i++) {
        cr_assert(table_insert(&table, i / 7, i, &values[i]));
    }
    for (uint64_t i = 0; i < KEYS; i += 2) {
        cr_assert_eq(table_remove(&table, i / 7, i), &values[i]);
    }
    cr_assert_eq(table.count, (size_t)(KEYS / 2));
    for (uint64_t i = 0; i < KEYS; i++) {
        cr_assert_eq(table_find(&table, i / 7, i), i % 2 == 0 ? NULL : &values[i]);
    }
    table_fini(&table);
}

Test(table, removal_while_walking_its_slots_misses_nothing)
{
    struct table table = {0};
    for (uint64_t i = 0; i < KEYS; i++) {
        cr_assert(table_insert(&table, 5, i, &values[i]));
    }
    for (size_t i = 0; i <= table.mask;) {
        if (table.slots[i].value != NULL) {
            table_remove(&table, table.slots[i].a, table.slots[i].b);
        } else {
            i++;
        }
    }
    cr_assert_eq(table.count, (size_t)0);
    table_fini(&table);
}

// --------------------------------------------------------------------------------------------- keys that were chosen to meet

static uint64_t inverse(uint64_t odd)
{
    uint64_t result = odd;
    for (int i = 0; i < 6; i++) {
        result *= 2 - odd * result;
    }
    return result;
}

// table.c's function backwards, as whoever knows it can: keys (a, b) whose places in a table of any size are the same.
static uint64_t key_that_meets(uint64_t a, uint64_t number)
{
    const uint64_t fold = 0xD6E8FEB86659FD93ull;
    uint64_t x = number << 32;
    x ^= x >> 32;
    x *= inverse(fold);
    x ^= x >> 32;
    x ^= (a + 0x7F4A7C15ull) * fold;
    return x * inverse(0x9E3779B97F4A7C15ull);
}

static size_t longest_row(const struct table *table)
{
    size_t longest = 0;
    size_t row = 0;
    for (size_t i = 0; i <= table->mask; i++) {
        row = table->slots[i].value != NULL ? row + 1 : 0;
        longest = row > longest ? row : longest;
    }
    return longest;
}

static size_t longest_row_of_streams(uint64_t hash_seed)
{
    const struct engine_config config = {.queues_max = 1, .streams_max = KEYS, .hash_seed = hash_seed};
    struct engine *engine = engine_create(&config, &(struct engine_source){0}, 1, 1);
    struct queue *queue = queue_create(engine, (struct engine_bytes){1, (const uint8_t *)"q"});
    for (uint64_t i = 1; i <= KEYS; i++) {
        cr_assert_not_null(stream_create(engine, queue, key_that_meets(queue->record.queue_id, i)));
    }
    size_t longest = longest_row(&engine->streams);
    engine_destroy(&engine);
    return longest;
}

// A client chooses the numbers of its streams, and each look for one walks along the row that it stands in.
Test(table, streams_that_were_chosen_to_meet_do_so_for_one_seed_only)
{
    cr_assert_eq(longest_row_of_streams(0), (size_t)KEYS, "they are well chosen");
    for (uint64_t seed = 1; seed <= 100; seed++) {
        cr_expect_lt(longest_row_of_streams(seed * 0x9E3779B97F4A7C15ull), (size_t)KEYS / 10, "seed %d", (int)seed);
    }
}
