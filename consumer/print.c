// One queue, no command: items are printed in batches and finished when the batch is written.
#include <stdlib.h>

#include "output.h"

enum {
    EMPTY_LOOK_MS = 200, // with --exit-when-empty: how often the broker is asked
    SLOW_GET_NS = 30000, // a get that took longer has waited for the broker: there is no batch to be gathered
};

struct printer {
    struct worker *worker;
    struct nq_consumer *handle;
    struct output output;
    uint64_t idle_since_ms;
    bool has_come; // an item, since then
};

static void finish(struct printer *printer, bool done)
{
    struct output *output = &printer->output;
    for (size_t i = 0; i < output->count; i++) {
        enum nq_status status = done ? nq_consumer_done(printer->handle, &output->items[i])
                                     : nq_consumer_requeue(printer->handle, &output->items[i], NULL);
        if (status != NQ_OK && status != NQ_LEASE_LOST) {
            worker_fail(printer->worker, status, nq_error_text(printer->worker->client));
        }
    }
    output->count = 0;
}

static bool flush(struct printer *printer)
{
    if (printer->output.count == 0) {
        return true;
    }
    bool ok = output_write(&printer->output);
    finish(printer, ok);
    return ok && printer->worker->status == NQ_OK;
}

static uint64_t idle_wait_ms(struct printer *printer)
{
    const struct consumer_options *options = printer->worker->options;
    if (printer->has_come) { // a look at the clock for each item would not be free
        printer->has_come = false;
        printer->idle_since_ms = cli_now_ms();
    }
    uint64_t wait_ms = options->exit_when_empty ? EMPTY_LOOK_MS : NQ_WAIT_FOREVER;
    if (options->max_idle_given) {
        uint64_t idle_ms = cli_now_ms() - printer->idle_since_ms;
        uint64_t left_ms = options->max_idle_ms > idle_ms ? options->max_idle_ms - idle_ms : 0;
        wait_ms = left_ms < wait_ms ? left_ms : wait_ms;
    }
    return wait_ms;
}

// Nothing came in time: is that the end?
static bool is_over(struct printer *printer)
{
    const struct consumer_options *options = printer->worker->options;
    if (options->max_idle_given && cli_now_ms() - printer->idle_since_ms >= options->max_idle_ms) {
        return true;
    }
    struct nq_queue_stats stats;
    return options->exit_when_empty && nq_stat(printer->worker->client, options->queues[0], &stats) == NQ_OK && stats.ready == 0 &&
           stats.delayed == 0;
}

// What the broker has not sent yet must not keep what has been taken from being printed.
static enum nq_status next(struct printer *printer, struct nq_item **item, bool *waited)
{
    uint64_t before_ns = cli_now_ns();
    enum nq_status status = NQ_EMPTY;
    if (printer->output.count > 0) {
        status = nq_consumer_get(printer->handle, 0, item);
        if (status != NQ_OK && !flush(printer)) {
            return NQ_CANCELLED;
        }
    }
    if (status == NQ_EMPTY) {
        status = nq_consumer_get(printer->handle, idle_wait_ms(printer), item);
    }
    *waited = cli_now_ns() - before_ns > SLOW_GET_NS;
    return status;
}

// False: the end.
static bool turn(struct printer *printer)
{
    struct worker *worker = printer->worker;
    struct nq_item *item = NULL;
    bool waited = false;
    if (worker_is_stopping(worker) || worker->taken == worker->limit) {
        return false;
    }
    enum nq_status status = next(printer, &item, &waited);
    switch (status) {
    case NQ_OK:
        worker->taken++;
        output_add(&printer->output, item);
        printer->has_come = true;
        return (!waited && !output_is_full(&printer->output)) || flush(printer);
    case NQ_EMPTY:
        return !is_over(printer);
    case NQ_INTERRUPTED:
        return true;
    case NQ_SHUT_DOWN:
    case NQ_CANCELLED: // said already
        return false;
    default:
        worker_fail(worker, status, nq_error_text(worker->client));
        return false;
    }
}

static void close_handle(struct printer *printer)
{
    struct worker *worker = printer->worker;
    enum nq_status status;
    do {
        bool hurry = worker_is_stopping(worker) && worker_must_end(worker);
        status = nq_consumer_flush(printer->handle, hurry ? 0 : worker_grace_left_ms(worker));
    } while (status == NQ_INTERRUPTED && !worker_must_end(worker));
    worker->lost += nq_consumer_lost(printer->handle);
    if (status == NQ_TIMED_OUT || status == NQ_INTERRUPTED) {
        worker_fail_unknown(worker);
    } else if (status != NQ_OK) {
        worker_fail(worker, status, nq_error_text(worker->client));
    }
    nq_consumer_close(&printer->handle, 0);
}

void print_run(struct worker *worker)
{
    const struct consumer_options *options = worker->options;
    struct printer *printer = calloc(1, sizeof(*printer));
    if (printer == NULL) {
        worker_fail(worker, NQ_NO_MEMORY, "out of memory");
        return;
    }
    printer->worker = worker;
    printer->output.worker = worker;
    printer->idle_since_ms = cli_now_ms();
    struct nq_consumer_options how;
    nq_consumer_options_init(&how);
    how.prefetch = options->prefetch_given ? (int)options->prefetch : NQ_PREFETCH_AUTO;
    how.lease_ms = options->lease_ms;
    how.hold_max_ms = options->hold_max_ms;
    how.max_items = worker->limit == UINT64_MAX ? 0 : worker->limit;
    how.at_most_once = options->at_most_once;
    enum nq_status status = nq_consumer_open(worker->client, options->queues[0], &how, &printer->handle);
    if (status != NQ_OK) {
        worker_fail(worker, status, nq_error_text(worker->client));
    } else {
        while (turn(printer)) {
        }
        flush(printer);
        close_handle(printer);
    }
    output_fini(&printer->output);
    free(printer);
}
