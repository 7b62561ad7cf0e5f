// Random commits, from a seed: puts, removals, moves, records of every kind, over several queues. What they say need not make sense to an
// engine; every store must come to the same state by them.
#pragma once
#include "store_rig.h"

enum { RANDOM_QUEUES = 6, RANDOM_CHANGES_MAX = 12 };

struct store_random {
    struct store_rig *rig; // commits are built here
    uint64_t random;
    uint64_t next_seq[RANDOM_QUEUES];
};

void random_start(struct store_random *self, struct store_rig *rig, uint64_t seed);
uint64_t random_below(struct store_random *self, uint64_t end); // 0 .. end - 1
void random_commit(struct store_random *self);                  // adds 1 .. RANDOM_CHANGES_MAX changes to the commit being built
