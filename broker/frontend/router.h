// The ROUTER socket: frames in, frames out, and waiting. With sender.c and zap.c the only file of the broker that knows ZeroMQ.
//
// A connection is a number that is never used again while the broker runs. It is told to nobody.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authorised.h"
#include "wire.h"

struct router;
struct lane_frame;

struct router_config {
    const char *const *endpoints;
    size_t endpoint_count;
    size_t frame_bytes_max;
    // Of limited memory what may be held of one connection, each way; 0: not limited. Out: see sender.h.
    uint64_t link_bytes_max;
    uint64_t answer_bytes_max;     // of all connections, on their way out; 0: any number
    uint32_t seed;                 // random: where connection numbers begin
    const struct keys_pair *keys;  // NULL: no encryption, everybody is let in
    struct authorised *authorised; // with keys: whose connections are let in
};

struct router_error {
    enum nq_status status;
    char text[400];
};

enum { ROUTER_RETRY_MS = 2, ROUTER_LINK_BYTES_MAX = 64 * 1024 * 1024 };

// Errors: UNREACHABLE the endpoint is in use or cannot be had; BAD_CONFIG not an endpoint; NO_MEMORY.
enum nq_status router_open(const struct router_config *config, struct router **out, struct router_error *error);
void router_close(struct router **self_p); // gives answers a second to leave; accepts NULL

// The endpoint really listened on (port filled in). NULL: no more.
const char *router_endpoint(const struct router *self, size_t index);

// Wait until a frame has come (if `reading`), one of the descriptors is readable, or the time is over. -1: for ever.
// Returns which descriptors are readable: bit i stands for fds[i].
unsigned router_wait(struct router *self, bool reading, const int *fds, size_t fd_count, long timeout_ms);

void router_pause(void); // let another thread run for a moment, if one wants to

// The next frame. `*data` is valid until the next call. False: none at the moment.
bool router_receive(struct router *self, uint64_t *connection, const void **data, size_t *len);

// The key that the connection of the frame just received has proved to hold; valid until the next receive. NULL: none.
const char *router_sender(struct router *self);

// The frame just received stays for later; its place in a lane is the caller's to fill in. NULL: out of memory.
struct lane_frame *router_keep(struct router *self);
// It is the one just received again. Takes it; returns its data.
const void *router_take_up(struct router *self, struct lane_frame **frame_p);
void router_forget(struct lane_frame **frame_p);

// Send a frame, or keep it while the connection is full. False: the connection is gone (or took too little for too long).
bool router_send(struct router *self, uint64_t connection, const struct wire_packer *packer);

// How many bytes may be fetched to be sent over the connection now; what is beyond should be asked for again.
uint64_t router_room(const struct router *self, uint64_t connection);

// Try again what was kept. Connections found gone are told to `gone`.
void router_retry(struct router *self, void *context, void (*gone)(void *context, uint64_t connection));
bool router_has_kept(const struct router *self);
