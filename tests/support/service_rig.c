#include "service_rig.h"

#include <string.h>

#include "restore.h"

static uint64_t start_clock(void *context, uint64_t last_stored_ms)
{
    struct service_rig *self = context;
    self->now_ms = last_stored_ms > SERVICE_RIG_START_MS ? last_stored_ms : SERVICE_RIG_START_MS;
    return self->now_ms;
}

static bool on_send(void *context, uint64_t connection, const struct wire_packer *packer)
{
    struct service_rig *self = context;
    bool sent = self->config.frame(self->config.context, connection, packer);
    self->gone |= !sent;
    return sent;
}

static void on_gone(void *context, uint64_t connection)
{
    struct service_rig *self = context;
    sessions_connection_gone(&self->service.sessions, self->now_ms, connection);
}

static void on_unreadable(void *context, uint64_t queue_id, uint64_t seq, enum nq_status why)
{
    struct service_rig *self = context;
    service_unreadable(&self->service, self->now_ms, queue_id, seq, why);
}

static uint64_t on_room(void *context, uint64_t connection)
{
    struct service_rig *self = context;
    bool none = self->has_no_room;
    (void)connection;
    self->has_no_room = none && !self->room_returns;
    return none ? 0 : UINT64_MAX;
}

static void on_unsent(void *context, const struct answer *answer)
{
    struct service_rig *self = context;
    service_unsent(&self->service, self->now_ms, answer);
}

static bool on_probe(void *context, uint64_t connection)
{
    struct service_rig *self = context;
    self->gone = false;
    self->service.out_of_memory |= !outbox_send_probe(&self->outbox, connection);
    return !self->gone;
}

static uint8_t next_random = 1;

void service_rig_seed_random(uint8_t next)
{
    next_random = next;
}

static bool counted_random(void *out, size_t len)
{
    memset(out, next_random++, len);
    return true;
}

struct service_rig_config service_rig_small(void)
{
    return (struct service_rig_config){
        .engine = {.lease_ms = NQ_LEASE_MS_DEFAULT,
                   .hold_max_ms = NQ_HOLD_MAX_MS_DEFAULT,
                   .dedup_keep_ms = NQ_DEDUP_KEEP_MS_DEFAULT,
                   .orphan_ms = NQ_SESSION_TIMEOUT_MS_DEFAULT,
                   .queues_max = 100,
                   .sessions_max = 10,
                   .streams_max = 100,
                   .delayed_max = 100,
                   .leases_per_session_max = 1000},
        .dispatch = {.waiters_per_session_max = 100,
                     .parked_bytes_per_session_max = 1000,
                     .parked_bytes_per_key_max = 500,
                     .parked_bytes_max = 2000},
        .limits = {.body_bytes = 1000,
                   .headers_bytes = 100,
                   .frame_bytes = NQ_FRAME_BYTES_DEFAULT,
                   .session_timeout_ms = NQ_SESSION_TIMEOUT_MS_DEFAULT,
                   .session_grace_ms = NQ_SESSION_GRACE_MS_DEFAULT},
    };
}

static enum nq_status open_engine(struct service_rig *self, struct store_error *error)
{
    const struct restore_order order = {
        .store = self->store, .reader = &self->reader, .config = &self->config.engine, .context = self, .start_clock = start_clock};
    struct restore_result result;
    enum nq_status status = restore(&order, &result, error);
    if (status != NQ_OK) {
        return status;
    }
    self->engine = result.engine;
    self->dispatch = dispatch_create(self->engine, &self->config.dispatch);
    return self->dispatch == NULL ? NQ_NO_MEMORY : NQ_OK;
}

static bool open_service(struct service_rig *self)
{
    const struct wire_limits *limits = &self->config.limits;
    const struct sessions_config sessions = {
        .grace_ms = limits->session_grace_ms, .timeout_ms = limits->session_timeout_ms, .context = self, .probe = on_probe};
    const struct outbox_sink sink = {
        .context = self, .send = on_send, .gone = on_gone, .unreadable = on_unreadable, .room = on_room, .unsent = on_unsent};
    self->service = (struct service){
        .config = {.limits = *limits, .random = counted_random, .started_ms = self->now_ms},
        .engine = self->engine,
        .dispatch = self->dispatch,
        .store = self->store,
        .reader = &self->reader,
    };
    self->has_service = true;
    space_init(&self->service.space, self->store, 0, NULL);
    sessions_init(&self->service.sessions, self->engine, self->dispatch, &sessions);
    return groups_init(&self->service.groups, self->engine, self->dispatch) &&
           sessions_expect_restored(&self->service.sessions, self->now_ms) &&
           outbox_init(&self->outbox, self->engine, &self->reader, (size_t)limits->frame_bytes, &sink);
}

