// The broker's process: the real front end with all below it, started again after each crash and each graceful stop.
#pragma once
#include <stdbool.h>
#include <stdint.h>

void broker_begin(void);
void broker_end(void);

void broker_terminate(void);       // gracefully; it comes back
void broker_crash(uint64_t steps); // after so many steps; it comes back
void broker_heal(void);            // no crash by itself any more, no time spent down
void broker_stop(void);            // gracefully, for good
bool broker_has_stopped(void);
uint64_t broker_starts(void);
