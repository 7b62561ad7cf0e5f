// Which queue to ask for how much. Each queue has one get on its way at most. A single queue is simply waited on. Several are asked one
// after the other without waiting, in order or in turn; a queue that was empty then keeps one get parked at the broker, so that its next
// item comes at once. (It may come while another queue has items again: one item of each queue may be taken ahead.)
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

static size_t room(const struct runner *runner)
{
    const struct consumer_options *options = runner->worker->options;
    size_t slots = runner->commands_count + (options->prefetch_given ? (size_t)options->prefetch : 0);
    size_t used = runner->running + runner->ready_count;
    size_t free_slots = slots > used ? slots - used : 0;
    uint64_t left = runner->worker->limit > runner->worker->taken ? runner->worker->limit - runner->worker->taken : 0;
    left = left > runner->ready_count ? left - runner->ready_count : 0;
    return left < free_slots ? (size_t)left : free_slots;
}

static bool start_get(struct runner *runner, struct source *source, size_t max, bool wait)
{
    const struct consumer_options *options = runner->worker->options;
    struct nq_get_options how = {
        .wait_ms = wait ? NQ_WAIT_FOREVER : 0,
        .lease_ms = options->lease_ms,
        .hold_max_ms = options->hold_max_ms,
        .at_most_once = options->at_most_once,
    };
    source->request = nq_start_get(runner->worker->client, source->queue, max, &how, source);
    source->parked = wait;
    if (source->request == 0) {
        worker_fail(runner->worker, NQ_BAD_NAME, nq_error_text(runner->worker->client));
    }
    return source->request != 0;
}

void take_more(struct runner *runner)
{
    size_t max = room(runner);
    bool in_turn = runner->worker->options->round_robin;
    if (max == 0) {
        return;
    }
    if (runner->sources_count == 1) {
        if (runner->sources[0].request == 0 && !runner->sources[0].shut_down) {
            start_get(runner, &runner->sources[0], max, true);
        }
        return;
    }
    for (size_t i = 0; i < runner->sources_count; i++) {
        size_t at = in_turn ? (runner->next_source + i) % runner->sources_count : i;
        struct source *source = &runner->sources[at];
        if (source->request != 0 && !source->parked) {
            return; // its answer decides whether the next one is asked
        }
        if (source->request == 0 && !source->shut_down) {
            start_get(runner, source, in_turn ? 1 : max, false);
            return;
        }
    }
}

static void keep_items(struct runner *runner, struct nq_completion *completion, size_t source)
{
    size_t count = runner->ready_count + completion->items_count;
    if (count > runner->ready_capacity) {
        struct taken *grown = reallocarray(runner->ready, count, sizeof(*grown));
        if (grown == NULL) {
            for (size_t i = 0; i < completion->items_count; i++) {
                nq_item_destroy(&completion->items[i]);
            }
            worker_fail(runner->worker, NQ_NO_MEMORY, "out of memory");
            return;
        }
        runner->ready = grown;
        runner->ready_capacity = count;
    }
    for (size_t i = 0; i < completion->items_count; i++) {
        runner->ready[runner->ready_count++] = (struct taken){completion->items[i], source};
    }
    runner->next_source = (source + 1) % runner->sources_count;
}

void take_completion(struct runner *runner, struct nq_completion *completion)
{
    struct source *source = completion->user;
    bool was_parked = source->parked;
    source->request = 0;
    source->parked = false;
    switch (completion->status) {
    case NQ_OK:
        keep_items(runner, completion, (size_t)(source - runner->sources));
        runner->idle_since_ms = cli_now_ms();
        break;
    case NQ_EMPTY:
        if (!was_parked && !runner->stopping) {
            start_get(runner, source, 1, true);
        }
        break;
    case NQ_SHUT_DOWN:
        source->shut_down = true;
        break;
    case NQ_CANCELLED:
    case NQ_INTERRUPTED:
        break;
    default: {
        char text[256];
        snprintf(text, sizeof(text), "get from '%.128s': %s", source->queue, nq_error_text(runner->worker->client));
        worker_fail(runner->worker, completion->status, text);
    }
    }
    nq_free(completion->items);
}

void take_cancel(struct runner *runner)
{
    for (size_t i = 0; i < runner->sources_count; i++) {
        if (runner->sources[i].request != 0) {
            nq_cancel(runner->worker->client, runner->sources[i].request);
        }
    }
}

bool take_is_over(const struct runner *runner)
{
    for (size_t i = 0; i < runner->sources_count; i++) {
        if (!runner->sources[i].shut_down) {
            return false;
        }
    }
    return true;
}

bool take_is_waiting(const struct runner *runner)
{
    for (size_t i = 0; i < runner->sources_count; i++) {
        if (runner->sources[i].request != 0) {
            return true;
        }
    }
    return false;
}

bool take_next(struct runner *runner, struct taken *taken)
{
    if (runner->ready_count == 0) {
        return false;
    }
    size_t best = 0;
    for (size_t i = 1; i < runner->ready_count && !runner->worker->options->round_robin; i++) {
        best = runner->ready[i].source < runner->ready[best].source ? i : best;
    }
    *taken = runner->ready[best];
    runner->ready_count--;
    memmove(&runner->ready[best], &runner->ready[best + 1], (runner->ready_count - best) * sizeof(*runner->ready));
    return true;
}

bool take_finds_empty(struct runner *runner)
{
    for (size_t i = 0; i < runner->sources_count; i++) {
        struct nq_queue_stats stats;
        enum nq_status status = nq_stat(runner->worker->client, runner->sources[i].queue, &stats);
        if (status != NQ_NO_SUCH_QUEUE && (status != NQ_OK || stats.ready > 0 || stats.delayed > 0)) {
            return false;
        }
    }
    return true;
}