enum nq_status service_rig_open(struct service_rig *self, struct store *store, const struct service_rig_config *config,
                                struct store_error *error)
{
    *self = (struct service_rig){.config = *config, .store = store};
    *error = (struct store_error){0};
    reader_init(&self->reader, store);
    enum nq_status status = open_engine(self, error);
    if (status == NQ_OK && !open_service(self)) {
        status = NQ_NO_MEMORY;
    }
    if (status != NQ_OK) {
        service_rig_close(self);
    }
    return status;
}

void service_rig_close(struct service_rig *self)
{
    reader_end(&self->reader);
    outbox_fini(&self->outbox);
    if (self->has_service) {
        redrives_fini(&self->service.redrives);
        sessions_fini(&self->service.sessions);
        groups_fini(&self->service.groups);
        self->has_service = false;
    }
    dispatch_destroy(&self->dispatch);
    engine_destroy(&self->engine);
}

enum nq_status service_rig_receive(struct service_rig *self, uint64_t connection, const void *data, size_t len)
{
    const struct wire_decode_limits limits = {self->config.limits.body_bytes, self->config.limits.headers_bytes};
    struct nq_arena *arena = groups_arena(&self->service.groups);
    struct wire_request_frame frame;
    nq_arena_budget(arena, wire_decode_budget(len));
    enum nq_status status = wire_decode_requests(arena, data, len, &limits, &frame);
    nq_arena_budget(arena, SIZE_MAX / 2);
    if (status == NQ_OK) {
        service_frame(&self->service, self->now_ms, connection, &frame);
    } else if (status == NQ_UNSUPPORTED_VERSION) {
        service_refuse_version(&self->service, connection, &frame);
    } else if (nq_arena_failed(arena)) {
        self->service.out_of_memory = true;
    }
    return status;
}

bool service_rig_end_turn(struct service_rig *self)
{
    service_tick(&self->service, self->now_ms);
    if (service_failed(&self->service) || self->reader.error.status != NQ_OK) {
        return false; // what was applied is not what will be stored: nothing may be said of it
    }
    if (!outbox_send(&self->outbox, &self->service.groups.now)) {
        self->service.out_of_memory = true;
    }
    reader_end(&self->reader);
    groups_recycle(&self->service.groups);
    return !service_failed(&self->service) && self->reader.error.status == NQ_OK;
}

bool service_rig_seal(struct service_rig *self)
{
    if (engine_pending(self->engine) == ENGINE_PENDING_NONE && self->service.groups.open->answers.count == 0) {
        return false;
    }
    groups_seal(&self->service.groups, self->now_ms, false);
    return true;
}

enum nq_status service_rig_land(struct service_rig *self)
{
    struct store_error error = {0};
    struct groups *groups = &self->service.groups;
    if (service_failed(&self->service)) { // the changes may be incomplete: nothing of them may be stored
        return NQ_NO_MEMORY;
    }
    enum nq_status status = store_commit(self->store, groups->flying->changes, &error);
    reader_end(&self->reader);
    if (status != NQ_OK) {
        return status;
    }
    if (!outbox_send(&self->outbox, &groups->flying->answers)) {
        self->service.out_of_memory = true;
        return NQ_NO_MEMORY;
    }
    groups_landed(groups);
    redrives_retry(&self->service.redrives);
    return service_rig_end_turn(self) ? NQ_OK : NQ_NO_MEMORY;
}

enum nq_status service_rig_commit(struct service_rig *self, int rounds_max)
{
    enum nq_status status = self->service.groups.flying == NULL ? NQ_OK : service_rig_land(self);
    for (int i = 0; i < rounds_max && status == NQ_OK && service_rig_seal(self); i++) {
        status = service_rig_land(self);
    }
    return status;
}
