// Which requests are without an answer, and what becomes of them: sent once, sent again after a reconnect, given up. Pure: no
// clock, no socket, no thread; time comes in as now_ms, requests to send come out as a list.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"
#include "wire.h"

struct frame; // the memory a received answer lives in; the tracker only passes it on
struct stream;

enum request_state {
    REQUEST_UNSENT,
    REQUEST_SENT,
    REQUEST_HELD, // a put that waits until its stream is in order again; any other that the broker was too busy for
};

struct outcome {
    enum nq_status status;
    const struct wire_reply *reply; // NULL: ended on this side
    struct frame *frame;            // holds the reply; NULL with it
    uint64_t now_ms;
};

#define REQUEST_FRAME_BYTES 256u // about what a request takes in a frame, beside items and tokens: rather more

struct request {
    struct request *next, *prev; // in the list of its state
    struct request *hash_next;
    struct request *stream_next, *stream_prev; // a put: order in its stream
    struct stream *stream;
    struct wire_request wire; // what it points at is kept by the owner, or in `memory`
    enum request_state state;
    bool resent;          // may have reached the broker more than once
    bool unread;          // sent, and refused before anybody looked at it
    bool cancelled;       // its CANCEL is under way: a put is not sent once more after a refusal
    bool abandoned;       // nobody waits any more; a get whose items go straight back
    bool background;      // nobody is inside the library waiting for it
    bool unsettled;       // inside tracker_reconnected
    uint32_t tries;       // of a put: how often its stream had to be put in order; else: how often the broker was busy
    uint64_t retry_at_ms; // of one that is held, but no put
    uint64_t first_id;    // what the caller knows it by: each sending after a refusal has a new id
    uint64_t wait_ms;     // what the caller asked for
    uint64_t started_ms;  // when it was added
    uint64_t deadline_ms; // first sent + wait_ms; UINT64_MAX before that and without end
    uint64_t accepted;    // of a put: items accepted by earlier tries
    size_t part;          // of a put: only so many of its items, from the front, were sent; 0: all
    size_t size;          // about how many bytes it takes in a frame
    void (*ended)(struct request *self, const struct outcome *outcome); // called once, then it is freed; may be NULL
    void *user;
    void *memory; // freed with it
};

struct request_list {
    struct request *first, *last;
    size_t count;
};

struct tracker {
    struct request **buckets;
    size_t buckets_count; // a power of two
    size_t count;
    uint64_t last_id;
    uint64_t (*random)(void); // numbers for new streams
    struct request_list unsent, sent, held;
    struct stream *streams; // all of them
    size_t streams_astray;  // of them: those not in order
    size_t busy;            // requests held that are no puts
    uint64_t patience_ms;   // how long at least one is tried again when the broker is busy; 0: not at all
};

bool tracker_init(struct tracker *self, uint64_t (*random)(void)); // false: out of memory
void tracker_fini(struct tracker *self);                           // frees requests without calling `ended`

uint64_t tracker_new_id(struct tracker *self);

struct request *request_create(enum wire_op op); // NULL: out of memory

// Takes the request and gives it an id. A put must name its stream (or NULL: none).
void tracker_add(struct tracker *self, struct request *request, uint64_t now_ms);
struct request *tracker_find(const struct tracker *self, uint64_t id);
struct request *tracker_find_started(const struct tracker *self, uint64_t first_id); // slow

// It leaves in a frame now: sets the wait that is sent and when that is over.
void tracker_before_send(struct request *request, uint64_t now_ms);
void tracker_sent(struct tracker *self, struct request *request);
// The broker knows no session: it is sent again, in its order, when there is one.
void tracker_is_unread(struct tracker *self, uint64_t id);
void tracker_unsend(struct tracker *self, struct request *request); // to the front of what is to be sent

// Ends with `status`, or in OUTCOME_UNKNOWN when the broker may have carried it out.
void tracker_give_up(struct tracker *self, struct request *request, enum nq_status status, uint64_t now_ms);

// Calls `ended`, then frees.
void tracker_end(struct tracker *self, struct request *request, const struct outcome *outcome);
// Frees without a call. A put that may have been sent leaves its stream in doubt.
void tracker_drop(struct tracker *self, struct request *request, uint64_t now_ms);

// An answer. Unknown ids are ignored: they are answers that came twice.
void tracker_reply(struct tracker *self, const struct wire_reply *reply, struct frame *frame, uint64_t now_ms);

enum tracker_session { TRACKER_RESUMED, TRACKER_NEW_SESSION, TRACKER_NEW_STORE };
// HELLO has been answered on a new connection: decides what is sent again and ends what must not be.
void tracker_reconnected(struct tracker *self, enum tracker_session session, uint64_t now_ms);
// Ids of gets that may be answered or parked at the broker. Writes at most `max`; returns how many there are.
size_t tracker_waiting_gets(const struct tracker *self, uint64_t *ids, size_t max);

// End requests for which no broker was heard for timeout_ms, put streams in order, try again what the broker was too busy for.
// heard_ms: the last sign of life.
void tracker_run(struct tracker *self, uint64_t now_ms, uint64_t heard_ms, uint64_t timeout_ms);
uint64_t tracker_next_deadline_ms(const struct tracker *self, uint64_t heard_ms, uint64_t timeout_ms); // UINT64_MAX: none

bool request_was_sent(const struct request *request);
// For the stream module: changes the list a request is in.
void tracker_move(struct tracker *self, struct request *request, enum request_state state);
void tracker_renew_id(struct tracker *self, struct request *request);
