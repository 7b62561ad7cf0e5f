#include "backoff.h"

uint64_t backoff_ms(uint64_t base_ms, uint32_t failures_before)
{
    uint64_t delay_ms = base_ms;
    for (uint32_t i = 0; i < failures_before && delay_ms > 0 && delay_ms < BACKOFF_MAX_MS; i++) {
        delay_ms *= 2;
    }
    return delay_ms > BACKOFF_MAX_MS && base_ms < BACKOFF_MAX_MS ? BACKOFF_MAX_MS : delay_ms;
}
