// What all ways of getting items share.
#pragma once
#include "run.h"

// Count the worker's got-th item and time it. The time now when it is one to be timed, else 0.
uint64_t take_item(struct bench_worker *worker, const struct nq_item *item, uint64_t got);
bool take_is_over(struct bench_worker *worker);
