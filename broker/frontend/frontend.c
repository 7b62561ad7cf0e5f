#include "frontend_internal.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "random.h"
#include "restore.h"
#include "signals.h"

enum {
    READ_BUDGET = 256,
    LAZY_COMMIT_MS = 100,
    SMALL_GROUP_ITEMS = 10000,
    REFUSED_CHUNK_BYTES = 64 * 1024,
    SIGNALLED = 1,
    BACKUP_ENDED = 4
};

static uint64_t start_clock(void *context, uint64_t last_stored_ms)
{
    struct frontend *self = context;
    clock_start(&self->clock, last_stored_ms);
    return clock_now_ms(&self->clock);
}

// -------------------------------------------------------------------------------------------------------------- open and close

static enum nq_status fail(struct frontend_error *error, enum nq_status status, const char *text)
{
    snprintf(error->text, sizeof(error->text), "%s", text);
    error->status = status;
    return status;
}

static enum nq_status open_engine(struct frontend *self, const struct frontend_config *config, struct frontend_error *error)
{
    struct engine_config engine = config->engine;
    const struct restore_order order = {
        .store = self->store, .reader = &self->reader, .config = &engine, .context = self, .start_clock = start_clock};
    struct restore_result result;
    struct store_error store_error;
    engine.moved_bytes_max = config->group_bytes_max > 0 ? config->group_bytes_max : GROUP_BYTES_MAX;
    enum nq_status status = restore(&order, &result, &store_error);
    if (status != NQ_OK) {
        return fail(error, status, store_error.text);
    }
    self->engine = result.engine;
    self->starts_clean = result.was_clean;
    if (result.damaged > 0) {
        log_warning("%" PRIu64 " damaged records were passed over; `netqueue-broker check` names them", result.damaged);
    }
    self->dispatch = dispatch_create(self->engine, &config->dispatch);
    self->now_ms = clock_now_ms(&self->clock);
    return self->dispatch == NULL ? fail(error, NQ_NO_MEMORY, nq_status_text(NQ_NO_MEMORY)) : NQ_OK;
}

static bool open_service(struct frontend *self, const struct frontend_config *config)
{
    struct service *service = &self->service;
    const struct sessions_config sessions = {.grace_ms = config->limits.session_grace_ms,
                                             .timeout_ms = config->limits.session_timeout_ms,
                                             .context = self,
                                             .probe = frontend_probe};
    *service = (struct service){
        .config = {.limits = config->limits,
                   .random = random_fill,
                   .started_ms = self->now_ms,
                   .sender = frontend_sender,
                   .context = self,
                   .sessions_per_key_max = config->sessions_per_key_max,
                   .requests_per_key_max = config->requests_per_key_max},
        .engine = self->engine,
        .dispatch = self->dispatch,
        .store = self->store,
        .access = self->authorised == NULL ? NULL : authorised_set(self->authorised),
        .reader = &self->reader,
    };
    self->has_service = true;
    const struct backup_config backup = {
        .store = self->store, .dir = config->backup_dir, .run = config->backup, .random = random_fill};
    service->backup = backup_create(&backup);
    self->reader.on_lost = service_item_lost;
    self->reader.context = service;
    space_init(&service->space, self->store, config->disk_reserve_bytes, config->memory);
    sessions_init(&service->sessions, self->engine, self->dispatch, &sessions);
    const struct outbox_sink sink = frontend_outbox_sink(self);
    bool has_groups = groups_init(&service->groups, self->engine, self->dispatch);
    if (config->group_bytes_max > 0) {
        service->groups.bytes_max = config->group_bytes_max;
    }
    return service->backup != NULL && has_groups && sessions_expect_restored(&service->sessions, self->now_ms) &&
           outbox_init(&self->outbox, self->engine, &self->reader, config->limits.frame_bytes, &sink);
}

