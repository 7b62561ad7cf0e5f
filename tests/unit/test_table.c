#include <criterion/criterion.h>

#include "table.h"

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
