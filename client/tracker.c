#include "tracker.h"

#include <stdlib.h>

#include "retry.h"
#include "stream.h"

#define BUCKETS_FIRST 64u

bool tracker_init(struct tracker *self, uint64_t (*random)(void))
{
    *self = (struct tracker){.random = random};
    self->buckets = calloc(BUCKETS_FIRST, sizeof *self->buckets);
    self->buckets_count = self->buckets != NULL ? BUCKETS_FIRST : 0;
    return self->buckets != NULL;
}

static void free_request(struct request *request)
{
    free(request->memory);
    free(request);
}

static void free_list(struct request_list *list)
{
    while (list->first != NULL) {
        struct request *request = list->first;
        list->first = request->next;
        free_request(request);
    }
    *list = (struct request_list){0};
}

void tracker_fini(struct tracker *self)
{
    free_list(&self->unsent);
    free_list(&self->sent);
    free_list(&self->held);
    free(self->buckets);
    *self = (struct tracker){0};
}

uint64_t tracker_new_id(struct tracker *self)
{
    return ++self->last_id;
}

struct request *request_create(enum wire_op op)
{
    struct request *request = calloc(1, sizeof *request);
    if (request != NULL) {
        request->wire.op = op;
        request->size = REQUEST_FRAME_BYTES;
        request->deadline_ms = UINT64_MAX;
    }
    return request;
}

bool request_was_sent(const struct request *request)
{
    return (request->state == REQUEST_SENT && !request->unread) || (request->state != REQUEST_HELD && request->resent);
}

// ---------------------------------------------------------------------------------------------------- lists and ids

static struct request_list *list_of(struct tracker *self, enum request_state state)
{
    return state == REQUEST_UNSENT ? &self->unsent : state == REQUEST_SENT ? &self->sent : &self->held;
}

static void list_append(struct request_list *list, struct request *request)
{
    request->next = NULL;
    request->prev = list->last;
    if (list->last != NULL) {
        list->last->next = request;
    } else {
        list->first = request;
    }
    list->last = request;
    list->count++;
}

static void list_prepend(struct request_list *list, struct request *request)
{
    request->prev = NULL;
    request->next = list->first;
    if (list->first != NULL) {
        list->first->prev = request;
    } else {
        list->last = request;
    }
    list->first = request;
    list->count++;
}

static void list_remove(struct request_list *list, struct request *request)
{
    if (request->prev != NULL) {
        request->prev->next = request->next;
    } else {
        list->first = request->next;
    }
    if (request->next != NULL) {
        request->next->prev = request->prev;
    } else {
        list->last = request->prev;
    }
    request->next = NULL;
    request->prev = NULL;
    list->count--;
}

void tracker_move(struct tracker *self, struct request *request, enum request_state state)
{
    list_remove(list_of(self, request->state), request);
    if (state == REQUEST_HELD) {
        request->resent = false; // all that was sent of it has been answered
    }
    request->state = state;
    list_append(list_of(self, state), request);
}

static struct request **bucket_of(const struct tracker *self, uint64_t id)
{
    return &self->buckets[id & (self->buckets_count - 1)];
}

static void hash_insert(struct tracker *self, struct request *request)
{
    struct request **bucket = bucket_of(self, request->wire.id);
    request->hash_next = *bucket;
    *bucket = request;
}

static void hash_remove(struct tracker *self, struct request *request)
{
    struct request **at = bucket_of(self, request->wire.id);
    while (*at != NULL && *at != request) {
        at = &(*at)->hash_next;
    }
    if (*at != NULL) {
        *at = request->hash_next;
    }
    request->hash_next = NULL;
}

static void hash_grow(struct tracker *self)
{
    size_t count = self->buckets_count * 2;
    struct request **bigger = calloc(count, sizeof *bigger);
    if (bigger == NULL) {
        return; // longer chains are only slower
    }
    struct request **old = self->buckets;
    size_t old_count = self->buckets_count;
    self->buckets = bigger;
    self->buckets_count = count;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct request *request = old[i];
            old[i] = request->hash_next;
            hash_insert(self, request);
        }
    }
    free(old);
}

struct request *tracker_find(const struct tracker *self, uint64_t id)
{
    struct request *request = *bucket_of(self, id);
    while (request != NULL && request->wire.id != id) {
        request = request->hash_next;
    }
    return request;
}

struct request *tracker_find_started(const struct tracker *self, uint64_t first_id)
{
    const struct request_list *lists[] = {&self->unsent, &self->sent, &self->held};
    for (size_t i = 0; i < 3; i++) {
        for (struct request *r = lists[i]->first; r != NULL; r = r->next) {
            if (r->first_id == first_id) {
                return r;
            }
        }
    }
    return NULL;
}

