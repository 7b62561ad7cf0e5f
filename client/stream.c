#include "stream.h"

#include <assert.h>

#include "retry.h"

static void renumber(struct tracker *tracker, struct stream *self)
{
    self->number = 0;
    while (self->number == 0) {
        self->number = tracker->random();
    }
    self->next_number = 1;
    self->accepted_to = 0;
    self->renew = false;
}

void stream_open(struct tracker *tracker, struct stream *self, bool stop_on_refusal)
{
    *self = (struct stream){.in_order = true, .stop_on_refusal = stop_on_refusal};
    renumber(tracker, self);
    self->next = tracker->streams;
    if (self->next != NULL) {
        self->next->prev = self;
    }
    tracker->streams = self;
}

void stream_close(struct tracker *tracker, struct stream *self)
{
    assert(self->first == NULL);
    tracker->streams_astray -= self->in_order ? 0 : 1;
    if (self->prev != NULL) {
        self->prev->next = self->next;
    } else {
        tracker->streams = self->next;
    }
    if (self->next != NULL) {
        self->next->prev = self->prev;
    }
}

static void number_run(struct stream *self, struct request *request)
{
    struct wire_put *put = &request->wire.as.put;
    put->stream = self->number;
    put->first_number = self->next_number;
    self->next_number += put->count;
}

void stream_add(struct tracker *tracker, struct request *request)
{
    struct stream *self = request->stream;
    request->stream_next = NULL;
    request->stream_prev = self->last;
    if (self->last != NULL) {
        self->last->stream_next = request;
    } else {
        self->first = request;
    }
    self->last = request;
    if (self->in_order) {
        number_run(self, request);
    } else {
        tracker_move(tracker, request, REQUEST_HELD);
    }
}

void stream_remove(struct request *request)
{
    struct stream *self = request->stream;
    if (request->stream_prev != NULL) {
        request->stream_prev->stream_next = request->stream_next;
    } else {
        self->first = request->stream_next;
    }
    if (request->stream_next != NULL) {
        request->stream_next->stream_prev = request->stream_prev;
    } else {
        self->last = request->stream_prev;
    }
    request->stream_next = NULL;
    request->stream_prev = NULL;
}

// Numbers given out are void: runs that were never sent wait; those that were end OUT_OF_SEQUENCE one by one.
static void stop_numbering(struct tracker *tracker, struct stream *self)
{
    if (!self->in_order) { // then none of them is left
        return;
    }
    tracker->streams_astray++;
    self->in_order = false;
    for (struct request *r = self->first; r != NULL; r = r->stream_next) {
        if (r->state == REQUEST_UNSENT && !r->resent) {
            tracker_move(tracker, r, REQUEST_HELD);
        }
    }
}

#define ITEM_BYTES 32u // about what an item takes in a frame, beside body and headers: rather more

size_t stream_fitting(const struct request *request, uint64_t frame_bytes)
{
    const struct wire_put *put = &request->wire.as.put;
    uint64_t bytes = REQUEST_FRAME_BYTES;
    size_t count = 0;
    for (; count < put->count; count++) {
        bytes += put->bodies[count].len + (put->headers != NULL ? put->headers[count].len : 0) + ITEM_BYTES;
        if (bytes > frame_bytes) {
            break;
        }
    }
    return count > 0 ? count : 1;
}

void stream_part_sent(struct tracker *tracker, struct request *request, size_t count)
{
    request->part = count;
    stop_numbering(tracker, request->stream);
}

void stream_in_doubt(struct tracker *tracker, struct stream *self)
{
    self->renew = true;
    stop_numbering(tracker, self);
}

void stream_give_up(struct tracker *tracker, struct stream *self)
{
    self->failed = self->failed || self->stop_on_refusal;
    stream_in_doubt(tracker, self);
}

static bool hold(struct tracker *tracker, struct request *request, enum nq_status status, enum nq_status *out)
{
    request->tries++;
    // BUSY is bounded by the caller's deadline; the others are a broker that does not keep its word.
    if (status != NQ_BUSY && request->tries > STREAM_TRIES_MAX) {
        *out = request->resent ? NQ_OUTCOME_UNKNOWN : status;
        return true;
    }
    tracker_move(tracker, request, REQUEST_HELD);
    return false;
}

static bool reply_out_of_sequence(struct tracker *tracker, struct request *request, const struct wire_reply *reply,
                                  enum nq_status *status)
{
    struct stream *self = request->stream;
    if (self->failed) {
        return true;
    }
    if (reply->result != WIRE_PUT) {
        self->renew = true; // it does not say how far the stream has come
    }
    // A run in front of it was refused: this one had to be, and may be for as long as that goes on.
    if (!self->in_order && request->part == 0) {
        tracker_move(tracker, request, REQUEST_HELD);
        return false;
    }
    stop_numbering(tracker, self);
    return hold(tracker, request, NQ_OUT_OF_SEQUENCE, status);
}

// An earlier sending may have been accepted, and the number to go on with is not known.
static bool end_unknown(struct tracker *tracker, struct request *request, enum nq_status *status)
{
    stream_give_up(tracker, request->stream);
    *status = NQ_OUTCOME_UNKNOWN;
    return true;
}

static bool reply_stream_unknown(struct tracker *tracker, struct request *request, enum nq_status *status)
{
    struct stream *self = request->stream;
    if (request->resent) {
        return end_unknown(tracker, request, status);
    }
    stream_in_doubt(tracker, self);
    if (self->failed) {
        return true;
    }
    return hold(tracker, request, NQ_STREAM_UNKNOWN, status);
}

