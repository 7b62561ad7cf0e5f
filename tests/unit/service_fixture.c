#include "service_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#include "restore.h"
#include "store_memory.h"

enum { STREAM = 7 };

static uint64_t start_clock(void *context, uint64_t last_stored_ms)
{
    struct fixture *self = context;
    self->now_ms = last_stored_ms > FIXTURE_START_MS ? last_stored_ms : FIXTURE_START_MS;
    return self->now_ms;
}

static void on_send(void *context, uint64_t connection, const struct wire_packer *packer)
{
    struct fixture *self = context;
    if (connection == self->dead_connection) {
        sessions_connection_gone(&self->service.sessions, self->now_ms, connection);
        return;
    }
    size_t size = wire_packed_size(packer);
    uint8_t *data = nq_arena_alloc(self->arena, size + 1);
    struct wire_reply_frame frame;
    wire_pack(packer, data);
    cr_assert_eq(wire_decode_replies(self->arena, data, size, &frame), NQ_OK);
    self->frame_count++;
    self->probe_count += frame.probe ? 1 : 0;
    for (size_t i = 0; i < frame.count; i++) {
        cr_assert_lt(self->reply_count, FIXTURE_REPLIES_MAX);
        self->replies[self->reply_count++] = (struct fixture_reply){connection, frame.replies[i]};
    }
}

static void on_unreadable(void *context, uint64_t queue_id, uint64_t seq, enum nq_status why)
{
    struct fixture *self = context;
    service_unreadable(&self->service, self->now_ms, queue_id, seq, why);
}

static bool on_probe(void *context, uint64_t connection)
{
    struct fixture *self = context;
    cr_assert(outbox_send_probe(&self->outbox, connection));
    return connection != self->dead_connection;
}

static bool counted_random(void *out, size_t len)
{
    static uint8_t next = 1;
    memset(out, next++, len);
    return true;
}

static void open_engine(struct fixture *self)
{
    static const struct engine_config engine_config = {.lease_ms = NQ_LEASE_MS_DEFAULT,
                                                       .hold_max_ms = NQ_HOLD_MAX_MS_DEFAULT,
                                                       .dedup_keep_ms = NQ_DEDUP_KEEP_MS_DEFAULT,
                                                       .orphan_ms = NQ_SESSION_TIMEOUT_MS_DEFAULT,
                                                       .queues_max = 100,
                                                       .sessions_max = 10,
                                                       .streams_max = 100,
                                                       .delayed_max = 100,
                                                       .leases_per_session_max = 1000};
    static const struct dispatch_config dispatch_config = {
        .waiters_per_session_max = 100, .parked_bytes_per_session_max = 1000, .parked_bytes_max = 2000};
    const struct restore_order order = {
        .store = self->store, .reader = &self->reader, .config = &engine_config, .context = self, .start_clock = start_clock};
    struct restore_result result;
    struct store_error error;
    cr_assert_eq(restore(&order, &result, &error), NQ_OK, "%s", error.text);
    self->engine = result.engine;
    self->dispatch = dispatch_create(self->engine, &dispatch_config);
    cr_assert_not_null(self->dispatch);
}

struct fixture *fixture_create_on(struct store *store)
{
    struct fixture *self = calloc(1, sizeof(*self));
    self->store = store;
    self->arena = nq_arena_create(65536, 0);
    reader_init(&self->reader, store);
    open_engine(self);
    self->service = (struct service){
        .config = {.limits = {.body_bytes = 1000,
                              .headers_bytes = 100,
                              .frame_bytes = NQ_FRAME_BYTES_DEFAULT,
                              .session_timeout_ms = NQ_SESSION_TIMEOUT_MS_DEFAULT,
                              .session_grace_ms = NQ_SESSION_GRACE_MS_DEFAULT},
                   .random = counted_random,
                   .started_ms = self->now_ms},
        .engine = self->engine,
        .dispatch = self->dispatch,
        .store = store,
        .reader = &self->reader,
    };
    const struct sessions_config sessions = {
        .grace_ms = NQ_SESSION_GRACE_MS_DEFAULT, .timeout_ms = NQ_SESSION_TIMEOUT_MS_DEFAULT, .context = self, .probe = on_probe};
    const struct outbox_sink sink = {.context = self, .send = on_send, .unreadable = on_unreadable};
    space_init(&self->service.space, store, 0);
    sessions_init(&self->service.sessions, self->engine, self->dispatch, &sessions);
    cr_assert(groups_init(&self->service.groups, self->engine, self->dispatch));
    cr_assert(sessions_expect_restored(&self->service.sessions, self->now_ms));
    cr_assert(outbox_init(&self->outbox, self->engine, &self->reader, NQ_FRAME_BYTES_DEFAULT, &sink));
    return self;
}

