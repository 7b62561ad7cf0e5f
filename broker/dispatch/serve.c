// Serving the waiters of a queue: puts when there is room, gets when something is ready, joins when all is done.
#include "waiter.h"

static struct waiter *first_of(const struct queue *queue, enum dispatch_kind kind)
{
    const struct queue_waiters *at = queue->waiters;
    if (at == NULL) {
        return NULL;
    }
    const struct list *list = kind == DISPATCH_GET ? &at->gets : kind == DISPATCH_PUT ? &at->puts : &at->joins;
    struct link *link = list_first(list);
    return link == NULL ? NULL : list_object(link, struct waiter, in_queue);
}

// What was accepted of a parked run is no longer asked for the next time.
static void advance_put(struct waiter *waiter, const struct engine_put_result *result)
{
    struct engine_put *put = &waiter->put;
    waiter->so_far.accepted += result->accepted;
    waiter->so_far.duplicate |= result->duplicate;
    waiter->so_far.last_number = result->last_number;
    if (result->accepted > 0) {
        waiter->so_far.last_seq = result->last_seq;
    }
    put->bodies += result->accepted;
    put->headers = put->headers == NULL ? NULL : put->headers + result->accepted;
    put->first_number += result->accepted;
    put->count -= result->accepted;
}

static bool serve_puts(struct dispatch *self, uint64_t now_ms, struct queue *queue)
{
    bool progress = false;
    for (struct waiter *waiter = first_of(queue, DISPATCH_PUT); waiter != NULL; waiter = first_of(queue, DISPATCH_PUT)) {
        struct engine_put_result result;
        enum engine_status status = engine_put(self->engine, now_ms, queue, &waiter->put, &result);
        progress |= result.accepted > 0;
        advance_put(waiter, &result);
        if (status == ENGINE_FULL) {
            break; // nobody overtakes the first
        }
        waiter_end(self, waiter, DISPATCH_END_ENGINE, status);
        progress = true;
    }
    return progress;
}

static bool serve_gets(struct dispatch *self, uint64_t now_ms, struct queue *queue)
{
    bool progress = false;
    for (struct waiter *waiter = first_of(queue, DISPATCH_GET); waiter != NULL; waiter = first_of(queue, DISPATCH_GET)) {
        struct engine_get get = {.session_no = waiter->session_no,
                                 .get_id = waiter->request_id,
                                 .max_items = waiter->get.max_items,
                                 .max_bytes = waiter->get.max_bytes,
                                 .lease_ms = waiter->get.lease_ms,
                                 .hold_max_ms = waiter->get.hold_max_ms};
        struct engine_grant grant;
        enum engine_status status = engine_get(self->engine, now_ms, queue, &get, &grant);
        if (status == ENGINE_EMPTY) {
            break;
        }
        struct dispatch_answer *answer = answer_add(self, DISPATCH_GET, waiter->session_no, waiter->request_id);
        if (answer == NULL) {
            engine_grant_clear(&grant);
            break;
        }
        answer->status = status;
        answer->grant = grant;
        answer->at_most_once = waiter->get.at_most_once;
        answer->queue_id = queue->record.queue_id;
        waiter_free(self, waiter);
        progress = true;
    }
    return progress;
}

void serve_joins(struct dispatch *self, struct queue *queue)
{
    struct waiter *waiter = first_of(queue, DISPATCH_JOIN);
    while (waiter != NULL && queue_unfinished(queue) == 0) {
        waiter_end(self, waiter, DISPATCH_END_ENGINE, ENGINE_OK);
        waiter = first_of(queue, DISPATCH_JOIN);
    }
}

static void end_all(struct dispatch *self, struct queue *queue, enum engine_status status)
{
    for (int kind = DISPATCH_PUT; kind <= DISPATCH_JOIN; kind++) {
        struct waiter *waiter = first_of(queue, (enum dispatch_kind)kind);
        while (waiter != NULL) {
            waiter_end(self, waiter, DISPATCH_END_ENGINE, status);
            waiter = first_of(queue, (enum dispatch_kind)kind);
        }
    }
}

void serve_queue(struct dispatch *self, uint64_t now_ms, struct queue *queue)
{
    if (queue->waiters == NULL) {
        return;
    }
    if (queue->record.deleted) {
        end_all(self, queue, ENGINE_NO_SUCH_QUEUE);
        return;
    }
    serve_joins(self, queue); // before what waits for room goes in
    bool progress = true;
    while (progress && !self->out_of_memory) { // each get makes room for a put, each put something to get
        progress = serve_puts(self, now_ms, queue);
        progress |= serve_gets(self, now_ms, queue);
    }
    serve_joins(self, queue);
}
