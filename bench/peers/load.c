#include "load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "load_worker.h"

enum {
    BYTES_UNDER_WAY_MAX = 16 << 20,
    BYTES_QUEUED_MAX = 256 << 20,
    TIMED_EVERY = 61, // at full speed with a window one item in so many is timed, as `netqueue bench` does it
};

uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static void sleep_until(uint64_t when_ns)
{
    struct timespec ts = {(time_t)(when_ns / 1000000000u), (long)(when_ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) != 0) {
    }
}

static void record(struct worker *worker, enum latency which, uint64_t since_ns, uint64_t now)
{
    if (since_ns != 0 && atomic_load_explicit(&worker->run->measuring, memory_order_relaxed)) {
        histogram_record(&worker->latency[which], now > since_ns ? now - since_ns : 0);
    }
}

// ------------------------------------------------------------------------------------------------ producers

// When a producer's n-th item is due: the producers take turns.
static uint64_t due_ns(const struct worker *worker, uint64_t n)
{
    const struct load *load = &worker->run->load;
    return worker->run->started_ns + (uint64_t)((double)(n * load->producers + worker->index) * 1e9 / load->rate);
}

const void *worker_body(struct worker *worker)
{
    const struct load *load = &worker->run->load;
    // At a fixed rate an item counts from when it was due: what waits behind a slow one is slow, too.
    bool timed = load->rate > 0 || load->window == 1 || worker->put % TIMED_EVERY == 0;
    uint64_t stamp = !timed ? 0 : load->rate > 0 ? due_ns(worker, worker->put) : now_ns();
    worker->stamps[(worker->stamps_first + worker->unsettled) % load->window] = stamp;
    worker->unsettled++;
    worker->put++;
    memcpy(worker->body, &stamp, load->size < sizeof(stamp) ? load->size : sizeof(stamp));
    return worker->body;
}

size_t worker_body_len(const struct worker *worker)
{
    return worker->run->load.size;
}

static void settle(struct worker *worker, size_t count)
{
    if (count == 0) {
        return;
    }
    bool known = worker->run->peer->settle(worker->connection, count);
    uint64_t now = now_ns();
    for (size_t i = 0; i < count; i++) {
        record(worker, LATENCY_PUT, known ? worker->stamps[worker->stamps_first] : 0, now);
        worker->stamps_first = (worker->stamps_first + 1) % worker->run->load.window;
    }
    worker->unsettled -= count;
}

// How many items may be sent now, at most `most`. 0: none, after a pause.
static size_t wait_for_turn(struct worker *worker, size_t most)
{
    struct run *run = worker->run;
    const struct load *load = &run->load;
    uint64_t put = atomic_load(&run->put);
    if (load->count > 0 && put + most > load->count) {
        most = put < load->count ? (size_t)(load->count - put) : 0;
    }
    size_t queued_max = 10 * load->window * load->producers + 1000; // as a bounded queue would, and as netqueue bench does
    if (load->size > 0 && queued_max > BYTES_QUEUED_MAX / load->size) {
        queued_max = BYTES_QUEUED_MAX / load->size + 2;
    }
    if (load->consumers > 0 && put > atomic_load(&run->done) + queued_max) {
        sleep_until(now_ns() + 100000);
        return 0;
    }
    if (load->rate > 0) {
        uint64_t now = now_ns();
        if (due_ns(worker, worker->put) > now) {
            settle(worker, worker->unsettled);
            sleep_until(due_ns(worker, worker->put));
            now = now_ns();
        }
        size_t due = 1;
        while (due < most && due_ns(worker, worker->put + due) <= now) {
            due++;
        }
        return due;
    }
    return most;
}

static void *produce(void *argument)
{
    struct worker *worker = argument;
    struct run *run = worker->run;
    size_t window = run->load.window;
    size_t chunk = (window + 1) / 2; // while the answers to one half are awaited, the other is at work
    prctl(PR_SET_TIMERSLACK, 1);
    while (!atomic_load(&run->stopping) && (run->load.count == 0 || atomic_load(&run->put) < run->load.count)) {
        size_t count = wait_for_turn(worker, chunk);
        if (count == 0) {
            continue;
        }
        if (worker->unsettled + count > window) {
            settle(worker, worker->unsettled + count - window);
        }
        run->peer->send(worker->connection, count);
        atomic_fetch_add(&run->put, count);
        if (window == 1) {
            settle(worker, worker->unsettled);
        }
    }
    settle(worker, worker->unsettled);
    atomic_fetch_sub(&run->busy, 1);
    return NULL;
}

// ------------------------------------------------------------------------------------------------ consumers

