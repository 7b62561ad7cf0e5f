// The engine's whole state as plain numbers: what a restart must bring back, compared with what it did bring back. Equal after a
// graceful stop; after a crash equal to the state of the last group on the disk, so but for leases younger than that.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct state;

void state_begin(void);
void state_end(void);

struct state *state_take(void); // of the engine that runs
void state_destroy(struct state **self_p);
void state_is_durable(struct state **self_p); // takes it: this is what a restart begins with

void state_check_stopped(void); // after a graceful stop: all of the engine is durable

// Of the engine that runs.
uint64_t state_epoch(void);
uint64_t state_session_no(const void *session_id); // 0: none
bool state_session_lives(uint64_t session_no);

// No queue holds more than it may, and no waiter waits for what is there, unless the broker is stopping: what connections do not take of its
// last answers goes back then, and is for those who come to the next one.
void state_check_turn(bool stopping);
