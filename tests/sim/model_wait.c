// Who waits for what, as the design says it.
#include <string.h>

#include "model.h"
#include "queue.h"

static struct model_answer *answer(struct model *self, enum dispatch_kind kind, uint64_t session, uint64_t request_id,
                                   enum dispatch_end end, enum engine_status status)
{
    if (self->answers_count == MODEL_ANSWERS) {
        model_fail("the model has no room for an answer");
    }
    struct model_answer *added = &self->answers[self->answers_count++];
    *added = (struct model_answer){
        .used = true, .kind = kind, .session = session, .request_id = request_id, .end = end, .status = status};
    return added;
}

static void remove_waiter(struct model *self, size_t index)
{
    self->waiters_count--;
    memmove(&self->waiters[index], &self->waiters[index + 1], (self->waiters_count - index) * sizeof(self->waiters[0]));
}

static void end_waiter(struct model *self, size_t index, enum dispatch_end end, enum engine_status status)
{
    const struct model_waiter *waiter = &self->waiters[index];
    answer(self, waiter->kind, waiter->session, waiter->request_id, end, status)->put = waiter->so_far;
    remove_waiter(self, index);
}

static size_t first_waiter(const struct model *self, uint64_t queue_id, enum dispatch_kind kind) // waiters_count: none
{
    size_t i = 0;
    while (i < self->waiters_count && (self->waiters[i].queue_id != queue_id || self->waiters[i].kind != kind)) {
        i++;
    }
    return i;
}

static size_t find_waiter(const struct model *self, uint64_t session, uint64_t request_id)
{
    size_t i = 0;
    while (i < self->waiters_count && (self->waiters[i].session != session || self->waiters[i].request_id != request_id)) {
        i++;
    }
    return i;
}

uint64_t model_parked_bytes(const struct model *self, uint64_t session)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < self->waiters_count; i++) {
        bytes += session == 0 || self->waiters[i].session == session ? self->waiters[i].parked_bytes : 0;
    }
    return bytes;
}

static struct model_waiter *park(struct model *self, enum dispatch_kind kind, uint64_t queue_id, uint64_t session,
                                 uint64_t request_id, uint64_t wait_ms, uint64_t bytes)
{
    size_t waits = 0;
    for (size_t i = 0; i < self->waiters_count; i++) {
        waits += self->waiters[i].session == session;
    }
    if (waits >= self->limits.waiters_per_session_max ||
        model_parked_bytes(self, session) + bytes > self->limits.parked_bytes_per_session_max ||
        model_parked_bytes(self, 0) + bytes > self->limits.parked_bytes_max) {
        return NULL;
    }
    if (self->waiters_count == MODEL_WAITERS) {
        model_fail("the model has no room for a waiter");
    }
    struct model_waiter *waiter = &self->waiters[self->waiters_count++];
    *waiter = (struct model_waiter){.used = true,
                                    .kind = kind,
                                    .queue_id = queue_id,
                                    .session = session,
                                    .request_id = request_id,
                                    .deadline_ms = wait_ms == UINT64_MAX ? UINT64_MAX : self->now_ms + wait_ms,
                                    .parked_bytes = bytes};
    return waiter;
}

// --------------------------------------------------------------------------------------------------------------------- serving

static void take_accepted(struct model_put *put, struct engine_put_result *so_far, const struct engine_put_result *result)
{
    so_far->accepted += result->accepted;
    so_far->duplicate = so_far->duplicate || result->duplicate;
    so_far->last_number = result->last_number;
    so_far->last_seq = result->accepted > 0 ? result->last_seq : so_far->last_seq;
    memmove(put->bodies, put->bodies + result->accepted, (put->count - result->accepted) * sizeof(put->bodies[0]));
    put->first_number += result->accepted;
    put->count -= result->accepted;
}

static bool serve_puts(struct model *self, struct model_queue *queue)
{
    bool progress = false;
    for (size_t i = first_waiter(self, queue->id, DISPATCH_PUT); i < self->waiters_count;
         i = first_waiter(self, queue->id, DISPATCH_PUT)) {
        struct engine_put_result result;
        enum engine_status status = model_put(self, queue, &self->waiters[i].put, false, &result);
        take_accepted(&self->waiters[i].put, &self->waiters[i].so_far, &result);
        progress = progress || result.accepted > 0;
        if (status == ENGINE_FULL) {
            break;
        }
        end_waiter(self, i, DISPATCH_END_ENGINE, status);
        progress = true;
    }
    return progress;
}

