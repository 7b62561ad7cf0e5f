#include "service.h"

#include <inttypes.h>
#include <string.h>

#include "permit.h"
#include "queue.h"

struct operation {
    request_handler *handler;
    bool needs_session;
    bool tells_much; // its answer may be thousands of times as long as the request; it counts what it tells as done in the group
};

static const struct operation operations[] = {
    [WIRE_HELLO] = {request_hello, false, true},       [WIRE_PUT] = {request_put, true, false},
    [WIRE_GET] = {request_get, true, false},           [WIRE_TASK_DONE] = {request_task_done, true, false},
    [WIRE_EXTEND] = {request_extend, true, false},     [WIRE_REQUEUE] = {request_requeue, true, false},
    [WIRE_JOIN] = {request_join, true, false},         [WIRE_DECLARE] = {request_declare, true, false},
    [WIRE_PURGE] = {request_purge, true, false},       [WIRE_DELETE] = {request_delete, true, false},
    [WIRE_SHUTDOWN] = {request_shutdown, true, false}, [WIRE_STAT] = {request_stat, true, false},
    [WIRE_LIST] = {request_list, true, true},          [WIRE_PEEK] = {request_peek, true, true},
    [WIRE_REDRIVE] = {request_redrive, true, false},   [WIRE_RENEW] = {request_renew, false, false},
    [WIRE_CANCEL] = {request_cancel, true, false},     [WIRE_PING] = {request_ping, false, false},
    [WIRE_GOODBYE] = {request_goodbye, true, false},   [WIRE_BACKUP] = {request_backup, true, false},
};

enum nq_status status_of_engine(enum engine_status status)
{
    switch (status) {
    case ENGINE_OK:
        return NQ_OK;
    case ENGINE_FULL:
        return NQ_FULL;
    case ENGINE_EMPTY:
        return NQ_EMPTY;
    case ENGINE_SHUT_DOWN:
        return NQ_SHUT_DOWN;
    case ENGINE_NO_SUCH_QUEUE:
        return NQ_NO_SUCH_QUEUE;
    case ENGINE_TOO_LARGE:
        return NQ_TOO_LARGE;
    case ENGINE_OUT_OF_SEQUENCE:
        return NQ_OUT_OF_SEQUENCE;
    case ENGINE_STREAM_UNKNOWN:
        return NQ_STREAM_UNKNOWN;
    case ENGINE_LEASE_LOST:
        return NQ_LEASE_LOST;
    case ENGINE_NOT_LEASED:
        return NQ_NOT_LEASED;
    case ENGINE_DIFFERENT_OPTIONS:
        return NQ_DIFFERENT_OPTIONS;
    case ENGINE_LIMIT_REACHED:
        return NQ_LIMIT_REACHED;
    case ENGINE_NO_SESSION:
        return NQ_NO_SESSION;
    case ENGINE_BAD_DEAD_LETTER:
        return NQ_BAD_DEAD_LETTER;
    case ENGINE_NO_MEMORY:
        break;
    }
    return NQ_NO_MEMORY;
}

struct engine_bytes to_engine_bytes(struct nq_bytes bytes)
{
    return (struct engine_bytes){.len = bytes.len, .data = bytes.data};
}

// ------------------------------------------------------------------------------------------------------------------- answers

static struct answer *answer_when(struct service *self, enum engine_durability when, uint64_t connection, uint64_t request_id,
                                  enum nq_status status)
{
    struct answer *answer = groups_answer(&self->groups, when);
    if (answer == NULL) {
        self->out_of_memory = true;
        return NULL;
    }
    answer->connection = connection;
    answer->id = request_id;
    answer->status = status;
    return answer;
}

struct answer *service_answer(struct service *self, uint64_t connection, uint64_t request_id, enum nq_status status)
{
    return answer_when(self, groups_youngest(&self->groups), connection, request_id, status);
}

struct answer *request_answer(struct request *request, enum nq_status status)
{
    return service_answer(request->service, request->connection, request->wire->id, status);
}

void request_refuse(struct request *request, enum nq_status status, const char *why)
{
    struct answer *answer = request_answer(request, status);
    if (answer != NULL) {
        answer->detail = why;
    }
}

