// The engine's whole state as plain numbers: what a restart must bring back, compared with what it did bring back. Equal after a
// graceful stop; after a crash equal to the state of the last group on the disk, so but for leases younger than that.
#pragma once
#include <stdbool.h>

struct state;

void state_begin(void);
void state_end(void);

struct state *state_take(void); // of the engine that runs
void state_destroy(struct state **self_p);
void state_is_durable(struct state **self_p); // takes it: this is what a restart begins with

// No waiter waits for what is there, and no queue holds more than it may.
void state_check_turn(void);
