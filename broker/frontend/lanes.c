#include "lanes.h"

enum { ALONE_IN_A_ROW = 8 }; // whoever else sends comes in between sooner than that

static uint64_t cost(size_t len)
{
    return len + LANE_FRAME_BYTES;
}

static struct lane *lane_of(struct lanes *self, uint64_t connection)
{
    struct lane *lane = &self->lane[connection % LANES];
    uint64_t shares = self->round - lane->round;
    uint64_t owed = lane->used / self->limits.share_bytes;
    lane->used = shares > owed ? 0 : lane->used - shares * self->limits.share_bytes;
    lane->round = self->round;
    return lane;
}

static bool may_be_served(const struct lanes *self, const struct lane *lane)
{
    return lane->used < self->limits.share_bytes;
}

void lanes_init(struct lanes *self, const struct lanes_limits *limits)
{
    *self = (struct lanes){.limits = *limits};
}

bool lanes_have_room(const struct lanes *self)
{
    return lanes_are_empty(self) || (!self->paused && self->bytes < self->limits.bytes_max);
}

enum lanes_verdict lanes_arrived(struct lanes *self, uint64_t connection, size_t len)
{
    struct lane *lane = lane_of(self, connection);
    self->in_a_row = lane == self->arrived ? self->in_a_row + 1 : 1;
    self->arrived = lane;
    if (lane->first == NULL && may_be_served(self, lane)) {
        lane->used += cost(len);
        return LANES_SERVE;
    }
    if (lane->bytes + cost(len) <= self->limits.lane_bytes_max) {
        return LANES_SET_ASIDE;
    }
    self->paused = self->in_a_row >= ALONE_IN_A_ROW;
    return self->paused ? LANES_SET_ASIDE : LANES_TOO_MUCH;
}

static void append_lane(struct lanes *self, struct lane *lane)
{
    lane->next = NULL;
    if (self->first == NULL) {
        self->first = lane;
    } else {
        self->last->next = lane;
    }
    self->last = lane;
}

static struct lane *take_lane(struct lanes *self)
{
    struct lane *lane = self->first;
    self->first = lane->next;
    return lane;
}

void lanes_keep(struct lanes *self, struct lane_frame *frame)
{
    struct lane *lane = lane_of(self, frame->connection);
    frame->next = NULL;
    if (lane->first == NULL) {
        lane->first = frame;
        append_lane(self, lane);
        self->waiting++;
    } else {
        lane->last->next = frame;
    }
    lane->last = frame;
    lane->bytes += cost(frame->len);
    self->bytes += cost(frame->len);
}

static struct lane_frame *take_frame(struct lanes *self, struct lane *lane)
{
    struct lane_frame *frame = lane->first;
    lane->first = frame->next;
    lane->used += cost(frame->len);
    lane->bytes -= cost(frame->len);
    self->bytes -= cost(frame->len);
    self->paused = false;
    return frame;
}

struct lane_frame *lanes_next(struct lanes *self)
{
    while (self->untried > 0) {
        struct lane *lane = lane_of(self, self->first->first->connection);
        if (may_be_served(self, lane)) {
            struct lane_frame *frame = take_frame(self, lane);
            if (lane->first == NULL) {
                (void)take_lane(self);
                self->waiting--;
                self->untried--;
            }
            return frame;
        }
        append_lane(self, take_lane(self));
        self->untried--;
    }
    return NULL;
}

bool lanes_new_round(struct lanes *self)
{
    // When nobody waits nobody has had too much: what is owed is forgotten.
    self->round += lanes_are_empty(self) ? UINT32_MAX : 1;
    self->untried = self->waiting;
    return !lanes_are_empty(self);
}

bool lanes_are_empty(const struct lanes *self)
{
    return self->first == NULL;
}