static enum nq_status open_router(struct frontend *self, const struct frontend_config *config, struct frontend_error *error)
{
    struct router_config router = {.endpoints = config->endpoints,
                                   .endpoint_count = config->endpoint_count,
                                   .frame_bytes_max = config->limits.frame_bytes,
                                   .link_bytes_max = config->link_bytes_max,
                                   .answer_bytes_max = config->answer_bytes_max,
                                   .keys = config->keys,
                                   .authorised = config->authorised};
    struct router_error router_error;
    if (!random_fill(&router.seed, sizeof(router.seed))) {
        return fail(error, NQ_UNREACHABLE, "the system has no random numbers to give");
    }
    enum nq_status status = router_open(&router, &self->router, &router_error);
    return status == NQ_OK ? NQ_OK : fail(error, status, router_error.text);
}

enum nq_status frontend_open(const struct frontend_config *config, struct store *store, struct frontend **out,
                             struct frontend_error *error)
{
    struct frontend *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return fail(error, NQ_NO_MEMORY, nq_status_text(NQ_NO_MEMORY));
    }
    self->store = store;
    self->signal_fd = config->signal_fd;
    self->authorised = config->authorised;
    self->exit_when_shut_down = config->exit_when_shut_down;
    self->decode_limits = (struct wire_decode_limits){config->limits.body_bytes, config->limits.headers_bytes};
    reader_init(&self->reader, store);
    self->refused = nq_arena_create(REFUSED_CHUNK_BYTES, 0);
    enum nq_status status = open_engine(self, config, error);
    if (status == NQ_OK && (self->refused == NULL || !open_service(self, config))) {
        status = fail(error, NQ_NO_MEMORY, nq_status_text(NQ_NO_MEMORY));
    }
    if (status == NQ_OK) {
        self->committer = committer_start(store);
        status = self->committer != NULL ? NQ_OK : fail(error, NQ_NO_MEMORY, "cannot start the thread that commits");
    }
    if (status == NQ_OK) {
        status = open_router(self, config, error);
        intake_init(&self->intake, self->router, &config->intake);
    }
    if (status != NQ_OK) {
        frontend_close(&self);
    }
    *out = self;
    return status;
}

void frontend_close(struct frontend **self_p)
{
    struct frontend *self = *self_p;
    if (self == NULL) {
        return;
    }
    backup_destroy(&self->service.backup);
    committer_stop(&self->committer);
    reader_end(&self->reader);
    if (self->starts_clean) { // a port in use, say
        restore_take_back(self->engine, self->store, clock_now_ms(&self->clock));
    }
    intake_fini(&self->intake);
    nq_arena_destroy(&self->refused);
    router_close(&self->router);
    outbox_fini(&self->outbox);
    if (self->has_service) {
        redrives_fini(&self->service.redrives);
        sessions_fini(&self->service.sessions);
        groups_fini(&self->service.groups);
    }
    dispatch_destroy(&self->dispatch);
    engine_destroy(&self->engine);
    free(self);
    *self_p = NULL;
}

bool frontend_makes_backup(const struct frontend *self)
{
    return self->service.backup != NULL && backup_is_under_way(self->service.backup);
}

const char *frontend_endpoint(const struct frontend *self, size_t index)
{
    return router_endpoint(self->router, index);
}

size_t frontend_queue_count(const struct frontend *self)
{
    return engine_queue_count(self->engine);
}

// -------------------------------------------------------------------------------------------------------------------- frames in

static void end(struct frontend *self, enum nq_status status, const char *text)
{
    if (self->ended == NQ_OK) {
        self->ended = status;
        self->error.status = status;
        snprintf(self->error.text, sizeof(self->error.text), "%s", text);
    }
}

static void note_bad_frame(struct frontend *self, enum nq_status status, size_t len)
{
    uint32_t left_out;
    char note[LOG_NOTE_BYTES];
    if (log_limit_pass(&self->frame_log, self->now_ms, &left_out)) {
        log_warning("a frame of %zu bytes was dropped: %s%s", len,
                    status == NQ_NO_MEMORY ? "decoding it takes too much memory" : nq_status_text(status),
                    log_limit_note(left_out, note));
    }
}

