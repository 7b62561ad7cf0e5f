// What the library asks of the operating system. The linker puts these in front of the real functions: its keeper, a thread, is one
// more runner, and its random numbers come from the seed.
#include "library_os.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/random.h>

#include "world.h"

enum { THREADS_MAX = 2048 };

struct thread {
    struct runner *runner;
    void *(*main)(void *argument);
    void *argument;
};

static struct thread threads[THREADS_MAX];
static size_t threads_count;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*main)(void *argument), void *argument);
int __wrap_pthread_join(pthread_t thread, void **result);
ssize_t __wrap_getrandom(void *buffer, size_t len, unsigned flags);

void library_os_begin(void)
{
    threads_count = 0;
}

static void thread_main(void *argument)
{
    const struct thread *self = argument;
    (void)self->main(self->argument);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*main)(void *argument), void *argument)
{
    (void)attributes;
    assert(threads_count < THREADS_MAX);
    struct thread *self = &threads[threads_count];
    *self = (struct thread){.main = main, .argument = argument};
    self->runner = runner_start("keeper", thread_main, self);
    *thread = (pthread_t)threads_count++;
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
    (void)result;
    while (!runner_has_ended(threads[thread].runner)) {
        runner_wait_us(20);
    }
    return 0;
}

ssize_t __wrap_getrandom(void *buffer, size_t len, unsigned flags)
{
    uint8_t *bytes = buffer;
    (void)flags;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)world_random(256);
    }
    return (ssize_t)len;
}
