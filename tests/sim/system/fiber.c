#include "fiber.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#ifdef FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

enum { STACK_BYTES = 512 * 1024 };

struct fiber {
    struct fiber *next_free;
    ucontext_t context;
    void *stack;
    void (*main)(void *argument);
    void *argument;
    bool ended;
};

static struct fiber *running;
static struct fiber *free_list; // stacks are used again
static ucontext_t outside;

// AddressSanitizer has to know which stack is in use.
#ifdef FIBER_ASAN
static const void *outside_bottom;
static size_t outside_bytes;

static void before_switch(void **fake, const void *bottom, size_t bytes)
{
    __sanitizer_start_switch_fiber(fake, bottom, bytes);
}

static void after_switch(void *fake, bool from_outside)
{
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(fake, &bottom, &bytes);
    if (from_outside) {
        outside_bottom = bottom;
        outside_bytes = bytes;
    }
}
#else
static const void *const outside_bottom;
static const size_t outside_bytes;

static void before_switch(void **fake, const void *bottom, size_t bytes)
{
    (void)fake;
    (void)bottom;
    (void)bytes;
}

static void after_switch(void *fake, bool from_outside)
{
    (void)fake;
    (void)from_outside;
}
#endif

static void begin(void)
{
    after_switch(NULL, true);
    struct fiber *self = running;
    self->main(self->argument);
    self->ended = true;
    running = NULL;
    before_switch(NULL, outside_bottom, outside_bytes);
    (void)setcontext(&outside);
}

// By itself: getcontext may return twice, for all that the compiler knows.
static void prepare(struct fiber *self)
{
    (void)getcontext(&self->context);
    self->context.uc_stack.ss_sp = self->stack;
    self->context.uc_stack.ss_size = STACK_BYTES;
    self->context.uc_link = NULL;
    makecontext(&self->context, begin, 0);
}

struct fiber *fiber_create(void (*main)(void *argument), void *argument)
{
    struct fiber *self = free_list;
    if (self != NULL) {
        free_list = self->next_free;
    } else {
        self = calloc(1, sizeof(*self));
        assert(self != NULL);
        self->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        assert(self->stack != MAP_FAILED);
    }
    self->main = main;
    self->argument = argument;
    self->ended = false;
    prepare(self);
    return self;
}

void fiber_free(struct fiber **self_p)
{
    struct fiber *self = *self_p;
    if (self != NULL) {
        assert(self->ended);
        self->next_free = free_list;
        free_list = self;
        *self_p = NULL;
    }
}

void fiber_resume(struct fiber *self)
{
    assert(running == NULL && !self->ended);
    void *fake = NULL;
    running = self;
    before_switch(&fake, self->stack, STACK_BYTES);
    (void)swapcontext(&outside, &self->context);
    after_switch(fake, false);
}

void fiber_pause(void)
{
    struct fiber *self = running;
    void *fake = NULL;
    running = NULL;
    before_switch(&fake, outside_bottom, outside_bytes);
    (void)swapcontext(&self->context, &outside);
    after_switch(fake, true);
    running = self;
}

struct fiber *fiber_current(void)
{
    return running;
}

bool fiber_has_ended(const struct fiber *self)
{
    return self->ended;
}
