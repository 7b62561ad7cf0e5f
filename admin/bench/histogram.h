// A log-linear histogram of times in nanoseconds, as HdrHistogram's: what it tells is at most 0.1 % too high, whatever the size of
// the value. Debian 12 has no package of HdrHistogram in C; this is the one file that would change with one.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define HISTOGRAM_DIGITS 3                  // significant, of every percentile
#define HISTOGRAM_NS_MAX ((1ull << 37) - 1) // 137 s; longer times count as this
// Values below 2048 have a counter each. Above, each doubling has 1024 of them: 1/1024 of a value is the width of its counter.
enum { HISTOGRAM_HALF = 1024, HISTOGRAM_HALF_BITS = 10, HISTOGRAM_COUNTERS = HISTOGRAM_HALF * (37 - HISTOGRAM_HALF_BITS + 1) };

struct histogram {
    uint64_t *counts; // HISTOGRAM_COUNTERS
    uint64_t count, max_ns;
};

bool histogram_init(struct histogram *self); // False: out of memory
void histogram_fini(struct histogram *self);
void histogram_record(struct histogram *self, uint64_t ns);
void histogram_add(struct histogram *self, const struct histogram *other);
// The smallest time that `percent` of all are not above, to the resolution; 0 of an empty histogram.
uint64_t histogram_percentile_ns(const struct histogram *self, double percent);
