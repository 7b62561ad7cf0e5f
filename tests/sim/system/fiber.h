// Coroutines: the broker's loop, each client's calls and its keeper run as if each had a thread of its own, one at a time, and are
// switched only where they wait. So the code under test is the real, blocking code, and a run is the same each time.
#pragma once
#include <stdbool.h>

struct fiber;

// Made ready to run; the stack is its own. fiber_free when it has ended.
struct fiber *fiber_create(void (*main)(void *argument), void *argument);
void fiber_free(struct fiber **self_p);

void fiber_resume(struct fiber *self); // from outside of all fibers: run it until it pauses or ends
void fiber_pause(void);                // from inside: back to who resumed
struct fiber *fiber_current(void);     // NULL: none
bool fiber_has_ended(const struct fiber *self);
