// The body of a worker's items: its first bytes tell the consumer when the item was due or put.
#pragma once
#include <string.h>

#include "run.h"

// NULL: out of memory. Freed with free.
uint8_t *body_create(const struct bench_run *run);

static inline void body_stamp(uint8_t *body, const struct bench_run *run, uint64_t from_ns)
{
    if (run->options->size >= sizeof(struct bench_stamp)) {
        memcpy(body + offsetof(struct bench_stamp, from_ns), &from_ns, sizeof(from_ns));
    }
}

// When the item was due or put; 0: it is not timed.
static inline uint64_t body_from_ns(const struct nq_item *item, const struct bench_run *run)
{
    struct bench_stamp stamp = {0};
    if (nq_item_len(item) >= sizeof(stamp)) {
        memcpy(&stamp, nq_item_body(item), sizeof(stamp));
    }
    return stamp.run_id == run->id ? stamp.from_ns : 0;
}
