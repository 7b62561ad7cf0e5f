// One run of the simulation: the rig under test, the model, and what the imagined clients remember.
#pragma once
#include "engine_rig.h"
#include "model.h"

enum { SIM_CLIENTS = 5, SIM_TOKENS = 64, SIM_DEAD_QUEUES = 400, SIM_STREAMS = 1000 };

struct sim_client {
    uint64_t session; // 0: none
    uint64_t next_request;
};

struct sim_token {
    uint64_t queue_id;
    struct engine_token token;
};

struct sim {
    struct rig rig;
    struct model model, sealed, durable;
    uint64_t random;
    uint64_t step;
    struct sim_client clients[SIM_CLIENTS];
    struct sim_token tokens[SIM_TOKENS]; // the latest ones handed out
    size_t tokens_count;
    uint32_t next_body;
    size_t changes_seen; // of the open group
    uint64_t last_queue_id;
    uint64_t answers, restarts;
    bool trace; // tell each step
};

uint64_t sim_random(struct sim *self, uint64_t below);
bool sim_chance(struct sim *self, uint64_t percent);

// check.c: each compares the rig with the model and fails loudly.
void sim_take_moves(struct sim *self);
void sim_check_answers(struct sim *self); // and learns the tokens in them
void sim_check_state(struct sim *self);
void sim_check_store(struct sim *self); // nothing is left to be reclaimed: the store holds the live items and no other
void sim_expect(bool ok, const char *what, uint64_t expected, uint64_t got);
void sim_expect_waited(struct sim *self); // the answer to what was just done must not leave before that is durable

// steps.c
void sim_start(struct sim *self, uint64_t seed);
void sim_step(struct sim *self);
void sim_settle(struct sim *self);
void sim_end(struct sim *self);

// What the steps choose from.
uint64_t sim_between(struct sim *self, uint64_t low, uint64_t high);
const char *sim_any_name(struct sim *self);
struct model_queue *sim_any_queue(struct sim *self, struct queue **real); // NULL: it does not exist
struct sim_client *sim_any_client(struct sim *self);                      // with a session
uint64_t sim_any_wait(struct sim *self);

// step_requests.c, step_life.c
void sim_step_put(struct sim *self);
void sim_step_get(struct sim *self);
void sim_step_join(struct sim *self);
void sim_step_cancel(struct sim *self);
void sim_step_done(struct sim *self);
void sim_step_requeue(struct sim *self);
void sim_step_extend(struct sim *self);
void sim_step_damage(struct sim *self);
void sim_step_renew(struct sim *self);
void sim_step_taken(struct sim *self);
void sim_step_resume(struct sim *self);
void sim_step_session_end(struct sim *self);
void sim_step_declare(struct sim *self);
void sim_step_purge(struct sim *self);
void sim_step_shutdown(struct sim *self);
void sim_step_delete(struct sim *self);
void sim_step_redrive(struct sim *self);
