// One connection to a broker: frames out, frames in, and word of when it comes up and goes down. The only module of the library
// that knows ZeroMQ. Belongs to one thread, except where it says otherwise.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys.h"
#include "status.h"

struct connection;

// Our own pair, and the key by which we know the broker.
struct connection_keys {
    struct keys_pair own;
    char broker[KEYS_TEXT_BYTES];
};

enum connection_event {
    CONNECTION_NOTHING = 0,
    CONNECTION_UP,        // HELLO must be the first frame
    CONNECTION_DOWN,      // what had been sent may or may not have arrived; it is being made again
    CONNECTION_REFUSED,   // nobody there, or no handshake; tried again in a moment, unless it is given up
    CONNECTION_FORBIDDEN, // somebody is there and will not have us, or we not them: connection_trouble says why
};

// keys  NULL: no encryption; else borrowed, and nothing is said to anybody but the broker that holds the other key
// NULL: out of memory or descriptors.
struct connection *connection_create(const struct connection_keys *keys);
const struct connection_keys *connection_keys(const struct connection *self);
void connection_destroy(struct connection **self_p);

// Start to connect, after ending what was there. Errors: BAD_REQUEST (not an endpoint), BAD_CONFIG (keys cannot be used), NO_MEMORY.
enum nq_status connection_open(struct connection *self, const char *endpoint);
void connection_close(struct connection *self, int linger_ms); // accepts one that is not open

enum connection_event connection_next_event(struct connection *self, uint64_t now_ms);
// What went wrong last, if there is more to say than that nobody is there; NULL: nothing. Static.
const char *connection_trouble(const struct connection *self);
// libzmq does not try again by itself, as after a handshake that went wrong: connection_open does.
bool connection_is_given_up(const struct connection *self);
bool connection_is_readable(struct connection *self);
bool connection_is_writable(struct connection *self);

// A buffer for a frame of that size: fill it, then connection_send. NULL: out of memory.
void *connection_prepare(struct connection *self, size_t size);
bool connection_send(struct connection *self); // false: not sent, nothing happened

// The next frame, if there is one; valid until the next call. A message of several parts is no frame of ours: skipped.
bool connection_receive(struct connection *self, const void **data, size_t *len);

int connection_fd(const struct connection *self); // readable when there may be something to do
// Returns when there may be something to do, or after timeout_ms (UINT64_MAX: none), or on a signal.
void connection_wait(struct connection *self, uint64_t timeout_ms);
// Makes the descriptor readable. From any thread or signal handler.
void connection_wake(struct connection *self);

uint64_t connection_now_ms(void); // the one clock of the library: monotonic, counts while suspended
// Advances every few milliseconds and costs next to nothing: to notice, item by item, that some time has passed.
uint64_t connection_tick_ms(void);
