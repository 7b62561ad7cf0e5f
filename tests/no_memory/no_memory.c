#include "no_memory.h"

#include <stdio.h>
#include <stdlib.h>

enum { ALLOCATIONS_MAX = 100000 };

static const char *current_name;
static uint64_t current_nth;
static bool some_failed;

void no_memory_require(bool holds, const char *what)
{
    if (!holds) {
        failing_alloc_disarm();
        fprintf(stderr, "%s, allocation %llu: does not hold: %s\n", current_name, (unsigned long long)current_nth, what);
        abort();
    }
}

void no_memory_arm(enum alloc_scope scope, uint64_t nth, uint64_t failures)
{
    failing_alloc_arm(scope, nth, failures);
}

bool no_memory_disarm(void)
{
    bool failed = failing_alloc_disarm();
    some_failed = some_failed || failed;
    return failed;
}

void no_memory_each_with(const char *name, no_memory_run *run, uint64_t failures)
{
    current_name = name;
    current_nth = 0;
    do {
        some_failed = false;
        current_nth++;
        run(current_nth, failures);
        no_memory_require(current_nth < ALLOCATIONS_MAX, "it comes to an end");
    } while (some_failed);
    no_memory_require(current_nth > 1, "it allocates at all");
    printf("%s: %llu runs, %s\n", name, (unsigned long long)current_nth - 1,
           failures == 1                ? "one failure each"
           : failures == ALLOC_FOR_GOOD ? "for good"
                                        : "memory comes back");
}

void no_memory_each(const char *name, no_memory_run *run)
{
    no_memory_each_with(name, run, 1);
    no_memory_each_with(name, run, ALLOC_FOR_GOOD);
}
