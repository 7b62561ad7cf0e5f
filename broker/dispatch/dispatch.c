// Requests that may wait: tried at once, parked when they must, ended when their time is over.
#include "dispatch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "waiter.h"

struct dispatch *dispatch_create(struct engine *engine, const struct dispatch_config *config)
{
    struct dispatch *self = calloc(1, sizeof(*self));
    if (self != NULL) {
        self->engine = engine;
        self->config = *config;
        self->requests.seed = config->hash_seed;
        self->streams.seed = config->hash_seed;
        list_init(&self->checks);
    }
    return self;
}

static void clear_answers(struct dispatch *self)
{
    self->answers_count = 0;
    self->answers_taken = false;
}

void dispatch_destroy(struct dispatch **self_p)
{
    struct dispatch *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; self->requests.slots != NULL && i <= self->requests.mask;) {
        struct waiter *waiter = self->requests.slots[i].value;
        if (waiter != NULL) {
            waiter_free(self, waiter);
        } else {
            i++;
        }
    }
    if (!self->answers_taken) {
        for (size_t i = 0; i < self->answers_count; i++) {
            engine_grant_clear(&self->answers[i].grant);
        }
    }
    parked_free_all(&self->open);
    parked_free_all(&self->sealed);
    free(self->answers);
    table_fini(&self->sessions);
    table_fini(&self->requests);
    table_fini(&self->streams);
    heap_fini(&self->deadlines);
    free(self);
    *self_p = NULL;
}

struct dispatch_answer *answer_add(struct dispatch *self, enum dispatch_kind kind, uint64_t session_no, uint64_t request_id)
{
    if (self->answers_taken) {
        clear_answers(self);
    }
    if (self->answers_count == self->answers_capacity) {
        size_t capacity = self->answers_capacity == 0 ? 64 : self->answers_capacity * 2;
        struct dispatch_answer *answers = realloc(self->answers, capacity * sizeof(*answers));
        if (answers == NULL) {
            self->out_of_memory = true;
            return NULL;
        }
        self->answers = answers;
        self->answers_capacity = capacity;
    }
    struct dispatch_answer *answer = &self->answers[self->answers_count++];
    *answer = (struct dispatch_answer){.kind = kind, .session_no = session_no, .request_id = request_id};
    return answer;
}

struct dispatch_answer *dispatch_take_answers(struct dispatch *self, size_t *count)
{
    if (self->answers_taken) {
        clear_answers(self);
    }
    self->answers_taken = true;
    *count = self->answers_count;
    return self->answers;
}

bool dispatch_failed(const struct dispatch *self)
{
    return self->out_of_memory;
}

static void answer_plain(struct dispatch *self, enum dispatch_kind kind, uint64_t session_no, uint64_t request_id,
                         enum dispatch_end end, enum engine_status status)
{
    struct dispatch_answer *answer = answer_add(self, kind, session_no, request_id);
    if (answer != NULL) {
        answer->end = end;
        answer->status = status;
    }
}

static void answer_busy(struct dispatch *self, enum dispatch_kind kind, uint64_t session_no, uint64_t request_id,
                        enum dispatch_limit limit)
{
    struct dispatch_answer *answer = answer_add(self, kind, session_no, request_id);
    if (answer != NULL) {
        answer->end = DISPATCH_END_BUSY;
        answer->limit = limit;
    }
}

void waiter_end(struct dispatch *self, struct waiter *waiter, enum dispatch_end end, enum engine_status status)
{
    struct dispatch_answer *answer = answer_add(self, waiter->kind, waiter->session_no, waiter->request_id);
    if (answer != NULL) {
        answer->end = end;
        answer->status = status;
        answer->put = waiter->so_far;
        answer->queue_id = waiter->at->queue->record.queue_id;
    }
    waiter_free(self, waiter);
}

static bool is_parked(const struct dispatch *self, uint64_t session_no, uint64_t request_id)
{
    return table_find(&self->requests, session_no, request_id) != NULL;
}

// ------------------------------------------------------------------------------------------------------------------------ put

