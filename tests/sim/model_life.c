// Queues and sessions that come and go, time, and restarts.
#include <string.h>

#include "model.h"
#include "queue.h"

// --------------------------------------------------------------------------------------------------------------------- queues

struct model_queue *model_queue_use(struct model *self, const char *name)
{
    struct model_queue *queue = model_queue_named(self, name);
    for (size_t i = 0; i < MODEL_QUEUES && queue == NULL; i++) {
        if (!self->queues[i].used) {
            queue = &self->queues[i];
            const struct queue *created =
                engine_queue_find(self->engine, (struct engine_bytes){strlen(name), (const uint8_t *)name});
            if (created == NULL) {
                model_fail("queue %s should have been created", name);
            }
            *queue = (struct model_queue){.used = true,
                                          .id = created->record.queue_id,
                                          .lease_ms = self->config.lease_ms,
                                          .hold_max_ms = self->config.hold_max_ms,
                                          .next_seq = 1};
            memcpy(queue->name, name, strlen(name) + 1);
        }
    }
    if (queue == NULL) {
        model_fail("the model has no room for a queue");
    }
    return queue;
}

bool model_may_use(struct model *self, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < MODEL_QUEUES; i++) {
        count += self->queues[i].used;
    }
    return count < self->config.queues_max || model_queue_named(self, name) != NULL;
}

static bool closes_cycle(struct model *self, const char *name, const char *dead_letter)
{
    char at[MODEL_NAME];
    memcpy(at, dead_letter, strlen(dead_letter) + 1);
    for (int steps = 0; steps < MODEL_QUEUES && at[0] != '\0'; steps++) {
        const struct model_queue *next = model_queue_named(self, at);
        if (strcmp(at, name) == 0) {
            return true;
        }
        if (next == NULL) {
            return false;
        }
        memcpy(at, next->dead_letter, sizeof(at));
    }
    return false;
}

static bool differ(uint32_t given, uint32_t option, uint64_t a, uint64_t b)
{
    return (given & option) != 0 && a != b;
}

enum engine_status model_declare(struct model *self, const char *name, const struct engine_options *options, bool update)
{
    struct model_queue *queue = model_queue_named(self, name);
    uint32_t given = options->given;
    char dead_letter[MODEL_NAME] = {0};
    if (options->dead_letter.len > 0) {
        memcpy(dead_letter, options->dead_letter.data, options->dead_letter.len);
    }
    if (queue == NULL && update) {
        return ENGINE_NO_SUCH_QUEUE;
    }
    if ((given & ENGINE_OPTION_DEAD_LETTER) && closes_cycle(self, name, dead_letter)) {
        return ENGINE_BAD_DEAD_LETTER;
    }
    if (!model_may_use(self, name)) {
        return ENGINE_LIMIT_REACHED;
    }
    if (queue != NULL && !update && queue->options_given != 0 &&
        (differ(given, ENGINE_OPTION_MAXSIZE, options->maxsize, queue->maxsize) ||
         differ(given, ENGINE_OPTION_MAX_BYTES, options->max_bytes, queue->max_bytes) ||
         differ(given, ENGINE_OPTION_LEASE, options->lease_ms, queue->lease_ms) ||
         differ(given, ENGINE_OPTION_HOLD_MAX, options->hold_max_ms, queue->hold_max_ms) ||
         differ(given, ENGINE_OPTION_MAX_DELIVERIES, options->max_deliveries, queue->max_deliveries) ||
         differ(given, ENGINE_OPTION_TTL, options->ttl_ms, queue->ttl_ms) ||
         differ(given, ENGINE_OPTION_TEMPORARY, options->temporary, queue->temporary) ||
         differ(given, ENGINE_OPTION_DEAD_LETTER, 0, (uint64_t)(strcmp(dead_letter, queue->dead_letter) != 0)))) {
        return ENGINE_DIFFERENT_OPTIONS;
    }
    queue = model_queue_use(self, name);
    queue->maxsize = given & ENGINE_OPTION_MAXSIZE ? options->maxsize : queue->maxsize;
    queue->max_bytes = given & ENGINE_OPTION_MAX_BYTES ? options->max_bytes : queue->max_bytes;
    queue->lease_ms = given & ENGINE_OPTION_LEASE ? options->lease_ms : queue->lease_ms;
    queue->hold_max_ms = given & ENGINE_OPTION_HOLD_MAX ? options->hold_max_ms : queue->hold_max_ms;
    queue->max_deliveries = given & ENGINE_OPTION_MAX_DELIVERIES ? options->max_deliveries : queue->max_deliveries;
    queue->ttl_ms = given & ENGINE_OPTION_TTL ? options->ttl_ms : queue->ttl_ms;
    queue->temporary = given & ENGINE_OPTION_TEMPORARY ? options->temporary : queue->temporary;
    if (given & ENGINE_OPTION_DEAD_LETTER) {
        memcpy(queue->dead_letter, dead_letter, sizeof(dead_letter));
    }
    queue->options_given |= given;
    return ENGINE_OK;
}