static bool serve_gets(struct model *self, struct model_queue *queue)
{
    bool progress = false;
    for (size_t i = first_waiter(self, queue->id, DISPATCH_GET); i < self->waiters_count;
         i = first_waiter(self, queue->id, DISPATCH_GET)) {
        struct model_grant grant;
        enum engine_status status = model_get(self, queue, &self->waiters[i].get, &grant);
        if (status == ENGINE_EMPTY) {
            break;
        }
        answer(self, DISPATCH_GET, self->waiters[i].session, self->waiters[i].request_id, DISPATCH_END_ENGINE, status)->grant =
            grant;
        remove_waiter(self, i);
        progress = true;
    }
    return progress;
}

static void serve_joins(struct model *self, const struct model_queue *queue)
{
    for (size_t i = first_waiter(self, queue->id, DISPATCH_JOIN); i < self->waiters_count && model_unfinished(self, queue->id) == 0;
         i = first_waiter(self, queue->id, DISPATCH_JOIN)) {
        end_waiter(self, i, DISPATCH_END_ENGINE, ENGINE_OK);
    }
}

static void serve(struct model *self, struct model_queue *queue)
{
    serve_joins(self, queue);
    bool progress = true;
    while (progress) {
        progress = serve_puts(self, queue);
        progress = serve_gets(self, queue) || progress;
    }
    serve_joins(self, queue);
}

static void serve_all(struct model *self)
{
    for (size_t i = 0; i < MODEL_QUEUES; i++) {
        if (self->queues[i].used) {
            serve(self, &self->queues[i]);
        }
    }
    for (size_t i = 0; i < self->waiters_count;) {
        if (model_queue_of(self, self->waiters[i].queue_id) == NULL) {
            end_waiter(self, i, DISPATCH_END_ENGINE, ENGINE_NO_SUCH_QUEUE);
        } else {
            i++;
        }
    }
}

void model_run(struct model *self)
{
    serve_all(self);
    for (size_t i = 0; i < self->waiters_count;) {
        const struct model_waiter *waiter = &self->waiters[i];
        if (waiter->deadline_ms > self->now_ms) {
            i++;
        } else if (waiter->kind == DISPATCH_JOIN) {
            end_waiter(self, i, DISPATCH_END_TIMED_OUT, ENGINE_OK);
        } else {
            end_waiter(self, i, DISPATCH_END_ENGINE, waiter->kind == DISPATCH_PUT ? ENGINE_FULL : ENGINE_EMPTY);
        }
    }
    serve_all(self);
}

// -------------------------------------------------------------------------------------------------------------------- requests

static uint64_t weight(const struct model_put *put)
{
    uint8_t scratch[64];
    uint64_t bytes = 0;
    for (size_t i = 0; i < put->count; i++) {
        bytes += body_write(put->bodies[i], scratch) + headers_write(put->bodies[i], scratch) + 2 * sizeof(struct engine_bytes);
    }
    return bytes;
}

// Is it the next run of a stream whose last run is parked?
static bool continues(const struct model *self, uint64_t queue_id, const struct model_put *put)
{
    const struct model_put *last = NULL;
    for (size_t i = 0; i < self->waiters_count; i++) {
        const struct model_waiter *waiter = &self->waiters[i];
        if (waiter->kind == DISPATCH_PUT && waiter->queue_id == queue_id && waiter->put.stream == put->stream) {
            last = &waiter->put;
        }
    }
    return put->stream != 0 && last != NULL && last->first_number + last->count == put->first_number;
}

void model_dispatch_put(struct model *self, const char *name, const struct model_put *put, uint64_t request_id, uint64_t wait_ms)
{
    if (find_waiter(self, put->session, request_id) < self->waiters_count) {
        return;
    }
    if (!model_may_use(self, name)) {
        answer(self, DISPATCH_PUT, put->session, request_id, DISPATCH_END_ENGINE, ENGINE_LIMIT_REACHED);
        return;
    }
    struct model_queue *queue = model_queue_use(self, name);
    serve_joins(self, queue);
    bool behind = model_waiting(self, queue->id, DISPATCH_PUT) > 0;
    struct engine_put_result result = {0};
    enum engine_status status = ENGINE_FULL;
    if (continues(self, queue->id, put)) {
        const struct model_stream *stream = model_stream(self, queue->id, put->stream);
        result.last_number = stream == NULL ? 0 : stream->last_number;
    } else {
        status = model_put(self, queue, put, behind, &result);
    }
    if (status == ENGINE_FULL && wait_ms > 0) {
        struct model_put rest = *put;
        struct engine_put_result so_far = {0};
        take_accepted(&rest, &so_far, &result);
        struct model_waiter *waiter = park(self, DISPATCH_PUT, queue->id, put->session, request_id, wait_ms, weight(&rest));
        if (waiter == NULL) {
            answer(self, DISPATCH_PUT, put->session, request_id, DISPATCH_END_BUSY, ENGINE_OK)->put = so_far;
            return;
        }
        waiter->put = rest;
        waiter->so_far = so_far;
        return;
    }
    answer(self, DISPATCH_PUT, put->session, request_id, DISPATCH_END_ENGINE, status)->put = result;
}