// A run right behind a parked one of its own stream waits behind it, rather than being out of sequence.
static bool continues_parked(const struct dispatch *self, const struct queue *queue, const struct engine_put *put)
{
    if (put->stream == 0) {
        return false;
    }
    const struct waiter *last = table_find(&self->streams, queue->record.queue_id, put->stream);
    return last != NULL && put->first_number == last->put.first_number + last->put.count;
}

static void put_answer(struct dispatch *self, const struct dispatch_put *put, const struct queue *queue, enum dispatch_limit limit,
                       enum engine_status status, const struct engine_put_result *result)
{
    struct dispatch_answer *answer = answer_add(self, DISPATCH_PUT, put->session_no, put->request_id);
    if (answer != NULL) {
        answer->end = limit == DISPATCH_LIMIT_NONE ? DISPATCH_END_ENGINE : DISPATCH_END_BUSY;
        answer->limit = limit;
        answer->status = status;
        answer->put = *result;
        answer->queue_id = queue->record.queue_id;
    }
}

static void park_put(struct dispatch *self, uint64_t now_ms, struct queue *queue, const struct dispatch_put *put,
                     const struct engine_put_result *so_far)
{
    struct engine_put rest = put->put;
    rest.bodies += so_far->accepted;
    rest.headers = rest.headers == NULL ? NULL : rest.headers + so_far->accepted;
    rest.first_number += so_far->accepted;
    rest.count -= so_far->accepted;
    enum dispatch_limit limit = parking_limit(self, put->session_no, put_bytes(&rest, 0), put->parked_by_key_elsewhere);
    if (limit != DISPATCH_LIMIT_NONE) {
        put_answer(self, put, queue, limit, ENGINE_OK, so_far);
        return;
    }
    struct waiter *waiter = waiter_park(self, now_ms, queue, DISPATCH_PUT, put->session_no, put->request_id, put->wait_ms);
    if (waiter != NULL && waiter_copy_put(self, waiter, &rest)) {
        waiter->so_far = *so_far;
    }
}

void dispatch_put(struct dispatch *self, uint64_t now_ms, struct engine_bytes name, const struct dispatch_put *put)
{
    struct queue *queue;
    if (is_parked(self, put->session_no, put->request_id)) {
        return; // sent again after a reconnect; it still waits
    }
    enum engine_status status = engine_queue_use(self->engine, now_ms, name, &queue);
    if (status != ENGINE_OK) {
        answer_plain(self, DISPATCH_PUT, put->session_no, put->request_id, DISPATCH_END_ENGINE, status);
        return;
    }
    serve_joins(self, queue); // what is put now is not waited for
    const struct queue_waiters *at = queue->waiters;
    struct engine_put now = put->put;
    struct engine_put_result result = {0};
    now.behind_waiters = at != NULL && at->puts.count > 0;
    if (now.behind_waiters && continues_parked(self, queue, &now)) {
        status = ENGINE_FULL;
        result.last_number = engine_stream_last(self->engine, queue, now.stream);
    } else {
        status = engine_put(self->engine, now_ms, queue, &now, &result);
    }
    if (status == ENGINE_FULL && put->wait_ms > 0) {
        park_put(self, now_ms, queue, put, &result);
    } else {
        put_answer(self, put, queue, DISPATCH_LIMIT_NONE, status, &result);
    }
}

// ------------------------------------------------------------------------------------------------------------------------ get

static void get_answer(struct dispatch *self, const struct dispatch_get *get, uint64_t queue_id, enum engine_status status,
                       struct engine_grant *grant, bool again)
{
    struct dispatch_answer *answer = answer_add(self, DISPATCH_GET, get->session_no, get->request_id);
    if (answer == NULL) {
        engine_grant_clear(grant);
        return;
    }
    answer->status = status;
    answer->grant = *grant;
    answer->at_most_once = get->at_most_once;
    answer->again = again;
    answer->queue_id = queue_id;
}

