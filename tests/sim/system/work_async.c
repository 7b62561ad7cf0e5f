// The non-blocking form: several requests at once, some cancelled; each completes exactly once.
#include <assert.h>
#include <stdlib.h>

#include "body.h"
#include "net_client.h"
#include "oracle.h"
#include "plan.h"
#include "worker.h"
#include "world.h"

enum { OPEN_MAX = 6, MANY = 4 };
enum start_kind { START_NOTHING, START_PUT, START_GET, START_DONE, START_REQUEUE, START_JOIN };

struct start {
    enum start_kind kind;
    uint64_t request;
    unsigned queue;
    uint64_t ids[MANY];
    size_t count;
};

struct async {
    struct worker *worker;
    struct start starts[OPEN_MAX];
    size_t open;
};

static void start_put(struct async *self, struct start *start)
{
    uint8_t bytes[MANY][BODY_BYTES_MAX];
    struct nq_body bodies[MANY];
    const struct nq_put_options options = {.wait_ms = world_chance(500) ? 0 : world_spread(1500), .atomic = world_chance(200)};
    start->count = world_between(1, MANY);
    for (size_t i = 0; i < start->count; i++) {
        start->ids[i] = oracle_put(self->worker->number, start->queue, false);
        bodies[i] = worker_body(start->ids[i], bytes[i]);
    }
    start->request = nq_start_put(self->worker->client, plan_queue(start->queue), bodies, start->count, &options, start);
}

static void start_token(struct async *self, struct start *start, bool done)
{
    struct nq_item *item = worker_release(self->worker, &start->queue);
    if (item == NULL) {
        start->kind = START_NOTHING;
        return;
    }
    start->ids[0] = worker_item_id(item);
    start->count = start->ids[0] == 0 ? 0 : 1;
    if (done) {
        if (start->count > 0) {
            oracle_done_asked(start->ids[0]);
        }
        start->request = nq_start_task_done(self->worker->client, &item, start);
    } else {
        const struct nq_requeue_options options = {.failed = world_chance(500)};
        start->request = nq_start_requeue(self->worker->client, &item, &options, start);
    }
}

static void start_any(struct async *self)
{
    static const enum start_kind choice[] = {START_PUT,  START_PUT,  START_PUT,     START_GET, START_GET,
                                             START_DONE, START_DONE, START_REQUEUE, START_JOIN};
    struct start *start = self->starts;
    while (start->kind != START_NOTHING) {
        start++;
    }
    *start = (struct start){.kind = choice[world_random(sizeof(choice) / sizeof(choice[0]))], .queue = worker_any_queue()};
    const struct nq_get_options get = {.wait_ms = world_chance(400) ? 0 : world_spread(1500)};
    switch (start->kind) {
    case START_PUT:
        start_put(self, start);
        break;
    case START_GET:
        start->request = nq_start_get(self->worker->client, plan_queue(start->queue), world_between(1, MANY), &get, start);
        break;
    case START_DONE:
    case START_REQUEUE:
        start_token(self, start, start->kind == START_DONE);
        break;
    default:
        start->request = nq_start_join(self->worker->client, plan_queue(start->queue), world_spread(1500), start);
        break;
    }
    if (start->kind != START_NOTHING && start->request == 0) {
        world_fail("a start is refused: %s", nq_error_text(self->worker->client));
    }
    self->open += start->kind != START_NOTHING;
}

static void complete(struct async *self, const struct nq_completion *completion)
{
    struct start *start = completion->user;
    if (start->kind == START_NOTHING || start->request != completion->request) {
        world_fail("a second completion of request %llu", (unsigned long long)completion->request);
    }
    for (size_t i = 0; i < start->count; i++) {
        if (start->kind == START_PUT) {
            oracle_put_told(start->ids[i], i < completion->accepted ? NQ_OK : completion->status, 0);
        } else if (start->kind == START_DONE) {
            oracle_done_told(start->ids[i], completion->status);
        }
    }
    for (size_t i = 0; i < completion->items_count; i++) {
        worker_take(self->worker, completion->items[i], start->queue);
    }
    nq_free(completion->items);
    start->kind = START_NOTHING;
    self->open--;
}

static void take_completions(struct async *self)
{
    struct nq_completion completion;
    (void)nq_client_process(self->worker->client);
    while (nq_next_completion(self->worker->client, &completion) == NQ_OK) {
        complete(self, &completion);
    }
}

static void cancel_any(struct async *self)
{
    struct start *start = &self->starts[world_random(OPEN_MAX)];
    if (start->kind == START_PUT || start->kind == START_GET || start->kind == START_JOIN) {
        (void)nq_cancel(self->worker->client, start->request);
    }
}

void live_async(struct worker *self)
{
    struct async *async = calloc(1, sizeof(*async));
    assert(async != NULL);
    async->worker = self;
    worker_open(self);
    while (worker_step(self)) {
        while (async->open < OPEN_MAX && world_chance(600)) {
            start_any(async);
        }
        if (world_chance(50)) {
            cancel_any(async);
        }
        net_client_wait(nq_client_fd(self->client), world_chance(500) ? nq_client_timeout_ms(self->client) : 1);
        take_completions(async);
    }
    while (async->open > 0) {
        net_client_wait(nq_client_fd(self->client), nq_client_timeout_ms(self->client));
        take_completions(async);
    }
    worker_close(self);
    free(async);
}