void *service_alloc(struct service *self, enum engine_durability when, size_t count, size_t size)
{
    void *memory = nq_arena_calloc(groups_arena_of(&self->groups, when), count, size);
    self->out_of_memory |= memory == NULL;
    return memory;
}

struct answer *request_answer_whole(struct request *request, enum nq_status status, struct wire_reply **whole)
{
    struct service *self = request->service;
    *whole = service_alloc(self, groups_youngest(&self->groups), 1, sizeof(**whole));
    struct answer *answer = *whole == NULL ? NULL : request_answer(request, status);
    if (answer != NULL) {
        answer->kind = ANSWER_WHOLE;
        answer->as.whole = *whole;
    }
    return answer;
}

static enum nq_status status_of_end(const struct dispatch_answer *end)
{
    switch (end->end) {
    case DISPATCH_END_ENGINE:
        return status_of_engine(end->status);
    case DISPATCH_END_BUSY:
        return NQ_BUSY;
    case DISPATCH_END_TIMED_OUT:
        return NQ_TIMED_OUT;
    case DISPATCH_END_SESSION:
        return NQ_NO_SESSION;
    case DISPATCH_END_CANCELLED:
        break;
    }
    return NQ_CANCELLED;
}

// In words, for the one who asked.
static const char *limit_text(enum dispatch_limit limit)
{
    static const char *const texts[] = {
        [DISPATCH_LIMIT_WAITERS] = "this session has as many waiting requests as it may",
        [DISPATCH_LIMIT_BYTES_OF_SESSION] = "this session's waiting puts hold as many bytes as they may",
        [DISPATCH_LIMIT_BYTES_OF_KEY] = "the waiting puts of this key's sessions hold as many bytes as they may",
        [DISPATCH_LIMIT_BYTES] = "all waiting puts together hold as many bytes as they may",
        [DISPATCH_LIMIT_ALL_WAITERS] = "all sessions together have as many waiting requests as they may",
    };
    return texts[limit];
}

static void say_lost(struct service *self, const struct queue *queue, uint64_t seq, const char *how)
{
    uint32_t left_out;
    char note[LOG_NOTE_BYTES];
    if (log_limit_pass(&self->damage_log, self->now_ms, &left_out)) {
        log_error("queue %.*s: item %" PRIu64 " is %s%s", (int)queue->record.name_len, queue->record.name, seq, how,
                  log_limit_note(left_out, note));
    }
}

void service_item_lost(void *service, uint64_t queue_id, uint64_t seq, enum nq_status why)
{
    struct service *self = service;
    const struct queue *queue = engine_queue_by_id(self->engine, queue_id);
    if (queue != NULL) {
        say_lost(self, queue, seq, why == NQ_DAMAGED ? "damaged in the store and set aside" : "not in the store any more");
    }
}

void service_unreadable(struct service *self, uint64_t now_ms, uint64_t queue_id, uint64_t seq, enum nq_status why)
{
    struct queue *queue = engine_queue_by_id(self->engine, queue_id);
    if (queue == NULL || (why != NQ_DAMAGED && why != NQ_EMPTY)) {
        return; // the queue went meanwhile, or the store fails as a whole
    }
    if (why == NQ_DAMAGED) {
        say_lost(self, queue, seq, "damaged in the store and set aside");
    }
    engine_quarantine(self->engine, now_ms, queue, seq);
}

// --------------------------------------------------------------------------------------- what the dispatch has answered

static void give_items_back(struct service *self, uint64_t now_ms, const struct dispatch_answer *end,
                            const struct engine_granted *item)
{
    struct queue *queue = engine_queue_by_id(self->engine, end->queue_id);
    const struct engine_token token = {end->session_no, engine_epoch(self->engine), item->seq, item->delivery};
    if (queue != NULL) {
        engine_requeue(self->engine, now_ms, queue, &token, &(struct engine_requeue){0});
        self->serve_again = true;
    }
}

void service_unsent(struct service *self, uint64_t now_ms, const struct answer *answer)
{
    const struct peer *peer = sessions_on(&self->sessions, answer->connection);
    const struct dispatch_answer end = {.session_no = peer == NULL ? 0 : peer->session_no, .queue_id = answer->as.items.queue_id};
    for (size_t i = 0; i < answer->as.items.count && peer != NULL; i++) { // else they went back with the session, or wait for it
        give_items_back(self, now_ms, &end, &answer->as.items.items[i]);
    }
}

