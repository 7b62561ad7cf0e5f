// Those who use the queues: each is a client process of its own that works through its steps with the real library.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netqueue.h"

enum { WORKER_HELD = 12 };

struct worker {
    unsigned number;
    const char *kind;
    void (*live)(struct worker *self); // one life, from a client's birth to its end
    struct runner *runner;
    struct nq_client *client;
    uint64_t life;
    uint64_t steps_left;
    struct nq_item *held[WORKER_HELD];
    unsigned held_queue[WORKER_HELD];
    size_t held_count;
};

void worker_start(struct worker *self, unsigned number);
struct runner *worker_setup(void); // declares the queues, and has ended when they are there
bool worker_has_ended(const struct worker *self);

// For the kinds of workers.
void worker_open(struct worker *self);
void worker_close(struct worker *self); // now and then as if the process had died
bool worker_step(struct worker *self);  // false: enough for this life
void worker_pause(uint64_t most_ms);
unsigned worker_any_queue(void);
uint64_t worker_wait_ms(struct worker *self); // for a call that may wait; one without end is interrupted after a while
void worker_is_impatient(
    struct worker *self); // interrupted now and then for the rest of its life: it may wait for what never comes
struct nq_body worker_body(uint64_t id, uint8_t *bytes);
uint64_t worker_item_id(const struct nq_item *item);
void worker_lets_go(struct worker *self);                                    // of what it holds: from now on its leases may end
void worker_take(struct worker *self, struct nq_item *item, unsigned queue); // into its hands
struct nq_item *worker_release(struct worker *self, unsigned *queue);        // any of what it holds; NULL: nothing

// One life of each kind.
void live_caller(struct worker *self);
void live_producer(struct worker *self);
void live_consumer(struct worker *self);
void live_async(struct worker *self);
void live_admin(struct worker *self);
void live_raw(struct worker *self);