// What is still on lease from an answered get.
static bool granted_before(const struct model *self, const struct dispatch_get *get, struct model_grant *grant)
{
    *grant = (struct model_grant){0};
    for (uint64_t seq = 0; seq < 100000 && grant->count < MODEL_GRANT; seq++) {
        bool more = false;
        for (size_t i = 0; i < MODEL_ITEMS; i++) {
            const struct model_item *item = &self->items[i];
            bool ours = item->used && item->state == MODEL_LEASED && item->last_session == get->session_no &&
                        item->get_id == get->request_id;
            if (ours && item->seq == seq) {
                grant->queue_id = item->queue_id;
                grant->seqs[grant->count++] = seq;
            }
            more = more || (ours && item->seq > seq);
        }
        if (!more) {
            break;
        }
    }
    return grant->count > 0;
}

void model_dispatch_get(struct model *self, const char *name, const struct dispatch_get *get)
{
    struct model_grant grant;
    if (find_waiter(self, get->session_no, get->request_id) < self->waiters_count) {
        return;
    }
    if (granted_before(self, get, &grant)) {
        struct model_answer *same = answer(self, DISPATCH_GET, get->session_no, get->request_id, DISPATCH_END_ENGINE, ENGINE_OK);
        same->grant = grant;
        same->again = true;
        return;
    }
    if (!model_may_use(self, name)) {
        answer(self, DISPATCH_GET, get->session_no, get->request_id, DISPATCH_END_ENGINE, ENGINE_LIMIT_REACHED);
        return;
    }
    struct model_queue *queue = model_queue_use(self, name);
    if (model_waiting(self, queue->id, DISPATCH_GET) > 0) {
        serve(self, queue);
    }
    enum engine_status status = model_get(self, queue, get, &grant);
    if (status != ENGINE_EMPTY || get->wait_ms == 0) {
        answer(self, DISPATCH_GET, get->session_no, get->request_id, DISPATCH_END_ENGINE, status)->grant = grant;
        return;
    }
    struct model_waiter *waiter = park(self, DISPATCH_GET, queue->id, get->session_no, get->request_id, get->wait_ms, 0);
    if (waiter == NULL) {
        answer(self, DISPATCH_GET, get->session_no, get->request_id, DISPATCH_END_BUSY, ENGINE_OK);
        return;
    }
    waiter->get = *get;
}

void model_dispatch_join(struct model *self, const char *name, uint64_t session, uint64_t request_id, uint64_t wait_ms)
{
    const struct model_queue *queue = model_queue_named(self, name);
    if (find_waiter(self, session, request_id) < self->waiters_count) {
        return;
    }
    if (queue == NULL) {
        answer(self, DISPATCH_JOIN, session, request_id, DISPATCH_END_ENGINE, ENGINE_NO_SUCH_QUEUE);
    } else if (model_unfinished(self, queue->id) == 0) {
        answer(self, DISPATCH_JOIN, session, request_id, DISPATCH_END_ENGINE, ENGINE_OK);
    } else if (wait_ms == 0) {
        answer(self, DISPATCH_JOIN, session, request_id, DISPATCH_END_TIMED_OUT, ENGINE_OK);
    } else if (park(self, DISPATCH_JOIN, queue->id, session, request_id, wait_ms, 0) == NULL) {
        answer(self, DISPATCH_JOIN, session, request_id, DISPATCH_END_BUSY, ENGINE_OK);
    }
}

bool model_cancel(struct model *self, uint64_t session, uint64_t request_id)
{
    size_t index = find_waiter(self, session, request_id);
    if (index == self->waiters_count) {
        return false;
    }
    end_waiter(self, index, DISPATCH_END_CANCELLED, ENGINE_OK);
    return true;
}

void model_waiters_vanish(struct model *self, uint64_t session)
{
    for (size_t i = 0; i < self->waiters_count;) {
        if (self->waiters[i].session == session) {
            remove_waiter(self, i);
        } else {
            i++;
        }
    }
}
