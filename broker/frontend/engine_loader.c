#include "engine_loader.h"

#include <stdio.h>
#include <stdlib.h>

struct loading {
    const struct engine_loader *loader;
    struct engine_load *out;
};

static struct engine *engine_of(void *context)
{
    return ((struct loading *)context)->out->engine;
}

static bool on_meta(void *context, const struct meta_record *record)
{
    struct loading *self = context;
    self->out->was_clean = record->clean;
    self->out->engine = self->loader->create(self->loader->context, record);
    return self->out->engine != NULL && engine_restore_meta(self->out->engine, record);
}

static bool note_aging(struct engine_load *self, const struct queue_record *record)
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
    struct loading *self = context;
    self->out->queues += record->deleted ? 0 : 1;
    if (record->ttl_ms > 0 && !record->deleted && !note_aging(self->out, record)) {
        return false;
    }
    return engine_restore_queue(self->out->engine, record);
}

static bool on_session(void *context, const struct session_record *record)
{
    return engine_restore_session(engine_of(context), record);
}

static bool on_item(void *context, const struct item_record *record)
{
    return engine_restore_item(engine_of(context), record);
}

static bool on_run(void *context, const struct run_record *record)
{
    return engine_restore_run(engine_of(context), record);
}

static bool on_stream(void *context, const struct stream_record *record)
{
    return engine_restore_stream(engine_of(context), record);
}

static bool on_stored(void *context, uint64_t queue_id, uint64_t seq, uint32_t item_bytes)
{
    return engine_restore_stored(engine_of(context), queue_id, seq, item_bytes);
}

static bool on_damaged(void *context, const char *what)
{
    struct loading *self = context;
    self->out->damaged++;
    if (self->loader->damaged != NULL) {
        self->loader->damaged(self->loader->context, what);
    }
    return true;
}

enum nq_status engine_load(const struct engine_loader *loader, struct store *store, struct engine_load *out,
                           struct store_error *error)
{
    *out = (struct engine_load){0};
    struct loading self = {.loader = loader, .out = out};
    const struct store_loader hooks = {.context = &self,
                                       .meta = on_meta,
                                       .queue = on_queue,
                                       .session = on_session,
                                       .item = on_item,
                                       .run = on_run,
                                       .stream = on_stream,
                                       .stored = on_stored,
                                       .damaged = on_damaged};
    enum nq_status status = store_load(store, &hooks, error);
    if (status == NQ_OK && out->engine == NULL) {
        status = NQ_STORAGE_FAILED;
        if (error != NULL) {
            snprintf(error->text, sizeof(error->text), "the store tells nothing about itself");
        }
    }
    return status;
}

void engine_load_fini(struct engine_load *self)
{
    free(self->aging);
    self->aging = NULL;
    self->aging_count = self->aging_capacity = 0;
}
