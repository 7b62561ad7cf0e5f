#include "item_index.h"

#include <assert.h>

static size_t place_of(uint64_t seq)
{
    return (size_t)seq & (ITEM_PAGE_ITEMS - 1);
}

static struct item_page *page_of(const struct item_index *self, uint64_t queue_id, uint64_t seq)
{
    uint64_t number = seq >> ITEM_PAGE_BITS;
    if (self->recent != NULL && self->recent->number == number && self->recent->queue_id == queue_id) {
        return self->recent;
    }
    return table_find(&self->pages, queue_id, number);
}

void item_index_init(struct item_index *self)
{
    *self = (struct item_index){0};
    pool_init(&self->pool, sizeof(struct item_page));
}

void item_index_fini(struct item_index *self)
{
    table_fini(&self->pages);
    pool_fini(&self->pool);
    self->recent = NULL;
}

struct item *item_index_find(const struct item_index *self, uint64_t queue_id, uint64_t seq)
{
    const struct item_page *page = page_of(self, queue_id, seq);
    return page == NULL ? NULL : page->items[place_of(seq)];
}

static struct item_page *make_page(struct item_index *self, uint64_t queue_id, uint64_t seq)
{
    struct item_page *page = pool_get(&self->pool);
    if (page == NULL || !table_insert(&self->pages, queue_id, seq >> ITEM_PAGE_BITS, page)) {
        if (page != NULL) {
            pool_put(&self->pool, page);
        }
        return NULL;
    }
    page->queue_id = queue_id;
    page->number = seq >> ITEM_PAGE_BITS;
    return page;
}

bool item_index_add(struct item_index *self, uint64_t queue_id, uint64_t seq, struct item *item)
{
    struct item_page *page = page_of(self, queue_id, seq);
    page = page != NULL ? page : make_page(self, queue_id, seq);
    if (page == NULL) {
        return false;
    }
    assert(page->items[place_of(seq)] == NULL);
    page->items[place_of(seq)] = item;
    page->count++;
    self->recent = page;
    return true;
}

void item_index_remove(struct item_index *self, uint64_t queue_id, uint64_t seq)
{
    struct item_page *page = page_of(self, queue_id, seq);
    assert(page != NULL && page->items[place_of(seq)] != NULL);
    page->items[place_of(seq)] = NULL;
    page->count--;
    self->recent = page;
    if (page->count == 0) {
        self->recent = NULL;
        table_remove(&self->pages, queue_id, page->number);
        pool_put(&self->pool, page);
    }
}

struct item *item_index_next(const struct item_index *self, size_t *at)
{
    size_t end = self->pages.slots == NULL ? 0 : (self->pages.mask + 1) * ITEM_PAGE_ITEMS;
    while (*at < end) {
        const struct item_page *page = self->pages.slots[*at / ITEM_PAGE_ITEMS].value;
        if (page == NULL) {
            *at += ITEM_PAGE_ITEMS;
            continue;
        }
        struct item *item = page->items[*at % ITEM_PAGE_ITEMS];
        (*at)++;
        if (item != NULL) {
            return item;
        }
    }
    return NULL;
}

// Its page may be gone, and another have moved into the place.
size_t item_index_again(size_t at)
{
    return (at - 1) / ITEM_PAGE_ITEMS * ITEM_PAGE_ITEMS;
}