// Ready and delayed items go; those on lease are only marked.
static uint64_t drop_all(struct model *self, const struct model_queue *queue)
{
    uint64_t count = 0;
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        struct model_item *item = &self->items[i];
        if (!item->used || item->queue_id != queue->id) {
            continue;
        }
        if (item->state == MODEL_LEASED) {
            item->gone = true;
        } else {
            item->used = false;
            count++;
        }
    }
    return count;
}

uint64_t model_purge(struct model *self, struct model_queue *queue)
{
    uint64_t count = drop_all(self, queue);
    queue->purged += count;
    return count;
}

uint64_t model_shutdown(struct model *self, struct model_queue *queue, bool immediate)
{
    if (!immediate) {
        queue->state = queue->state == QUEUE_OPEN ? QUEUE_SHUT_DOWN : queue->state;
        return 0;
    }
    queue->state = QUEUE_SHUT_DOWN_AT_ONCE;
    uint64_t count = drop_all(self, queue);
    queue->dropped += count;
    return count;
}

uint64_t model_delete(struct model *self, struct model_queue *queue)
{
    uint64_t count = 0;
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        if (self->items[i].used && self->items[i].queue_id == queue->id && self->items[i].state != MODEL_MOVING) {
            self->items[i].used = false;
            count++;
        }
    }
    for (size_t i = 0; i < MODEL_STREAMS; i++) {
        if (self->streams[i].queue_id == queue->id) {
            self->streams[i].used = false;
        }
    }
    queue->used = false;
    return count;
}

// ------------------------------------------------------------------------------------------------------------------- sessions

void model_session_open(struct model *self, uint64_t no)
{
    for (size_t i = 0; i < MODEL_SESSIONS; i++) {
        if (!self->sessions[i].used) {
            self->sessions[i] = (struct model_session){.used = true, .no = no, .renewed_ms = self->now_ms, .workers = 1};
            return;
        }
    }
    model_fail("the model has no room for a session");
}

void model_use(struct model *self, uint64_t session_no, const struct model_queue *queue)
{
    struct model_session *session = model_session(self, session_no);
    size_t at = (size_t)(queue - self->queues);
    session->uses[at] = queue->id;
}

void model_session_renew(struct model *self, uint64_t no)
{
    struct model_session *session = model_session(self, no);
    session->renewed_ms = self->now_ms;
    session->dirty = session->dirty || (session->stored && model_leases(self, no) > 0);
}

void model_session_taken(struct model *self, uint64_t no, uint64_t get_id, uint32_t count)
{
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        struct model_item *item = &self->items[i];
        if (item->used && item->state == MODEL_LEASED && item->last_session == no && item->get_id == get_id &&
            item->index < count) {
            item->taken = true;
        }
    }
}

static bool is_older(const struct model_item *a, const struct model_item *b)
{
    return a->order_get != b->order_get ? a->order_get < b->order_get : a->seq < b->seq;
}