void worker_got(struct worker *worker, const void *body, size_t len)
{
    uint64_t stamp = 0;
    if (worker->run->load.producers > 0 && len >= sizeof(stamp)) {
        memcpy(&stamp, body, sizeof(stamp));
        record(worker, LATENCY_PUT_TO_GET, stamp, stamp == 0 ? 0 : now_ns());
    }
}

void worker_done(struct worker *worker, uint64_t asked_ns, size_t count)
{
    record(worker, LATENCY_DONE, asked_ns, asked_ns == 0 ? 0 : now_ns());
    atomic_fetch_add(&worker->run->done, count);
}

static void *consume(void *argument)
{
    struct worker *worker = argument;
    struct run *run = worker->run;
    while (!atomic_load(&run->stopping)) {
        run->peer->take(worker->connection, run->load.window);
    }
    return NULL;
}

// ------------------------------------------------------------------------------------------------ the run

static struct worker *start_workers(struct run *run, unsigned count)
{
    struct worker *workers = calloc(count, sizeof(*workers));
    for (unsigned i = 0; i < count; i++) {
        struct worker *worker = &workers[i];
        worker->run = run;
        worker->consumes = i >= run->load.producers;
        worker->index = worker->consumes ? i - run->load.producers : i;
        worker->body = malloc(run->load.size + sizeof(uint64_t));
        for (int which = 0; which < LATENCY_COUNT; which++) {
            if (!histogram_init(&worker->latency[which])) {
                fail("%s: out of memory", run->peer->name);
            }
        }
        worker->stamps = calloc(run->load.window, sizeof(*worker->stamps));
        memset(worker->body, 'x', run->load.size);
        worker->connection = run->peer->open(&run->load, worker, worker->index, worker->consumes);
    }
    run->started_ns = now_ns();
    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&workers[i].thread, NULL, workers[i].consumes ? consume : produce, &workers[i]) != 0) {
            fail("%s: cannot start %u threads", run->peer->name, count);
        }
    }
    return workers;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// A counted run ends when the last producer is through, or the last item is done.
static bool is_over(struct run *run, uint64_t end_ns)
{
    if (run->load.count == 0) {
        return now_ns() >= end_ns;
    }
    return run->load.consumers > 0 ? atomic_load(&run->done) >= run->load.count : atomic_load(&run->busy) == 0;
}

static void measure(struct run *run, struct result *result)
{
    if (run->load.count == 0) {
        sleep_until(now_ns() + (uint64_t)(run->load.warmup * 1e9));
    }
    atomic_ullong *counter = run->load.consumers > 0 ? &run->done : &run->put;
    atomic_store(&run->measuring, true);
    double cpu = cpu_seconds();
    uint64_t begun = run->load.count == 0 ? now_ns() : run->started_ns;
    uint64_t items = run->load.count == 0 ? atomic_load(counter) : 0;
    uint64_t end_ns = begun + (uint64_t)(run->load.duration * 1e9);
    while (!is_over(run, end_ns)) {
        uint64_t now = now_ns();
        sleep_until(run->load.count == 0 ? end_ns : now + 1000000);
    }
    result->items = atomic_load(counter) - items;
    result->seconds = (double)(now_ns() - begun) / 1e9;
    result->client_cpu_seconds = cpu_seconds() - cpu;
    atomic_store(&run->measuring, false);
    atomic_store(&run->stopping, true);
}

int load_main(const struct peer *peer, int argc, char **argv)
{
    static struct run run;
    static struct result result;
    int exit_code = 0;
    run.peer = peer;
    if (!load_parse(&run.load, peer, argc, argv, &exit_code)) {
        return exit_code;
    }
    size_t fits = run.load.size == 0 ? run.load.window : BYTES_UNDER_WAY_MAX / run.load.size;
    if (run.load.window > fits) {
        run.load.window = fits > 0 ? fits : 1;
    }
    if (run.load.producers > 0) {
        peer->prepare(&run.load);
    }
    unsigned count = run.load.producers + run.load.consumers;
    atomic_store(&run.busy, run.load.producers);
    for (int which = 0; which < LATENCY_COUNT; which++) {
        if (!histogram_init(&result.latency[which])) {
            fail("%s: out of memory", peer->name);
        }
    }
    struct worker *workers = start_workers(&run, count);
    measure(&run, &result);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        peer->close(workers[i].connection);
        for (int which = 0; which < LATENCY_COUNT; which++) {
            histogram_add(&result.latency[which], &workers[i].latency[which]);
            histogram_fini(&workers[i].latency[which]);
        }
        free(workers[i].body);
        free(workers[i].stamps);
    }
    free(workers);
    load_print(&run.load, &result);
    return 0;
}
