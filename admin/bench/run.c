#include "run.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "report.h"
#include "setup.h"

#define NS_PER_MS 1000000u
enum { PROGRESS_NS = 1000000000, DRAIN_MS = 10000, DRAIN_LOOK_MS = 5 };

// ------------------------------------------------------------------------------------------------------------- the threads

static void wake_main(struct bench_run *run)
{
    uint64_t one = 1;
    ssize_t written = write(run->wake_fd, &one, sizeof(one));
    (void)written; // full means that it is readable already
}

void bench_run_stop(struct bench_run *run)
{
    if (atomic_exchange(&run->stop, true)) {
        return;
    }
    for (size_t i = 0; i < run->workers_count; i++) {
        nq_interrupt(run->workers[i].client);
    }
    wake_main(run);
}

static void *thread_main(void *user)
{
    struct bench_worker *worker = user;
    struct bench_run *run = worker->run;
    (void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul); // an item that is due does not wait for others' timers
    if (worker < bench_consumers(run)) {
        bench_produce(worker);
    } else {
        bench_consume(worker);
    }
    if (worker->ended_ns == 0) {
        worker->ended_ns = cli_now_ns();
    }
    atomic_fetch_add(&run->ended, 1);
    wake_main(run);
    return NULL;
}

static bool start_threads(struct bench_run *run)
{
    for (size_t i = run->workers_count; i > 0; i--) { // consumers first: they wait for items
        struct bench_worker *worker = &run->workers[i - 1];
        worker->is_running = pthread_create(&worker->thread, NULL, thread_main, worker) == 0;
        if (!worker->is_running) {
            cli_report("cannot start a thread: %zu of %zu run", run->workers_count - i, run->workers_count);
            bench_run_stop(run);
            return false;
        }
    }
    return true;
}

static void join_threads(struct bench_run *run)
{
    for (size_t i = 0; i < run->workers_count; i++) {
        if (run->workers[i].is_running) {
            pthread_join(run->workers[i].thread, NULL);
            run->workers[i].is_running = false;
        }
    }
}

// ------------------------------------------------------------------------------------------------------------ create, destroy

// Connected before the time begins.
static enum nq_status connect_worker(struct bench_run *run, size_t index)
{
    struct bench_worker *worker = &run->workers[index];
    struct nq_broker_info info;
    bool puts = index < run->options->producers;
    enum nq_status status;
    worker->run = run;
    worker->number = puts ? index : index - run->options->producers;
    snprintf(worker->name, sizeof(worker->name), "%s-%" PRIu64, puts ? "bench-producer" : "bench-consumer", worker->number + 1);
    for (size_t i = 0; i < LATENCIES; i++) {
        if (!histogram_init(&worker->latency[i])) {
            return NQ_NO_MEMORY;
        }
    }
    worker->client = cli_client_create(run->common, worker->name, 1, &status);
    if (worker->client != NULL) {
        status = nq_ping(worker->client, &info);
        if (status != NQ_OK) {
            cli_report("%s: %s", worker->name, nq_error_text(worker->client));
        }
    }
    return status;
}

struct bench_run *bench_run_create(const struct bench_options *options, const struct cli_common *common, enum nq_status *status)
{
    struct bench_run *run = calloc(1, sizeof(*run));
    *status = NQ_NO_MEMORY;
    if (run == NULL) {
        return NULL;
    }
    run->options = options;
    run->common = common;
    run->listener = (struct cli_listener){-1, -1};
    run->id = cli_now_ns() ^ ((uint64_t)getpid() << 32);
    run->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    size_t count = (size_t)(options->producers + options->consumers);
    run->workers = aligned_alloc(_Alignof(struct bench_worker), count * sizeof(*run->workers));
    if (run->workers == NULL || run->wake_fd < 0 || !cli_listen(&run->listener, NULL)) {
        cli_report("out of memory or descriptors");
        bench_run_destroy(&run);
        return NULL;
    }
    memset(run->workers, 0, count * sizeof(*run->workers));
    *status = NQ_OK;
    for (size_t i = 0; i < count && *status == NQ_OK; i++) {
        run->workers_count++;
        *status = cli_signals_count() > 0 ? NQ_INTERRUPTED : connect_worker(run, i);
    }
    if (*status != NQ_OK) {
        bench_run_destroy(&run);
    }
    return run;
}

