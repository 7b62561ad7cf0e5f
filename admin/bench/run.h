// One run of the load: its workers, each a thread with a client of its own, and what they share.
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "figures.h"
#include "samples.h"
#include "schedule.h"
#include "signals.h"

enum { SAMPLE_EVERY = 61 }; // as fast as possible, one item in so many is timed: a prime, so that all places in a batch come up

struct bench_run;

// Counters of one worker, on a cache line that it alone writes.
struct bench_counters {
    _Alignas(64) atomic_uint_fast64_t moved; // puts begun, items got
    atomic_uint_fast64_t confirmed;          // puts stored, items done
};

struct bench_worker {
    struct bench_counters counters;
    struct bench_run *run;
    pthread_t thread;
    uint64_t number; // among the producers, or the consumers
    struct nq_client *client;
    struct histogram latency[LATENCIES];
    uint64_t ended_ns; // all it did is confirmed
    uint64_t errors;
    enum nq_status status;
    bool is_running;
    char error[256];
    char name[32];
};

struct bench_run {
    const struct bench_options *options;
    const struct cli_common *common;
    struct bench_worker *workers; // producers, then consumers
    size_t workers_count;
    uint64_t id; // in the bodies, so that items of another run are not taken for ours
    struct schedule schedule;
    uint64_t start_ns, measure_from_ns, end_ns; // end_ns UINT64_MAX: when all items are done
    atomic_bool producers_stop, stop;
    atomic_uint ended; // workers
    int wake_fd;
    struct cli_listener listener;
};

// What a body begins with, when there is room for it.
struct bench_stamp {
    uint64_t run_id;
    uint64_t from_ns; // 0: not timed
};

static inline struct bench_worker *bench_producers(const struct bench_run *run)
{
    return run->workers;
}

static inline struct bench_worker *bench_consumers(const struct bench_run *run)
{
    return run->workers + run->options->producers;
}

static inline void counter_set(atomic_uint_fast64_t *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_relaxed);
}

// run.c
struct bench_run *bench_run_create(const struct bench_options *options, const struct cli_common *common, enum nq_status *status);
void bench_run_destroy(struct bench_run **run_p);
// Until it is over: the items, the time, a signal or a failure. What went wrong is said on stderr.
enum nq_status bench_run_all(struct bench_run *run, struct figures *figures);
void bench_run_stop(struct bench_run *run); // from any thread

// count.c
uint64_t bench_sum_moved(const struct bench_worker *workers, uint64_t count);
uint64_t bench_sum_confirmed(const struct bench_worker *workers, uint64_t count);
static inline bool bench_stops(const struct bench_run *run)
{
    return atomic_load_explicit(&run->stop, memory_order_relaxed);
}
// The worker cannot go on; its client's error is kept, and the run ends.
void bench_fail(struct bench_worker *worker, enum nq_status status);
// The same for a handle that has been flushed: that a signal has cut it short is no failure.
void bench_flushed(struct bench_worker *worker, enum nq_status status);
// Whether a flush that answered `status` is asked again: after the first signal what was begun is still waited for.
bool bench_flushes_again(enum nq_status status);
// Of the items whose times are waited for, so many are confirmed by now.
void bench_settle(struct bench_worker *worker, struct samples *samples, uint64_t confirmed, enum figure_latency latency);

// produce.c, consume.c: what the threads do
void bench_produce(struct bench_worker *worker);
void bench_consume(struct bench_worker *worker);

// pace.c
struct bench_turn {
    uint64_t index;   // of the worker's next item
    uint64_t quota;   // how many it puts in all
    uint64_t from_ns; // when the item is due, or now; 0: not timed
};
// Wait until the next item may be put. `work` is called when the client has something to do meanwhile; it may be NULL.
// False: no more items.
bool bench_next_turn(struct bench_worker *worker, struct bench_turn *turn, void (*work)(void *user), void *user);