// Of the session's leases: which are in the application's hands?
static void mark_in_work(struct model *self, const struct model_session *session, bool in_work[MODEL_ITEMS])
{
    size_t working = 0;
    memset(in_work, 0, MODEL_ITEMS * sizeof(*in_work));
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        const struct model_item *item = &self->items[i];
        in_work[i] = item->used && item->state == MODEL_LEASED && item->last_session == session->no && item->taken;
        working += in_work[i];
    }
    for (; working < session->workers; working++) {
        size_t oldest = MODEL_ITEMS;
        for (size_t i = 0; i < MODEL_ITEMS; i++) {
            const struct model_item *item = &self->items[i];
            if (item->used && item->state == MODEL_LEASED && item->last_session == session->no && !in_work[i] &&
                (oldest == MODEL_ITEMS || is_older(item, &self->items[oldest]))) {
                oldest = i;
            }
        }
        if (oldest == MODEL_ITEMS) {
            return;
        }
        in_work[oldest] = true;
    }
}

void model_session_resume(struct model *self, uint64_t no, const uint64_t *named, size_t count)
{
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        struct model_item *item = &self->items[i];
        bool kept = false;
        for (size_t k = 0; k < count; k++) {
            kept = kept || named[k] == item->get_id;
        }
        if (item->used && item->state == MODEL_LEASED && item->last_session == no && !kept) {
            model_return(self, item, false, 0);
        }
    }
}

static bool is_used(struct model *self, const struct model_queue *queue)
{
    size_t at = (size_t)(queue - self->queues);
    for (size_t i = 0; i < MODEL_SESSIONS; i++) {
        if (self->sessions[i].used && self->sessions[i].uses[at] == queue->id) {
            return true;
        }
    }
    return false;
}

void model_session_end(struct model *self, uint64_t no, bool goodbye)
{
    struct model_session *session = model_session(self, no);
    bool in_work[MODEL_ITEMS];
    mark_in_work(self, session, in_work);
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        struct model_item *item = &self->items[i];
        if (item->used && item->state == MODEL_LEASED && item->last_session == no) {
            model_return(self, item, in_work[i] && !goodbye, 0);
        }
    }
    for (size_t i = 0; i < MODEL_STREAMS; i++) {
        if (self->streams[i].used && self->streams[i].session == no) {
            self->streams[i].used = !goodbye;
            self->streams[i].session = 0;
        }
    }
    session->used = false;
    for (size_t i = 0; i < MODEL_QUEUES; i++) {
        struct model_queue *queue = &self->queues[i];
        bool waits = queue->orphan_at_ms != 0; // for those who used it before the start
        if (queue->used && queue->temporary && session->uses[i] == queue->id && !is_used(self, queue) && !waits) {
            model_delete(self, queue);
        }
    }
}

// ----------------------------------------------------------------------------------------------------------------------- time

static uint64_t lease_end(struct model *self, const struct model_item *item)
{
    uint64_t renewed_ms = model_session(self, item->last_session)->renewed_ms;
    uint64_t from_ms = renewed_ms > item->got_ms ? renewed_ms : item->got_ms;
    uint64_t hold_end = item->got_ms + item->hold_max_ms;
    return from_ms + item->lease_ms < hold_end ? from_ms + item->lease_ms : hold_end;
}

static void end_leases(struct model *self, const struct model_session *session)
{
    bool in_work[MODEL_ITEMS];
    mark_in_work(self, session, in_work);
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        struct model_item *item = &self->items[i];
        if (item->used && item->state == MODEL_LEASED && item->last_session == session->no &&
            lease_end(self, item) <= self->now_ms) {
            model_return(self, item, in_work[i], 0);
        }
    }
}

static void expire(struct model *self, struct model_item *item)
{
    struct model_queue *queue = model_queue_of(self, item->queue_id);
    if (item->state == MODEL_MOVING || queue->ttl_ms == 0 || item->accepted_ms + queue->ttl_ms > self->now_ms) {
        return;
    }
    if (item->state == MODEL_LEASED) {
        item->gone = true;
    } else {
        item->used = false;
        queue->expired++;
    }
}