void bench_run_destroy(struct bench_run **run_p)
{
    struct bench_run *run = *run_p;
    if (run == NULL) {
        return;
    }
    *run_p = NULL;
    for (size_t i = 0; i < run->workers_count; i++) {
        nq_client_destroy(&run->workers[i].client);
        for (size_t k = 0; k < LATENCIES; k++) {
            histogram_fini(&run->workers[i].latency[k]);
        }
    }
    cli_unlisten(&run->listener);
    if (run->wake_fd >= 0) {
        close(run->wake_fd);
    }
    free(run->workers);
    free(run);
}

// ---------------------------------------------------------------------------------------------------------------- measuring

struct reading {
    uint64_t at_ns, items;
    double cpu_seconds;
    bool taken;
};

static uint64_t items_now(const struct bench_run *run)
{
    const struct bench_options *options = run->options;
    return options->mode == BENCH_PUT ? bench_sum_confirmed(bench_producers(run), options->producers)
                                      : bench_sum_confirmed(bench_consumers(run), options->consumers);
}

static double in_seconds(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static void read_now(const struct bench_run *run, struct reading *reading)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    *reading = (struct reading){.at_ns = cli_now_ns(),
                                .items = items_now(run),
                                .cpu_seconds = in_seconds(&usage.ru_utime) + in_seconds(&usage.ru_stime),
                                .taken = true};
}

static bool all_ended(const struct bench_run *run)
{
    return atomic_load(&run->ended) >= run->workers_count;
}

static void wait_for(struct bench_run *run, uint64_t until_ns)
{
    uint64_t now_ns = cli_now_ns();
    uint64_t wait_ms = until_ns > now_ns ? (until_ns - now_ns) / NS_PER_MS + 1 : 0;
    struct pollfd fds[2] = {{.fd = run->wake_fd, .events = POLLIN}, {.fd = run->listener.fd, .events = POLLIN}};
    if (poll(fds, 2, wait_ms < 60000 ? (int)wait_ms : 60000) > 0) {
        uint64_t count;
        ssize_t got = read(run->wake_fd, &count, sizeof(count));
        (void)got;
        cli_listener_clear(&run->listener);
    }
}

struct progress {
    uint64_t at_ns, items;
    bool wanted;
};

