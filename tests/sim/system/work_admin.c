// Who looks after the queues: declare, purge, delete, shutdown, redrive, list.
#include "plan.h"
#include "worker.h"
#include "world.h"

static void step_declare(struct worker *self, unsigned queue)
{
    (void)nq_declare(self->client, plan_queue(queue), &plan.queues[queue].options,
                     world_chance(100) ? 3 : plan.queues[queue].initial, NULL);
}

// Of what is on lease already nothing changes.
static void step_update(struct worker *self, unsigned queue)
{
    const struct nq_queue_options options = {
        .given = NQ_GIVEN_LEASE | NQ_GIVEN_HOLD_MAX, .lease_ms = world_between(50, 1000), .hold_max_ms = world_between(200, 3000)};
    (void)nq_update(self->client, plan_queue(queue), &options, NULL);
}

static void step_list(struct worker *self)
{
    struct nq_queue_stats *stats = NULL;
    size_t count = 0;
    if (nq_list(self->client, &stats, &count) == NQ_OK) {
        nq_free(stats);
    }
}

static void step_peek(struct worker *self, unsigned queue)
{
    struct nq_item *items[4];
    size_t count = 0;
    if (nq_peek(self->client, plan_queue(queue), world_random(20), 4, items, &count) == NQ_OK) {
        for (size_t i = 0; i < count; i++) {
            nq_item_destroy(&items[i]);
        }
    }
}

static void setup_main(void *argument)
{
    (void)argument;
    struct nq_client *client = NULL;
    (void)nq_client_create(NULL, &client, NULL);
    for (unsigned queue = 0; queue < PLAN_QUEUES; queue++) {
        while (nq_declare(client, plan_queue(queue), &plan.queues[queue].options, plan.queues[queue].initial, NULL) != NQ_OK) {
        }
    }
    nq_client_destroy(&client);
}

struct runner *worker_setup(void)
{
    return runner_start("setup", setup_main, NULL);
}

// Born again by use, others would have other options.
static bool may_be_deleted(unsigned queue)
{
    return plan.queues[queue].options.given == 0 || queue == PLAN_TEMPORARY || queue == PLAN_INITIAL;
}

void live_admin(struct worker *self)
{
    worker_open(self);
    while (worker_step(self)) {
        unsigned queue = worker_any_queue();
        uint64_t which = world_random(100);
        if (which < 30) {
            step_declare(self, queue);
        } else if (which < 36) {
            (void)nq_purge(self->client, plan_queue(queue), NULL);
        } else if (which < 39 && may_be_deleted(queue)) {
            (void)nq_delete(self->client, plan_queue(queue), NULL);
        } else if (which < 41) {
            (void)nq_shutdown(self->client, plan_queue(queue), world_chance(300), NULL);
        } else if (which < 55) {
            (void)nq_redrive(self->client, plan_queue(3), NULL, world_random(4), NULL);
        } else if (which < 65) {
            step_peek(self, queue);
        } else if (which < 80) {
            step_list(self);
        } else if (which < 86 && queue != PLAN_TEMPORARY) { // born by use it would not become temporary any more
            step_update(self, queue);
        }
        worker_pause(300);
    }
    worker_close(self);
}
