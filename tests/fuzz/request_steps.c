// The steps of fuzz_request. One byte says which, the next ones what with.
#include <string.h>

#include "request_client.h"

enum { ITEMS_MAX = 12, SEQS_MAX = 4, FRAME_MAX = 4096, STREAMS = 8 };

// -------------------------------------------------------------------------------------------------- requests of a few bytes each

static struct nq_bytes any_name(struct fuzz_bytes *input)
{
    static const char *const names[] = {"a", "b", "c", "dead", "e", "f", "g", "not a name"};
    const char *name = names[fuzz_byte(input) % (sizeof(names) / sizeof(names[0]))];
    return (struct nq_bytes){strlen(name), (const uint8_t *)name};
}

static void make_hello(struct request_client *self, struct fuzz_bytes *input, struct wire_request *out)
{
    uint8_t *id = nq_arena_alloc(self->arena, NQ_SESSION_ID_BYTES);
    uint8_t *token = nq_arena_alloc(self->arena, NQ_RESUME_TOKEN_BYTES);
    uint64_t *gets = nq_arena_calloc(self->arena, SEQS_MAX, sizeof(*gets));
    fuzz_require(id != NULL && token != NULL && gets != NULL, "memory");
    memset(id, fuzz_byte(input) % 5, NQ_SESSION_ID_BYTES);
    uint8_t guess = fuzz_byte(input); // the rig's tokens are one byte, repeated
    memset(token, guess, NQ_RESUME_TOKEN_BYTES);
    size_t count = fuzz_byte(input) % (SEQS_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        gets[i] = fuzz_number(input);
    }
    bool held = fuzz_byte(input) % 2 == 1;
    out->as.hello = (struct wire_hello){.session_id = {NQ_SESSION_ID_BYTES, id},
                                        .resume_token = {guess == 0 ? 0 : NQ_RESUME_TOKEN_BYTES, token},
                                        .waiting_gets = held ? NULL : gets,
                                        .waiting_gets_count = held ? 0 : count,
                                        .held_gets = held ? gets : NULL,
                                        .held_gets_count = held ? count : 0};
    if (out->op == WIRE_RENEW) {
        const struct wire_renew renew = {out->as.hello.session_id, {NQ_RESUME_TOKEN_BYTES, token}};
        out->as.renew = renew;
    }
}

static void make_put(struct request_client *self, struct fuzz_bytes *input, struct wire_request *out)
{
    struct nq_bytes *bodies = nq_arena_calloc(self->arena, ITEMS_MAX, sizeof(*bodies));
    fuzz_require(bodies != NULL, "memory");
    out->as.put.queue = any_name(input);
    out->as.put.stream = 1 + fuzz_byte(input) % STREAMS;
    out->as.put.first_number = fuzz_number(input);
    out->as.put.count = 1 + fuzz_byte(input) % ITEMS_MAX;
    for (size_t i = 0; i < out->as.put.count; i++) {
        const struct fuzz_bytes body = fuzz_take(input, fuzz_byte(input) % (CLIENT_BODY_MAX + 2));
        bodies[i] = (struct nq_bytes){body.left, body.at};
    }
    uint8_t flags = fuzz_byte(input);
    out->as.put.bodies = bodies;
    out->as.put.atomic = (flags & 1) != 0;
    out->as.put.wait_ms = (flags & 2) != 0 ? fuzz_number(input) : 0;
    out->as.put.delay_ms = (flags & 4) != 0 ? fuzz_number(input) : 0;
}

static void make_get(struct request_client *self, struct fuzz_bytes *input, struct wire_request *out)
{
    (void)self;
    out->as.get.queue = any_name(input);
    out->as.get.max_items = 1 + fuzz_byte(input) % (CLIENT_LEASES_MAX + 1);
    uint8_t flags = fuzz_byte(input);
    out->as.get.wait_ms = (flags & 1) != 0 ? fuzz_number(input) : 0;
    out->as.get.max_bytes = (flags & 2) != 0 ? fuzz_number(input) : 0;
    out->as.get.lease_ms = (flags & 4) != 0 ? fuzz_number(input) : 0;
    out->as.get.hold_max_ms = (flags & 8) != 0 ? fuzz_number(input) : 0;
    out->as.get.at_most_once = (flags & 16) != 0;
}

