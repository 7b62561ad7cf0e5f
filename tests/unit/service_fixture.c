#include "service_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#include "store_memory.h"

enum { STREAM = 7 };

static bool on_frame(void *context, uint64_t connection, const struct wire_packer *packer)
{
    struct fixture *self = context;
    if (connection == self->dead_connection) {
        return false;
    }
    if (connection == self->lost_connection) {
        return true;
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
    return true;
}

struct fixture *fixture_create_on(struct store *store)
{
    struct fixture *self = calloc(1, sizeof(*self));
    struct service_rig_config config = service_rig_small();
    struct store_error error;
    self->arena = nq_arena_create(65536, 0);
    config.context = self;
    config.frame = on_frame;
    cr_assert_eq(service_rig_open(&self->rig, store, &config, &error), NQ_OK, "%s", error.text);
    return self;
}

struct fixture *fixture_create(void)
{
    static const uint8_t id[16] = {1, 2, 3};
    return fixture_create_on(store_memory_create(0, id));
}

struct store *fixture_destroy_but_store(struct fixture *self)
{
    struct store *store = self->rig.store;
    service_rig_close(&self->rig);
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
    cr_assert(service_rig_end_turn(&self->rig));
}

void fixture_send_frame(struct fixture *self, uint64_t connection, const struct wire_request_frame *frame)
{
    const struct wire_packer *packer = wire_prepare_requests(self->arena, frame);
    cr_assert_not_null(packer);
    size_t size = wire_packed_size(packer);
    uint8_t *data = nq_arena_alloc(self->arena, size + 1);
    wire_pack(packer, data);
    enum nq_status status = service_rig_receive(&self->rig, connection, data, size);
    cr_assert(status == NQ_OK || status == NQ_UNSUPPORTED_VERSION, "%s", nq_status_text(status));
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
    self->rig.now_ms += ms;
    end_turn(self);
}

bool fixture_seal(struct fixture *self)
{
    return service_rig_seal(&self->rig);
}

void fixture_land(struct fixture *self)
{
    cr_assert_not_null(self->rig.service.groups.flying);
    cr_assert_eq(service_rig_land(&self->rig), NQ_OK);
}

void fixture_commit(struct fixture *self)
{
    cr_assert_eq(service_rig_commit(&self->rig, 20), NQ_OK);
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

struct fixture *fixture_create_for_two(void)
{
    struct fixture *self = fixture_create();
    fixture_hello(self, 1, NULL);
    fixture_hello(self, 2, NULL);
    return self;
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
