#include "worker.h"

#include <string.h>

#include "body.h"
#include "disk.h"
#include "item.h"
#include "leases.h"
#include "net_client.h"
#include "oracle.h"
#include "plan.h"
#include "world.h"

static const struct {
    const char *kind;
    unsigned weight;
    void (*live)(struct worker *self);
} kinds[] = {
    {"caller", 5, live_caller}, {"producer", 4, live_producer}, {"consumer", 4, live_consumer},
    {"async", 3, live_async},   {"admin", 1, live_admin},       {"raw", 3, live_raw},
};

static void worker_main(void *argument)
{
    struct worker *self = argument;
    while (self->steps_left > 0) {
        self->life++;
        self->live(self);
        worker_pause(100);
    }
}

void worker_start(struct worker *self, unsigned number)
{
    unsigned all = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        all += kinds[i].weight;
    }
    uint64_t at = world_random(all);
    size_t index = 0;
    for (; at >= kinds[index].weight; index++) {
        at -= kinds[index].weight;
    }
    memset(self, 0, sizeof(*self));
    self->number = number;
    self->kind = kinds[index].kind;
    self->live = kinds[index].live;
    self->steps_left = plan.steps;
    self->runner = runner_start(self->kind, worker_main, self);
}

bool worker_has_ended(const struct worker *self)
{
    return runner_has_ended(self->runner);
}

// -------------------------------------------------------------------------------------------------------------------- a client

void worker_open(struct worker *self)
{
    const struct nq_client_options options = {
        .timeout_ms = plan.timeout_ms, .name = self->kind, .workers = (uint32_t)world_between(0, 3)};
    if (nq_client_create(&options, &self->client, NULL) != NQ_OK) {
        world_fail("a client cannot be made");
    }
}

void worker_close(struct worker *self)
{
    if (!plan.calm && world_chance(300)) {
        world_trace("dies");
        net_client_vanish(nq_client_fd(self->client));
    }
    self->life++;
    worker_lets_go(self);
    struct nq_client *client = self->client;
    self->client = NULL;
    nq_client_destroy(&client);
    while (self->held_count > 0) { // items may outlive their client
        nq_item_destroy(&self->held[--self->held_count]);
    }
}

bool worker_step(struct worker *self)
{
    if (self->steps_left == 0 || world_chance(40)) {
        return false;
    }
    self->steps_left--;
    return true;
}

void worker_pause(uint64_t most_ms)
{
    runner_wait_us(world_spread(most_ms * 1000));
}

// ------------------------------------------------------------------------------------------------------------------- choosing

unsigned worker_any_queue(void)
{
    static const unsigned weighted[] = {0, 0, 0, 1, 1, 1, 2, 2, 3, 4, PLAN_TEMPORARY, PLAN_TEMPORARY, PLAN_INITIAL};
    return weighted[world_random(sizeof(weighted) / sizeof(weighted[0]))];
}

static void on_interrupt(void *context, uint64_t life)
{
    struct worker *self = context;
    if (self->client != NULL && self->life == life) {
        nq_interrupt(self->client);
    }
}

static void on_interrupt_again(void *context, uint64_t life)
{
    struct worker *self = context;
    if (self->client != NULL && self->life == life) {
        nq_interrupt(self->client);
        world_after(world_between(1, 20) * 1000 * 1000, on_interrupt_again, self, life);
    }
}

void worker_is_impatient(struct worker *self)
{
    world_after(world_between(1, 20) * 1000 * 1000, on_interrupt_again, self, self->life);
}

uint64_t worker_wait_ms(struct worker *self)
{
    if (world_chance(50)) {
        world_after(world_spread(2000 * 1000), on_interrupt, self, self->life);
        return NQ_WAIT_FOREVER;
    }
    return world_chance(400) ? 0 : world_spread(1500);
}

struct nq_body worker_body(uint64_t id, uint8_t *bytes)
{
    return (struct nq_body){.data = bytes, .len = body_fill(id, bytes)};
}

// Initial items are empty: they are known by where they are.
uint64_t worker_item_id(const struct nq_item *item)
{
    uint64_t id = body_id(nq_item_body(item), nq_item_len(item));
    const struct disk_place *place = id != 0 ? NULL : disk_place_at(item->answer->queue_id, item->seq);
    return place == NULL ? id : place->id;
}

void worker_lets_go(struct worker *self)
{
    for (size_t i = 0; i < self->held_count; i++) {
        leases_let_go(worker_item_id(self->held[i]));
    }
}

void worker_take(struct worker *self, struct nq_item *item, unsigned queue)
{
    uint64_t id = worker_item_id(item);
    const struct leases_token token = {
        .queue_id = item->answer->queue_id, .seq = item->seq, .epoch = item->answer->epoch, .delivery = item->delivery};
    oracle_got(id, queue, nq_item_seq(item));
    if (self->held_count == WORKER_HELD) {
        nq_item_destroy(&item);
        return;
    }
    leases_taken(id, &token);
    self->held_queue[self->held_count] = queue;
    self->held[self->held_count++] = item;
}

struct nq_item *worker_release(struct worker *self, unsigned *queue)
{
    if (self->held_count == 0) {
        return NULL;
    }
    size_t at = world_random(self->held_count);
    struct nq_item *item = self->held[at];
    *queue = self->held_queue[at];
    leases_let_go(worker_item_id(item));
    self->held_count--;
    self->held[at] = self->held[self->held_count];
    self->held_queue[at] = self->held_queue[self->held_count];
    return item;
}