// The tokens of the answer that came last, or ones made up.
static void make_tokens(struct request_client *self, struct fuzz_bytes *input, struct wire_request *out)
{
    uint64_t *seqs = nq_arena_calloc(self->arena, SEQS_MAX, sizeof(*seqs));
    uint32_t *deliveries = nq_arena_calloc(self->arena, SEQS_MAX, sizeof(*deliveries));
    fuzz_require(seqs != NULL && deliveries != NULL, "memory");
    uint8_t flags = fuzz_byte(input);
    struct wire_tokens *tokens = &out->as.tokens;
    tokens->queue_id = (flags & 1) != 0 ? fuzz_number(input) : self->queue_id;
    tokens->epoch = (flags & 2) != 0 ? fuzz_number(input) : self->epoch;
    tokens->count = 1 + (flags >> 2) % SEQS_MAX;
    for (size_t i = 0; i < tokens->count; i++) {
        seqs[i] = i == 0 && (flags & 16) == 0 ? self->seq : fuzz_number(input);
        deliveries[i] = (flags & 32) == 0 ? self->delivery : (uint32_t)fuzz_number(input);
    }
    tokens->seqs = seqs;
    tokens->deliveries = deliveries;
    if (out->op == WIRE_TASK_DONE) {
        return;
    }
    uint64_t time_ms = fuzz_number(input);
    tokens->lease_ms = out->op == WIRE_EXTEND ? time_ms : 0;
    tokens->delay_ms = out->op == WIRE_REQUEUE ? time_ms : 0;
    tokens->failed = (flags & 64) != 0;
    tokens->dead = (flags & 128) != 0;
}

static void make_declare(struct request_client *self, struct fuzz_bytes *input, struct wire_request *out)
{
    (void)self;
    struct wire_declare *declare = &out->as.declare;
    declare->queue = any_name(input);
    declare->options.given = fuzz_byte(input);
    declare->options.maxsize = fuzz_number(input);
    declare->options.max_bytes = fuzz_number(input);
    declare->options.lease_ms = fuzz_number(input);
    declare->options.hold_max_ms = fuzz_number(input);
    declare->options.max_deliveries = (uint32_t)fuzz_number(input);
    declare->options.dead_letter = any_name(input);
    declare->options.ttl_ms = fuzz_number(input);
    uint8_t flags = fuzz_byte(input);
    declare->options.temporary = (flags & 1) != 0;
    declare->update = (flags & 2) != 0;
    declare->initial = (flags & 4) != 0 ? fuzz_byte(input) % 32 : 0;
}

static void make_on_queue(struct request_client *self, struct fuzz_bytes *input, struct wire_request *out)
{
    (void)self;
    struct wire_on_queue *on_queue = &out->as.on_queue;
    on_queue->queue = any_name(input);
    uint64_t number = fuzz_number(input);
    on_queue->wait_ms = number;
    on_queue->immediate = number % 2 == 1;
    on_queue->from_seq = number;
    on_queue->max_items = fuzz_number(input);
    on_queue->max_bytes = on_queue->max_items;
    if (out->op == WIRE_PEEK) {
        on_queue->max_items = (uint32_t)on_queue->max_items;
    }
    if (out->op == WIRE_REDRIVE && number % 2 == 1) {
        on_queue->to = any_name(input);
    }
}

static void make_cancel(struct request_client *self, struct fuzz_bytes *input, struct wire_request *out)
{
    out->as.cancel_id = self->next_id - 1 - fuzz_byte(input) % 8;
}

static void make_list(struct request_client *self, struct fuzz_bytes *input, struct wire_request *out)
{
    (void)self;
    out->as.list = (struct wire_list){.after = any_name(input), .max = fuzz_byte(input)};
}

