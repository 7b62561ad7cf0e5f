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
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **block, size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **block, size_t alignment, size_t size);

static atomic_bool armed;
static bool all_threads;
static pthread_t only_thread;
static atomic_uint_fast64_t seen; // allocations since
static uint64_t first_bad, bad_count;
static atomic_bool has_failed;
static _Thread_local bool is_paused;

void failing_alloc_arm(enum alloc_scope scope, uint64_t nth, uint64_t failures)
{
    all_threads = scope == ALLOC_ALL_THREADS;
    first_bad = nth;
    bad_count = failures;
    only_thread = pthread_self();
    atomic_store(&seen, 0);
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
    uint64_t number = atomic_fetch_add(&seen, 1) + 1;
    if (number < first_bad || number - first_bad >= bad_count) {
        return false;
    }
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

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t size)
{
    return fails() ? ENOMEM : __real_posix_memalign(block, alignment, size);
}
