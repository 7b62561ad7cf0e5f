#include "failing_alloc.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

// The linker's names: -Wl,--wrap=malloc and so on.
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);

static atomic_bool armed;
static bool all_threads, keeps_failing;
static pthread_t only_thread;
static atomic_uint_fast64_t left; // allocations that go well
static atomic_bool has_failed;
static _Thread_local bool is_paused;

void failing_alloc_arm(enum alloc_scope scope, uint64_t nth, bool for_good)
{
    all_threads = scope == ALLOC_ALL_THREADS;
    keeps_failing = for_good;
    only_thread = pthread_self();
    atomic_store(&left, nth);
    atomic_store(&has_failed, false);
    atomic_store(&armed, true);
}

bool failing_alloc_disarm(void)
{
    atomic_store(&armed, false);
    return atomic_load(&has_failed);
}

void failing_alloc_pause(bool paused)
{
    is_paused = paused;
}

static bool fails(void)
{
    if (!atomic_load(&armed) || is_paused || (!all_threads && !pthread_equal(only_thread, pthread_self()))) {
        return false;
    }
    uint64_t before = atomic_load(&left);
    if (before > 1) {
        atomic_fetch_sub(&left, 1);
        return false;
    }
    if (before == 0 && !keeps_failing) {
        return false;
    }
    atomic_store(&left, 0);
    atomic_store(&has_failed, true);
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return fails() ? NULL : __real_realloc(block, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}