static void park_get(struct dispatch *self, uint64_t now_ms, struct queue *queue, const struct dispatch_get *get)
{
    enum dispatch_limit limit = parking_limit(self, get->session_no, 0, 0);
    if (limit != DISPATCH_LIMIT_NONE) {
        answer_busy(self, DISPATCH_GET, get->session_no, get->request_id, limit);
        return;
    }
    struct waiter *waiter = waiter_park(self, now_ms, queue, DISPATCH_GET, get->session_no, get->request_id, get->wait_ms);
    if (waiter != NULL) {
        waiter->get = *get;
    }
}

void dispatch_get(struct dispatch *self, uint64_t now_ms, struct engine_bytes name, const struct dispatch_get *get)
{
    struct engine_grant grant;
    struct queue *queue;
    if (is_parked(self, get->session_no, get->request_id)) {
        return;
    }
    if (engine_session_grant(self->engine, get->session_no, get->request_id, &grant) == ENGINE_OK) {
        get_answer(self, get, grant.queue_id, ENGINE_OK, &grant, true);
        return;
    }
    enum engine_status status = engine_queue_use(self->engine, now_ms, name, &queue);
    if (status != ENGINE_OK) {
        answer_plain(self, DISPATCH_GET, get->session_no, get->request_id, DISPATCH_END_ENGINE, status);
        return;
    }
    if (dispatch_waiting(self, queue).gets > 0) { // what has become ready is theirs first
        serve_queue(self, now_ms, queue);
    }
    struct engine_get command = {.session_no = get->session_no,
                                 .get_id = get->request_id,
                                 .max_items = get->max_items,
                                 .max_bytes = get->max_bytes,
                                 .lease_ms = get->lease_ms,
                                 .hold_max_ms = get->hold_max_ms};
    status = engine_get(self->engine, now_ms, queue, &command, &grant);
    if (status == ENGINE_EMPTY && get->wait_ms > 0) {
        park_get(self, now_ms, queue, get);
    } else {
        get_answer(self, get, queue->record.queue_id, status, &grant, false);
    }
}

// ----------------------------------------------------------------------------------------------------------------------- join

static void park_join(struct dispatch *self, uint64_t now_ms, struct queue *queue, uint64_t session_no, uint64_t request_id,
                      uint64_t wait_ms)
{
    enum dispatch_limit limit = parking_limit(self, session_no, 0, 0);
    if (limit != DISPATCH_LIMIT_NONE) {
        answer_busy(self, DISPATCH_JOIN, session_no, request_id, limit);
    } else {
        waiter_park(self, now_ms, queue, DISPATCH_JOIN, session_no, request_id, wait_ms);
    }
}

void dispatch_join(struct dispatch *self, uint64_t now_ms, uint64_t session_no, uint64_t request_id, struct engine_bytes name,
                   uint64_t wait_ms)
{
    struct queue *queue = engine_queue_find(self->engine, name);
    if (is_parked(self, session_no, request_id)) {
        return;
    }
    if (queue == NULL || queue_unfinished(queue) == 0) {
        answer_plain(self, DISPATCH_JOIN, session_no, request_id, DISPATCH_END_ENGINE,
                     queue == NULL ? ENGINE_NO_SUCH_QUEUE : ENGINE_OK);
    } else if (wait_ms == 0) {
        answer_plain(self, DISPATCH_JOIN, session_no, request_id, DISPATCH_END_TIMED_OUT, ENGINE_OK);
    } else {
        park_join(self, now_ms, queue, session_no, request_id, wait_ms);
    }
}

bool dispatch_cancel(struct dispatch *self, uint64_t session_no, uint64_t request_id)
{
    struct waiter *waiter = table_find(&self->requests, session_no, request_id);
    if (waiter == NULL) {
        return false;
    }
    waiter_end(self, waiter, DISPATCH_END_CANCELLED, ENGINE_OK);
    return true;
}

void dispatch_session_end(struct dispatch *self, uint64_t session_no)
{
    struct waiting_session *session = table_find(&self->sessions, session_no, 0);
    for (size_t left = session == NULL ? 0 : session->waiters.count; left > 0; left--) { // it is freed with its last waiter
        waiter_free(self, list_object(list_first(&session->waiters), struct waiter, in_session));
    }
}

