#include "request_client.h"

#include <stdlib.h>
#include <string.h>

#include "queue.h"
#include "store_memory.h"

enum { COMMITS_MAX = 50, HELLO_ID = 1 };

// -------------------------------------------------------------------------------------------------------------------- accounts

static struct client_id *find_id(struct request_client *self, uint64_t id)
{
    size_t at = (size_t)(id * 0x9e3779b97f4a7c15u >> 40) % CLIENT_IDS_MAX;
    while (self->ids[at].id != 0 && self->ids[at].id != id) {
        at = (at + 1) % CLIENT_IDS_MAX;
    }
    return &self->ids[at];
}

static struct client_id *note_id(struct request_client *self, uint64_t id)
{
    struct client_id *found = find_id(self, id);
    if (found->id == 0 && id != 0) {
        fuzz_require(++self->ids_count < CLIENT_IDS_MAX, "an input does not ask more often than the account has places");
        found->id = id;
    }
    return found;
}

// A redrive works in slices; a request that vanishes with its session has no answer.
static bool is_answered_at_once(const struct wire_request *request)
{
    switch (request->op) {
    case WIRE_PUT:
        return request->refused != NQ_OK || request->as.put.wait_ms == 0;
    case WIRE_GET:
        return request->refused != NQ_OK || request->as.get.wait_ms == 0;
    case WIRE_JOIN:
        return request->refused != NQ_OK || request->as.on_queue.wait_ms == 0;
    case WIRE_REDRIVE:
        return request->refused != NQ_OK;
    default:
        return true;
    }
}

static void note_request(struct request_client *self, const struct wire_request *request)
{
    struct client_id *asked = note_id(self, request->id);
    asked->asked++;
    asked->at_once += is_answered_at_once(request) ? 1 : 0;
    if (request->op == WIRE_HELLO && request->refused == NQ_OK) { // gets named as unanswered may be answered again
        for (size_t i = 0; i < request->as.hello.waiting_gets_count; i++) {
            note_id(self, request->as.hello.waiting_gets[i])->asked++;
        }
    }
}

// The same decoder as the broker's, on memory of our own.
static void note_frame(struct request_client *self, const void *data, size_t len)
{
    const struct wire_decode_limits limits = {CLIENT_BODY_MAX, CLIENT_HEADERS_MAX};
    struct wire_request_frame frame;
    enum nq_status status = wire_decode_requests(self->arena, data, len, &limits, &frame);
    for (size_t i = 0; (status == NQ_OK || status == NQ_UNSUPPORTED_VERSION) && i < frame.count; i++) {
        note_request(self, &frame.requests[i]);
    }
}

static void note_reply(struct request_client *self, const struct wire_reply *reply)
{
    struct client_id *asked = find_id(self, reply->id);
    asked->answered += reply->id == 0 ? 0 : 1; // a request without an id is refused so
    fuzz_require(reply->id == 0 || asked->answered <= asked->asked, "no request is answered twice");
    if (reply->result == WIRE_GET && reply->as.get.count > 0) {
        self->queue_id = reply->as.get.queue_id;
        self->epoch = reply->as.get.epoch;
        self->seq = reply->as.get.seqs[0];
        self->delivery = reply->as.get.deliveries == NULL ? 1 : reply->as.get.deliveries[0];
    }
}

static bool on_frame(void *context, uint64_t connection, const struct wire_packer *packer)
{
    struct request_client *self = context;
    struct wire_reply_frame frame;
    size_t len = wire_packed_size(packer);
    fuzz_require(len <= self->rig.config.limits.frame_bytes, "a frame of replies is within the limit");
    uint8_t *data = nq_arena_alloc(self->arena, len + 1);
    fuzz_require(data != NULL, "memory");
    wire_pack(packer, data);
    fuzz_require(wire_decode_replies(self->arena, data, len, &frame) == NQ_OK, "what the broker says can be decoded");
    for (size_t i = 0; i < frame.count; i++) {
        note_reply(self, &frame.replies[i]);
    }
    return connection >= 64 || (self->vanished >> connection & 1) == 0;
}

// ------------------------------------------------------------------------------------------------------------ start, stop, check

static struct service_rig_config limits(void)
{
    struct service_rig_config config = service_rig_small();
    config.engine.queues_max = CLIENT_QUEUES_MAX;
    config.engine.sessions_max = CLIENT_SESSIONS_MAX;
    config.engine.streams_max = CLIENT_STREAMS_MAX;
    config.engine.delayed_max = CLIENT_DELAYED_MAX;
    config.engine.leases_per_session_max = CLIENT_LEASES_MAX;
    config.dispatch.waiters_per_session_max = CLIENT_WAITERS_MAX;
    config.dispatch.parked_bytes_per_session_max = CLIENT_PARKED_MAX / 2;
    config.dispatch.parked_bytes_max = CLIENT_PARKED_MAX;
    config.limits.body_bytes = CLIENT_BODY_MAX;
    config.limits.headers_bytes = CLIENT_HEADERS_MAX;
    config.limits.frame_bytes = NQ_FRAME_SLACK_BYTES + CLIENT_BODY_MAX + CLIENT_HEADERS_MAX;
    return config;
}

static void open_rig(struct request_client *self)
{
    struct service_rig_config config = limits();
    struct store_error error;
    config.context = self;
    config.frame = on_frame;
    fuzz_require(service_rig_open(&self->rig, self->store, &config, &error) == NQ_OK, "a store of ours can be started on");
}