void tracker_renew_id(struct tracker *self, struct request *request)
{
    hash_remove(self, request);
    request->wire.id = tracker_new_id(self);
    hash_insert(self, request);
}

void tracker_add(struct tracker *self, struct request *request, uint64_t now_ms)
{
    if (self->count >= self->buckets_count * 2) {
        hash_grow(self);
    }
    request->wire.id = tracker_new_id(self);
    request->first_id = request->wire.id;
    request->started_ms = now_ms;
    request->state = REQUEST_UNSENT;
    hash_insert(self, request);
    list_append(&self->unsent, request);
    self->count++;
    if (request->stream != NULL) {
        stream_add(self, request);
    }
}

// ------------------------------------------------------------------------------------------------------- sending

static uint64_t *wait_of(struct wire_request *wire)
{
    switch (wire->op) {
    case WIRE_PUT:
        return &wire->as.put.wait_ms;
    case WIRE_GET:
        return &wire->as.get.wait_ms;
    case WIRE_JOIN:
        return &wire->as.on_queue.wait_ms;
    default:
        return NULL;
    }
}

void tracker_before_send(struct request *request, uint64_t now_ms)
{
    uint64_t *wait = wait_of(&request->wire);
    if (wait == NULL || request->wait_ms == NQ_WAIT_FOREVER) {
        return;
    }
    if (request->deadline_ms == UINT64_MAX) {
        request->deadline_ms = request->wait_ms < UINT64_MAX - now_ms ? now_ms + request->wait_ms : UINT64_MAX - 1;
    }
    *wait = request->deadline_ms > now_ms ? request->deadline_ms - now_ms : 0;
}

void tracker_sent(struct tracker *self, struct request *request)
{
    request->part = 0;
    request->unread = false;
    tracker_move(self, request, REQUEST_SENT);
}

void tracker_is_unread(struct tracker *self, uint64_t id)
{
    struct request *request = tracker_find(self, id);
    if (request != NULL && request->state == REQUEST_SENT) {
        request->unread = true;
    }
}

void tracker_unsend(struct tracker *self, struct request *request)
{
    list_remove(list_of(self, request->state), request);
    request->state = REQUEST_UNSENT;
    list_prepend(&self->unsent, request);
}

// ------------------------------------------------------------------------------------------------------- a busy broker

static bool is_busy(const struct request *request)
{
    return request->state == REQUEST_HELD && request->stream == NULL;
}

// One backup at a time is a refusal for as long as that takes; a redrive that has moved something tells how much.
static bool may_try_again(const struct request *request, const struct wire_reply *reply)
{
    bool has_moved = reply->result == WIRE_PURGE && reply->as.count > 0;
    return request->wire.op != WIRE_BACKUP && request->wire.op != WIRE_PUT && !has_moved && !request->cancelled &&
           !request->abandoned;
}

// True: nothing has happened, and it is sent once more later: until the caller's own time is over, or, where that is short, for as
// long as a broker may be away (a key's rate begins anew each second: a get that waits for less would never come to its turn).
static bool hold_busy(struct tracker *self, struct request *request, const struct wire_reply *reply, uint64_t now_ms)
{
    uint64_t until_ms = self->patience_ms < UINT64_MAX - request->started_ms ? request->started_ms + self->patience_ms : UINT64_MAX;
    until_ms = request->wait_ms > 0 && request->deadline_ms > until_ms ? request->deadline_ms : until_ms;
    if (self->patience_ms == 0 || now_ms >= until_ms || !may_try_again(request, reply)) {
        return false;
    }
    uint64_t next_ms = now_ms + retry_pause_ms(&retry_others, request->tries++);
    request->retry_at_ms = next_ms < until_ms ? next_ms : until_ms;
    tracker_move(self, request, REQUEST_HELD);
    self->busy++;
    return true;
}

static void try_busy_again(struct tracker *self, uint64_t now_ms)
{
    struct request *next = NULL;
    for (struct request *r = self->held.first; r != NULL && self->busy > 0; r = next) {
        next = r->next;
        if (is_busy(r) && r->retry_at_ms <= now_ms) {
            tracker_renew_id(self, r);
            tracker_move(self, r, REQUEST_UNSENT);
            self->busy--;
        }
    }
}

static uint64_t next_busy_ms(const struct tracker *self)
{
    uint64_t at_ms = UINT64_MAX;
    for (const struct request *r = self->busy > 0 ? self->held.first : NULL; r != NULL; r = r->next) {
        at_ms = is_busy(r) && r->retry_at_ms < at_ms ? r->retry_at_ms : at_ms;
    }
    return at_ms;
}

// -------------------------------------------------------------------------------------------------------- ending

static void forget(struct tracker *self, struct request *request)
{
    hash_remove(self, request);
    list_remove(list_of(self, request->state), request);
    self->count--;
    self->busy -= is_busy(request) ? 1 : 0;
    if (request->stream != NULL) {
        stream_remove(request);
    }
}