void model_tick(struct model *self)
{
    for (size_t i = 0; i < MODEL_SESSIONS; i++) {
        if (self->sessions[i].used) {
            end_leases(self, &self->sessions[i]);
        }
    }
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        struct model_item *item = &self->items[i];
        if (item->used && item->state == MODEL_DELAYED && item->due_ms <= self->now_ms) {
            item->state = MODEL_READY;
            item->put_delayed = false;
        }
    }
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        if (self->items[i].used) {
            expire(self, &self->items[i]);
        }
    }
    for (size_t i = 0; i < MODEL_STREAMS; i++) {
        self->streams[i].used = self->streams[i].used && self->streams[i].used_ms + self->config.dedup_keep_ms > self->now_ms;
    }
    for (size_t i = 0; i < MODEL_QUEUES; i++) {
        struct model_queue *queue = &self->queues[i];
        if (queue->used && queue->orphan_at_ms != 0 && queue->orphan_at_ms <= self->now_ms) {
            queue->orphan_at_ms = 0;
            if (queue->temporary && !is_used(self, queue)) {
                model_delete(self, queue);
            }
        }
    }
}

// -------------------------------------------------------------------------------------------------------------------- restart

void model_seal(struct model *self, bool clean)
{
    for (size_t i = 0; i < MODEL_SESSIONS; i++) {
        struct model_session *session = &self->sessions[i];
        bool write = session->dirty || clean;
        for (size_t k = 0; k < MODEL_ITEMS; k++) {
            const struct model_item *item = &self->items[k];
            bool leased = item->used && item->state == MODEL_LEASED && item->last_session == session->no;
            write = write || (leased && item->lease_dirty && !session->stored);
        }
        session->dirty = false;
        if (session->used && write && model_leases(self, session->no) > 0) {
            session->stored = true;
            session->renewed_flushed = session->renewed_ms;
            session->workers_flushed = session->workers;
        }
    }
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        struct model_item *item = &self->items[i];
        if (item->lease_dirty || clean) {
            item->taken_flushed = item->taken;
            item->lease_dirty = false;
        }
    }
}

// The order of a session's leases is that of their gets, then of their items.
static void order_again(struct model *self)
{
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        struct model_item *item = &self->items[i];
        if (item->used && item->state == MODEL_LEASED) {
            item->old = true;
            item->order_get = item->get_id;
            item->taken = item->taken_flushed;
            self->next_order = item->get_id >= self->next_order ? item->get_id + 1 : self->next_order;
        }
    }
}

void model_restart(struct model *self, bool clean, uint64_t now_ms, uint64_t epoch)
{
    self->has_crashed = self->has_crashed || !clean;
    self->now_ms = now_ms;
    self->epoch = epoch;
    self->waiters_count = 0;
    self->answers_count = 0;
    for (size_t i = 0; i < MODEL_SESSIONS; i++) {
        struct model_session *session = &self->sessions[i];
        session->used = session->used && session->stored;
        session->renewed_ms = session->renewed_flushed;
        session->workers = session->workers_flushed;
        memset(session->uses, 0, sizeof(session->uses));
    }
    for (size_t i = 0; i < MODEL_STREAMS; i++) {
        self->streams[i].session = 0;
    }
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        struct model_item *item = &self->items[i];
        if (!item->used) {
            continue;
        }
        item->doubt = self->has_crashed; // a graceful stop does not end it
        if (!clean && (item->state == MODEL_READY || item->state == MODEL_LEASED)) {
            item->redelivered = true; // it may have been handed out, and nobody wrote it down
        }
        if (item->state == MODEL_LEASED) {
            model_use(self, item->last_session, model_queue_of(self, item->queue_id));
        }
    }
    for (size_t i = 0; i < MODEL_QUEUES; i++) {
        self->queues[i].orphan_at_ms = self->queues[i].temporary ? now_ms + self->config.orphan_ms : 0;
    }
    order_again(self);
}
