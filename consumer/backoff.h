// How long an item waits after its command failed.
#pragma once
#include <stdint.h>

#define BACKOFF_MAX_MS 60000u

// base, doubled with each failure before this one, up to a minute (or base, when that is longer).
uint64_t backoff_ms(uint64_t base_ms, uint32_t failures_before);
