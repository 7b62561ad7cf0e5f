#include "intake.h"

#include <stddef.h>

// When so many frames in a row were set aside, nobody is left who has had less than a share: ZeroMQ takes turns among connections.
enum { SET_ASIDE_IN_A_ROW_MAX = 64 };

void intake_init(struct intake *self, struct router *router, const struct lanes_limits *limits)
{
    self->router = router;
    self->set_aside_in_a_row = 0;
    lanes_init(&self->lanes, limits);
}

void intake_fini(struct intake *self)
{
    do {
        struct lane_frame *frame;
        while ((frame = lanes_next(&self->lanes)) != NULL) {
            router_forget(&frame);
        }
    } while (lanes_new_round(&self->lanes));
}

bool intake_keep(struct intake *self, const struct intake_frame *frame)
{
    struct lane_frame *kept = router_keep(self->router);
    if (kept == NULL) {
        return false;
    }
    kept->connection = frame->connection;
    kept->len = frame->len;
    lanes_keep(&self->lanes, kept);
    return true;
}

static bool read_one(struct intake *self, struct intake_frame *frame)
{
    return self->set_aside_in_a_row < SET_ASIDE_IN_A_ROW_MAX && lanes_have_room(&self->lanes) &&
           router_receive(self->router, &frame->connection, &frame->data, &frame->len);
}

// NONE: it was set aside.
static enum intake_result place(struct intake *self, const struct intake_frame *frame)
{
    enum lanes_verdict verdict = lanes_arrived(&self->lanes, frame->connection, frame->len);
    if (verdict == LANES_SERVE) {
        self->set_aside_in_a_row = 0;
        return INTAKE_SERVE;
    }
    self->set_aside_in_a_row++;
    if (verdict == LANES_TOO_MUCH) {
        return INTAKE_TOO_MUCH;
    }
    return intake_keep(self, frame) ? INTAKE_NONE : INTAKE_NO_MEMORY;
}

enum intake_result intake_next(struct intake *self, struct intake_frame *frame)
{
    for (;;) {
        struct lane_frame *waiting = lanes_next(&self->lanes);
        if (waiting != NULL) {
            *frame = (struct intake_frame){.connection = waiting->connection, .len = waiting->len};
            frame->data = router_take_up(self->router, &waiting);
            return INTAKE_SERVE;
        }
        if (read_one(self, frame)) {
            enum intake_result result = place(self, frame);
            if (result != INTAKE_NONE) {
                return result;
            }
            continue;
        }
        self->set_aside_in_a_row = 0;
        if (!lanes_new_round(&self->lanes)) {
            return INTAKE_NONE;
        }
    }
}

bool intake_is_empty(const struct intake *self)
{
    return lanes_are_empty(&self->lanes);
}
