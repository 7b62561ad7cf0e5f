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
bool host_is_on(void);              // false: its power goes just now, or is gone
uint64_t host_broker_ms(void);      // the broker's time
uint64_t host_broker_born_ms(void); // and when it was started
// The next flush fails, what it should have made durable being there or not. The process must end, and say nothing from then on. If
// it reads first, that fails, too; it must end, and nothing that came of it may be stored.
void host_fail_disk(void);
bool host_disk_has_failed(void); // and the process has been told
bool host_read_fails(void);      // asked where it reads
bool host_read_has_failed(void);
void host_fill_disk(uint64_t us);          // nothing but the reserve is left, for so long
bool host_disk_is_full(uint64_t since_us); // and has been since
bool host_disk_was_full(void);             // at any time
void host_power_off(void);                 // after a crash: what was on its way to the disk gets there or not

// For what stands between the broker and the machine.
bool host_step(void);      // true: it has crashed
unsigned host_ready(void); // bit 0: a signal has come, bit 1: a commit has ended
void host_turn_ended(void);