static bool copy_bytes(struct service *self, struct engine_bytes from, struct nq_bytes *to)
{
    uint8_t *copy = service_alloc(self, ENGINE_OPEN, from.len + 1, 1);
    if (copy == NULL) {
        return false;
    }
    if (from.len > 0) {
        memcpy(copy, from.data, from.len);
    }
    *to = (struct nq_bytes){.len = from.len, .data = copy};
    return true;
}

// At most once: the items are done as they leave, so their bodies are taken out of the store before that. An item that was moved here
// a moment ago cannot be read yet: it goes back.
static void finish_at_once(struct service *self, uint64_t now_ms, struct dispatch_answer *end)
{
    struct engine_grant *grant = &end->grant;
    struct queue *queue = engine_queue_by_id(self->engine, end->queue_id);
    struct nq_bytes *bodies = service_alloc(self, ENGINE_OPEN, grant->count, sizeof(*bodies));
    struct nq_bytes *headers = service_alloc(self, ENGINE_OPEN, grant->count, sizeof(*headers));
    size_t kept = 0;
    for (size_t i = 0; i < grant->count && queue != NULL && !self->out_of_memory; i++) {
        const struct engine_granted *item = &grant->items[i];
        const struct engine_token token = {end->session_no, engine_epoch(self->engine), item->seq, item->delivery};
        struct engine_bytes body;
        struct engine_bytes header;
        bool gone;
        enum nq_status status = reader_item(self->reader, queue, end->queue_id, item->seq, &body, &header);
        if (status == NQ_EMPTY) {
            give_items_back(self, now_ms, end, item);
        } else if (status != NQ_OK) {
            service_unreadable(self, now_ms, end->queue_id, item->seq, status);
        } else if (copy_bytes(self, body, &bodies[kept]) && copy_bytes(self, header, &headers[kept])) {
            engine_task_done(self->engine, now_ms, queue, &token, &gone);
            self->serve_again = true;
            grant->items[kept++] = *item;
        }
    }
    grant->count = kept;
    struct peer *peer = sessions_find(&self->sessions, end->session_no);
    struct answer *answer = answer_when(self, ENGINE_OPEN, peer->connection, end->request_id, NQ_OK);
    if (answer == NULL) {
        engine_grant_clear(grant);
        return;
    }
    answer->kind = ANSWER_GET;
    answer->as.items = (struct answer_items){.queue_id = end->queue_id,
                                             .items = grant->items,
                                             .count = kept,
                                             .lease_ms = grant->lease_ms,
                                             .hold_max_ms = grant->hold_max_ms,
                                             .bodies = bodies,
                                             .headers = headers};
}

// Nobody is there to get it: its items go on to others, as nobody has had them. A client that comes back asks once more.
static void drop_answer(struct service *self, uint64_t now_ms, struct dispatch_answer *end)
{
    for (size_t i = 0; i < end->grant.count; i++) {
        give_items_back(self, now_ms, end, &end->grant.items[i]);
    }
    engine_grant_clear(&end->grant);
}

// Items may leave as soon as their own puts are durable, whatever else is pending.
static void answer_get(struct service *self, uint64_t now_ms, struct peer *peer, struct dispatch_answer *end)
{
    struct engine_grant *grant = &end->grant;
    const struct queue *queue = engine_queue_by_id(self->engine, end->queue_id);
    self->groups.open->items += grant->count;
    self->groups.open->leased += grant->count;
    sessions_watch(&self->sessions, now_ms, peer);
    if (end->at_most_once && groups_open_is_full(&self->groups)) { // their bodies would be copied into it
        drop_answer(self, now_ms, end);
        (void)service_answer(self, peer->connection, end->request_id, NQ_BUSY);
        return;
    }
    if (end->at_most_once) {
        finish_at_once(self, now_ms, end);
        return;
    }
    enum engine_durability when = queue == NULL ? ENGINE_OPEN : engine_durability(queue, grant->highest_seq);
    struct answer *answer = answer_when(self, when, peer->connection, end->request_id, NQ_OK);
    if (answer == NULL) {
        engine_grant_clear(grant);
        return;
    }
    answer->kind = ANSWER_GET;
    answer->as.items = (struct answer_items){.queue_id = end->queue_id,
                                             .items = grant->items,
                                             .count = grant->count,
                                             .lease_ms = grant->lease_ms,
                                             .hold_max_ms = grant->hold_max_ms,
                                             .again = end->again};
}