// True: it was one of ours.
static bool decode(struct frontend *self, struct nq_arena *arena, const struct intake_frame *received,
                   struct wire_request_frame *frame)
{
    nq_arena_budget(arena, wire_decode_budget(received->len));
    enum nq_status status = wire_decode_requests(arena, received->data, received->len, &self->decode_limits, frame);
    nq_arena_budget(arena, SIZE_MAX / 2); // what we make of it is ours to bound
    if (status == NQ_UNSUPPORTED_VERSION) {
        service_refuse_version(&self->service, received->connection, frame);
    } else if (nq_arena_failed(arena)) { // not the frame's fault: a broker that can read none must not stay and say nothing
        self->service.out_of_memory = true;
    } else if (status != NQ_OK) {
        note_bad_frame(self, status, received->len);
    }
    return status == NQ_OK;
}

static void serve_frame(struct frontend *self, const struct intake_frame *received)
{
    struct wire_request_frame frame;
    if (decode(self, groups_arena(&self->service.groups), received, &frame)) {
        service_frame(&self->service, self->now_ms, received->connection, &frame);
    }
}

// It is looked at in memory of its own: what is refused must not fill the group.
static void refuse_frame(struct frontend *self, const struct intake_frame *received)
{
    struct wire_request_frame frame;
    if (decode(self, self->refused, received, &frame) &&
        !service_refuse_puts(&self->service, self->now_ms, received->connection, &frame) && !intake_keep(&self->intake, received)) {
        self->service.out_of_memory = true;
    }
    nq_arena_reset(self->refused);
}

static bool may_read(const struct frontend *self)
{
    return !self->stopping && !groups_open_is_full(&self->service.groups);
}

// True: there was something.
static bool read_frames(struct frontend *self)
{
    bool any = false;
    size_t refused = 0; // bytes: looking at them takes time, but does not fill the group
    for (int i = 0; i < READ_BUDGET && refused < GROUP_BYTES_MAX && may_read(self) && !service_failed(&self->service); i++) {
        struct intake_frame frame;
        enum intake_result result = intake_next(&self->intake, &frame);
        self->all_read = result == INTAKE_NONE;
        if (self->all_read) {
            break;
        }
        gather_heard(&self->gather, frame.connection, clock_us());
        if (result == INTAKE_SERVE) {
            serve_frame(self, &frame);
        } else if (result == INTAKE_TOO_MUCH) {
            refused += frame.len;
            refuse_frame(self, &frame);
        } else {
            self->service.out_of_memory = true;
        }
        any = true;
    }
    return any;
}

// ------------------------------------------------------------------------------------------------------------------ answers out

static void send_answers(struct frontend *self, struct answer_list *answers)
{
    if (answers->count > 0 && !outbox_send(&self->outbox, answers)) {
        self->service.out_of_memory = true;
    }
}

// What a connection does not take goes back while answers are sent, and others may wait for it.
static bool serve_again(struct frontend *self)
{
    if (!self->service.serve_again) {
        return false;
    }
    dispatch_run(self->dispatch, self->now_ms);
    service_take_answers(&self->service, self->now_ms);
    return true;
}

static void send_answers_of_now(struct frontend *self)
{
    do {
        send_answers(self, &self->service.groups.now);
    } while (serve_again(self) && !service_failed(&self->service));
}

// -------------------------------------------------------------------------------------------------------------------- commits

static void expect_return(struct frontend *self, const struct answer_list *answers)
{
    gather_begin(&self->gather, clock_us());
    for (const struct answer *answer = answers->first; answer != NULL; answer = answer->next) {
        gather_answered(&self->gather, answer->connection);
    }
}

static void commit_ended(struct frontend *self)
{
    struct store_error error = {0};
    enum nq_status status;
    struct groups *groups = &self->service.groups;
    if (groups->flying == NULL || !committer_take(self->committer, &status, &error)) {
        return;
    }
    reader_end(&self->reader); // its snapshot is older than what is durable now
    if (status != NQ_OK) {
        end(self, status, error.text[0] != '\0' ? error.text : nq_status_text(status));
        return;
    }
    expect_return(self, &groups->flying->answers);
    send_answers(self, &groups->flying->answers);
    if (self->reader.error.status == NQ_OK) {
        groups_landed(groups);
        redrives_retry(&self->service.redrives);
    }
}