static void show_progress(const struct bench_run *run, struct progress *progress)
{
    uint64_t now_ns = cli_now_ns();
    if (!progress->wanted || now_ns - progress->at_ns < PROGRESS_NS) {
        return;
    }
    uint64_t items = items_now(run);
    double seconds = (double)(now_ns - progress->at_ns) / 1e9;
    cli_progress("%s%.0f items/s, %" PRIu64 " items", now_ns < run->measure_from_ns ? "warm-up: " : "",
                 (double)(items - progress->items) / seconds, items);
    progress->at_ns = now_ns;
    progress->items = items;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// Until the time is over, all is done, something fails or a signal comes.
static void watch(struct bench_run *run, struct reading *first, struct reading *last)
{
    struct progress progress = {.at_ns = cli_now_ns(), .wanted = cli_progress_wanted(run->options->quiet)};
    while (!last->taken && !all_ended(run) && !bench_stops(run) && cli_signals_count() == 0) {
        uint64_t now_ns = cli_now_ns();
        if (!first->taken && now_ns >= run->measure_from_ns) {
            read_now(run, first);
        }
        if (now_ns >= run->end_ns) {
            read_now(run, last);
            break;
        }
        uint64_t next_ns = first->taken ? run->end_ns : run->measure_from_ns;
        wait_for(run, progress.wanted ? sooner(next_ns, progress.at_ns + PROGRESS_NS) : next_ns);
        show_progress(run, &progress);
    }
    if (cli_signals_count() > 0 && !last->taken) {
        read_now(run, last);
    }
}

// At a fixed rate what was put is still got: the slowest items are not left out of the figures.
static void drain(struct bench_run *run)
{
    const struct bench_options *options = run->options;
    uint64_t until_ns = cli_now_ns() + (uint64_t)DRAIN_MS * NS_PER_MS;
    atomic_store(&run->producers_stop, true);
    for (uint64_t i = 0; i < options->producers; i++) {
        nq_interrupt(bench_producers(run)[i].client);
    }
    while (options->rate > 0 && options->consumers > 0 && !bench_stops(run) && cli_signals_count() == 0 &&
           cli_now_ns() < until_ns &&
           (atomic_load(&run->ended) < options->producers || bench_sum_moved(bench_consumers(run), options->consumers) <
                                                                 bench_sum_moved(bench_producers(run), options->producers))) {
        wait_for(run, cli_now_ns() + (uint64_t)DRAIN_LOOK_MS * NS_PER_MS);
    }
}

static void sum_up(const struct bench_run *run, const struct reading *first, const struct reading *last, struct figures *figures)
{
    figures->seconds = (double)(last->at_ns - first->at_ns) / 1e9;
    figures->items = last->items - first->items;
    figures->client_cpu_seconds = last->cpu_seconds - first->cpu_seconds;
    for (size_t i = 0; i < run->workers_count; i++) {
        figures->errors += run->workers[i].errors;
        for (size_t k = 0; k < LATENCIES; k++) {
            histogram_add(&figures->latency[k], &run->workers[i].latency[k]);
        }
    }
    if (run->options->rate > 0) {
        uint64_t due = schedule_due_count(&run->schedule, sooner(last->at_ns, run->end_ns));
        uint64_t wanted = run->options->count > 0 ? sooner(due, run->options->count) : due;
        uint64_t puts = bench_sum_moved(bench_producers(run), run->options->producers);
        figures->missed = wanted > puts ? wanted - puts : 0;
    }
}

// The first that failed; the others were only told to stop.
static enum nq_status report_failure(const struct bench_run *run)
{
    for (size_t i = 0; i < run->workers_count; i++) {
        const struct bench_worker *worker = &run->workers[i];
        if (worker->status != NQ_OK) {
            cli_report("%s: %s", worker->name, worker->error);
            return worker->status;
        }
    }
    return NQ_OK;
}

enum nq_status bench_run_all(struct bench_run *run, struct figures *figures)
{
    const struct bench_options *options = run->options;
    struct reading first = {0};
    struct reading last = {0};
    run->start_ns = cli_now_ns();
    run->measure_from_ns = run->start_ns + options->warmup_ms * NS_PER_MS;
    run->end_ns =
        options->duration_ms > UINT64_MAX / 2 / NS_PER_MS ? UINT64_MAX : run->measure_from_ns + options->duration_ms * NS_PER_MS;
    run->schedule = (struct schedule){run->start_ns, options->rate, options->producers};
    if (options->warmup_ms == 0) {
        read_now(run, &first);
    }
    if (start_threads(run)) {
        watch(run, &first, &last);
        drain(run);
    }
    bench_run_stop(run);
    join_threads(run);
    if (!last.taken) {
        read_now(run, &last);
        last.at_ns = run->start_ns;
        for (size_t i = 0; i < run->workers_count; i++) { // it ended with its last item
            last.at_ns = run->workers[i].ended_ns > last.at_ns ? run->workers[i].ended_ns : last.at_ns;
        }
    }
    first = first.taken ? first : last;
    cli_progress("%s", "");
    sum_up(run, &first, &last, figures);
    return report_failure(run);
}
