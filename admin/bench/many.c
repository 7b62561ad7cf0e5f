#include "many.h"

#include <poll.h>
#include <stdlib.h>

#include "body.h"
#include "report.h"
#include "take.h"

enum { POLL_MS_MAX = 1000 };

static void wait_for(struct nq_client *client)
{
    uint64_t wait_ms = nq_client_timeout_ms(client);
    struct pollfd fd = {.fd = nq_client_fd(client), .events = POLLIN};
    poll(&fd, 1, wait_ms < POLL_MS_MAX ? (int)wait_ms : POLL_MS_MAX);
}

// ----------------------------------------------------------------------------------------------------------------------- put

struct putting {
    struct bench_worker *worker;
    uint64_t flying, confirmed;
    enum nq_status status;
};

// `user` is the time from which the item is timed.
static void take_confirmations(struct putting *putting)
{
    struct bench_worker *worker = putting->worker;
    struct nq_completion completion;
    uint64_t now_ns = 0;
    (void)nq_client_process(worker->client);
    while (nq_next_completion(worker->client, &completion) == NQ_OK) {
        uint64_t from_ns = (uint64_t)(uintptr_t)completion.user;
        putting->flying--;
        putting->confirmed += completion.accepted;
        if (completion.status != NQ_OK) {
            putting->status = completion.status;
        } else if (from_ns != 0 && from_ns >= worker->run->measure_from_ns) {
            now_ns = now_ns == 0 ? cli_now_ns() : now_ns;
            histogram_record(&worker->latency[LATENCY_PUT], now_ns - from_ns);
        }
    }
    counter_set(&worker->counters.confirmed, putting->confirmed);
}

static void work(void *user)
{
    take_confirmations(user);
}

static bool start_one(struct putting *putting, struct bench_turn *turn, uint8_t *data, uint64_t queues)
{
    struct bench_worker *worker = putting->worker;
    const struct bench_options *options = worker->run->options;
    struct nq_body body = {.data = data, .len = (size_t)options->size};
    char queue[192];
    bench_queue_name(options, thread_queue(options->queues, options->producers, worker->number, turn->index % queues), queue,
                     sizeof(queue));
    body_stamp(data, worker->run, turn->from_ns);
    if (nq_start_put(worker->client, queue, &body, 1, NULL, (void *)(uintptr_t)turn->from_ns) == 0) {
        return false;
    }
    putting->flying++;
    counter_set(&worker->counters.moved, ++turn->index);
    return true;
}

void many_put(struct bench_worker *worker, struct bench_turn *turn, uint8_t *body)
{
    const struct bench_options *options = worker->run->options;
    struct putting putting = {.worker = worker};
    uint64_t queues = thread_queue_count(options->queues, options->producers, worker->number);
    bool more = true;
    while (putting.status == NQ_OK && (more || putting.flying > 0) && (more || cli_signals_count() <= 1)) {
        while (more && putting.status == NQ_OK && putting.flying < options->window) {
            more = bench_next_turn(worker, turn, work, &putting);
            if (more && !start_one(&putting, turn, body, queues)) {
                putting.status = NQ_BAD_REQUEST;
            }
        }
        take_confirmations(&putting);
        if (putting.flying >= options->window || !more) {
            wait_for(worker->client);
        }
    }
    if (putting.status != NQ_OK) {
        bench_fail(worker, putting.status);
    }
}

// ----------------------------------------------------------------------------------------------------------------------- get

struct getting {
    struct bench_worker *worker;
    uint64_t queues, max_items;
    uint64_t got, flying, confirmed;
    enum nq_status status;
};

static bool start_get(struct getting *getting, uint64_t k)
{
    struct bench_worker *worker = getting->worker;
    const struct bench_options *options = worker->run->options;
    char queue[192];
    bench_queue_name(options, thread_queue(options->queues, options->consumers, worker->number, k), queue, sizeof(queue));
    // An even number is the time of a done, an odd one the queue of a get.
    return nq_start_get(worker->client, queue, (size_t)getting->max_items, NULL, (void *)(uintptr_t)(2 * k + 1)) != 0;
}

