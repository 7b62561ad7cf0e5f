#include "table.h"

#include <assert.h>
#include <stdlib.h>

void table_fini(struct table *self)
{
    free(self->slots);
    self->slots = NULL;
    self->mask = 0;
    self->count = 0;
}

// Multiply-fold: neighbouring sequence numbers land far apart enough for linear probing.
static size_t home(const struct table *self, uint64_t a, uint64_t b)
{
    uint64_t x = (b ^ self->seed) * 0x9E3779B97F4A7C15ull;
    x ^= (a + 0x7F4A7C15ull) * 0xD6E8FEB86659FD93ull;
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93ull;
    x ^= x >> 32;
    return (size_t)x & self->mask;
}

static void put(struct table *self, uint64_t a, uint64_t b, void *value)
{
    size_t at = home(self, a, b);
    while (self->slots[at].value != NULL) {
        at = (at + 1) & self->mask;
    }
    self->slots[at] = (struct table_slot){a, b, value};
}

static bool grow(struct table *self, size_t capacity)
{
    struct table bigger = {.slots = calloc(capacity, sizeof(struct table_slot)), .mask = capacity - 1, .seed = self->seed};
    if (bigger.slots == NULL) {
        return false;
    }
    for (size_t i = 0; self->slots != NULL && i <= self->mask; i++) {
        if (self->slots[i].value != NULL) {
            put(&bigger, self->slots[i].a, self->slots[i].b, self->slots[i].value);
        }
    }
    bigger.count = self->count;
    free(self->slots);
    *self = bigger;
    return true;
}

bool table_reserve(struct table *self, size_t more)
{
    size_t capacity = self->slots == NULL ? 0 : self->mask + 1;
    size_t need = (self->count + more) * 2; // at most half full
    if (need <= capacity) {
        return true;
    }
    if (capacity == 0) {
        capacity = 32;
    }
    while (capacity < need) {
        capacity *= 2;
    }
    return grow(self, capacity);
}

bool table_insert(struct table *self, uint64_t a, uint64_t b, void *value)
{
    assert(value != NULL);
    if (!table_reserve(self, 1)) {
        return false;
    }
    put(self, a, b, value);
    self->count++;
    return true;
}

static size_t locate(const struct table *self, uint64_t a, uint64_t b) // SIZE_MAX: not there
{
    if (self->slots == NULL) {
        return SIZE_MAX;
    }
    for (size_t at = home(self, a, b); self->slots[at].value != NULL; at = (at + 1) & self->mask) {
        if (self->slots[at].b == b && self->slots[at].a == a) {
            return at;
        }
    }
    return SIZE_MAX;
}

void *table_find(const struct table *self, uint64_t a, uint64_t b)
{
    size_t at = locate(self, a, b);
    return at == SIZE_MAX ? NULL : self->slots[at].value;
}

void *table_remove(struct table *self, uint64_t a, uint64_t b)
{
    size_t hole = locate(self, a, b);
    if (hole == SIZE_MAX) {
        return NULL;
    }
    void *value = self->slots[hole].value;
    for (size_t at = (hole + 1) & self->mask; self->slots[at].value != NULL; at = (at + 1) & self->mask) {
        size_t want = home(self, self->slots[at].a, self->slots[at].b);
        // An entry may fill the hole when the hole lies on its way from where it wants to be to where it is.
        if (((at - want) & self->mask) >= ((at - hole) & self->mask)) {
            self->slots[hole] = self->slots[at];
            hole = at;
        }
    }
    self->slots[hole].value = NULL;
    self->count--;
    return value;
}
