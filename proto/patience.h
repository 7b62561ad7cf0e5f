// Whether to look once more before going to sleep. Waking a thread that sleeps costs tens of microseconds on a virtual machine, as much
// as the answer it waits for takes. So who lately has had to wait only for moments looks again for a moment, giving way each time
// (sched_yield), and gives up when somebody else had work for the processor. Who has waited long sleeps at once. Pure: time is data.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { PATIENCE_US = 200, PATIENCE_SHORT_US = 150, PATIENCE_TAKEN_US = 10, PATIENCE_LONG_US = 1000, PATIENCE_SHARE = 4 };

struct patience {
    uint64_t typical_us; // of the waits so far, long ones counted as PATIENCE_LONG_US
    uint64_t began_us, last_us;
};

static inline void patience_begin(struct patience *self, uint64_t now_us)
{
    self->began_us = now_us;
    self->last_us = now_us;
}

// True: look once more.
static inline bool patience_goes_on(struct patience *self, uint64_t now_us)
{
    bool taken = now_us - self->last_us > PATIENCE_TAKEN_US;
    self->last_us = now_us;
    return self->typical_us <= PATIENCE_SHORT_US && !taken && now_us - self->began_us < PATIENCE_US;
}

static inline void patience_end(struct patience *self, uint64_t now_us)
{
    uint64_t took_us = now_us - self->began_us < PATIENCE_LONG_US ? now_us - self->began_us : PATIENCE_LONG_US;
    self->typical_us = (self->typical_us * (PATIENCE_SHARE - 1) + took_us) / PATIENCE_SHARE;
}
