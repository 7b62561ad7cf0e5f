#include "redrive.h"

#include <stdlib.h>
#include <string.h>

#include "service.h"

struct redrive {
    struct redrive *next;
    struct redrive_order order;
    char to[ENGINE_NAME_BYTES_MAX];
    uint64_t next_seq;
    uint64_t moved;
    bool waits; // for a commit to end
};

enum step { STEP_MOVED, STEP_SKIPPED, STEP_WAIT, STEP_END };

enum nq_status redrives_add(struct redrives *self, const struct redrive_order *order)
{
    if (self->count >= REDRIVES_MAX) {
        return NQ_BUSY;
    }
    struct redrive *job = calloc(1, sizeof(*job));
    if (job == NULL) {
        return NQ_NO_MEMORY;
    }
    job->order = *order;
    if (order->to.len > 0) {
        memcpy(job->to, order->to.data, order->to.len);
    }
    job->order.to.data = (const uint8_t *)job->to;
    job->next_seq = 1;
    struct redrive **end = &self->first;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = job;
    self->count++;
    return NQ_OK;
}

void redrives_fini(struct redrives *self)
{
    while (self->first != NULL) {
        struct redrive *job = self->first;
        self->first = job->next;
        free(job);
    }
    self->count = 0;
}

void redrives_retry(struct redrives *self)
{
    for (struct redrive *job = self->first; job != NULL; job = job->next) {
        job->waits = false;
    }
}

// The queue that an item came from, as the move into the dead-letter queue noted it. Empty: it did not come from one.
static struct nq_bytes origin_of(struct service *service, const struct store_item *item)
{
    static const char name[] = "nq-origin-queue";
    size_t own = item->own_headers.len;
    struct nq_bytes added = {.len = item->headers.len - own, .data = item->headers.data + own};
    struct nq_header *headers;
    size_t count;
    if (added.len == 0 || wire_decode_headers(groups_arena(&service->groups), added, &headers, &count) != NQ_OK) {
        return (struct nq_bytes){0};
    }
    struct nq_bytes origin = {0};
    for (size_t i = 0; i < count; i++) { // the last one counts: it may have died more than once
        if (headers[i].name.len == sizeof(name) - 1 && memcmp(headers[i].name.data, name, sizeof(name) - 1) == 0) {
            origin = headers[i].value;
        }
    }
    return origin.len > ENGINE_NAME_BYTES_MAX ? (struct nq_bytes){0} : origin;
}

// An item that is still in memory only: put here directly (its headers are its own), or moved here by a commit under way.
static bool read_recent(const struct queue *from, uint64_t seq, struct store_item *out)
{
    *out = (struct store_item){.seq = seq};
    bool found = engine_recent_item(from, seq, &out->body, &out->headers);
    out->own_headers = out->headers;
    return found;
}

static enum step move_to(const struct redrive *job, struct service *service, uint64_t now_ms, struct queue *from,
                         const struct store_item *item, enum nq_status *end)
{
    struct engine_bytes name = job->order.to;
    if (name.len == 0) {
        name = to_engine_bytes(origin_of(service, item));
    }
    struct queue *to;
    uint32_t bytes = (uint32_t)(item->body.len + item->own_headers.len);
    if (name.len == 0) {
        return STEP_SKIPPED; // it came from nowhere
    }
    *end = space_state(&service->space, now_ms, bytes, groups_put_bytes(&service->groups)); // its body is written anew, as a put's
    if (*end != NQ_OK) {
        return STEP_END;
    }
    enum engine_status status = engine_queue_use(service->engine, now_ms, name, &to);
    if (status == ENGINE_OK && to == from) {
        return STEP_SKIPPED;
    }
    if (status == ENGINE_OK) {
        status = engine_redrive(service->engine, now_ms, from, item->seq, to, bytes);
    }
    if (status == ENGINE_EMPTY) {
        return STEP_SKIPPED;
    }
    *end = status_of_engine(status);
    return status == ENGINE_OK ? STEP_MOVED : STEP_END;
}

static enum step step(struct redrive *job, struct service *service, uint64_t now_ms, enum nq_status *end)
{
    struct queue *from = engine_queue_by_id(service->engine, job->order.from_queue_id);
    uint64_t seq = 0;
    uint64_t looks = 0;
    bool enough = job->order.max_items > 0 && job->moved >= job->order.max_items;
    bool found = from != NULL && !enough && engine_ready_seq(from, job->next_seq, &seq, &looks);
    groups_note_looks(&service->groups, looks);
    if (!found || seq >= job->order.end_seq) {
        return STEP_END;
    }
    struct store_item item;
    job->next_seq = seq;
    if (!read_recent(from, seq, &item)) {
        if (engine_durability(from, seq) != ENGINE_DURABLE) {
            return STEP_WAIT;
        }
        if (reader_stored(service->reader, job->order.from_queue_id, seq, &item) != NQ_OK) {
            job->next_seq = seq + 1;
            return STEP_SKIPPED; // damaged: a get will set it aside
        }
    }
    enum step step = move_to(job, service, now_ms, from, &item, end);
    job->next_seq = step == STEP_END ? seq : seq + 1;
    return step;
}

// True: it has ended, and is answered.
static bool run_slice(struct redrive *job, struct service *service, uint64_t now_ms, size_t steps)
{
    enum nq_status end = NQ_OK;
    for (size_t i = 0; i < steps && !service_failed(service) && !groups_open_is_full(&service->groups); i++) {
        switch (step(job, service, now_ms, &end)) {
        case STEP_MOVED:
            job->moved++;
            service->groups.open->items++;
            break;
        case STEP_SKIPPED:
            break;
        case STEP_WAIT:
            job->waits = true;
            return false;
        case STEP_END: {
            struct answer *answer = service_answer(service, job->order.connection, job->order.request_id, end);
            if (answer != NULL) {
                answer->kind = ANSWER_COUNT;
                answer->as.count = job->moved;
            }
            return true;
        }
        }
    }
    return false;
}

bool redrives_run(struct redrives *self, struct service *service, uint64_t now_ms)
{
    bool more = false;
    size_t steps = REDRIVE_SLICE / (self->count > 0 ? self->count : 1); // of each: others wait for all of them
    for (struct redrive **at = &self->first; *at != NULL;) {
        struct redrive *job = *at;
        bool blocked = job->waits || groups_open_is_full(&service->groups);
        if (!blocked && run_slice(job, service, now_ms, steps)) {
            *at = job->next;
            self->count--;
            free(job);
            continue;
        }
        // A group that is full of what was only looked at is empty again in the next turn.
        bool full = groups_open_is_full(&service->groups) && engine_pending(service->engine) != ENGINE_PENDING_NONE;
        more |= !job->waits && !full;
        at = &job->next;
    }
    return more;
}
