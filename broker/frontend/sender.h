// Frames out: at once, or kept while a connection takes no more. Counts the bytes of each connection that have not left, in libzmq's
// hands too, and bounds them; a connection that does not take its answers is ended. Knows ZeroMQ, for the router alone.
//
// libzmq's own mark counts frames, which may be bytes or megabytes each, and it has no call that ends one connection: that is done by the
// connection's socket.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

#include "log.h"
#include "table.h"
#include "wire.h"

struct link;

struct sender_limits {
    uint64_t link_bytes_max; // of one connection: beyond it nothing is fetched for it (sender_room), at twice as much it is ended
    uint64_t bytes_max;      // of all: beyond it the one that has most is ended
};

struct sender {
    void *socket;
    struct sender_limits limits;
    struct table by_connection;
    struct link *links;   // all
    struct link *waiting; // for which something is kept
    size_t sweep_at;      // so many links: those whose connections are gone are looked for
    uint64_t held_bytes;  // by __atomic_*: of all connections
    struct log_limit log;
};

void sender_init(struct sender *self, void *socket, const struct sender_limits *limits);
void sender_forget(struct sender *self); // what is kept; before the socket is closed
void sender_fini(struct sender *self);   // after the socket's context has ended: libzmq has freed what it had

// A frame has come over this connection: from now on it can be sent to.
void sender_meet(struct sender *self, uint64_t connection, zmq_msg_t *frame);

// False: the connection is gone, or was ended for taking too little.
bool sender_send(struct sender *self, uint64_t connection, const struct wire_packer *packer);
// How many bytes may be fetched from elsewhere to be sent over it now.
uint64_t sender_room(const struct sender *self, uint64_t connection);

void sender_retry(struct sender *self, void *context, void (*gone)(void *context, uint64_t connection));
bool sender_has_kept(const struct sender *self);
