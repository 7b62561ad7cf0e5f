#include "engine_rig.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_loader.h"
#include "store_memory.h"

static void require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "engine rig: %s\n", what);
        abort();
    }
}

// ---------------------------------------------------------------------------------------------------------------- life, groups

static enum engine_status size_of_stored(void *context, uint64_t queue_id, uint64_t seq, uint32_t *bytes, uint64_t *put_bytes)
{
    struct rig *self = context;
    struct store_item item;
    if (self->is_unreadable) {
        return ENGINE_NO_MEMORY;
    }
    require(store_read_begin(self->store, NULL) == NQ_OK, "read_begin");
    bool found = store_read(self->store, queue_id, seq, &item) == NQ_OK;
    if (found) {
        *bytes = (uint32_t)(item.body.len + item.headers.len);
        *put_bytes = item.put_bytes;
    }
    store_read_end(self->store);
    return found ? ENGINE_OK : ENGINE_EMPTY;
}

void rig_init(struct rig *self)
{
    static const uint8_t id[16] = {1};
    *self = (struct rig){
        .config = {.lease_ms = 60000,
                   .hold_max_ms = 3600000,
                   .dedup_keep_ms = 86400000,
                   .orphan_ms = 10000,
                   .queues_max = 1000,
                   .sessions_max = 1000,
                   .streams_max = 100000,
                   .delayed_max = 100000,
                   .leases_per_session_max = 100000},
        .limits = {.waiters_per_session_max = 1000, .parked_bytes_per_session_max = 1 << 20, .parked_bytes_max = 4 << 20},
        .store = store_memory_create(0, id),
        .now_ms = 1000000,
    };
    self->groups[0].changes = changes_create();
    self->groups[1].changes = changes_create();
    self->open = &self->groups[0];
    require(self->store != NULL && self->groups[0].changes != NULL && self->groups[1].changes != NULL, "out of memory");
}

static void start_engine(struct rig *self)
{
    const struct engine_source source = {.context = self, .item = size_of_stored};
    self->epoch++;
    self->engine = engine_create(&self->config, &source, self->epoch, self->now_ms);
    require(self->engine != NULL, "engine_create");
    engine_set_changes(self->engine, self->open->changes);
}

static void start_dispatch(struct rig *self)
{
    self->dispatch = dispatch_create(self->engine, &self->limits);
    require(self->dispatch != NULL, "dispatch_create");
}

void rig_start(struct rig *self)
{
    start_engine(self);
    start_dispatch(self);
}

static void group_clear(struct rig_group *group)
{
    for (size_t i = 0; i < group->memory_count; i++) {
        free(group->memory[i]);
    }
    group->memory_count = 0;
    changes_clear(group->changes);
}

void rig_fini(struct rig *self)
{
    dispatch_destroy(&self->dispatch);
    engine_destroy(&self->engine);
    store_close(&self->store);
    for (size_t i = 0; i < 2; i++) {
        group_clear(&self->groups[i]);
        changes_destroy(&self->groups[i].changes);
        free(self->groups[i].memory);
    }
}

struct engine_bytes rig_keep(struct rig *self, const void *data, size_t len)
{
    struct rig_group *group = self->open;
    if (group->memory_count == group->memory_capacity) {
        group->memory_capacity = group->memory_capacity == 0 ? 64 : group->memory_capacity * 2;
        group->memory = realloc(group->memory, group->memory_capacity * sizeof(void *));
        require(group->memory != NULL, "out of memory");
    }
    uint8_t *memory = malloc(len + 1);
    require(memory != NULL, "out of memory");
    if (len > 0) {
        memcpy(memory, data, len);
    }
    memory[len] = 0;
    group->memory[group->memory_count++] = memory;
    return (struct engine_bytes){len, memory};
}

void rig_seal(struct rig *self, bool clean)
{
    assert(self->flying == NULL);
    engine_collect(self->engine, self->now_ms, clean);
    dispatch_seal(self->dispatch);
    self->flying = self->open;
    self->open = self->open == &self->groups[0] ? &self->groups[1] : &self->groups[0];
    engine_set_changes(self->engine, self->open->changes);
}

void rig_land(struct rig *self)
{
    assert(self->flying != NULL);
    require(store_commit(self->store, self->flying->changes, NULL) == NQ_OK, "store_commit");
    engine_mark_durable(self->engine);
    dispatch_free_durable(self->dispatch);
    group_clear(self->flying);
    self->flying = NULL;
}

void rig_commit(struct rig *self)
{
    if (self->flying != NULL) {
        rig_land(self);
    }
    rig_seal(self, false);
    rig_land(self);
}

void rig_settle(struct rig *self)
{
    for (int i = 0; i < 100000; i++) {
        bool more = engine_tick(self->engine, self->now_ms);
        dispatch_run(self->dispatch, self->now_ms);
        rig_commit(self);
        if (!more && engine_next_deadline_ms(self->engine) > self->now_ms) {
            return;
        }
    }
    require(false, "does not settle");
}

void rig_tick(struct rig *self, uint64_t ms)
{
    self->now_ms += ms;
    while (engine_tick(self->engine, self->now_ms)) {
    }
    dispatch_run(self->dispatch, self->now_ms);
}

// --------------------------------------------------------------------------------------------------------------------- restart

static struct engine *create_engine(void *context, const struct meta_record *record)
{
    struct rig *self = context;
    (void)record;
    start_engine(self);
    return self->engine;
}

