// Where the items are that have a struct item: from a queue and a seq to the item. Such items mostly stand close together, just below
// their queue's cursor, and are touched in order; so they are kept in pages of neighbours, and one look-up serves many.
#pragma once
#include "pool.h"
#include "table.h"

enum { ITEM_PAGE_BITS = 4, ITEM_PAGE_ITEMS = 1 << ITEM_PAGE_BITS };

struct item;

struct item_page {
    uint64_t queue_id, number;
    uint32_t count;
    struct item *items[ITEM_PAGE_ITEMS];
};

struct item_index {
    struct table pages; // (queue id, seq without its lowest bits) -> struct item_page
    struct pool pool;
    struct item_page *recent; // changed last; or NULL
};

void item_index_init(struct item_index *self);
void item_index_fini(struct item_index *self);                                                    // the items are their owner's
struct item *item_index_find(const struct item_index *self, uint64_t queue_id, uint64_t seq);     // NULL: none
bool item_index_add(struct item_index *self, uint64_t queue_id, uint64_t seq, struct item *item); // false: out of memory
void item_index_remove(struct item_index *self, uint64_t queue_id, uint64_t seq);
// All, in no order: *at begins with 0. NULL: no more. Whoever removes the item got goes on with item_index_again(*at).
struct item *item_index_next(const struct item_index *self, size_t *at);
size_t item_index_again(size_t at);
