// What a consumer thread does: lock-step calls, or a consumer handle. Several queues at once are in many.c.
#include <stdlib.h>

#include "body.h"
#include "many.h"
#include "report.h"
#include "take.h"

enum { CLOSE_MS = 10000 };

uint64_t take_item(struct bench_worker *worker, const struct nq_item *item, uint64_t got)
{
    const struct bench_run *run = worker->run;
    uint64_t from_ns = body_from_ns(item, run);
    uint64_t now_ns = 0;
    if (from_ns != 0) {
        now_ns = cli_now_ns();
        if (from_ns >= run->measure_from_ns) {
            histogram_record(&worker->latency[LATENCY_PUT_TO_GET], now_ns - from_ns);
        }
    }
    counter_set(&worker->counters.moved, got);
    return now_ns;
}

bool take_is_over(struct bench_worker *worker)
{
    const struct bench_options *options = worker->run->options;
    return bench_stops(worker->run) ||
           (options->count > 0 && bench_sum_moved(bench_consumers(worker->run), options->consumers) >= options->count);
}

// One round trip finishes an item and gets the next: its time is that of the done, with what it waited for the item.
static enum nq_status step_lockstep(struct bench_worker *worker, const char *queue, struct nq_item **item, enum nq_status *done)
{
    *done = NQ_OK;
    if (!take_is_over(worker)) {
        return nq_next(worker->client, queue, NULL, item, done);
    }
    if (*item != NULL) {
        *done = nq_task_done(worker->client, item);
    }
    return NQ_EMPTY;
}

static void note_done(struct bench_worker *worker, enum nq_status done, uint64_t begun_ns)
{
    if (done == NQ_OK && begun_ns >= worker->run->measure_from_ns) {
        histogram_record(&worker->latency[LATENCY_DONE], cli_now_ns() - begun_ns);
    }
    worker->errors += done == NQ_LEASE_LOST ? 1 : 0;
}

static void get_lockstep(struct bench_worker *worker, const char *queue)
{
    struct nq_item *item = NULL;
    uint64_t got = 0;
    uint64_t confirmed = 0;
    enum nq_status status;
    do {
        bool finishes = item != NULL;
        enum nq_status done;
        uint64_t begun_ns = cli_now_ns();
        status = step_lockstep(worker, queue, &item, &done);
        if (finishes) {
            note_done(worker, done, begun_ns);
            confirmed += done == NQ_OK ? 1 : 0;
            counter_set(&worker->counters.confirmed, confirmed);
        }
        if (item != NULL) {
            (void)take_item(worker, item, ++got);
        }
        if (done != NQ_OK && done != NQ_LEASE_LOST) {
            status = done;
        }
    } while (status == NQ_OK || status == NQ_INTERRUPTED);
    if (status != NQ_EMPTY) {
        bench_fail(worker, status);
    }
    nq_item_destroy(&item);
}

struct getting {
    struct bench_worker *worker;
    struct nq_consumer *handle;
    struct samples samples;
};

static void look(struct getting *getting)
{
    struct bench_worker *worker = getting->worker;
    uint64_t confirmed = nq_consumer_confirmed(getting->handle);
    counter_set(&worker->counters.confirmed, confirmed);
    bench_settle(worker, &getting->samples, confirmed + nq_consumer_lost(getting->handle), LATENCY_DONE);
}

static enum nq_status get_all(struct getting *getting)
{
    struct bench_worker *worker = getting->worker;
    const struct bench_options *options = worker->run->options;
    bool ours = options->mode == BENCH_CYCLE && options->size >= sizeof(struct bench_stamp); // then the stamps choose
    uint64_t got = 0;
    while (!take_is_over(worker)) {
        struct nq_item *item = NULL;
        enum nq_status status = nq_consumer_get(getting->handle, NQ_WAIT_FOREVER, &item);
        if (status == NQ_INTERRUPTED) {
            continue;
        }
        if (status != NQ_OK) {
            return status;
        }
        uint64_t now_ns = take_item(worker, item, ++got);
        if (!ours && got % SAMPLE_EVERY == 0) {
            now_ns = cli_now_ns();
        }
        if (now_ns != 0) {
            samples_add(&getting->samples, got, now_ns);
        }
        status = nq_consumer_done(getting->handle, &item);
        if (status != NQ_OK) {
            return status;
        }
        look(getting);
    }
    return NQ_OK;
}

static void get_by_handle(struct bench_worker *worker, const char *queue)
{
    const struct bench_options *options = worker->run->options;
    struct getting getting = {.worker = worker};
    struct nq_consumer_options how;
    nq_consumer_options_init(&how);
    how.prefetch = (int)options->window;
    how.done_window = (size_t)options->window;
    enum nq_status status = samples_init(&getting.samples, (size_t)options->window + 1)
                                ? nq_consumer_open(worker->client, queue, &how, &getting.handle)
                                : NQ_NO_MEMORY;
    if (status == NQ_OK) {
        status = get_all(&getting);
    }
    if (status == NQ_OK) {
        do {
            status = nq_consumer_flush(getting.handle, CLOSE_MS);
        } while (bench_flushes_again(status));
    }
    if (getting.handle != NULL) {
        look(&getting);
        worker->errors += nq_consumer_lost(getting.handle);
    }
    bench_flushed(worker, status);
    worker->ended_ns = cli_now_ns(); // giving back what was fetched ahead is not part of it
    (void)nq_consumer_close(&getting.handle, 0);
    samples_fini(&getting.samples);
}

void bench_consume(struct bench_worker *worker)
{
    const struct bench_options *options = worker->run->options;
    char queue[192];
    bench_queue_name(options, thread_queue(options->queues, options->consumers, worker->number, 0), queue, sizeof(queue));
    if (thread_queue_count(options->queues, options->consumers, worker->number) > 1) {
        many_get(worker);
    } else if (options->window == 1) {
        get_lockstep(worker, queue);
    } else {
        get_by_handle(worker, queue);
    }
    if (options->count > 0 && take_is_over(worker)) {
        bench_run_stop(worker->run); // the others wait for items that do not come
    }
}
