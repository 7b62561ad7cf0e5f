// Calls that return when the thing is definite: put, get, task_done, requeue, extend, join.
#include "body.h"
#include "leases.h"
#include "oracle.h"
#include "plan.h"
#include "worker.h"
#include "world.h"

enum { MANY = 6 };

static void step_put(struct worker *self)
{
    unsigned queue = worker_any_queue();
    bool delayed = world_chance(300);
    uint8_t bytes[BODY_BYTES_MAX];
    uint64_t id = oracle_put(self->number, queue, delayed);
    struct nq_body body = worker_body(id, bytes);
    const struct nq_put_options options = {.wait_ms = worker_wait_ms(self), .delay_ms = delayed ? world_spread(1000) : 0};
    uint64_t seq = 0;
    enum nq_status status = nq_put(self->client, plan_queue(queue), body.data, body.len, &options, &seq);
    oracle_put_told(id, status, status == NQ_OK ? seq : 0);
}

static void step_put_many(struct worker *self)
{
    unsigned queue = worker_any_queue();
    size_t count = world_between(2, MANY);
    bool delayed = world_chance(200);
    uint64_t ids[MANY];
    uint8_t bytes[MANY][BODY_BYTES_MAX];
    struct nq_body bodies[MANY];
    for (size_t i = 0; i < count; i++) {
        ids[i] = oracle_put(self->number, queue, delayed);
        bodies[i] = worker_body(ids[i], bytes[i]);
    }
    const struct nq_put_options options = {
        .wait_ms = worker_wait_ms(self), .atomic = world_chance(300), .delay_ms = delayed ? world_spread(1000) : 0};
    size_t accepted = 0;
    enum nq_status status = nq_put_many(self->client, plan_queue(queue), bodies, count, &options, &accepted);
    if ((status == NQ_OK) != (accepted == count)) {
        world_fail("%zu of %zu items are accepted, and the status is %s", accepted, count, nq_status_name(status));
    }
    if (options.atomic && accepted != 0 && accepted != count) {
        world_fail("%zu of %zu items of an atomic put are accepted", accepted, count);
    }
    for (size_t i = 0; i < count; i++) {
        oracle_put_told(ids[i], i < accepted ? NQ_OK : status, 0);
    }
}

static struct nq_get_options get_options(struct worker *self, unsigned queue)
{
    return (struct nq_get_options){.wait_ms = worker_wait_ms(self),
                                   .lease_ms = world_chance(200) ? world_between(50, 2000) : 0,
                                   .at_most_once = plan.known[queue].lossy && world_chance(200)};
}

static void step_get(struct worker *self)
{
    unsigned queue = worker_any_queue();
    const struct nq_get_options options = get_options(self, queue);
    struct nq_item *items[MANY];
    size_t count = 0;
    if (world_chance(500)) {
        count = nq_get(self->client, plan_queue(queue), &options, &items[0]) == NQ_OK ? 1 : 0;
    } else if (nq_get_many(self->client, plan_queue(queue), world_between(1, MANY), &options, items, &count) != NQ_OK) {
        count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (options.at_most_once) {
            nq_item_destroy(&items[i]);
        } else {
            worker_take(self, items[i], queue);
        }
    }
}

// Finish one and get another, in one round trip.
static void step_next(struct worker *self, struct nq_item **item, enum nq_status *done)
{
    unsigned queue = worker_any_queue();
    struct nq_get_options options = get_options(self, queue);
    options.at_most_once = false;
    enum nq_status status = nq_next(self->client, plan_queue(queue), &options, item, done);
    if ((status == NQ_OK) != (*item != NULL)) {
        world_fail("nq_next: %s, and %s", nq_status_name(status), *item == NULL ? "no item" : "an item");
    }
    if (*item != NULL) {
        worker_take(self, *item, queue);
        *item = NULL;
    }
}

static void step_done(struct worker *self)
{
    unsigned queue;
    struct nq_item *item = worker_release(self, &queue);
    if (item == NULL) {
        step_get(self);
        return;
    }
    uint64_t id = worker_item_id(item);
    if (id != 0) {
        oracle_done_asked(id);
    }
    enum nq_status status = NQ_OK;
    if (world_chance(300)) {
        step_next(self, &item, &status);
    } else {
        status = nq_task_done(self->client, &item);
    }
    if (id != 0) {
        oracle_done_told(id, status);
    }
}

static void step_done_many(struct worker *self)
{
    struct nq_item *items[WORKER_HELD];
    uint64_t ids[WORKER_HELD];
    enum nq_status statuses[WORKER_HELD];
    unsigned queue;
    size_t count = 0;
    for (struct nq_item *item = worker_release(self, &queue); item != NULL; item = worker_release(self, &queue)) {
        ids[count] = worker_item_id(item);
        if (ids[count] != 0) {
            oracle_done_asked(ids[count]);
        }
        items[count++] = item;
    }
    if (count > 0) {
        (void)nq_task_done_many(self->client, items, count, statuses);
    }
    for (size_t i = 0; i < count; i++) {
        if (ids[i] != 0) {
            oracle_done_told(ids[i], statuses[i]);
        }
    }
}

static void step_requeue(struct worker *self)
{
    unsigned queue;
    struct nq_item *item = worker_release(self, &queue);
    const struct nq_requeue_options options = {.delay_ms = world_chance(300) ? world_spread(800) : 0,
                                               .failed = world_chance(400),
                                               .dead = plan.queues[queue % PLAN_QUEUES].options.dead_letter != NULL &&
                                                       world_chance(100),
                                               .reason = "simulated"};
    if (item != NULL && world_chance(200)) {
        nq_item_destroy(&item);
    } else if (item != NULL) {
        (void)nq_requeue(self->client, &item, &options);
    }
}

static void step_extend(struct worker *self)
{
    if (self->held_count > 0) {
        struct nq_item *item = self->held[world_random(self->held_count)];
        leases_let_go(worker_item_id(item)); // it may be shorter from now on
        (void)nq_extend(self->client, item, world_chance(500) ? 0 : world_between(50, 2000));
    }
}

static void step_join(struct worker *self)
{
    (void)nq_join(self->client, plan_queue(worker_any_queue()), worker_wait_ms(self));
}

static void step_declare(struct worker *self)
{
    unsigned queue = world_chance(700) ? PLAN_TEMPORARY : PLAN_INITIAL;
    (void)nq_declare(self->client, plan_queue(queue), &plan.queues[queue].options, plan.queues[queue].initial, NULL);
}

static void step_look(struct worker *self)
{
    struct nq_queue_stats stats;
    (void)nq_stat(self->client, plan_queue(worker_any_queue()), &stats);
}

static void step_pause(struct worker *self)
{
    (void)self;
    worker_pause(world_chance(100) ? 3000 : 100);
}

static const struct {
    unsigned weight;
    void (*step)(struct worker *self);
} steps[] = {{30, step_put},   {15, step_put_many}, {25, step_get}, {20, step_done},   {6, step_done_many}, {8, step_requeue},
             {3, step_extend}, {4, step_join},      {5, step_look}, {3, step_declare}, {8, step_pause}};

void live_caller(struct worker *self)
{
    worker_open(self);
    while (worker_step(self)) {
        uint64_t at = world_random(127);
        size_t index = 0;
        for (; at >= steps[index].weight; index++) {
            at -= steps[index].weight;
        }
        steps[index].step(self);
    }
    worker_close(self);
}