struct fixture *fixture_create(void)
{
    static const uint8_t id[16] = {1, 2, 3};
    return fixture_create_on(store_memory_create(0, id));
}

struct store *fixture_destroy_but_store(struct fixture *self)
{
    struct store *store = self->store;
    reader_end(&self->reader);
    outbox_fini(&self->outbox);
    redrives_fini(&self->service.redrives);
    sessions_fini(&self->service.sessions);
    groups_fini(&self->service.groups);
    dispatch_destroy(&self->dispatch);
    engine_destroy(&self->engine);
    nq_arena_destroy(&self->arena);
    free(self);
    return store;
}

void fixture_destroy(struct fixture *self)
{
    struct store *store = fixture_destroy_but_store(self);
    store_close(&store);
}

static void end_turn(struct fixture *self)
{
    service_tick(&self->service, self->now_ms);
    cr_assert_not(service_failed(&self->service));
    cr_assert(outbox_send(&self->outbox, &self->service.groups.now));
    reader_end(&self->reader);
    groups_recycle(&self->service.groups);
}

void fixture_send_frame(struct fixture *self, uint64_t connection, const struct wire_request_frame *frame)
{
    static const struct wire_decode_limits limits = {.body_bytes = 1000, .headers_bytes = 100};
    const struct wire_packer *packer = wire_prepare_requests(self->arena, frame);
    cr_assert_not_null(packer);
    size_t size = wire_packed_size(packer);
    uint8_t *data = nq_arena_alloc(self->arena, size + 1);
    wire_pack(packer, data);
    struct wire_request_frame decoded;
    enum nq_status status = wire_decode_requests(groups_arena(&self->service.groups), data, size, &limits, &decoded);
    if (status == NQ_UNSUPPORTED_VERSION) {
        service_refuse_version(&self->service, connection, &decoded);
    } else {
        cr_assert_eq(status, NQ_OK, "%s", nq_status_text(status));
        service_frame(&self->service, self->now_ms, connection, &decoded);
    }
    end_turn(self);
}

void fixture_send(struct fixture *self, uint64_t connection, const struct wire_request *requests, size_t count)
{
    struct wire_request *copy = nq_arena_alloc(self->arena, count * sizeof(*copy));
    memcpy(copy, requests, count * sizeof(*copy));
    const struct wire_request_frame frame = {.version = NQ_PROTOCOL_VERSION, .requests = copy, .count = count, .workers = 1};
    fixture_send_frame(self, connection, &frame);
}

void fixture_tick(struct fixture *self, uint64_t ms)
{
    self->now_ms += ms;
    end_turn(self);
}

bool fixture_seal(struct fixture *self)
{
    if (engine_pending(self->engine) == ENGINE_PENDING_NONE && self->service.groups.open->answers.count == 0) {
        return false;
    }
    groups_seal(&self->service.groups, self->now_ms, false);
    return true;
}

void fixture_land(struct fixture *self)
{
    struct store_error error;
    struct groups *groups = &self->service.groups;
    cr_assert_not_null(groups->flying);
    cr_assert_eq(store_commit(self->store, groups->flying->changes, &error), NQ_OK);
    reader_end(&self->reader);
    cr_assert(outbox_send(&self->outbox, &groups->flying->answers));
    groups_landed(groups);
    redrives_retry(&self->service.redrives);
    end_turn(self);
}

