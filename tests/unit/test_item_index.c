// Items by queue and seq, in pages of neighbours.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "item_index.h"

enum { QUEUES = 3, SEQS = 400 };

// Only addresses are kept, so any will do.
static char items[QUEUES][SEQS];

static struct item *item_at(size_t queue, size_t seq)
{
    return (struct item *)(void *)&items[queue][seq];
}

Test(item_index, holds_what_was_added_until_it_is_removed)
{
    struct item_index index;
    bool there[QUEUES][SEQS] = {{false}};
    unsigned seed = 7;
    item_index_init(&index);
    for (int step = 0; step < 20000; step++) {
        size_t queue = (size_t)rand_r(&seed) % QUEUES;
        size_t seq = (size_t)rand_r(&seed) % SEQS;
        if (there[queue][seq]) {
            item_index_remove(&index, queue, seq);
        } else {
            cr_assert(item_index_add(&index, queue, seq, item_at(queue, seq)));
        }
        there[queue][seq] = !there[queue][seq];
        size_t other = (size_t)rand_r(&seed) % SEQS;
        cr_assert_eq(item_index_find(&index, queue, other), there[queue][other] ? item_at(queue, other) : NULL);
    }
    for (size_t queue = 0; queue < QUEUES; queue++) {
        for (size_t seq = 0; seq < SEQS; seq++) {
            cr_assert_eq(item_index_find(&index, queue, seq), there[queue][seq] ? item_at(queue, seq) : NULL);
        }
    }
    item_index_fini(&index);
}

Test(item_index, every_item_is_visited_once)
{
    struct item_index index;
    size_t visited = 0;
    size_t at = 0;
    item_index_init(&index);
    cr_assert_null(item_index_next(&index, &at));
    for (size_t seq = 0; seq < SEQS; seq += 3) {
        cr_assert(item_index_add(&index, 1, seq, item_at(1, seq)));
    }
    at = 0;
    for (struct item *item = item_index_next(&index, &at); item != NULL; item = item_index_next(&index, &at)) {
        cr_assert_eq((size_t)((char *)(void *)item - items[1]) % 3, 0);
        visited++;
    }
    cr_assert_eq(visited, (SEQS + 2) / 3);
    item_index_fini(&index);
}

Test(item_index, all_can_be_removed_while_they_are_visited)
{
    struct item_index index;
    size_t at = 0;
    item_index_init(&index);
    for (size_t queue = 0; queue < QUEUES; queue++) {
        for (size_t seq = queue; seq < SEQS; seq += queue + 1) {
            cr_assert(item_index_add(&index, queue, seq, item_at(queue, seq)));
        }
    }
    for (struct item *item = item_index_next(&index, &at); item != NULL; item = item_index_next(&index, &at)) {
        size_t place = (size_t)((char *)(void *)item - items[0]);
        item_index_remove(&index, place / SEQS, place % SEQS);
        at = item_index_again(at);
    }
    cr_assert_eq(index.pages.count, 0);
    cr_assert_eq(index.pool.used, 0, "no page is left");
    item_index_fini(&index);
}
