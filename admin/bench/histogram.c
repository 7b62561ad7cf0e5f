#include "histogram.h"

#include <math.h>
#include <stdlib.h>

enum { HALF = HISTOGRAM_HALF, HALF_BITS = HISTOGRAM_HALF_BITS, COUNTERS = HISTOGRAM_COUNTERS };

static unsigned index_of(uint64_t ns)
{
    if (ns < 2 * HALF) {
        return (unsigned)ns;
    }
    unsigned shift = (unsigned)(63 - __builtin_clzll(ns)) - HALF_BITS;
    return shift * HALF + (unsigned)(ns >> shift);
}

// The highest value that falls into the counter.
static uint64_t highest_of(unsigned index)
{
    if (index < 2 * HALF) {
        return index;
    }
    unsigned shift = index / HALF - 1;
    uint64_t top = index - shift * HALF;
    return ((top + 1) << shift) - 1;
}

bool histogram_init(struct histogram *self)
{
    *self = (struct histogram){.counts = calloc(COUNTERS, sizeof(*self->counts))};
    return self->counts != NULL;
}

void histogram_fini(struct histogram *self)
{
    free(self->counts);
    *self = (struct histogram){0};
}

void histogram_record(struct histogram *self, uint64_t ns)
{
    ns = ns < HISTOGRAM_NS_MAX ? ns : HISTOGRAM_NS_MAX;
    self->counts[index_of(ns)]++;
    self->count++;
    self->max_ns = ns > self->max_ns ? ns : self->max_ns;
}

void histogram_add(struct histogram *self, const struct histogram *other)
{
    for (unsigned i = 0; i < COUNTERS; i++) {
        self->counts[i] += other->counts[i];
    }
    self->count += other->count;
    self->max_ns = other->max_ns > self->max_ns ? other->max_ns : self->max_ns;
}

uint64_t histogram_percentile_ns(const struct histogram *self, double percent)
{
    if (self->count == 0) {
        return 0;
    }
    double rank = ceil((double)self->count * percent / 100 - 1e-6); // 99.9 % of 1000 is the 999th, whatever binary fractions say
    uint64_t wanted = rank < 1 ? 1 : (uint64_t)rank;
    unsigned i = 0;
    uint64_t seen = self->counts[0];
    while (seen < wanted && i + 1 < COUNTERS) {
        seen += self->counts[++i];
    }
    uint64_t highest = highest_of(i);
    return highest < self->max_ns ? highest : self->max_ns;
}