void fixture_commit(struct fixture *self)
{
    for (int i = 0; i < 20 && fixture_seal(self); i++) {
        fixture_land(self);
    }
}

const struct wire_reply *fixture_take(struct fixture *self, uint64_t connection, uint64_t id)
{
    for (size_t i = 0; i < self->reply_count; i++) {
        if (self->replies[i].connection == connection && self->replies[i].reply.id == id) {
            struct wire_reply *found = nq_arena_alloc(self->arena, sizeof(*found));
            *found = self->replies[i].reply;
            self->replies[i] = self->replies[--self->reply_count];
            return found;
        }
    }
    return NULL;
}

const struct wire_reply *fixture_call(struct fixture *self, uint64_t connection, const struct wire_request *request)
{
    fixture_send(self, connection, request, 1);
    fixture_commit(self);
    const struct wire_reply *reply = fixture_take(self, connection, request->id);
    cr_assert_not_null(reply, "request %d has no reply", (int)request->id);
    return reply;
}

struct nq_bytes bytes_of(const char *text)
{
    return (struct nq_bytes){.len = strlen(text), .data = (const uint8_t *)text};
}

bool bytes_are(struct nq_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && (bytes.len == 0 || memcmp(bytes.data, text, bytes.len) == 0);
}

void session_id_of(uint64_t connection, uint8_t id[NQ_SESSION_ID_BYTES])
{
    memset(id, (int)connection, NQ_SESSION_ID_BYTES);
}

void fixture_hello(struct fixture *self, uint64_t connection, uint8_t token[NQ_RESUME_TOKEN_BYTES])
{
    uint8_t id[NQ_SESSION_ID_BYTES];
    session_id_of(connection, id);
    const struct wire_request hello = {.id = 1, .op = WIRE_HELLO, .as.hello.session_id = {sizeof(id), id}};
    const struct wire_reply *reply = fixture_call(self, connection, &hello);
    cr_assert_eq(reply->status, NQ_OK);
    cr_assert_eq(reply->result, WIRE_HELLO);
    cr_assert_eq(reply->as.hello.resume_token.len, NQ_RESUME_TOKEN_BYTES);
    if (token != NULL) {
        memcpy(token, reply->as.hello.resume_token.data, NQ_RESUME_TOKEN_BYTES);
    }
}

struct wire_request put_request(uint64_t id, const char *queue, uint64_t first_number, const struct nq_bytes *bodies, size_t count)
{
    return (struct wire_request){
        .id = id,
        .op = WIRE_PUT,
        .as.put = {.queue = bytes_of(queue), .stream = STREAM, .first_number = first_number, .bodies = bodies, .count = count}};
}

struct wire_request get_request(uint64_t id, const char *queue, uint32_t max_items, uint64_t wait_ms)
{
    return (struct wire_request){
        .id = id, .op = WIRE_GET, .as.get = {.queue = bytes_of(queue), .max_items = max_items, .wait_ms = wait_ms}};
}

struct wire_request on_queue_request(uint64_t id, enum wire_op op, const char *queue)
{
    return (struct wire_request){.id = id, .op = op, .as.on_queue.queue = bytes_of(queue)};
}

struct wire_request tokens_request(uint64_t id, enum wire_op op, const struct wire_reply *got)
{
    return (struct wire_request){.id = id,
                                 .op = op,
                                 .as.tokens = {.queue_id = got->as.get.queue_id,
                                               .epoch = got->as.get.epoch,
                                               .seqs = got->as.get.seqs,
                                               .deliveries = got->as.get.deliveries,
                                               .count = got->as.get.count}};
}

enum nq_status fixture_put(struct fixture *self, uint64_t connection, uint64_t id, const char *queue, uint64_t number,
                           const char *text)
{
    const struct nq_bytes body = bytes_of(text);
    const struct wire_request put = put_request(id, queue, number, &body, 1);
    return fixture_call(self, connection, &put)->status;
}