static void take_answer(struct service *self, uint64_t now_ms, struct dispatch_answer *end)
{
    struct peer *peer = sessions_find(&self->sessions, end->session_no);
    if (peer != NULL && end->kind == DISPATCH_PUT && peer->parked_bytes > 0) { // it may have been one of those
        sessions_note_parked(&self->sessions, peer);
    }
    if (peer == NULL || peer->connection == 0) {
        drop_answer(self, now_ms, end);
        return;
    }
    enum nq_status status = status_of_end(end);
    if (end->kind == DISPATCH_GET && status == NQ_OK) {
        answer_get(self, now_ms, peer, end);
        return;
    }
    struct answer *answer = service_answer(self, peer->connection, end->request_id, status);
    if (answer != NULL) {
        answer->detail = limit_text(end->limit);
    }
    if (answer != NULL && end->kind == DISPATCH_PUT) {
        answer->kind = ANSWER_PUT;
        answer->as.put = (struct wire_put_reply){.accepted = end->put.accepted,
                                                 .last_seq = end->put.last_seq,
                                                 .duplicate = end->put.duplicate,
                                                 .last_number = end->put.last_number};
    }
}

void service_take_answers(struct service *self, uint64_t now_ms)
{
    size_t count;
    do {
        struct dispatch_answer *ends = dispatch_take_answers(self->dispatch, &count);
        self->serve_again = false;
        for (size_t i = 0; i < count; i++) {
            take_answer(self, now_ms, &ends[i]);
        }
        if (self->serve_again) {
            dispatch_run(self->dispatch, now_ms);
        }
    } while (self->serve_again);
}

// -------------------------------------------------------------------------------------------------------------------- frames

// Of what is reported as taken no more is looked at than there are leases: that is enough for each get named once.
static void note_progress(struct service *self, struct peer *peer, const struct wire_request_frame *frame)
{
    if (peer->workers != frame->workers) {
        peer->workers = frame->workers;
        engine_session_workers(self->engine, peer->session_no, frame->workers);
    }
    size_t left = frame->taken_count == 0 ? 0 : engine_session_leases(self->engine, peer->session_no);
    for (size_t i = 0; i < frame->taken_count && left > 0; i++) {
        size_t cost = engine_session_taken(self->engine, peer->session_no, frame->taken_gets[i], frame->taken_counts[i]);
        left -= cost < left ? cost : left;
    }
}

// A get that was answered before is told what is still on lease from it, each time it comes.
static bool tells_much(const struct request *request)
{
    const struct wire_request *wire = request->wire;
    return operations[wire->op].tells_much ||
           (wire->op == WIRE_GET && engine_session_has_get(request->service->engine, request->peer->session_no, wire->id));
}

// What no handler sees. True: it is answered.
static bool is_refused(struct request *request)
{
    const struct wire_request *wire = request->wire;
    const struct operation *operation = &operations[wire->op];
    const char *why = NULL;
    enum nq_status status;
    if (wire->refused != NQ_OK) {
        request_refuse(request, wire->refused, wire->refused_why);
    } else if (operation->handler == NULL) {
        request_refuse(request, NQ_BAD_REQUEST, "unknown operation");
    } else if ((status = permit_check(request, &why)) == NQ_BUSY && wire->op == WIRE_PUT) {
        refuse_put(request, status);
    } else if (status != NQ_OK) {
        request_refuse(request, status, why);
    } else if (operation->needs_session && request->peer == NULL) {
        request_refuse(request, NQ_NO_SESSION, NULL);
    } else if (groups_open_has_enough(&request->service->groups) && tells_much(request)) {
        request_refuse(request, NQ_BUSY, "the requests before it in its frame are as much as is done at once");
    } else {
        return false;
    }
    return true;
}

static void handle(struct request *request)
{
    request->service->groups.open->items++;
    if (!is_refused(request)) {
        operations[request->wire->op].handler(request);
    }
}

// Asked for the first frames of a connection only: a session keeps it.
static struct principal *sender_of(const struct service *self)
{
    const char *key = self->access == NULL ? NULL : self->config.sender(self->config.context);
    return key == NULL ? NULL : access_find(self->access, key);
}