static bool reply_busy(struct tracker *tracker, struct request *request, uint64_t now_ms, enum nq_status *status)
{
    struct stream *self = request->stream;
    stop_numbering(tracker, self);
    if (self->failed || now_ms >= request->deadline_ms) {
        self->failed = self->failed || self->stop_on_refusal;
        return true;
    }
    self->retry_at_ms = now_ms + retry_pause_ms(&retry_puts, self->busy_times++);
    return hold(tracker, request, NQ_BUSY, status);
}

// A run behind may be refused before one in front of it, still waiting at the broker, is accepted: the highest number counts.
static void note_accepted(struct stream *self, uint64_t number)
{
    if (number > self->accepted_to) {
        self->accepted_to = number;
    }
}

// The accepted front part of a run is over and done with.
static void cut_accepted(struct request *request, uint64_t accepted)
{
    struct wire_put *put = &request->wire.as.put;
    put->bodies += accepted;
    if (put->headers != NULL) {
        put->headers += accepted;
    }
    put->count -= accepted;
    request->accepted += accepted;
}

// Of what the request holds still. Of a run sent in part the rest may have been accepted, too, by an earlier sending of the whole.
static uint64_t accepted_of(const struct request *request, const struct wire_reply *reply)
{
    const struct wire_put *put = &request->wire.as.put;
    uint64_t sent = request->part > 0 ? request->part : put->count;
    uint64_t accepted = reply->status == NQ_OK ? sent : 0;
    if (reply->result != WIRE_PUT) {
        return accepted;
    }
    if (reply->status != NQ_OK && reply->as.put.accepted < sent) {
        accepted = reply->as.put.accepted;
    }
    if (request->part > 0 && reply->as.put.last_number >= put->first_number + accepted) {
        uint64_t known = reply->as.put.last_number - put->first_number + 1;
        accepted = known < put->count ? known : put->count;
    }
    return accepted;
}

// True: a part of the run was accepted, and what is left of it goes next.
static bool has_rest(struct tracker *tracker, struct request *request)
{
    if (request->wire.as.put.count == 0) {
        return false;
    }
    tracker_move(tracker, request, REQUEST_HELD);
    return true;
}

bool stream_reply(struct tracker *tracker, struct request *request, const struct wire_reply *reply, uint64_t now_ms,
                  enum nq_status *status)
{
    struct stream *self = request->stream;
    uint64_t accepted = accepted_of(request, reply);
    if (accepted > 0) {
        note_accepted(self, request->wire.as.put.first_number + accepted - 1);
    }
    if (reply->result == WIRE_PUT) {
        note_accepted(self, reply->as.put.last_number);
    }
    cut_accepted(request, accepted);
    *status = reply->status;
    switch (reply->status) {
    case NQ_OK:
        self->busy_times = 0;
        return !has_rest(tracker, request);
    case NQ_OUT_OF_SEQUENCE:
        return reply_out_of_sequence(tracker, request, reply, status);
    case NQ_STREAM_UNKNOWN:
        return reply_stream_unknown(tracker, request, status);
    case NQ_BUSY:
        return reply_busy(tracker, request, now_ms, status);
    default:
        // Refused without a look at the stream: a limit is lower than it was, a key may not put any more.
        if (request->resent && reply->result != WIRE_PUT) {
            return end_unknown(tracker, request, status);
        }
        self->failed = self->failed || self->stop_on_refusal;
        if (self->first != request || self->last != request) {
            stop_numbering(tracker, self);
        }
        return true;
    }
}

static bool all_held(const struct stream *self)
{
    for (const struct request *r = self->first; r != NULL; r = r->stream_next) {
        if (r->state != REQUEST_HELD) {
            return false;
        }
    }
    return true;
}

static void end_cancelled(struct tracker *tracker, struct stream *self, uint64_t now_ms)
{
    struct request *next = NULL;
    for (struct request *r = self->first; r != NULL; r = next) {
        next = r->stream_next;
        if (r->cancelled) {
            struct outcome outcome = {.status = NQ_CANCELLED, .now_ms = now_ms};
            tracker_end(tracker, r, &outcome);
        }
    }
}

void stream_run(struct tracker *tracker, struct stream *self, uint64_t now_ms)
{
    if (self->in_order || !all_held(self)) {
        return;
    }
    if (self->failed) { // the owner has been told of the failure; what it had queued behind was never accepted
        while (self->first != NULL) {
            struct outcome outcome = {.status = NQ_OUT_OF_SEQUENCE, .now_ms = now_ms};
            tracker_end(tracker, self->first, &outcome);
        }
        return;
    }
    end_cancelled(tracker, self, now_ms);
    if (self->first != NULL && self->retry_at_ms > now_ms) {
        return;
    }
    self->next_number = self->accepted_to + 1;
    if (self->renew) {
        renumber(tracker, self);
    }
    tracker->streams_astray--;
    self->in_order = true;
    self->retry_at_ms = 0;
    for (struct request *r = self->first; r != NULL; r = r->stream_next) {
        number_run(self, r);
        tracker_renew_id(tracker, r);
        tracker_move(tracker, r, REQUEST_UNSENT);
    }
}

uint64_t stream_next_deadline_ms(const struct stream *self)
{
    if (self->in_order || self->first == NULL || !all_held(self)) {
        return UINT64_MAX;
    }
    return self->retry_at_ms;
}
