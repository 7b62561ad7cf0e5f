// Who has which item on lease, from what left the broker, and whether somebody has it in hands. While a lease lasts nobody else gets
// the item, no older token ends it, and its get, asked again, has the same answer.
#pragma once
#include "oracle.h"

struct leases_answer; // to a get

void leases_begin(void);

// Leaves the broker. `*answer_p` is that of the same get before, and becomes this one; NULL: none yet.
struct leases_reply {
    const struct oracle_grant *grants;
    size_t count;
};
void leases_granted(struct leases_answer **answer_p, const struct leases_reply *reply);

struct leases_token {
    uint64_t queue_id, seq, epoch;
    uint32_t delivery;
};

void leases_taken(uint64_t id, const struct leases_token *token); // into somebody's hands
void leases_let_go(uint64_t id);                                  // it is finished with, or its lease is changed

void leases_named(const struct leases_token *token); // in a request that has come to the broker
void leases_hello(uint64_t session);                 // it may have left out what it holds
// An answer to a task_done that came at `came_us`. exact: OK, and not because the item was gone.
void leases_done(const struct leases_token *token, uint64_t came_us, bool exact, enum nq_status status);