static bool commit_is_due(struct frontend *self)
{
    const struct groups *groups = &self->service.groups;
    enum engine_pending pending = engine_pending(self->engine);
    if (pending == ENGINE_PENDING_NONE && groups->open->answers.count == 0) {
        self->lazy_since_ms = 0;
        return false;
    }
    if (groups->flying != NULL) {
        return false;
    }
    if (pending == ENGINE_PENDING_WAITED || groups->open->answers.count > 0 || groups_open_is_full(groups)) {
        return true;
    }
    if (self->lazy_since_ms == 0) {
        self->lazy_since_ms = self->now_ms;
    }
    return self->now_ms - self->lazy_since_ms >= LAZY_COMMIT_MS;
}

static void seal_and_commit(struct frontend *self, bool clean)
{
    bool idle = self->all_read && self->service.groups.open->items <= SMALL_GROUP_ITEMS;
    const struct changes *changes = groups_seal(&self->service.groups, self->now_ms, clean);
    self->lazy_since_ms = 0;
    if (service_failed(&self->service)) { // the changes may be incomplete: nothing of them may be stored
        return;
    }
    if (committer_submit(self->committer, changes, idle)) {
        commit_ended(self);
        self->more_due |= self->service.redrives.first != NULL; // they may have waited for it
        self->more_due |= !self->stopping && serve_again(self);
    }
}

// A flush costs the same for one request as for many: take what has come meanwhile, and what is about to come.
static void gather_more(struct frontend *self)
{
    bool any = read_frames(self);
    while (may_read(self) && !service_failed(&self->service) &&
           gather_waits(&self->gather, clock_us(), committer_typical_us(self->committer))) {
        router_pause();
        any |= read_frames(self);
    }
    if (any) {
        dispatch_run(self->dispatch, self->now_ms);
        service_take_answers(&self->service, self->now_ms);
    }
    if (any && !service_failed(&self->service)) {
        send_answers_of_now(self);
    }
}

static void commit_if_due(struct frontend *self)
{
    if (!commit_is_due(self)) {
        return;
    }
    if (store_commit_blocks(self->store)) {
        gather_more(self);
    }
    if (!service_failed(&self->service)) {
        seal_and_commit(self, false);
    }
}

// ------------------------------------------------------------------------------------------------------------------------ loop

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static long wait_ms(const struct frontend *self)
{
    uint64_t next_ms = service_next_deadline_ms(&self->service);
    if (self->more_due || (may_read(self) && !intake_is_empty(&self->intake))) {
        return 0;
    }
    if (self->lazy_since_ms != 0 && self->service.groups.flying == NULL) {
        next_ms = min_u64(next_ms, self->lazy_since_ms + LAZY_COMMIT_MS);
    }
    if (router_has_kept(self->router)) {
        next_ms = min_u64(next_ms, self->now_ms + ROUTER_RETRY_MS);
    }
    if (next_ms == UINT64_MAX) {
        return -1;
    }
    uint64_t wait = next_ms > self->now_ms ? next_ms - self->now_ms : 0;
    return (long)min_u64(wait, 3600 * 1000);
}

static void reload_keys(struct frontend *self)
{
    if (self->authorised == NULL || self->stopping) {
        return;
    }
    struct access *before = authorised_reload(self->authorised);
    if (before == NULL) {
        self->service.out_of_memory = true; // who is authorised is not known any more
        return;
    }
    service_reauthorise(&self->service, self->now_ms, authorised_set(self->authorised));
    access_destroy(&before);
}

static void look_for_signals(struct frontend *self)
{
    int number = signals_read(self->signal_fd);
    if (number == 0) {
        return;
    }
    if (number == SIGHUP) {
        reload_keys(self);
        return;
    }
    if (self->stopping) {
        end(self, NQ_INTERRUPTED, "a second signal");
        return;
    }
    log_info("stopping");
    self->stopping = true;
}