void dispatch_session_resume(struct dispatch *self, uint64_t session_no)
{
    struct waiting_session *session = table_find(&self->sessions, session_no, 0);
    struct link *link = session == NULL ? NULL : list_first(&session->waiters);
    for (size_t left = session == NULL ? 0 : session->waiters.count; left > 0; left--) { // it is freed with its last waiter
        struct waiter *waiter = list_object(link, struct waiter, in_session);
        link = left > 1 ? list_next(&session->waiters, link) : NULL;
        if (waiter->kind == DISPATCH_PUT) {
            waiter_free(self, waiter);
        }
    }
}

void dispatch_session_cut(struct dispatch *self, uint64_t session_no)
{
    struct waiting_session *session = table_find(&self->sessions, session_no, 0);
    for (size_t left = session == NULL ? 0 : session->waiters.count; left > 0; left--) { // it is freed with its last waiter
        waiter_end(self, list_object(list_first(&session->waiters), struct waiter, in_session), DISPATCH_END_SESSION, ENGINE_OK);
    }
}

bool dispatch_session_waits(const struct dispatch *self, uint64_t session_no)
{
    return table_find(&self->sessions, session_no, 0) != NULL;
}

// ----------------------------------------------------------------------------------------------------------------------- time

static void end_in_time(struct dispatch *self, struct waiter *waiter)
{
    switch (waiter->kind) {
    case DISPATCH_PUT:
        waiter_end(self, waiter, DISPATCH_END_ENGINE, ENGINE_FULL);
        break;
    case DISPATCH_GET:
        waiter_end(self, waiter, DISPATCH_END_ENGINE, ENGINE_EMPTY);
        break;
    case DISPATCH_JOIN:
        waiter_end(self, waiter, DISPATCH_END_TIMED_OUT, ENGINE_OK);
        break;
    }
}

static void serve_touched(struct dispatch *self, uint64_t now_ms)
{
    for (struct queue *queue = engine_next_touched(self->engine); queue != NULL; queue = engine_next_touched(self->engine)) {
        serve_queue(self, now_ms, queue);
    }
}

static void serve_checks(struct dispatch *self, uint64_t now_ms)
{
    for (struct link *link = list_pop_front(&self->checks); link != NULL; link = list_pop_front(&self->checks)) {
        serve_queue(self, now_ms, list_object(link, struct queue_waiters, check_link)->queue);
    }
}

static void serve_all(struct dispatch *self, uint64_t now_ms)
{
    serve_touched(self, now_ms);
    while (self->checks.count > 0 && !self->out_of_memory) {
        serve_checks(self, now_ms);
        serve_touched(self, now_ms);
    }
}

void dispatch_run(struct dispatch *self, uint64_t now_ms)
{
    serve_all(self, now_ms); // what can be had now is had, even at the last moment
    while (heap_min_key(&self->deadlines) <= now_ms) {
        end_in_time(self, heap_object(heap_min(&self->deadlines), struct waiter, deadline));
    }
    serve_all(self, now_ms);
}

uint64_t dispatch_next_deadline_ms(const struct dispatch *self)
{
    return heap_min_key(&self->deadlines);
}

// ------------------------------------------------------------------------------------------------------------- durable, counts

void dispatch_seal(struct dispatch *self)
{
    assert(self->sealed == NULL);
    self->sealed = self->open;
    self->open = NULL;
}

void dispatch_free_durable(struct dispatch *self)
{
    parked_free_all(&self->sealed);
}

struct dispatch_counts dispatch_waiting(const struct dispatch *self, const struct queue *queue)
{
    const struct queue_waiters *at = queue->waiters;
    (void)self;
    if (at == NULL) {
        return (struct dispatch_counts){0};
    }
    return (struct dispatch_counts){(uint32_t)at->gets.count, (uint32_t)at->puts.count, (uint32_t)at->joins.count};
}

uint64_t dispatch_parked_bytes(const struct dispatch *self)
{
    return self->parked_bytes;
}

uint64_t dispatch_session_parked_bytes(const struct dispatch *self, uint64_t session_no)
{
    const struct waiting_session *session = table_find(&self->sessions, session_no, 0);
    return session == NULL ? 0 : session->parked_bytes;
}
