// The machine that the broker runs on: its disk, its clock, its signals, and the power to kill it. A crash may come at each step:
// before and after each frame, each answer, each commit. From then on nothing that the process does has an effect.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "store.h"

struct host_config {
    uint64_t disk_us;      // a flush, mostly at most
    uint64_t disk_slow_us; // some
};

void host_begin(const struct host_config *config);
void host_process_started(uint64_t steps_to_crash); // UINT64_MAX: never
void host_terminate(void);                          // SIGTERM
void host_set_crash(uint64_t steps);                // let it come after so many steps more
void host_step_wall_clock(int64_t ms);
bool host_has_crashed(void);
void host_power_off(void); // after a crash: what was on its way to the disk gets there or not

// For what stands between the broker and the machine.
bool host_step(void);      // true: it has crashed
unsigned host_ready(void); // bit 0: a signal has come, bit 1: a commit has ended
void host_turn_ended(void);
