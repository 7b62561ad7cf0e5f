#include "restore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

enum { AGE_SAMPLES = 1024, DAMAGE_LINES_MAX = 20 };

struct restoring {
    const struct restore_order *order;
    struct restore_result *result;
    struct changes *changes; // what the engine tidies up on the way
    uint64_t now_ms;
    struct queue_record *aging; // queues with a ttl
    size_t aging_count, aging_capacity;
};

static bool on_meta(void *context, const struct meta_record *record)
{
    struct restoring *self = context;
    const struct restore_order *order = self->order;
    struct engine_source source = {.context = order->reader, .item = reader_item_size};
    self->now_ms = order->start_clock(order->context, record->now_ms);
    self->result->was_clean = record->clean;
    self->result->engine = engine_create(order->config, &source, record->epoch + 1, self->now_ms);
    if (self->result->engine == NULL) {
        return false;
    }
    engine_set_changes(self->result->engine, self->changes);
    return engine_restore_meta(self->result->engine, record);
}

static bool note_aging(struct restoring *self, const struct queue_record *record)
{
    if (self->aging_count == self->aging_capacity) {
        size_t capacity = self->aging_capacity == 0 ? 16 : self->aging_capacity * 2;
        struct queue_record *aging = realloc(self->aging, capacity * sizeof(*aging));
        if (aging == NULL) {
            return false;
        }
        self->aging = aging;
        self->aging_capacity = capacity;
    }
    self->aging[self->aging_count++] = *record;
    return true;
}

static bool on_queue(void *context, const struct queue_record *record)
{
    struct restoring *self = context;
    self->result->queues += record->deleted ? 0 : 1;
    if (record->ttl_ms > 0 && !record->deleted && !note_aging(self, record)) {
        return false;
    }
    return engine_restore_queue(self->result->engine, record);
}

static bool on_session(void *context, const struct session_record *record)
{
    return engine_restore_session(((struct restoring *)context)->result->engine, record);
}

static bool on_item(void *context, const struct item_record *record)
{
    return engine_restore_item(((struct restoring *)context)->result->engine, record);
}

static bool on_run(void *context, const struct run_record *record)
{
    return engine_restore_run(((struct restoring *)context)->result->engine, record);
}

static bool on_stream(void *context, const struct stream_record *record)
{
    return engine_restore_stream(((struct restoring *)context)->result->engine, record);
}

static bool on_stored(void *context, uint64_t queue_id, uint64_t seq, uint32_t item_bytes)
{
    return engine_restore_stored(((struct restoring *)context)->result->engine, queue_id, seq, item_bytes);
}

static bool on_damaged(void *context, const char *what)
{
    struct restoring *self = context;
    if (self->result->damaged++ < DAMAGE_LINES_MAX) {
        log_error("store: %s is damaged and passed over", what);
    }
    return true;
}

static enum nq_status load(struct restoring *self, struct store_error *error)
{
    const struct store_loader loader = {.context = self,
                                        .meta = on_meta,
                                        .queue = on_queue,
                                        .session = on_session,
                                        .item = on_item,
                                        .run = on_run,
                                        .stream = on_stream,
                                        .stored = on_stored,
                                        .damaged = on_damaged};
    enum nq_status status = store_load(self->order->store, &loader, error);
    if (status == NQ_OK && self->result->engine == NULL) {
        status = NQ_STORAGE_FAILED;
        snprintf(error->text, sizeof(error->text), "the store tells nothing about itself");
    }
    return status;
}

// When the items of a queue with a time to live were accepted: a sample of them, spread evenly, is read from the store. What lies
// between two samples counts as young as the later one. What is below the cursor is no younger than the item at the cursor.
static enum nq_status sample_ages(struct restoring *self, const struct queue_record *queue)
{
    uint64_t count = queue->next_seq - queue->cursor;
    uint64_t step = count / AGE_SAMPLES + 1;
    uint64_t next = count == 0 ? queue->next_seq : queue->cursor;
    uint64_t marked_end = 1;
    while (next < queue->next_seq) {
        struct store_item item;
        enum nq_status status = reader_next(self->order->reader, queue->queue_id, next, queue->next_seq, &item);
        if (status == NQ_EMPTY) {
            break;
        }
        if (status == NQ_DAMAGED) {
            next = item.seq + 1;
            continue;
        }
        if (status != NQ_OK) {
            return status;
        }
        uint64_t put_bytes_end = item.put_bytes + item.body.len + item.headers.len;
        if (!engine_restore_age(self->result->engine, queue->queue_id, item.seq + 1, item.accepted_ms, put_bytes_end)) {
            return NQ_NO_MEMORY;
        }
        marked_end = item.seq + 1;
        bool is_last = item.seq + 1 == queue->next_seq;
        bool passes_end = item.seq + step >= queue->next_seq; // the last item is always sampled
        next = is_last ? queue->next_seq : passes_end ? queue->next_seq - 1 : item.seq + step;
    }
    // What is left (all on lease or come back, or the last one damaged) is as young as it may be.
    if (marked_end < queue->next_seq &&
        !engine_restore_age(self->result->engine, queue->queue_id, queue->next_seq, self->now_ms, queue->put_bytes)) {
        return NQ_NO_MEMORY;
    }
    return NQ_OK;
}

// The new epoch has to be durable before the first lease of it leaves.
static enum nq_status commit_start(struct restoring *self, struct store_error *error)
{
    engine_collect(self->result->engine, self->now_ms, false);
    if (engine_failed(self->result->engine)) {
        return NQ_NO_MEMORY;
    }
    enum nq_status status = store_commit(self->order->store, self->changes, error);
    if (status == NQ_OK) {
        engine_mark_durable(self->result->engine);
    }
    return status;
}

enum nq_status restore(const struct restore_order *order, struct restore_result *out, struct store_error *error)
{
    *out = (struct restore_result){0};
    *error = (struct store_error){0};
    struct restoring self = {.order = order, .result = out, .changes = changes_create()};
    enum nq_status status = self.changes == NULL ? NQ_NO_MEMORY : load(&self, error);
    for (size_t i = 0; i < self.aging_count && status == NQ_OK; i++) {
        status = sample_ages(&self, &self.aging[i]);
    }
    reader_end(order->reader);
    if (status == NQ_OK && !engine_restore_done(out->engine, out->was_clean)) {
        status = NQ_NO_MEMORY;
    }
    reader_end(order->reader);
    if (status == NQ_OK) {
        status = commit_start(&self, error);
    }
    if (status != NQ_OK) {
        engine_destroy(&out->engine);
        if (error->text[0] == '\0') {
            snprintf(error->text, sizeof(error->text), "loading the store: %s", nq_status_text(status));
        }
        error->status = status;
    }
    free(self.aging);
    changes_destroy(&self.changes);
    return status;
}
