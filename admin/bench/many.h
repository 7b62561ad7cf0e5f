// Workers with several queues: requests of all of them on their way at once, by the library's form that does not block.
#pragma once
#include "run.h"

void many_put(struct bench_worker *worker, struct bench_turn *turn, uint8_t *body);
void many_get(struct bench_worker *worker);
