// How long to wait before the broker is asked again for what it was too busy for: twice as long each time, up to a limit. Pure.
#pragma once
#include <stdint.h>

struct retry_pace {
    uint32_t first_ms, max_ms;
};
extern const struct retry_pace retry_puts;   // a whole stream stands still meanwhile
extern const struct retry_pace retry_others; // PROTOCOL.md, section 9

uint64_t retry_pause_ms(const struct retry_pace *pace, uint32_t times_before);
