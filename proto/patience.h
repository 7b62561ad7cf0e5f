// Whether to look once more before going to sleep. Waking a thread that sleeps costs tens of microseconds on a virtual machine, more
// than most answers take, so who expects one looks again for a moment first, giving way (sched_yield) each time. It gives up at once
// when somebody else had work for the processor. Pure: time comes in as data.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { PATIENCE_US = 50, PATIENCE_TAKEN_US = 10 };

struct patience {
    uint64_t began_us, last_us; // 0: not begun
};

// True: look once more.
static inline bool patience_goes_on(struct patience *self, uint64_t now_us)
{
    if (self->began_us == 0) {
        *self = (struct patience){now_us, now_us};
        return true;
    }
    bool taken = now_us - self->last_us > PATIENCE_TAKEN_US;
    self->last_us = now_us;
    return !taken && now_us - self->began_us < PATIENCE_US;
}
