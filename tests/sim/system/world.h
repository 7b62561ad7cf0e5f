// The world of one run: virtual time, what happens in it next, and chance. One at a time; world_begin starts it anew from a seed.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void world_begin(uint64_t seed, bool trace);
void world_end(void); // everything that ran has ended

uint64_t world_now_us(void);
uint64_t world_now_ms(void);

uint64_t world_random(uint64_t below);
uint64_t world_between(uint64_t low, uint64_t high); // both included
bool world_chance(uint64_t permille);
uint64_t world_spread(uint64_t most); // 1 .. most, small ones as likely as large ones

// Something that happens later. Two of one moment happen in the order in which they were asked for.
void world_after(uint64_t us, void (*act)(void *context, uint64_t value), void *context, uint64_t value);

// Someone who runs: a coroutine that waits in virtual time.
struct runner;
struct runner *runner_start(const char *name, void (*main)(void *argument), void *argument);
struct runner *runner_current(void);
void runner_wait_us(uint64_t us); // the current one: until that much time is over, or runner_wake
void runner_wake(struct runner *self);
bool runner_has_ended(const struct runner *self);

// Let things happen until `over` says so. False: nothing is left to happen, or until_us has passed.
bool world_run(bool (*over)(void), uint64_t until_us);

// A finding: says the seed and the time, and ends the program with exit code 1.
_Noreturn void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool world_traces(void);
void world_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
