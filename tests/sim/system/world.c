#include "world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiber.h"
#include "seeded.h"

enum { RUNNERS_MAX = 2048 };

struct event {
    uint64_t at_us, order;
    void (*act)(void *context, uint64_t value);
    void *context;
    uint64_t value;
};

struct runner {
    struct fiber *fiber;
    char name[24];
    uint64_t waits; // how often it has waited: a wake-up for an earlier wait is stale
    bool waiting;
    bool woken; // before it waited
};

static struct world {
    uint64_t seed, random, now_us, order;
    bool trace;
    struct event *events; // a heap
    size_t count, capacity;
    size_t runners_count;
    struct runner *current;
    struct runner runners[RUNNERS_MAX]; // none is used again in one run: a pointer to one that has ended stays good
} world;

// -------------------------------------------------------------------------------------------------------------- chance, time

uint64_t world_now_us(void)
{
    return world.now_us;
}

uint64_t world_now_ms(void)
{
    return world.now_us / 1000;
}

uint64_t world_random(uint64_t below)
{
    return random_below(&world.random, below);
}

uint64_t world_between(uint64_t low, uint64_t high)
{
    return low + world_random(high - low + 1);
}

bool world_chance(uint64_t permille)
{
    return world_random(1000) < permille;
}

uint64_t world_spread(uint64_t most)
{
    uint64_t limit = most;
    while (limit > 1 && world_chance(500)) {
        limit = limit / 3 + 1;
    }
    return world_between(1, limit);
}

// --------------------------------------------------------------------------------------------------------------------- events

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void sift_up(size_t at)
{
    struct event event = world.events[at];
    while (at > 0 && is_before(&event, &world.events[(at - 1) / 2])) {
        world.events[at] = world.events[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    world.events[at] = event;
}

static void sift_down(void)
{
    struct event event = world.events[world.count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < world.count && is_before(&world.events[child + 1], &world.events[child])) {
            child++;
        }
        if (child >= world.count || !is_before(&world.events[child], &event)) {
            break;
        }
        world.events[at] = world.events[child];
        at = child;
    }
    world.events[at] = event;
}

void world_after(uint64_t us, void (*act)(void *context, uint64_t value), void *context, uint64_t value)
{
    if (world.count == world.capacity) {
        world.capacity = world.capacity == 0 ? 256 : world.capacity * 2;
        world.events = realloc(world.events, world.capacity * sizeof(*world.events));
        assert(world.events != NULL);
    }
    world.events[world.count] =
        (struct event){.at_us = world.now_us + us, .order = world.order++, .act = act, .context = context, .value = value};
    sift_up(world.count++);
}

// -------------------------------------------------------------------------------------------------------------------- runners

static void run(struct runner *self)
{
    self->waiting = false;
    world.current = self;
    fiber_resume(self->fiber);
    world.current = NULL;
    if (fiber_has_ended(self->fiber)) {
        fiber_free(&self->fiber);
    }
}

static void on_wake(void *context, uint64_t waits)
{
    struct runner *self = context;
    if (self->waiting && self->waits == waits) {
        run(self);
    }
}

struct runner *runner_start(const char *name, void (*main)(void *argument), void *argument)
{
    assert(world.runners_count < RUNNERS_MAX);
    struct runner *self = &world.runners[world.runners_count++];
    *self = (struct runner){.waiting = true};
    snprintf(self->name, sizeof(self->name), "%s", name);
    self->fiber = fiber_create(main, argument);
    world_after(world_random(50), on_wake, self, 0);
    return self;
}

struct runner *runner_current(void)
{
    return world.current;
}

void runner_wait_us(uint64_t us)
{
    struct runner *self = world.current;
    self->waits++;
    self->waiting = true;
    if (self->woken) {
        us = 1;
    }
    self->woken = false;
    if (us != UINT64_MAX) {
        world_after(us == 0 ? 1 : us, on_wake, self, self->waits);
    }
    fiber_pause();
}

void runner_wake(struct runner *self)
{
    if (self->waiting) {
        world_after(1 + world_random(30), on_wake, self, self->waits);
    } else {
        self->woken = true;
    }
}

bool runner_has_ended(const struct runner *self)
{
    return self->fiber == NULL;
}

// ------------------------------------------------------------------------------------------------------------------ the world

void world_begin(uint64_t seed, bool trace)
{
    struct event *events = world.events;
    size_t capacity = world.capacity;
    memset(&world, 0, offsetof(struct world, runners));
    world.events = events;
    world.capacity = capacity;
    world.seed = seed;
    world.random = seed;
    world.trace = trace;
    world.now_us = 1000 * 1000;
}

void world_end(void)
{
    for (size_t i = 0; i < world.runners_count; i++) {
        if (world.runners[i].fiber != NULL) {
            world_fail("%s never ends", world.runners[i].name);
        }
    }
    free(world.events);
    world.events = NULL;
    world.count = world.capacity = 0;
}

bool world_run(bool (*over)(void), uint64_t until_us)
{
    while (!over()) {
        if (world.count == 0 || world.events[0].at_us > until_us) {
            return false;
        }
        struct event event = world.events[0];
        world.count--;
        if (world.count > 0) {
            sift_down();
        }
        world.now_us = event.at_us;
        event.act(event.context, event.value);
    }
    return true;
}

static void say(FILE *out, const char *format, va_list args)
{
    fprintf(out, "%12.3f %-10s ", (double)world.now_us / 1000.0, world.current == NULL ? "-" : world.current->name);
    vfprintf(out, format, args);
    fputc('\n', out);
}

void world_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fprintf(stderr, "seed %llu: ", (unsigned long long)world.seed);
    say(stderr, format, args);
    va_end(args);
    fflush(stderr);
    _Exit(1); // coroutines are in the middle of things: nothing is tidied up
}

bool world_traces(void)
{
    return world.trace;
}

void world_trace(const char *format, ...)
{
    if (world.trace) {
        va_list args;
        va_start(args, format);
        say(stdout, format, args);
        va_end(args);
    }
}
