// What happens in one step: one random thing, done to the rig and to the model; and time, commits and restarts.
#include <stdio.h>
#include <string.h>

#include "seeded.h"
#include "sim.h"

static const char *const names[] = {"a", "b", "c", "x", "y"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

uint64_t sim_random(struct sim *self, uint64_t below)
{
    return random_below(&self->random, below);
}

bool sim_chance(struct sim *self, uint64_t percent)
{
    return sim_random(self, 100) < percent;
}

uint64_t sim_between(struct sim *self, uint64_t low, uint64_t high)
{
    return low + sim_random(self, high - low + 1);
}

const char *sim_any_name(struct sim *self)
{
    return names[sim_random(self, NAMES)];
}

struct model_queue *sim_any_queue(struct sim *self, struct queue **real) // NULL: it does not exist
{
    struct model_queue *queue = model_queue_named(&self->model, sim_any_name(self));
    *real = queue == NULL ? NULL : engine_queue_by_id(self->rig.engine, queue->id);
    return queue;
}

struct sim_client *sim_any_client(struct sim *self)
{
    size_t index = sim_random(self, SIM_CLIENTS);
    struct sim_client *client = &self->clients[index];
    if (client->session == 0) {
        client->session = rig_session(&self->rig, (unsigned)index + 1);
        model_session_open(&self->model, client->session);
    }
    return client;
}

uint64_t sim_any_wait(struct sim *self)
{
    return sim_chance(self, 50) ? 0 : sim_chance(self, 50) ? sim_between(self, 1, 200) : UINT64_MAX;
}

// ------------------------------------------------------------------------------------------------------------- time, commits

static void step_time(struct sim *self)
{
    uint64_t ms = sim_chance(self, 90) ? sim_between(self, 1, 40) : sim_between(self, 1, sim_chance(self, 90) ? 600 : 9000);
    uint64_t next = engine_next_deadline_ms(self->rig.engine);
    if (sim_chance(self, 30) && next > self->rig.now_ms && next - self->rig.now_ms < 1000) {
        ms = next - self->rig.now_ms - sim_random(self, 2);
    }
    self->rig.now_ms += ms;
    self->model.now_ms = self->rig.now_ms;
    while (engine_tick(self->rig.engine, self->rig.now_ms)) {
    }
    model_tick(&self->model);
}

static void seal(struct sim *self, bool clean)
{
    sim_take_moves(self);
    rig_seal(&self->rig, clean);
    self->changes_seen = 0;
    model_seal(&self->model, clean);
    self->sealed = self->model;
}

static void land(struct sim *self)
{
    rig_land(&self->rig);
    self->durable = self->sealed;
}

static void step_commit(struct sim *self)
{
    if (self->rig.flying != NULL) {
        land(self);
    } else {
        seal(self, false);
    }
}

static void run(struct sim *self)
{
    dispatch_run(self->rig.dispatch, self->rig.now_ms);
    model_run(&self->model);
    sim_take_moves(self);
    sim_check_answers(self);
}

static void step_restart(struct sim *self)
{
    bool clean = sim_chance(self, 50);
    if (clean) {
        run(self);
        if (self->rig.flying != NULL) {
            land(self);
        }
        seal(self, true);
        land(self);
    }
    self->restarts++;
    rig_restart_stored(&self->rig);
    self->model = self->durable;
    self->model.engine = self->rig.engine;
    model_restart(&self->model, clean, self->rig.now_ms, self->rig.epoch);
    for (size_t i = 0; i < SIM_CLIENTS; i++) {
        const uint8_t id[ENGINE_SESSION_ID_BYTES] = {0, (uint8_t)(i + 1)};
        self->clients[i].session = engine_session_find(self->rig.engine, id);
        self->clients[i].next_request += 1000;
    }
    self->changes_seen = 0;
    sim_take_moves(self);
    while (engine_tick(self->rig.engine, self->rig.now_ms)) {
    }
    model_tick(&self->model);
    run(self);
    sim_check_state(self);
    seal(self, false); // the new epoch is stored before anything is given out
    land(self);
}

void sim_settle(struct sim *self)
{
    for (int i = 0;; i++) {
        sim_expect(i < 1000, "does not settle", 0, 0);
        while (engine_tick(self->rig.engine, self->rig.now_ms)) {
        }
        model_tick(&self->model);
        run(self);
        if (self->rig.flying != NULL) {
            land(self);
        }
        seal(self, false);
        land(self);
        if (engine_next_deadline_ms(self->rig.engine) > self->rig.now_ms) {
            break;
        }
    }
    sim_check_store(self);
}

// ---------------------------------------------------------------------------------------------------------------------- steps

static const struct {
    const char *name;
    unsigned weight;
    void (*step)(struct sim *self);
} steps[] = {
    {"put", 220, sim_step_put},         {"get", 200, sim_step_get},
    {"done", 130, sim_step_done},       {"requeue", 70, sim_step_requeue},
    {"extend", 25, sim_step_extend},    {"damage", 10, sim_step_damage}, // of what is on lease, or of the backlog
    {"renew", 25, sim_step_renew},      {"taken", 25, sim_step_taken},
    {"join", 25, sim_step_join},        {"cancel", 20, sim_step_cancel},
    {"resume", 10, sim_step_resume},    {"session_end", 10, sim_step_session_end},
    {"declare", 45, sim_step_declare},  {"purge", 12, sim_step_purge},
    {"shutdown", 6, sim_step_shutdown}, {"delete", 14, sim_step_delete},
    {"redrive", 30, sim_step_redrive},  {"time", 140, step_time},
    {"commit", 100, step_commit},       {"restart", 6, step_restart},
    {"settle", 6, sim_settle},
};

void sim_start(struct sim *self, uint64_t seed)
{
    bool trace = self->trace;
    memset(self, 0, sizeof(*self));
    self->trace = trace;
    self->random = seed;
    rig_init(&self->rig);
    self->rig.config.lease_ms = 200;
    self->rig.config.hold_max_ms = 700;
    self->rig.config.dedup_keep_ms = sim_between(self, 500, 5000);
    self->rig.config.orphan_ms = sim_between(self, 5, sim_chance(self, 50) ? 60 : 300);
    self->rig.config.leases_per_session_max = sim_chance(self, 30) ? 8 : 1000;
    self->rig.config.streams_max = sim_chance(self, 20) ? sim_between(self, 1, 6) : SIM_STREAMS;
    self->rig.config.queues_max = sim_chance(self, 20) ? sim_between(self, 2, 4) : 1000;
    self->rig.limits =
        (struct dispatch_config){.waiters_per_session_max = 6, .parked_bytes_per_session_max = 700, .parked_bytes_max = 2000};
    rig_start(&self->rig);
    self->model.config = self->rig.config;
    self->model.limits = self->rig.limits;
    self->model.engine = self->rig.engine;
    self->model.now_ms = self->rig.now_ms;
    self->model.epoch = self->rig.epoch;
    self->model.next_order = 1;
    for (size_t i = 0; i < SIM_CLIENTS; i++) {
        self->clients[i].next_request = 1;
    }
    seal(self, false);
    land(self);
}

void sim_step(struct sim *self)
{
    unsigned all = 0;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        all += steps[i].weight;
    }
    uint64_t at = sim_random(self, all);
    size_t index = 0;
    for (; at >= steps[index].weight; index++) {
        at -= steps[index].weight;
    }
    if (self->trace) {
        printf("%llu at %llu: %s\n", (unsigned long long)self->step, (unsigned long long)self->rig.now_ms, steps[index].name);
    }
    steps[index].step(self);
    for (size_t i = 0; i < MODEL_QUEUES; i++) {
        const struct model_queue *queue = &self->model.queues[i];
        self->last_queue_id = queue->used && queue->id > self->last_queue_id ? queue->id : self->last_queue_id;
    }
    sim_take_moves(self);
    sim_check_answers(self);
    if (!sim_chance(self, 20)) { // several requests may come before waiters are looked at
        run(self);
        sim_check_state(self);
    }
    self->step++;
}

void sim_end(struct sim *self)
{
    run(self);
    sim_settle(self);
    sim_check_state(self);
    rig_fini(&self->rig);
}