void tracker_end(struct tracker *self, struct request *request, const struct outcome *outcome)
{
    bool given_up = outcome->status == NQ_OUTCOME_UNKNOWN || outcome->status == NQ_UNREACHABLE || outcome->status == NQ_TOO_LARGE;
    if (request->stream != NULL && outcome->reply == NULL && given_up) { // a handle sends nothing of what stands behind it
        stream_give_up(self, request->stream);
    }
    forget(self, request);
    if (request->ended != NULL) {
        request->ended(request, outcome);
    }
    free_request(request);
}

void tracker_drop(struct tracker *self, struct request *request, uint64_t now_ms)
{
    request->ended = NULL;
    // Numbers that were given out but never reach the broker leave a gap, so the stream is put in order in either case.
    struct stream *stream = request->stream;
    bool sent = request_was_sent(request);
    struct outcome outcome = {.status = sent ? NQ_OUTCOME_UNKNOWN : NQ_CANCELLED, .now_ms = now_ms};
    if (stream != NULL && !sent && request->state != REQUEST_HELD) {
        bool last = stream->last == request;
        if (last && stream->in_order) {
            stream->next_number = request->wire.as.put.first_number;
        } else {
            stream_in_doubt(self, stream);
        }
    }
    tracker_end(self, request, &outcome);
}

void tracker_reply(struct tracker *self, const struct wire_reply *reply, struct frame *frame, uint64_t now_ms)
{
    struct request *request = tracker_find(self, reply->id);
    if (request == NULL || request->state == REQUEST_HELD) {
        return;
    }
    struct outcome outcome = {.status = reply->status, .reply = reply, .frame = frame, .now_ms = now_ms};
    if (request->stream != NULL && !stream_reply(self, request, reply, now_ms, &outcome.status)) {
        return;
    }
    if (request->stream == NULL && reply->status == NQ_BUSY && hold_busy(self, request, reply, now_ms)) {
        return;
    }
    tracker_end(self, request, &outcome);
}

static bool changes_something(enum wire_op op)
{
    switch (op) {
    case WIRE_PUT:
    case WIRE_TASK_DONE:
    case WIRE_REQUEUE:
    case WIRE_EXTEND:
    case WIRE_PURGE:
    case WIRE_DELETE:
    case WIRE_SHUTDOWN:
    case WIRE_REDRIVE:
    case WIRE_BACKUP:
        return true;
    default:
        return false;
    }
}

void tracker_give_up(struct tracker *self, struct request *request, enum nq_status status, uint64_t now_ms)
{
    bool may_be_done = request_was_sent(request) && changes_something(request->wire.op);
    struct outcome outcome = {.status = may_be_done ? NQ_OUTCOME_UNKNOWN : status, .now_ms = now_ms};
    tracker_end(self, request, &outcome);
}

static bool is_safe_to_repeat(enum wire_op op)
{
    return op != WIRE_PURGE && op != WIRE_DELETE && op != WIRE_SHUTDOWN && op != WIRE_REDRIVE && op != WIRE_BACKUP;
}

// ------------------------------------------------------------------------------------------------------ reconnect

// Sent or not: to another store they say nothing, or something else.
static bool names_tokens(enum wire_op op)
{
    return op == WIRE_TASK_DONE || op == WIRE_REQUEUE || op == WIRE_EXTEND;
}

// NQ_OK: send it again.
static enum nq_status after_reconnect(const struct request *request, enum tracker_session session)
{
    enum wire_op op = request->wire.op;
    if (request->abandoned || op == WIRE_RENEW) {
        return NQ_CANCELLED;
    }
    if (!is_safe_to_repeat(op)) {
        return NQ_OUTCOME_UNKNOWN;
    }
    if (session == TRACKER_NEW_STORE && changes_something(op)) {
        return op == WIRE_PUT ? NQ_OUTCOME_UNKNOWN : NQ_LEASE_LOST;
    }
    return NQ_OK;
}

static struct request *first_unsettled(const struct tracker *self)
{
    struct request *request = self->unsent.first;
    while (request != NULL && !request->unsettled) {
        request = request->next;
    }
    return request;
}

// Ending a request may move others, so each one is looked for anew.
static void settle_all(struct tracker *self, enum tracker_session session, uint64_t now_ms)
{
    for (struct request *request = first_unsettled(self); request != NULL; request = first_unsettled(self)) {
        request->unsettled = false;
        struct outcome outcome = {.status = after_reconnect(request, session), .now_ms = now_ms};
        if (outcome.status != NQ_OK) {
            tracker_end(self, request, &outcome);
        } else if (session == TRACKER_NEW_STORE) {
            tracker_renew_id(self, request);
        }
    }
}

