// A run in which the n-th allocation fails, for n = 1, 2, 3 and so on until a run needs fewer; then the same with more behind it
// failing, too.
#pragma once
#include <stdint.h>

#include "failing_alloc.h"

// One run: between arm and disarm, whatever is tested; before and after, and in no_memory_require, what looks at how it went.
typedef void no_memory_run(uint64_t nth, uint64_t failures);

// How many allocations the run has is said on stdout, with `name`.
void no_memory_each(const char *name, no_memory_run *run); // one failure; then all behind it, too
void no_memory_each_with(const char *name, no_memory_run *run, uint64_t failures);
void no_memory_arm(enum alloc_scope scope, uint64_t nth, uint64_t failures);
bool no_memory_disarm(void); // true: one failed

// Says what does not hold, and in which run, and aborts.
void no_memory_require(bool holds, const char *what);
