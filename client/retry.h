// How long to wait before something is tried again: twice as long each time, up to a limit. Pure.
#pragma once
#include <stdint.h>

struct retry_pace {
    uint32_t first_ms, max_ms;
};
extern const struct retry_pace retry_puts;    // that the broker was too busy for: a whole stream stands still meanwhile
extern const struct retry_pace retry_others;  // the same; PROTOCOL.md, section 9
extern const struct retry_pace retry_servers; // an endpoint, before the next one: what a slow link takes is not known

uint64_t retry_pause_ms(const struct retry_pace *pace, uint32_t times_before);