static void end_backup(struct frontend *self)
{
    struct backup_end backup;
    if (backup_take(self->service.backup, &backup)) {
        service_backup_ended(&self->service, &backup);
    }
}

// What was to be done when a wait had ended, which began at began_ms with the turn before, is done now: the process may have been stopped
// for long, or its machine, or the disk have kept it.
static void note_lateness(struct frontend *self, uint64_t began_ms, long timeout_ms)
{
    uint64_t took_ms = self->now_ms - began_ms;
    if (timeout_ms >= 0 && took_ms > (uint64_t)timeout_ms &&
        sessions_excuse(&self->service.sessions, self->now_ms, took_ms - (uint64_t)timeout_ms)) {
        log_info("stood still for %" PRIu64 " ms: sessions and leases run anew", took_ms - (uint64_t)timeout_ms);
    }
}

static void wait(struct frontend *self)
{
    const int fds[] = {self->signal_fd, committer_fd(self->committer), backup_fd(self->service.backup)};
    uint64_t began_ms = self->now_ms;
    long timeout_ms = wait_ms(self);
    unsigned ready = router_wait(self->router, may_read(self), fds, 3, timeout_ms);
    self->now_ms = clock_now_ms(&self->clock);
    note_lateness(self, began_ms, timeout_ms);
    if ((ready & SIGNALLED) != 0) {
        look_for_signals(self);
    }
    if ((ready & BACKUP_ENDED) != 0) {
        end_backup(self);
    }
}

static void check_failures(struct frontend *self)
{
    if (self->reader.error.status != NQ_OK) {
        end(self, self->reader.error.status, self->reader.error.text);
    } else if (service_failed(&self->service)) {
        end(self, NQ_NO_MEMORY, nq_status_text(NQ_NO_MEMORY));
    }
}

static void turn(struct frontend *self)
{
    commit_ended(self);
    if (self->ended != NQ_OK) {
        return;
    }
    if (router_has_kept(self->router)) {
        router_retry(self->router, self, frontend_connection_gone);
    }
    read_frames(self);
    self->more_due = service_tick(&self->service, self->now_ms);
    check_failures(self);
    if (self->ended != NQ_OK) { // what was applied is not what will be stored: nothing may be said of it
        return;
    }
    send_answers_of_now(self);
    commit_if_due(self);
    reader_end(&self->reader);
    groups_recycle(&self->service.groups);
    check_failures(self);
}

// What is applied becomes durable and is answered, then leases and sessions are stored as they stand: once more when a connection did not
// take its items, which have gone back.
static void drain(struct frontend *self)
{
    const int fds[] = {self->signal_fd, committer_fd(self->committer)};
    for (bool sealed = false; self->ended == NQ_OK;) {
        self->now_ms = clock_now_ms(&self->clock);
        commit_ended(self);
        look_for_signals(self);
        check_failures(self);
        bool flying = self->service.groups.flying != NULL;
        if (self->ended != NQ_OK || (!flying && sealed && !self->service.serve_again)) {
            break;
        }
        if (flying) {
            router_wait(self->router, false, fds, 2, -1);
            continue;
        }
        send_answers(self, &self->service.groups.now);
        self->service.serve_again = false;
        seal_and_commit(self, true);
        sealed = true;
        check_failures(self);
    }
    if (self->ended == NQ_OK) { // else nothing may be said any more
        send_answers(self, &self->service.groups.now);
        check_failures(self);
    }
    reader_end(&self->reader);
}

enum nq_status frontend_run(struct frontend *self, struct frontend_error *error)
{
    self->ended = NQ_OK;
    self->starts_clean = false;
    while (self->ended == NQ_OK && !self->stopping) {
        wait(self);
        turn(self);
        if (self->exit_when_shut_down && service_is_over(&self->service) && self->service.groups.flying == NULL) {
            log_info("all queues are shut down: stopping");
            self->stopping = true;
        }
    }
    if (self->ended == NQ_OK) {
        drain(self);
    }
    return self->ended == NQ_OK ? NQ_OK : fail(error, self->ended, self->error.text);
}
