#include "retry.h"

const struct retry_pace retry_puts = {5, 200};
const struct retry_pace retry_others = {10, 1000};
const struct retry_pace retry_servers = {500, 4000};

uint64_t retry_pause_ms(const struct retry_pace *pace, uint32_t times_before)
{
    uint64_t pause_ms = pace->first_ms;
    for (uint32_t i = 0; i < times_before && pause_ms < pace->max_ms; i++) {
        pause_ms *= 2;
    }
    return pause_ms < pace->max_ms ? pause_ms : pace->max_ms;
}
