// Parking and releasing waiters.
#include "waiter.h"

#include <stdlib.h>
#include <string.h>

static struct queue_waiters *queue_waiters_of(struct queue *queue)
{
    struct queue_waiters *at = queue->waiters;
    if (at == NULL) {
        at = calloc(1, sizeof(*at));
        if (at == NULL) {
            return NULL;
        }
        at->queue = queue;
        list_init(&at->gets);
        list_init(&at->puts);
        list_init(&at->joins);
        queue->waiters = at;
    }
    return at;
}

static void drop_if_empty(struct dispatch *self, struct queue_waiters *at)
{
    if (at->gets.count > 0 || at->puts.count > 0 || at->joins.count > 0) {
        return;
    }
    if (link_is_linked(&at->check_link)) {
        list_remove(&self->checks, &at->check_link);
    }
    at->queue->waiters = NULL;
    free(at);
}

static struct waiting_session *session_of(struct dispatch *self, uint64_t session_no)
{
    struct waiting_session *session = table_find(&self->sessions, session_no, 0);
    if (session == NULL) {
        session = calloc(1, sizeof(*session));
        if (session == NULL || !table_insert(&self->sessions, session_no, 0, session)) {
            free(session);
            return NULL;
        }
        session->session_no = session_no;
        list_init(&session->waiters);
    }
    return session;
}

static struct list *list_for(struct queue_waiters *at, enum dispatch_kind kind)
{
    return kind == DISPATCH_GET ? &at->gets : kind == DISPATCH_PUT ? &at->puts : &at->joins;
}

enum dispatch_limit parking_limit(const struct dispatch *self, uint64_t session_no, uint64_t bytes, uint64_t elsewhere_of_key)
{
    const struct dispatch_config *config = &self->config;
    const struct waiting_session *session = table_find(&self->sessions, session_no, 0);
    size_t waiters = session == NULL ? 0 : session->waiters.count;
    uint64_t of_session = bytes + (session == NULL ? 0 : session->parked_bytes);
    if (waiters >= config->waiters_per_session_max) {
        return DISPATCH_LIMIT_WAITERS;
    }
    if (config->waiters_max > 0 && self->requests.count >= config->waiters_max) {
        return DISPATCH_LIMIT_ALL_WAITERS;
    }
    if (of_session > config->parked_bytes_per_session_max) {
        return DISPATCH_LIMIT_BYTES_OF_SESSION;
    }
    if (config->parked_bytes_per_key_max > 0 && of_session + elsewhere_of_key > config->parked_bytes_per_key_max) {
        return DISPATCH_LIMIT_BYTES_OF_KEY;
    }
    return self->parked_bytes + bytes > config->parked_bytes_max ? DISPATCH_LIMIT_BYTES : DISPATCH_LIMIT_NONE;
}

static uint64_t deadline_after(uint64_t now_ms, uint64_t wait_ms)
{
    return wait_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + wait_ms;
}

// Memory was out half-way: nothing of it is left behind. Latched like the engine's: the broker ends.
static void park_failed(struct dispatch *self, struct waiter *waiter, bool is_listed, struct waiting_session *session,
                        struct queue_waiters *at)
{
    self->out_of_memory = true;
    if (is_listed) {
        table_remove(&self->requests, waiter->session_no, waiter->request_id);
    }
    if (session != NULL && session->waiters.count == 0) {
        table_remove(&self->sessions, waiter->session_no, 0);
        free(session);
    }
    if (at != NULL) {
        drop_if_empty(self, at);
    }
    free(waiter);
}

struct waiter *waiter_park(struct dispatch *self, uint64_t now_ms, struct queue *queue, enum dispatch_kind kind,
                           uint64_t session_no, uint64_t request_id, uint64_t wait_ms)
{
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    if (waiter == NULL) {
        self->out_of_memory = true;
        return NULL;
    }
    struct waiting_session *session = session_of(self, session_no);
    struct queue_waiters *at = queue_waiters_of(queue);
    uint64_t deadline_ms = deadline_after(now_ms, wait_ms);
    waiter->kind = kind;
    waiter->session_no = session_no;
    waiter->request_id = request_id;
    waiter->at = at;
    bool is_listed = session != NULL && at != NULL && table_insert(&self->requests, session_no, request_id, waiter);
    if (!is_listed || (deadline_ms != UINT64_MAX && !heap_insert(&self->deadlines, &waiter->deadline, deadline_ms))) {
        park_failed(self, waiter, is_listed, session, at);
        return NULL;
    }
    waiter->session = session;
    list_push_back(list_for(at, kind), &waiter->in_queue);
    list_push_back(&session->waiters, &waiter->in_session);
    if (kind == DISPATCH_GET) {
        engine_session_waits(self->engine, session_no, queue, 1);
    }
    return waiter;
}