static bool finish(struct getting *getting, struct nq_item **item)
{
    struct bench_worker *worker = getting->worker;
    uint64_t now_ns = take_item(worker, *item, ++getting->got);
    if (worker->run->options->window > 1) {
        getting->flying++;
        return nq_start_task_done(worker->client, item, (void *)(uintptr_t)(now_ns & ~1ull)) != 0;
    }
    uint64_t begun_ns = cli_now_ns();
    enum nq_status status = nq_task_done(worker->client, item);
    getting->status = getting->status == NQ_OK ? status : getting->status;
    if (begun_ns >= worker->run->measure_from_ns) {
        histogram_record(&worker->latency[LATENCY_DONE], cli_now_ns() - begun_ns);
    }
    getting->confirmed += status == NQ_OK ? 1 : 0;
    return status == NQ_OK;
}

static void take_items(struct getting *getting, struct nq_completion *completion)
{
    bool ok = true;
    for (size_t i = 0; i < completion->items_count; i++) {
        if (ok) {
            ok = finish(getting, &completion->items[i]);
        } else {
            nq_item_destroy(&completion->items[i]);
        }
    }
    nq_free(completion->items);
    if (!ok || (!take_is_over(getting->worker) && !start_get(getting, (uint64_t)(uintptr_t)completion->user / 2))) {
        getting->status = getting->status == NQ_OK ? NQ_BAD_REQUEST : getting->status;
    }
}

static void take_done(struct getting *getting, const struct nq_completion *completion)
{
    struct bench_worker *worker = getting->worker;
    uint64_t from_ns = (uint64_t)(uintptr_t)completion->user;
    getting->flying--;
    getting->confirmed += completion->status == NQ_OK ? 1 : 0;
    worker->errors += completion->status == NQ_LEASE_LOST ? 1 : 0;
    if (completion->status != NQ_OK && completion->status != NQ_LEASE_LOST) {
        getting->status = completion->status;
    } else if (from_ns != 0 && from_ns >= worker->run->measure_from_ns) {
        histogram_record(&worker->latency[LATENCY_DONE], cli_now_ns() - from_ns);
    }
}

static void take_completions(struct getting *getting)
{
    struct bench_worker *worker = getting->worker;
    struct nq_completion completion;
    while (getting->status == NQ_OK && nq_next_completion(worker->client, &completion) == NQ_OK) {
        if (((uintptr_t)completion.user & 1) == 0) {
            take_done(getting, &completion);
        } else if (completion.status == NQ_OK) {
            take_items(getting, &completion);
        } else {
            getting->status = completion.status;
        }
    }
    counter_set(&worker->counters.confirmed, getting->confirmed);
}

void many_get(struct bench_worker *worker)
{
    const struct bench_options *options = worker->run->options;
    struct getting getting = {.worker = worker};
    getting.queues = thread_queue_count(options->queues, options->consumers, worker->number);
    getting.max_items = options->window / getting.queues > 1 ? options->window / getting.queues : 1;
    for (uint64_t k = 0; k < getting.queues && getting.status == NQ_OK; k++) {
        getting.status = start_get(&getting, k) ? NQ_OK : NQ_BAD_REQUEST;
    }
    bool over = false;
    while (getting.status == NQ_OK && (!over || getting.flying > 0) && (!over || cli_signals_count() <= 1)) {
        (void)nq_client_process(worker->client);
        take_completions(&getting);
        over = take_is_over(worker);
        if (getting.status == NQ_OK && (!over || getting.flying > 0)) {
            wait_for(worker->client);
        }
    }
    if (getting.status != NQ_OK) {
        bench_fail(worker, getting.status);
    }
}
