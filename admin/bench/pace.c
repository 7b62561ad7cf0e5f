// When the next item is put: by the schedule of a fixed rate, or at once as long as consumers keep up.
#include <poll.h>
#include <time.h>

#include "report.h"
#include "run.h"

#define NS_PER_S 1000000000u
enum { LOOK_EVERY = 32, DOZE_NS = 100000 }; // puts between two looks at the lead; how long to wait for consumers

static bool is_over(const struct bench_run *run)
{
    return bench_stops(run) || atomic_load_explicit(&run->producers_stop, memory_order_relaxed);
}

// Wait for the client's descriptor (a stop makes it readable, too) or the time. What is gathered leaves before.
static void wait_until(struct bench_worker *worker, uint64_t until_ns, void (*work)(void *user), void *user)
{
    if (work != NULL) {
        work(user);
    }
    uint64_t now_ns = cli_now_ns();
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec wait = {(time_t)(wait_ns / NS_PER_S), (long)(wait_ns % NS_PER_S)};
    struct pollfd client = {.fd = nq_client_fd(worker->client), .events = POLLIN};
    if (ppoll(&client, 1, &wait, NULL) > 0 && work == NULL) {
        (void)nq_client_process(worker->client);
    }
    if (work != NULL) {
        work(user);
    }
}

static bool is_too_far_ahead(const struct bench_worker *worker)
{
    const struct bench_run *run = worker->run;
    const struct bench_options *options = run->options;
    if (options->consumers == 0) {
        return false;
    }
    uint64_t threads = options->producers > options->consumers ? options->producers : options->consumers;
    uint64_t puts = bench_sum_moved(bench_producers(run), options->producers);
    uint64_t gets = bench_sum_moved(bench_consumers(run), options->consumers);
    return puts > gets && puts - gets > lead_max(options->window, threads, options->size);
}

bool bench_next_turn(struct bench_worker *worker, struct bench_turn *turn, void (*work)(void *user), void *user)
{
    const struct bench_run *run = worker->run;
    const struct bench_options *options = run->options;
    if (turn->index == turn->quota) {
        return false;
    }
    if (options->window == 1 || turn->index % LOOK_EVERY == 0) {
        while (!is_over(run) && is_too_far_ahead(worker)) {
            wait_until(worker, cli_now_ns() + DOZE_NS, work, user);
        }
    }
    turn->from_ns = 0;
    if (options->rate > 0) {
        uint64_t due_ns = schedule_due_ns(&run->schedule, worker->number, turn->index);
        if (due_ns >= run->end_ns) {
            return false;
        }
        while (!is_over(run) && cli_now_ns() < due_ns) {
            wait_until(worker, due_ns, work, user);
        }
        turn->from_ns = due_ns;
    } else if (options->window == 1 || turn->index % SAMPLE_EVERY == 0) {
        turn->from_ns = cli_now_ns();
    }
    return !is_over(run);
}