// From the back, so that what had been sent stands in its old order in front of what had not: a CANCEL behind what it cancels.
static void unsend_all(struct tracker *self)
{
    while (self->sent.last != NULL) {
        struct request *request = self->sent.last;
        request->resent = request->resent || !request->unread;
        request->unread = false;
        if (!request->resent && request->stream != NULL && !request->stream->in_order) {
            tracker_move(self, request, REQUEST_HELD); // its numbers are void
        } else {
            tracker_unsend(self, request);
        }
    }
}

void tracker_reconnected(struct tracker *self, enum tracker_session session, uint64_t now_ms)
{
    unsend_all(self);
    if (session == TRACKER_NEW_STORE) {
        try_busy_again(self, UINT64_MAX); // whatever of it is no more to be sent is ended here, too
    }
    for (struct request *request = self->unsent.first; request != NULL; request = request->next) {
        bool other = session == TRACKER_NEW_STORE && (request->resent || names_tokens(request->wire.op));
        request->unsettled = other || (request->resent && after_reconnect(request, session) != NQ_OK);
    }
    settle_all(self, session, now_ms);
    if (session == TRACKER_NEW_STORE) {
        for (struct stream *stream = self->streams; stream != NULL; stream = stream->next) {
            stream_in_doubt(self, stream);
            stream_run(self, stream, now_ms);
        }
    }
}

size_t tracker_waiting_gets(const struct tracker *self, uint64_t *ids, size_t max)
{
    const struct request_list *lists[] = {&self->sent, &self->unsent};
    size_t count = 0;
    for (size_t i = 0; i < 2; i++) {
        for (const struct request *r = lists[i]->first; r != NULL; r = r->next) {
            if (r->wire.op == WIRE_GET && request_was_sent(r) && !r->abandoned) {
                if (count < max) {
                    ids[count] = r->wire.id;
                }
                count++;
            }
        }
    }
    return count;
}

// ------------------------------------------------------------------------------------------------------- deadlines

static uint64_t give_up_at(const struct request *request, uint64_t heard_ms, uint64_t timeout_ms)
{
    uint64_t since = request->started_ms > heard_ms ? request->started_ms : heard_ms;
    return timeout_ms < UINT64_MAX - since ? since + timeout_ms : UINT64_MAX;
}

// The lists are about in the order of time, so this is about the first. NULL: none yet.
static struct request *next_to_give_up(const struct tracker *self, uint64_t now_ms, uint64_t heard_ms, uint64_t timeout_ms)
{
    const struct request_list *lists[] = {&self->sent, &self->unsent, &self->held};
    for (size_t i = 0; i < 3; i++) {
        for (struct request *r = lists[i]->first; r != NULL; r = r->next) {
            if (give_up_at(r, heard_ms, timeout_ms) <= now_ms) {
                return r;
            }
        }
    }
    return NULL;
}

static uint64_t first_give_up_ms(const struct tracker *self, uint64_t heard_ms, uint64_t timeout_ms)
{
    const struct request_list *lists[] = {&self->sent, &self->unsent, &self->held};
    uint64_t first_ms = UINT64_MAX;
    for (size_t i = 0; i < 3; i++) {
        for (const struct request *r = lists[i]->first; r != NULL; r = r->next) {
            uint64_t at_ms = give_up_at(r, heard_ms, timeout_ms);
            first_ms = at_ms < first_ms ? at_ms : first_ms;
            if (r->started_ms <= heard_ms) {
                return first_ms; // none can be earlier than heard_ms + timeout_ms
            }
        }
    }
    return first_ms;
}

void tracker_run(struct tracker *self, uint64_t now_ms, uint64_t heard_ms, uint64_t timeout_ms)
{
    for (struct stream *stream = self->streams; stream != NULL && self->streams_astray > 0; stream = stream->next) {
        stream_run(self, stream, now_ms);
    }
    try_busy_again(self, now_ms);
    if (self->count == 0 || now_ms < heard_ms || now_ms - heard_ms < timeout_ms) {
        return;
    }
    struct request *request = next_to_give_up(self, now_ms, heard_ms, timeout_ms);
    while (request != NULL) {
        tracker_give_up(self, request, NQ_UNREACHABLE, now_ms);
        request = next_to_give_up(self, now_ms, heard_ms, timeout_ms);
    }
}

uint64_t tracker_next_deadline_ms(const struct tracker *self, uint64_t heard_ms, uint64_t timeout_ms)
{
    uint64_t at_ms = next_busy_ms(self);
    for (const struct stream *stream = self->streams; stream != NULL && self->streams_astray > 0; stream = stream->next) {
        uint64_t at = stream_next_deadline_ms(stream);
        at_ms = at < at_ms ? at : at_ms;
    }
    uint64_t give_up_ms = first_give_up_ms(self, heard_ms, timeout_ms);
    return at_ms < give_up_ms ? at_ms : give_up_ms;
}