uint64_t put_bytes(const struct engine_put *put, size_t first)
{
    uint64_t bytes = 0;
    for (size_t i = first; i < put->count; i++) {
        bytes += put->bodies[i].len + (put->headers == NULL ? 0 : put->headers[i].len) + 2 * sizeof(struct engine_bytes);
    }
    return bytes;
}

static uint8_t *copy_bytes(struct engine_bytes *to, const struct engine_bytes *from, size_t count, uint8_t *memory)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = (struct engine_bytes){from[i].len, memory};
        if (from[i].len > 0) {
            memcpy(memory, from[i].data, from[i].len);
        }
        memory += from[i].len;
    }
    return memory;
}

// The last one parked of its stream; there is room for it in the table.
static void join_stream(struct dispatch *self, struct waiter *waiter)
{
    uint64_t queue_id = waiter->at->queue->record.queue_id;
    struct waiter *before = table_remove(&self->streams, queue_id, waiter->put.stream);
    if (before != NULL) {
        before->stream_after = waiter;
    }
    waiter->stream_before = before;
    table_insert(&self->streams, queue_id, waiter->put.stream, waiter);
}

bool waiter_copy_put(struct dispatch *self, struct waiter *waiter, const struct engine_put *put)
{
    uint64_t bytes = put_bytes(put, 0);
    struct parked *parked = malloc(sizeof(*parked) + bytes);
    if (parked == NULL || (put->stream != 0 && !table_reserve(&self->streams, 1))) {
        free(parked);
        self->out_of_memory = true;
        return false;
    }
    parked->next = NULL;
    parked->bytes = bytes;
    parked->bodies = (struct engine_bytes *)(void *)(parked + 1);
    parked->headers = put->headers == NULL ? NULL : parked->bodies + put->count;
    uint8_t *memory = (uint8_t *)(parked->bodies + put->count * 2);
    memory = copy_bytes(parked->bodies, put->bodies, put->count, memory);
    if (put->headers != NULL) {
        copy_bytes(parked->headers, put->headers, put->count, memory);
    }
    waiter->parked = parked;
    waiter->put = *put;
    waiter->put.bodies = parked->bodies;
    waiter->put.headers = parked->headers;
    waiter->put.behind_waiters = false;
    waiter->session->parked_bytes += bytes;
    self->parked_bytes += bytes;
    if (put->stream != 0) {
        join_stream(self, waiter);
    }
    return true;
}

static void leave_stream(struct dispatch *self, const struct waiter *waiter)
{
    uint64_t queue_id = waiter->at->queue->record.queue_id;
    struct waiter *before = waiter->stream_before;
    struct waiter *after = waiter->stream_after;
    if (before != NULL) {
        before->stream_after = after;
    }
    if (after != NULL) {
        after->stream_before = before;
        return;
    }
    table_remove(&self->streams, queue_id, waiter->put.stream);
    if (before != NULL) {
        table_insert(&self->streams, queue_id, waiter->put.stream, before); // there is room: one was just taken out
    }
}

static void release_put(struct dispatch *self, struct waiter *waiter)
{
    struct parked *parked = waiter->parked;
    if (parked == NULL) {
        return;
    }
    if (waiter->put.stream != 0) {
        leave_stream(self, waiter);
    }
    waiter->session->parked_bytes -= parked->bytes;
    self->parked_bytes -= parked->bytes;
    if (waiter->so_far.accepted > 0) { // the engine's changes point into it
        parked->next = self->open;
        self->open = parked;
    } else {
        free(parked);
    }
}

void waiter_free(struct dispatch *self, struct waiter *waiter)
{
    struct queue_waiters *at = waiter->at;
    release_put(self, waiter);
    if (heap_node_is_in(&waiter->deadline)) {
        heap_remove(&self->deadlines, &waiter->deadline);
    }
    table_remove(&self->requests, waiter->session_no, waiter->request_id);
    list_remove(list_for(at, waiter->kind), &waiter->in_queue);
    list_remove(&waiter->session->waiters, &waiter->in_session);
    if (waiter->kind == DISPATCH_GET && !at->queue->record.deleted) {
        engine_session_waits(self->engine, waiter->session_no, at->queue, -1);
    }
    if (waiter->session->waiters.count == 0) {
        table_remove(&self->sessions, waiter->session_no, 0);
        free(waiter->session);
    }
    if (waiter->kind == DISPATCH_PUT && !link_is_linked(&at->check_link)) {
        list_push_back(&self->checks, &at->check_link);
    }
    free(waiter);
    drop_if_empty(self, at);
}

void parked_free_all(struct parked **list_p)
{
    while (*list_p != NULL) {
        struct parked *parked = *list_p;
        *list_p = parked->next;
        free(parked);
    }
}
