// Whose frame is served next: everybody who sends is served the same number of bytes in a round, however large the frames are (deficit
// round robin, Shreedhar and Varghese 1995). ZeroMQ takes turns by frame, so that who sends a megabyte at a time would get a thousand
// times as much as who sends a kilobyte. Frames beyond a share are set aside, in lanes: of each connection in order. Connections fall
// into lanes by their number, as in stochastic fair queueing; two that meet share a lane. Pure: no sockets, no time.
//
// What is set aside is limited, in a lane and in all. In all: nothing more is read, and turns are by frame until there is room. In a
// lane: while others send, too, its frames are too much; alone it is only read more slowly.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LANES = 1024,
    LANE_FRAME_BYTES = 256, // what each frame counts beside its length
    LANE_SHARE_BYTES_DEFAULT = 256 * 1024
};

struct lanes_limits {
    uint64_t share_bytes;    // of a lane in a round; more than 0
    uint64_t lane_bytes_max; // set aside
    uint64_t bytes_max;      // set aside in all
};

// One that was set aside; the head of what its owner keeps.
struct lane_frame {
    struct lane_frame *next;
    uint64_t connection;
    size_t len;
};

struct lane {
    struct lane *next;               // of those with frames
    struct lane_frame *first, *last; // set aside
    uint64_t bytes;                  // of them
    uint64_t round, used;            // served in this round, what was too much in earlier ones counted
};

struct lanes {
    struct lane lane[LANES];
    struct lane *first, *last; // with frames, in the order of their turns
    size_t untried;            // lanes that have not been looked at in this round
    size_t waiting;            // lanes with frames
    uint64_t bytes, round;
    struct lanes_limits limits;
    const struct lane *arrived; // whose frame came last
    unsigned in_a_row;          // how many of its frames
    bool paused;                // a lane that is alone holds all it may: nothing is read until some of it is served
};

enum lanes_verdict {
    LANES_SERVE,     // now, and it is counted
    LANES_SET_ASIDE, // to be given to lanes_keep
    LANES_TOO_MUCH,  // it should be refused
};

void lanes_init(struct lanes *self, const struct lanes_limits *limits);

bool lanes_have_room(const struct lanes *self); // may another frame be read?
enum lanes_verdict lanes_arrived(struct lanes *self, uint64_t connection, size_t len);
void lanes_keep(struct lanes *self, struct lane_frame *frame); // takes it
// The next that may be served in this round, the caller's again; NULL: none.
struct lane_frame *lanes_next(struct lanes *self);
// Nobody who has had less than a share has anything to be served: all may have another one. False: nothing is set aside.
bool lanes_new_round(struct lanes *self);
bool lanes_are_empty(const struct lanes *self);