static void say_hello(struct request_client *self, uint64_t connection)
{
    uint8_t id[NQ_SESSION_ID_BYTES];
    memset(id, (int)connection, sizeof(id));
    const struct wire_request hello = {.id = HELLO_ID, .op = WIRE_HELLO, .as.hello.session_id = {sizeof(id), id}};
    request_client_send_request(self, connection, &hello);
}

// Two connections have a session from the start, so that little is needed to get somewhere.
void request_client_start(struct request_client *self)
{
    static const uint8_t store_id[NQ_STORE_ID_BYTES] = {1, 2, 3};
    memset(self, 0, sizeof(*self));
    self->next_id = HELLO_ID + 1;
    self->arena = nq_arena_create(65536, 0);
    self->store = store_memory_create(0, store_id);
    fuzz_require(self->arena != NULL && self->store != NULL, "memory");
    service_rig_seed_random(1);
    open_rig(self);
    say_hello(self, 1);
    say_hello(self, 2);
}

void request_client_end(struct request_client *self)
{
    service_rig_close(&self->rig);
    store_close(&self->store);
    nq_arena_destroy(&self->arena);
}

static struct queue *next_queue(const struct request_client *self, const struct queue *before)
{
    struct engine_bytes after = {0};
    if (before != NULL) {
        after = (struct engine_bytes){before->record.name_len, (const uint8_t *)before->record.name};
    }
    return engine_queue_after(self->rig.engine, after);
}

void request_client_check(const struct request_client *self)
{
    const struct engine *engine = self->rig.engine;
    uint64_t delayed = 0;
    fuzz_require(engine_queue_count(engine) <= CLIENT_QUEUES_MAX, "no more queues than the limit");
    fuzz_require(engine_session_count(engine) <= CLIENT_SESSIONS_MAX, "no more sessions than the limit");
    for (const struct queue *queue = next_queue(self, NULL); queue != NULL; queue = next_queue(self, queue)) {
        const struct queue_record *record = &queue->record;
        fuzz_require(queue_unfinished(queue) < record->next_seq, "no queue has more items than seqs");
        fuzz_require(record->cursor <= record->next_seq && record->gone_below <= record->next_seq, "marks are within the queue");
        delayed += queue->delayed.count;
    }
    fuzz_require(delayed <= CLIENT_DELAYED_MAX, "no more delayed items than the limit");
    for (uint64_t connection = 1; connection <= CLIENT_CONNECTIONS; connection++) {
        const struct peer *peer = sessions_on(&self->rig.service.sessions, connection);
        fuzz_require(peer == NULL || engine_session_leases(engine, peer->session_no) <= CLIENT_LEASES_MAX,
                     "no session holds more than the limit");
    }
}

void request_client_settle(struct request_client *self)
{
    fuzz_require(service_rig_commit(&self->rig, COMMITS_MAX) == NQ_OK, "a commit to memory ends well");
    for (size_t i = 0; i < CLIENT_IDS_MAX; i++) {
        fuzz_require(self->ids[i].id == 0 || self->ids[i].answered >= self->ids[i].at_once,
                     "a request that does not wait is answered");
    }
    nq_arena_reset(self->arena);
}

// ---------------------------------------------------------------------------------------------------------------------- restart

struct remembered {
    uint64_t queue_id, unfinished;
};

static size_t remember(const struct request_client *self, struct remembered out[CLIENT_QUEUES_MAX])
{
    size_t count = 0;
    for (const struct queue *queue = next_queue(self, NULL); queue != NULL; queue = next_queue(self, queue)) {
        out[count++] = (struct remembered){queue->record.queue_id, queue_unfinished(queue)};
    }
    return count;
}

// A crash loses what is not durable, so everything is made durable first: what may be lost then are leases, not items.
void request_client_restart(struct request_client *self, bool crash)
{
    struct remembered before[CLIENT_QUEUES_MAX];
    struct remembered after[CLIENT_QUEUES_MAX];
    request_client_settle(self);
    size_t count = remember(self, before);
    if (!crash) {
        struct store_error error;
        const struct changes *changes = groups_seal(&self->rig.service.groups, self->rig.now_ms, true);
        fuzz_require(store_commit(self->store, changes, &error) == NQ_OK, "the last commit ends well");
    }
    service_rig_close(&self->rig);
    open_rig(self);
    fuzz_require(remember(self, after) == count, "a restart keeps all queues");
    for (size_t i = 0; i < count; i++) {
        fuzz_require(before[i].queue_id == after[i].queue_id && before[i].unfinished == after[i].unfinished,
                     "a restart loses and makes no item");
    }
}

// -------------------------------------------------------------------------------------------------------------------------- send

static void end_turn(struct request_client *self)
{
    fuzz_require(service_rig_end_turn(&self->rig), "memory does not run out");
}

void request_client_send(struct request_client *self, uint64_t connection, const void *data, size_t len)
{
    note_frame(self, data, len);
    service_rig_receive(&self->rig, connection, data, len);
    end_turn(self);
}

void request_client_send_request(struct request_client *self, uint64_t connection, const struct wire_request *request)
{
    struct wire_request copy = *request;
    const struct wire_request_frame frame = {.version = NQ_PROTOCOL_VERSION, .requests = &copy, .count = 1, .workers = 1};
    const struct wire_packer *packer = wire_prepare_requests(self->arena, &frame);
    fuzz_require(packer != NULL, "memory");
    size_t len = wire_packed_size(packer);
    uint8_t *data = nq_arena_alloc(self->arena, len + 1);
    fuzz_require(data != NULL, "memory");
    wire_pack(packer, data);
    request_client_send(self, connection, data, len);
}
