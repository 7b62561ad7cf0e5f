// A broker for tests of the library: one thread, a ROUTER on a free port, a small FIFO model in memory, and switches to make
// trouble. It is no model of the real broker's rules beyond what the library can see.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"
#include "wire.h"

struct fake_broker;

struct fake_broker *fake_broker_start(void); // NULL: could not
void fake_broker_stop(struct fake_broker **self_p);
const char *fake_broker_endpoint(const struct fake_broker *self);

// All of these may be called from the test's thread at any time.
void fake_broker_drop_answers(struct fake_broker *self, int count); // so many answers, HELLO's apart, are lost on their way
void fake_broker_disconnect(struct fake_broker *self);              // all connections break; it listens again at once
void fake_broker_forget_connections(struct fake_broker *self);      // half open: nothing on those that there are is seen any more
void fake_broker_pause(struct fake_broker *self, bool paused);      // takes frames in, but does not look at them
void fake_broker_forget_sessions(struct fake_broker *self);         // leases and parked gets are gone
void fake_broker_change_store(struct fake_broker *self);            // everything is gone, another store id
void fake_broker_forget_streams(struct fake_broker *self);
void fake_broker_refuse_puts(struct fake_broker *self, enum nq_status status, int count);             // the next ones
void fake_broker_refuse(struct fake_broker *self, enum wire_op op, enum nq_status status, int count); // without any result
void fake_broker_speak_version(struct fake_broker *self, uint32_t version);
void fake_broker_set_maxsize(struct fake_broker *self, const char *queue, uint64_t maxsize);
void fake_broker_set_lease_ms(struct fake_broker *self, uint64_t lease_ms);
void fake_broker_set_session_timeout_ms(struct fake_broker *self, uint64_t timeout_ms); // as the next HELLO is told
// Of the broker that is there once all connections have broken.
void fake_broker_set_limits(struct fake_broker *self, uint64_t body_bytes, uint64_t frame_bytes);
void fake_broker_delay_hellos(struct fake_broker *self, uint64_t ms);     // their answers; UINT64_MAX: for ever
void fake_broker_disconnect_after(struct fake_broker *self, int answers); // when so many have been dropped

struct fake_counts {
    uint64_t ready, leased, done, puts;              // of a queue
    uint64_t frames, hellos, renews, gets, requeues; // of the broker
    uint64_t taken;                                  // sum of the last reports
    uint64_t extend_ms;                              // of the last EXTEND
};
struct fake_counts fake_broker_counts(struct fake_broker *self, const char *queue);
