// What the process gives up or raises for itself at its start.
#pragma once
#include <stdint.h>

void process_harden(void);                // no new privileges, files of the owner only
uint64_t process_raise_descriptors(void); // as many descriptors as allowed; how many that are
