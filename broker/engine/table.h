// A hash table from a pair of numbers to a pointer, open addressing with linear probing and backward-shift deletion: no
// allocation per entry, no tombstones.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slot {
    uint64_t a, b;
    void *value; // NULL: free
};

struct table {
    struct table_slot *slots;
    size_t mask; // capacity - 1; 0: nothing allocated
    size_t count;
    uint64_t seed; // set before the first insert
};

void table_fini(struct table *self);
bool table_reserve(struct table *self, size_t more);                        // so that as many inserts cannot fail
bool table_insert(struct table *self, uint64_t a, uint64_t b, void *value); // the key must not be in it; false: out of memory
void *table_find(const struct table *self, uint64_t a, uint64_t b);         // NULL: none
void *table_remove(struct table *self, uint64_t a, uint64_t b);             // what was there, or NULL