static void restore_ages(struct rig *self, const struct queue_record *queue)
{
    struct store_item item;
    uint64_t seq = queue->gone_below;
    while (store_read_next(self->store, queue->queue_id, seq, queue->next_seq, &item) == NQ_OK) {
        uint64_t put_bytes_end = item.put_bytes + item.body.len + item.headers.len;
        require(engine_restore_age(self->engine, queue->queue_id, item.seq + 1, item.accepted_ms, put_bytes_end), "restore_age");
        seq = item.seq + 1;
    }
}

void rig_restart_stored(struct rig *self)
{
    dispatch_destroy(&self->dispatch);
    engine_destroy(&self->engine);
    group_clear(&self->groups[0]);
    group_clear(&self->groups[1]);
    self->flying = NULL;
    const struct engine_loader loader = {.context = self, .create = create_engine};
    struct engine_load loaded;
    require(engine_load(&loader, self->store, &loaded, NULL) == NQ_OK, "engine_load");
    for (size_t i = 0; i < loaded.aging_count; i++) {
        restore_ages(self, &loaded.aging[i]);
    }
    require(engine_restore_done(self->engine, loaded.was_clean), "restore_done");
    engine_load_fini(&loaded);
    start_dispatch(self);
}

void rig_restart(struct rig *self, bool clean)
{
    if (clean) {
        if (self->flying != NULL) {
            rig_land(self);
        }
        rig_seal(self, true);
        rig_land(self);
    }
    rig_restart_stored(self);
    rig_commit(self); // the new epoch, and that what comes now is not clean any more
}

// ------------------------------------------------------------------------------------------------------------------ shorthands

struct engine_bytes rig_text(const char *text)
{
    return (struct engine_bytes){strlen(text), (const uint8_t *)text};
}

uint64_t rig_session(struct rig *self, unsigned number)
{
    uint8_t id[ENGINE_SESSION_ID_BYTES] = {(uint8_t)(number >> 8), (uint8_t)number};
    uint8_t token[ENGINE_RESUME_TOKEN_BYTES] = {7, (uint8_t)number};
    uint64_t no = 0;
    require(engine_session_open(self->engine, self->now_ms, id, token, &no) == ENGINE_OK, "session_open");
    return no;
}

struct queue *rig_queue(struct rig *self, const char *name)
{
    struct queue *queue = NULL;
    require(engine_queue_use(self->engine, self->now_ms, rig_text(name), &queue) == ENGINE_OK, "queue_use");
    return queue;
}

struct queue *rig_declare(struct rig *self, const char *name, const struct engine_options *options)
{
    struct queue *queue = NULL;
    bool created;
    require(engine_declare(self->engine, self->now_ms, rig_text(name), options, false, &queue, &created) == ENGINE_OK, "declare");
    return queue;
}

enum engine_status rig_put(struct rig *self, struct queue *queue, uint64_t session_no, uint64_t first_number, size_t count)
{
    struct engine_bytes *bodies = calloc(count, sizeof(*bodies));
    require(bodies != NULL, "out of memory");
    for (size_t i = 0; i < count; i++) {
        char text[ENGINE_NAME_BYTES_MAX + 32];
        int len = snprintf(text, sizeof(text), "%.*s-%llu", (int)queue->record.name_len, queue->record.name,
                           (unsigned long long)(first_number + i));
        bodies[i] = rig_keep(self, text, (size_t)len);
    }
    const void *kept = rig_keep(self, bodies, count * sizeof(*bodies)).data;
    free(bodies);
    const struct engine_put put = {.session_no = session_no,
                                   .stream = session_no == 0 ? 0 : 1000 + session_no,
                                   .first_number = first_number,
                                   .bodies = kept,
                                   .count = count};
    struct engine_put_result result;
    return engine_put(self->engine, self->now_ms, queue, &put, &result);
}

enum engine_status rig_get(struct rig *self, struct queue *queue, uint64_t session_no, uint64_t get_id, uint32_t max,
                           struct engine_grant *grant)
{
    const struct engine_get get = {.session_no = session_no, .get_id = get_id, .max_items = max, .max_bytes = UINT64_MAX};
    return engine_get(self->engine, self->now_ms, queue, &get, grant);
}

uint64_t rig_get_one(struct rig *self, struct queue *queue, uint64_t session_no, uint64_t get_id)
{
    struct engine_grant grant;
    uint64_t seq = rig_get(self, queue, session_no, get_id, 1, &grant) == ENGINE_OK ? grant.items[0].seq : 0;
    engine_grant_clear(&grant);
    return seq;
}

struct engine_token rig_token(const struct rig *self, uint64_t session_no, uint64_t seq, uint32_t delivery)
{
    return (struct engine_token){.session_no = session_no, .epoch = self->epoch, .seq = seq, .delivery = delivery};
}

size_t rig_stored_items(struct rig *self, uint64_t queue_id)
{
    struct store_item item;
    size_t count = 0;
    for (uint64_t seq = 1; store_read_next(self->store, queue_id, seq, 1 << 20, &item) == NQ_OK; seq = item.seq + 1) {
        count++;
    }
    return count;
}

void rig_lose(struct rig *self, uint64_t queue_id, uint64_t seq)
{
    struct changes *changes = changes_create();
    const struct change remove = {.kind = CHANGE_REMOVE, .as.remove = {.queue_id = queue_id, .first_seq = seq, .last_seq = seq}};
    require(changes != NULL && changes_add(changes, &remove), "out of memory");
    require(store_commit(self->store, changes, NULL) == NQ_OK, "store_commit");
    changes_destroy(&changes);
}
