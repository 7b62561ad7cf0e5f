#include "clock.h"

#include <time.h>

static uint64_t read_us(clockid_t which)
{
    struct timespec now = {0};
    clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t read_ms(clockid_t which)
{
    return read_us(which) / 1000;
}

uint64_t clock_us(void)
{
    return read_us(CLOCK_BOOTTIME);
}

uint64_t clock_wall_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

void clock_start(struct clock *self, uint64_t last_stored_ms)
{
    uint64_t wall_ms = clock_wall_ms();
    self->started_ms = wall_ms > last_stored_ms ? wall_ms : last_stored_ms;
    self->boot_ms = read_ms(CLOCK_BOOTTIME);
}

uint64_t clock_uptime_ms(const struct clock *self)
{
    return read_ms(CLOCK_BOOTTIME) - self->boot_ms;
}

uint64_t clock_now_ms(const struct clock *self)
{
    return self->started_ms + clock_uptime_ms(self);
}
