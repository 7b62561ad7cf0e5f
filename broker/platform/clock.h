// Broker time: the only reader of clocks in the broker. It starts at the wall clock, never before the time last stored, and from then
// on advances with CLOCK_BOOTTIME only, so that a step of the wall clock ends no lease.
#pragma once
#include <stdint.h>

struct clock {
    uint64_t started_ms; // broker time at the start
    uint64_t boot_ms;    // CLOCK_BOOTTIME at the start
};

uint64_t clock_wall_ms(void);
uint64_t clock_us(void); // for measuring how long something takes, nothing else
void clock_start(struct clock *self, uint64_t last_stored_ms);
uint64_t clock_now_ms(const struct clock *self);
uint64_t clock_uptime_ms(const struct clock *self); // since clock_start
