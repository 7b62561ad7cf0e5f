// Frames from the router in the order in which they are to be served: everybody gets the same share of bytes (lanes.h).
#pragma once
#include "lanes.h"
#include "router.h"

struct intake {
    struct router *router;
    struct lanes lanes;
    unsigned set_aside_in_a_row;
};

enum intake_result {
    INTAKE_NONE,     // nothing has come, and nothing waits
    INTAKE_SERVE,    // this frame
    INTAKE_TOO_MUCH, // this frame is beyond what may wait of its connection: refuse it, or let it wait with intake_keep
    INTAKE_NO_MEMORY,
};

struct intake_frame {
    uint64_t connection;
    const void *data; // valid until the next call
    size_t len;
};

void intake_init(struct intake *self, struct router *router, const struct lanes_limits *limits);
void intake_fini(struct intake *self);

enum intake_result intake_next(struct intake *self, struct intake_frame *frame);
bool intake_keep(struct intake *self, const struct intake_frame *frame); // that was TOO_MUCH; false: out of memory
bool intake_is_empty(const struct intake *self);                         // nothing waits here
