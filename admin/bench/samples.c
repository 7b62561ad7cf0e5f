#include "samples.h"

#include <stdlib.h>

bool samples_init(struct samples *self, size_t capacity)
{
    *self = (struct samples){.ring = calloc(capacity, sizeof(*self->ring)), .capacity = capacity};
    return self->ring != NULL;
}

void samples_fini(struct samples *self)
{
    free(self->ring);
    *self = (struct samples){0};
}

void samples_add(struct samples *self, uint64_t place, uint64_t from_ns)
{
    if (self->count == self->capacity) {
        return;
    }
    self->ring[(self->first + self->count) % self->capacity] = (struct sample){place, from_ns};
    self->count++;
}

void samples_settle(struct samples *self, uint64_t confirmed, uint64_t now_ns, uint64_t measure_from_ns, struct histogram *out)
{
    while (samples_is_due(self, confirmed)) {
        uint64_t from_ns = self->ring[self->first].from_ns;
        if (from_ns >= measure_from_ns) {
            histogram_record(out, now_ns > from_ns ? now_ns - from_ns : 0);
        }
        self->first = (self->first + 1) % self->capacity;
        self->count--;
    }
}
