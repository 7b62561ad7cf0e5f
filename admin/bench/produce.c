// What a producer thread does: lock-step calls, or a producer handle. Several queues at once are in many.c.
#include <stdlib.h>

#include "body.h"
#include "many.h"
#include "report.h"

enum { CLOSE_MS = 10000 };

static void put_lockstep(struct bench_worker *worker, struct bench_turn *turn, uint8_t *body)
{
    const struct bench_run *run = worker->run;
    const struct bench_options *options = run->options;
    uint64_t queues = thread_queue_count(options->queues, options->producers, worker->number);
    while (bench_next_turn(worker, turn, NULL, NULL)) {
        char queue[192];
        bench_queue_name(options, thread_queue(options->queues, options->producers, worker->number, turn->index % queues), queue,
                         sizeof(queue));
        body_stamp(body, run, turn->from_ns);
        enum nq_status status = nq_put(worker->client, queue, body, (size_t)options->size, NULL, NULL);
        if (status == NQ_INTERRUPTED) {
            continue; // it has had no effect
        }
        if (status != NQ_OK) {
            bench_fail(worker, status);
            return;
        }
        uint64_t now_ns = cli_now_ns();
        if (turn->from_ns >= run->measure_from_ns) {
            histogram_record(&worker->latency[LATENCY_PUT], now_ns - turn->from_ns);
        }
        turn->index++;
        counter_set(&worker->counters.moved, turn->index);
        counter_set(&worker->counters.confirmed, turn->index);
    }
}

struct putting {
    struct bench_worker *worker;
    struct nq_producer *handle;
    struct samples samples;
};

static void look(struct putting *putting)
{
    struct bench_worker *worker = putting->worker;
    uint64_t confirmed = nq_producer_confirmed(putting->handle);
    counter_set(&worker->counters.confirmed, confirmed);
    bench_settle(worker, &putting->samples, confirmed, LATENCY_PUT);
}

static void work(void *user)
{
    struct putting *putting = user;
    (void)nq_producer_work(putting->handle); // a failure is kept, and told of by the next put
    look(putting);
}

static enum nq_status put_all(struct putting *putting, struct bench_turn *turn, uint8_t *data)
{
    struct bench_worker *worker = putting->worker;
    struct nq_body body = {.data = data, .len = (size_t)worker->run->options->size};
    uint64_t stamped_ns = 1; // what stands in the body; not 0, so that it is written once
    while (bench_next_turn(worker, turn, work, putting)) {
        if (turn->from_ns != stamped_ns) {
            stamped_ns = turn->from_ns;
            body_stamp(data, worker->run, stamped_ns);
        }
        enum nq_status status = nq_producer_put(putting->handle, &body);
        if (status == NQ_INTERRUPTED) {
            continue;
        }
        if (status != NQ_OK) {
            return status;
        }
        turn->index++;
        counter_set(&worker->counters.moved, turn->index);
        if (turn->from_ns != 0) {
            samples_add(&putting->samples, turn->index, turn->from_ns);
        }
        look(putting);
    }
    return NQ_OK;
}

static void put_by_handle(struct bench_worker *worker, struct bench_turn *turn, uint8_t *body)
{
    const struct bench_options *options = worker->run->options;
    struct putting putting = {.worker = worker};
    struct nq_producer_options how;
    char queue[192];
    bench_queue_name(options, thread_queue(options->queues, options->producers, worker->number, 0), queue, sizeof(queue));
    nq_producer_options_init(&how);
    how.window_items = (size_t)options->window;
    how.batch_items = (size_t)options->window;
    enum nq_status status = samples_init(&putting.samples, (size_t)options->window + 1)
                                ? nq_producer_open(worker->client, queue, &how, &putting.handle)
                                : NQ_NO_MEMORY;
    if (status == NQ_OK) {
        status = put_all(&putting, turn, body);
    }
    if (status == NQ_OK) {
        do {
            status = nq_producer_flush(putting.handle, CLOSE_MS);
        } while (bench_flushes_again(status));
    }
    if (putting.handle != NULL) {
        look(&putting);
    }
    bench_flushed(worker, status);
    (void)nq_producer_close(&putting.handle, 0);
    samples_fini(&putting.samples);
}

void bench_produce(struct bench_worker *worker)
{
    const struct bench_options *options = worker->run->options;
    uint64_t quota = options->count > 0 ? share_of(options->count, options->producers, worker->number) : UINT64_MAX;
    struct bench_turn turn = {.quota = quota};
    uint8_t *body = body_create(worker->run);
    if (body == NULL) {
        bench_fail(worker, NQ_NO_MEMORY);
    } else if (options->window == 1) {
        put_lockstep(worker, &turn, body);
    } else if (thread_queue_count(options->queues, options->producers, worker->number) > 1) {
        many_put(worker, &turn, body);
    } else {
        put_by_handle(worker, &turn, body);
    }
    free(body);
}
