#include "restore.h"

#include <stdio.h>

#include "engine_loader.h"
#include "log.h"

enum { AGE_SAMPLES = 1024, DAMAGE_LINES_MAX = 20 };

struct restoring {
    const struct restore_order *order;
    struct engine_load loaded;
    struct changes *changes; // what the engine tidies up on the way
    uint64_t now_ms;
    unsigned damage_lines;
};

static struct engine *create_engine(void *context, const struct meta_record *record)
{
    struct restoring *self = context;
    const struct restore_order *order = self->order;
    const struct engine_source source = {.context = order->reader, .item = reader_item_size};
    self->now_ms = order->start_clock(order->context, record->now_ms);
    struct engine *engine = engine_create(order->config, &source, record->epoch + 1, self->now_ms);
    if (engine != NULL) {
        engine_set_changes(engine, self->changes);
    }
    return engine;
}

static void log_damaged(void *context, const char *what)
{
    struct restoring *self = context;
    if (self->damage_lines < DAMAGE_LINES_MAX) {
        self->damage_lines++;
        log_error("store: %s is damaged and passed over", what);
    }
}

static enum nq_status load(struct restoring *self, struct store_error *error)
{
    const struct engine_loader loader = {.context = self, .create = create_engine, .damaged = log_damaged};
    return engine_load(&loader, self->order->store, &self->loaded, error);
}

// When the items of a stretch were accepted: a sample of them, spread evenly, is read from the store. What lies between two samples
// counts as young as the later one. *marked_end: where the last sample stands.
static enum nq_status sample_stretch(struct restoring *self, uint64_t queue_id, uint64_t first, uint64_t end, uint64_t *marked_end)
{
    uint64_t step = (end - first) / AGE_SAMPLES + 1;
    uint64_t next = first;
    while (next < end) {
        struct store_item item;
        enum nq_status status = reader_next(self->order->reader, queue_id, next, end, &item);
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
        if (!engine_restore_age(self->loaded.engine, queue_id, item.seq + 1, item.accepted_ms, put_bytes_end)) {
            return NQ_NO_MEMORY;
        }
        *marked_end = item.seq + 1;
        bool is_last = item.seq + 1 == end;
        bool passes_end = item.seq + step >= end; // the last item is always sampled
        next = is_last ? end : passes_end ? end - 1 : item.seq + step;
    }
    return NQ_OK;
}

// Of a queue with a time to live: what is on lease, delayed or has come back, and the backlog behind it.
static enum nq_status sample_ages(struct restoring *self, const struct queue_record *queue)
{
    uint64_t marked_end = 1;
    uint64_t alive_from = queue->gone_below < queue->cursor ? queue->gone_below : queue->cursor;
    enum nq_status status = sample_stretch(self, queue->queue_id, alive_from, queue->cursor, &marked_end);
    if (status == NQ_OK) {
        status = sample_stretch(self, queue->queue_id, queue->cursor, queue->next_seq, &marked_end);
    }
    // What is left (the last one is damaged, or had been done) is as young as it may be.
    if (status == NQ_OK && marked_end < queue->next_seq &&
        !engine_restore_age(self->loaded.engine, queue->queue_id, queue->next_seq, self->now_ms, queue->put_bytes)) {
        return NQ_NO_MEMORY;
    }
    return status;
}

// The new epoch has to be durable before the first lease of it leaves.
static enum nq_status commit_start(struct restoring *self, struct store_error *error)
{
    engine_collect(self->loaded.engine, self->now_ms, false);
    if (engine_failed(self->loaded.engine)) {
        return NQ_NO_MEMORY;
    }
    enum nq_status status = store_commit(self->order->store, self->changes, error);
    if (status == NQ_OK) {
        engine_mark_durable(self->loaded.engine);
    }
    return status;
}

enum nq_status restore(const struct restore_order *order, struct restore_result *out, struct store_error *error)
{
    *out = (struct restore_result){0};
    *error = (struct store_error){0};
    struct restoring self = {.order = order, .changes = changes_create()};
    struct engine_load *loaded = &self.loaded;
    enum nq_status status = self.changes == NULL ? NQ_NO_MEMORY : load(&self, error);
    for (size_t i = 0; i < loaded->aging_count && status == NQ_OK; i++) {
        status = sample_ages(&self, &loaded->aging[i]);
    }
    reader_end(order->reader);
    if (status == NQ_OK && !engine_restore_done(loaded->engine, loaded->was_clean)) {
        status = NQ_NO_MEMORY;
    }
    reader_end(order->reader);
    if (status == NQ_OK) {
        status = commit_start(&self, error);
    }
    if (status != NQ_OK) {
        engine_destroy(&loaded->engine);
        if (error->text[0] == '\0') {
            snprintf(error->text, sizeof(error->text), "loading the store: %s", nq_status_text(status));
        }
        error->status = status;
    }
    *out = (struct restore_result){loaded->engine, loaded->was_clean, loaded->queues, loaded->damaged};
    engine_load_fini(loaded);
    changes_destroy(&self.changes);
    return status;
}

void restore_take_back(struct engine *engine, struct store *store, uint64_t now_ms)
{
    struct changes *changes = changes_create();
    if (changes == NULL || engine_failed(engine)) {
        changes_destroy(&changes);
        return;
    }
    engine_set_changes(engine, changes);
    engine_collect(engine, now_ms, true);
    if (!engine_failed(engine)) {
        (void)store_commit(store, changes, NULL);
    }
    changes_destroy(&changes);
}
