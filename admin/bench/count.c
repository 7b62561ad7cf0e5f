#include <stdio.h>

#include "run.h"

uint64_t bench_sum_moved(const struct bench_worker *workers, uint64_t count)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += atomic_load_explicit(&workers[i].counters.moved, memory_order_relaxed);
    }
    return sum;
}

uint64_t bench_sum_confirmed(const struct bench_worker *workers, uint64_t count)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += atomic_load_explicit(&workers[i].counters.confirmed, memory_order_relaxed);
    }
    return sum;
}

void bench_fail(struct bench_worker *worker, enum nq_status status)
{
    if (worker->status == NQ_OK) {
        worker->status = status;
        worker->errors++;
        snprintf(worker->error, sizeof(worker->error), "%s", nq_error_text(worker->client));
    }
    bench_run_stop(worker->run);
}
