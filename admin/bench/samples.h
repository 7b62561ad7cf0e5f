// Items whose confirmation is waited for: a ring of (place in the order, time), oldest first.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"

struct sample {
    uint64_t place; // of the item, from 1: it is confirmed once so many are
    uint64_t from_ns;
};

struct samples {
    struct sample *ring;
    size_t capacity, first, count;
};

bool samples_init(struct samples *self, size_t capacity);
void samples_fini(struct samples *self);
// What does not fit is left out.
void samples_add(struct samples *self, uint64_t place, uint64_t from_ns);
static inline bool samples_is_due(const struct samples *self, uint64_t confirmed)
{
    return self->count > 0 && self->ring[self->first].place <= confirmed;
}
// Take those that are confirmed; record the time of those that began at measure_from_ns or later.
void samples_settle(struct samples *self, uint64_t confirmed, uint64_t now_ns, uint64_t measure_from_ns, struct histogram *out);
