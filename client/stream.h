// A stream: the puts of one producer into one queue, numbered by item. Keeps the numbers right over refusals, time-outs and
// brokers that have forgotten the stream. Pure.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "tracker.h"

#define STREAM_TRIES_MAX 32u

struct stream {
    struct stream *next, *prev;   // of the tracker's: a client may have one for each of very many queues
    struct request *first, *last; // without an answer, in order
    uint64_t number;
    uint64_t next_number; // of the item that is put next
    uint64_t accepted_to; // highest number known to be accepted
    bool in_order;        // false: nothing more is numbered until every sent run is answered
    bool renew;           // the broker's place in it is not known: go on with another number
    bool stop_on_refusal; // a refusal ends all runs behind it (a producer handle)
    bool failed;          // ... has happened
    uint64_t retry_at_ms;
    uint32_t busy_times; // since a put of it was accepted
};

void stream_open(struct tracker *tracker, struct stream *self, bool stop_on_refusal);
void stream_close(struct tracker *tracker, struct stream *self); // no request of it may be left

// Called by the tracker.
void stream_add(struct tracker *tracker, struct request *request);
void stream_remove(struct request *request);
// How many of the run's items, from the front, one frame of that size takes; 1 at least.
size_t stream_fitting(const struct request *request, uint64_t frame_bytes);
// Only so many of them were sent: nothing behind is, until the rest is accepted, too.
void stream_part_sent(struct tracker *tracker, struct request *request, size_t count);
void stream_in_doubt(struct tracker *tracker, struct stream *self);
void stream_give_up(struct tracker *tracker, struct stream *self); // and nothing of a handle's that stands behind it is sent
// True: the request ends with *status, and request->accepted is the sum. False: it stays, to be sent again.
bool stream_reply(struct tracker *tracker, struct request *request, const struct wire_reply *reply, uint64_t now_ms,
                  enum nq_status *status);
void stream_run(struct tracker *tracker, struct stream *self, uint64_t now_ms);
uint64_t stream_next_deadline_ms(const struct stream *self);
