#include "gather.h"

enum { SHARE = 8, LATE_FACTOR = 2, RETURN_US_MAX = 10000 };

static void note_return(struct gather *self, uint64_t took_us)
{
    took_us = took_us < RETURN_US_MAX ? took_us : RETURN_US_MAX;
    self->return_us = (self->return_us * (SHARE - 1) + took_us) / SHARE;
}

void gather_begin(struct gather *self, uint64_t now_us)
{
    if (self->expected_count > 0) { // they have taken at least so long
        note_return(self, now_us - self->answered_us);
    }
    self->expected_count = 0;
    self->many = false;
    self->answered_us = now_us;
}

static size_t find(const struct gather *self, uint64_t connection)
{
    size_t at = 0;
    while (at < self->expected_count && self->expected[at] != connection) {
        at++;
    }
    return at;
}

void gather_answered(struct gather *self, uint64_t connection)
{
    if (self->many || find(self, connection) < self->expected_count) {
        return;
    }
    self->many = self->expected_count == GATHER_PEERS_MAX;
    if (self->many) {
        self->expected_count = 0;
        return;
    }
    self->expected[self->expected_count++] = connection;
}

void gather_heard(struct gather *self, uint64_t connection, uint64_t now_us)
{
    size_t at = find(self, connection);
    if (at == self->expected_count) {
        return;
    }
    self->expected[at] = self->expected[--self->expected_count];
    if (self->expected_count == 0) {
        note_return(self, now_us - self->answered_us);
    }
}

bool gather_waits(const struct gather *self, uint64_t now_us, uint64_t flush_us)
{
    uint64_t since_us = now_us - self->answered_us;
    uint64_t left_us = self->return_us > since_us ? self->return_us - since_us : 0;
    return self->expected_count > 0 && left_us < flush_us && since_us < LATE_FACTOR * self->return_us;
}
