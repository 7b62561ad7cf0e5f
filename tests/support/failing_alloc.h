// Lets the n-th allocation fail. Linked with nq_failing_alloc, the calls of malloc and its kin in all that is linked
// statically (ours) come by here; foreign libraries keep theirs.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum alloc_scope { ALLOC_THIS_THREAD, ALLOC_ALL_THREADS };
#define ALLOC_FOR_GOOD UINT64_MAX

// The n-th allocation from now on fails, and those behind it, so many in all.
void failing_alloc_arm(enum alloc_scope scope, uint64_t nth, uint64_t failures);
// True: one has failed since.
bool failing_alloc_disarm(void);
// What the test itself allocates meanwhile, in this thread.
void failing_alloc_pause(bool paused);