static void make_nothing(struct request_client *self, struct fuzz_bytes *input, struct wire_request *out)
{
    (void)self;
    (void)input;
    (void)out;
}

typedef void request_maker(struct request_client *self, struct fuzz_bytes *input, struct wire_request *out);

static void step_request(struct request_client *self, uint64_t connection, struct fuzz_bytes *input)
{
    static request_maker *const makers[] = {
        [WIRE_NONE] = make_nothing,     [WIRE_HELLO] = make_hello,      [WIRE_PUT] = make_put,
        [WIRE_GET] = make_get,          [WIRE_TASK_DONE] = make_tokens, [WIRE_EXTEND] = make_tokens,
        [WIRE_REQUEUE] = make_tokens,   [WIRE_JOIN] = make_on_queue,    [WIRE_DECLARE] = make_declare,
        [WIRE_PURGE] = make_on_queue,   [WIRE_DELETE] = make_on_queue,  [WIRE_SHUTDOWN] = make_on_queue,
        [WIRE_STAT] = make_on_queue,    [WIRE_LIST] = make_list,        [WIRE_PEEK] = make_on_queue,
        [WIRE_REDRIVE] = make_on_queue, [WIRE_RENEW] = make_hello,      [WIRE_CANCEL] = make_cancel,
        [WIRE_PING] = make_nothing,     [WIRE_GOODBYE] = make_nothing,
    };
    struct wire_request request = {.id = self->next_id++};
    request.op = (enum wire_op)(fuzz_byte(input) % (sizeof(makers) / sizeof(makers[0])));
    makers[request.op](self, input, &request);
    request_client_send_request(self, connection, &request);
}

// ------------------------------------------------------------------------------------------------------------------------- steps

static void step_frame(struct request_client *self, uint64_t connection, struct fuzz_bytes *input)
{
    size_t len = fuzz_byte(input);
    len |= (size_t)fuzz_byte(input) << 8;
    const struct fuzz_bytes frame = fuzz_take(input, len % FRAME_MAX);
    request_client_send(self, connection, frame.at, frame.left);
}

static void step_time(struct request_client *self, uint64_t connection, struct fuzz_bytes *input)
{
    static const uint64_t factors_ms[] = {1, 100, 1000, 60000, 3600000};
    (void)connection;
    uint64_t factor_ms = factors_ms[fuzz_byte(input) % (sizeof(factors_ms) / sizeof(factors_ms[0]))];
    self->rig.now_ms += fuzz_byte(input) * factor_ms;
    fuzz_require(service_rig_end_turn(&self->rig), "memory does not run out");
}

static void step_commit(struct request_client *self, uint64_t connection, struct fuzz_bytes *input)
{
    (void)connection;
    (void)input;
    if (self->rig.service.groups.flying == NULL) {
        service_rig_seal(&self->rig);
    } else {
        fuzz_require(service_rig_land(&self->rig) == NQ_OK, "a commit to memory ends well");
    }
}

static void step_settle(struct request_client *self, uint64_t connection, struct fuzz_bytes *input)
{
    (void)connection;
    (void)input;
    request_client_settle(self);
}

static void step_vanish(struct request_client *self, uint64_t connection, struct fuzz_bytes *input)
{
    (void)input;
    self->vanished ^= 1ull << connection;
}

static void step_restart(struct request_client *self, uint64_t connection, struct fuzz_bytes *input)
{
    (void)connection;
    request_client_restart(self, fuzz_byte(input) % 2 == 1);
}

void request_client_step(struct request_client *self, struct fuzz_bytes *input)
{
    static void (*const steps[])(struct request_client *, uint64_t, struct fuzz_bytes *) = {
        step_request, step_request, step_request, step_request, step_request, step_frame,   step_frame,   step_time,
        step_time,    step_commit,  step_commit,  step_commit,  step_settle,  step_request, step_restart, step_vanish,
    };
    uint8_t first = fuzz_byte(input);
    steps[first % 16](self, 1 + (first >> 4) % CLIENT_CONNECTIONS, input);
}
