#include <stdio.h>

#include "report.h"
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

void bench_flushed(struct bench_worker *worker, enum nq_status status)
{
    if (status != NQ_OK && status != NQ_INTERRUPTED) {
        bench_fail(worker, status);
    }
}

bool bench_flushes_again(enum nq_status status)
{
    return status == NQ_INTERRUPTED && cli_signals_count() <= 1;
}

void bench_settle(struct bench_worker *worker, struct samples *samples, uint64_t confirmed, enum figure_latency latency)
{
    if (samples_is_due(samples, confirmed)) { // else the clock need not be read
        samples_settle(samples, confirmed, cli_now_ns(), worker->run->measure_from_ns, &worker->latency[latency]);
    }
}