// A frame has come: its session lives, and tells how far it is. Returns whose it is.
static struct principal *hear(struct service *self, uint64_t now_ms, struct peer *peer, const struct wire_request_frame *frame)
{
    self->now_ms = now_ms;
    if (peer == NULL) {
        return sender_of(self);
    }
    sessions_heard(peer, now_ms);
    note_progress(self, peer, frame);
    return peer->principal;
}

void service_frame(struct service *self, uint64_t now_ms, uint64_t connection, const struct wire_request_frame *frame)
{
    struct peer *noted = sessions_on(&self->sessions, connection);
    struct principal *principal = hear(self, now_ms, noted, frame);
    for (size_t i = 0; i < frame->count && !self->out_of_memory; i++) {
        struct request request = {
            .service = self, .now_ms = now_ms, .connection = connection, .principal = principal, .wire = &frame->requests[i]};
        request.peer = sessions_on(&self->sessions, connection); // HELLO and GOODBYE change it
        handle(&request);
        if (request.wire->op == WIRE_HELLO && noted == NULL) {
            noted = sessions_on(&self->sessions, connection);
            if (noted != NULL) {
                note_progress(self, noted, frame);
            }
        }
    }
}

bool service_refuse_puts(struct service *self, uint64_t now_ms, uint64_t connection, const struct wire_request_frame *frame)
{
    for (size_t i = 0; i < frame->count; i++) {
        if (frame->requests[i].op != WIRE_PUT) {
            return false;
        }
    }
    struct peer *peer = sessions_on(&self->sessions, connection);
    struct principal *principal = hear(self, now_ms, peer, frame);
    for (size_t i = 0; i < frame->count && !self->out_of_memory; i++) {
        struct request request = {.service = self,
                                  .now_ms = now_ms,
                                  .connection = connection,
                                  .peer = peer,
                                  .principal = principal,
                                  .wire = &frame->requests[i]};
        if (!is_refused(&request)) {
            refuse_put(&request, NQ_BUSY);
        }
    }
    return true;
}

void service_refuse_version(struct service *self, uint64_t connection, const struct wire_request_frame *frame)
{
    for (size_t i = 0; i < frame->count; i++) {
        service_answer(self, connection, frame->requests[i].id, NQ_UNSUPPORTED_VERSION);
    }
}

// ---------------------------------------------------------------------------------------------------------------------- time

bool service_tick(struct service *self, uint64_t now_ms)
{
    self->now_ms = now_ms;
    while (sessions_tick(&self->sessions, now_ms) && !groups_open_moves_enough(&self->groups)) { // dead letters of those that end
    }
    bool more = false;
    if (engine_next_deadline_ms(self->engine) <= now_ms) {
        more = engine_tick(self->engine, now_ms);
    }
    more |= redrives_run(&self->redrives, self, now_ms);
    dispatch_run(self->dispatch, now_ms);
    service_take_answers(self, now_ms);
    return more;
}

uint64_t service_next_deadline_ms(const struct service *self)
{
    bool wait = groups_open_moves_enough(&self->groups); // for the end of a commit
    const uint64_t deadlines[] = {engine_next_deadline_ms(self->engine), dispatch_next_deadline_ms(self->dispatch),
                                  wait ? UINT64_MAX : sessions_next_deadline_ms(&self->sessions)};
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]); i++) {
        next = deadlines[i] < next ? deadlines[i] : next;
    }
    return next;
}

bool service_failed(const struct service *self)
{
    return self->out_of_memory || engine_failed(self->engine) || dispatch_failed(self->dispatch);
}

bool service_is_over(struct service *self)
{
    struct queue *queue = engine_queue_after(self->engine, (struct engine_bytes){0});
    bool over = queue != NULL && engine_session_count(self->engine) == 0;
    while (queue != NULL) {
        struct queue_record record;
        engine_queue_stats(queue, &record);
        self->was_open |= record.state == NQ_QUEUE_OPEN;
        over &= record.state != NQ_QUEUE_OPEN && record.ready + record.delayed + record.leased == 0;
        queue =
            engine_queue_after(self->engine, (struct engine_bytes){.len = record.name_len, .data = (const uint8_t *)record.name});
    }
    return over && self->was_open;
}
