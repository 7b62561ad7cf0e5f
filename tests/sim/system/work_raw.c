// A client without the library, which says what the library never would: a put, its duplicate, a task_done, its duplicate and a join in
// one frame. After a reconnect it sends all that is unanswered again, behind its HELLO.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "body.h"
#include "connection.h"
#include "disk.h"
#include "oracle.h"
#include "plan.h"
#include "wire.h"
#include "worker.h"
#include "world.h"

enum { MANY = 4, REQUESTS_MAX = 512, FRAME_MAX = 8, TOKENS_MAX = 32, PATIENCE_MS = 60000, SILENCE_MS = 3000 };

struct run { // items of one put
    uint64_t ids[MANY];
    uint8_t bytes[MANY][BODY_BYTES_MAX];
    struct nq_bytes bodies[MANY];
    size_t count;
    uint64_t first_number;
    size_t accepted;
};

struct asked {
    struct wire_request wire;
    struct run *run; // of a put
    uint64_t seqs[MANY];
    uint32_t deliveries[MANY];
    bool answered;
};

struct token {
    uint64_t queue_id, epoch, seq, id, get_id;
    uint32_t delivery;
};

struct raw {
    struct worker *worker;
    struct connection *connection;
    struct nq_arena *arena;
    unsigned queue;
    uint8_t session_id[NQ_SESSION_ID_BYTES], resume_token[NQ_RESUME_TOKEN_BYTES];
    size_t resume_token_len;
    uint64_t last_id, hello_id, stream, next_number;
    uint64_t heard_ms, quiet_until_ms;
    bool greeted, is_up, lost; // lost: the session is gone, and with it what was asked in it
    struct run runs[REQUESTS_MAX];
    size_t runs_count;
    struct asked asked[REQUESTS_MAX];
    size_t asked_count;
    struct token tokens[TOKENS_MAX];
    size_t tokens_count;
};

static struct nq_bytes text(const char *string)
{
    return (struct nq_bytes){strlen(string), (const uint8_t *)string};
}

static void send(struct raw *self, struct wire_request *requests, size_t count)
{
    const struct wire_request_frame frame = {.version = NQ_PROTOCOL_VERSION, .requests = requests, .count = count, .workers = 1};
    nq_arena_reset(self->arena);
    struct wire_packer *packer = wire_prepare_requests(self->arena, &frame);
    wire_pack(packer, connection_prepare(self->connection, wire_packed_size(packer)));
    (void)connection_send(self->connection);
}

// ----------------------------------------------------------------------------------------------------------------- connection

// Most name what they hold; some forget it; some do not name it and work on, with leases that are over.
static size_t held_gets(struct raw *self, uint64_t *gets)
{
    bool names = world_chance(400);
    for (size_t i = 0; names && i < self->tokens_count; i++) {
        gets[i] = self->tokens[i].get_id;
    }
    if (!names && world_chance(400)) {
        self->tokens_count = 0;
    }
    return names ? self->tokens_count : 0;
}

static void greet(struct raw *self)
{
    uint64_t held[TOKENS_MAX];
    struct wire_request requests[2 * FRAME_MAX + 1];
    uint64_t waiting[REQUESTS_MAX];
    size_t count = 1;
    size_t waiting_count = 0;
    for (size_t i = 0; i < self->asked_count; i++) {
        if (!self->asked[i].answered && self->asked[i].wire.op == WIRE_GET) {
            waiting[waiting_count++] = self->asked[i].wire.id;
        }
        if (!self->asked[i].answered && count <= 2 * FRAME_MAX) {
            requests[count++] = self->asked[i].wire;
        }
    }
    self->hello_id = ++self->last_id;
    self->heard_ms = world_now_ms();
    size_t held_count = held_gets(self, held);
    requests[0] = (struct wire_request){.id = self->hello_id, .op = WIRE_HELLO};
    requests[0].as.hello = (struct wire_hello){.session_id = {NQ_SESSION_ID_BYTES, self->session_id},
                                               .resume_token = {self->resume_token_len, self->resume_token},
                                               .waiting_gets = waiting,
                                               .waiting_gets_count = waiting_count,
                                               .held_gets = held,
                                               .held_gets_count = held_count};
    send(self, requests, count);
    self->greeted = true;
}

static void take_hello(struct raw *self, const struct wire_reply *reply)
{
    if (reply->status != NQ_OK) {
        self->lost = true;
        return;
    }
    self->is_up = true;
    self->resume_token_len = reply->as.hello.resume_token.len;
    memcpy(self->resume_token, reply->as.hello.resume_token.data, self->resume_token_len);
}

static void take_events(struct raw *self)
{
    for (enum connection_event event = connection_next_event(self->connection, connection_now_ms()); event != CONNECTION_NOTHING;
         event = connection_next_event(self->connection, connection_now_ms())) {
        self->greeted = self->is_up = false;
    }
    if (!self->greeted && connection_is_writable(self->connection)) {
        greet(self);
    } else if (self->greeted && world_now_ms() - self->heard_ms > SILENCE_MS) {
        (void)connection_open(self->connection, "sim://broker");
        self->greeted = self->is_up = false;
    }
}

// -------------------------------------------------------------------------------------------------------------------- answers

static void take_put_reply(struct raw *self, struct asked *asked, const struct wire_reply *reply)
{
    struct run *run = asked->run;
    size_t accepted = reply->status == NQ_OK ? run->count : reply->result == WIRE_PUT ? (size_t)reply->as.put.accepted : 0;
    run->accepted = accepted > run->accepted ? accepted : run->accepted;
    uint64_t next = run->first_number + run->accepted;
    self->next_number = next > self->next_number ? next : self->next_number;
    if (accepted > 0 && accepted < run->count && world_chance(400)) { // later there may be room in the queue, and none on the disk
        self->quiet_until_ms = world_now_ms() + world_between(1, 2000);
    }
}

static void take_get_reply(struct raw *self, uint64_t get_id, const struct wire_get_reply *get)
{
    for (size_t i = 0; i < get->count && self->tokens_count < TOKENS_MAX; i++) {
        uint64_t id = disk_place_at(get->queue_id, get->seqs[i])->id;
        uint32_t delivery = get->deliveries == NULL ? 1 : get->deliveries[i];
        self->tokens[self->tokens_count++] = (struct token){
            .queue_id = get->queue_id, .epoch = get->epoch, .seq = get->seqs[i], .id = id, .get_id = get_id, .delivery = delivery};
        oracle_got(id, self->queue, get->seqs[i]);
    }
}

static void take_reply(struct raw *self, const struct wire_reply *reply)
{
    if (reply->id == self->hello_id) {
        take_hello(self, reply);
        return;
    }
    struct asked *asked = NULL;
    for (size_t i = 0; i < self->asked_count && asked == NULL; i++) {
        asked = self->asked[i].wire.id == reply->id ? &self->asked[i] : NULL;
    }
    if (asked == NULL || asked->answered || reply->status == NQ_NO_SESSION) {
        self->lost |= reply->status == NQ_NO_SESSION;
        return;
    }
    asked->answered = true;
    if (asked->wire.op == WIRE_PUT) {
        take_put_reply(self, asked, reply);
    } else if (reply->result == WIRE_GET && reply->status == NQ_OK) {
        take_get_reply(self, reply->id, &reply->as.get);
    }
}

static void receive(struct raw *self)
{
    const void *data;
    size_t len;
    while (connection_receive(self->connection, &data, &len)) {
        struct wire_reply_frame frame;
        self->heard_ms = world_now_ms();
        nq_arena_reset(self->arena);
        if (wire_decode_replies(self->arena, data, len, &frame) != NQ_OK) {
            world_fail("the broker sends what is no frame");
        }
        for (size_t i = 0; i < frame.count; i++) {
            take_reply(self, &frame.replies[i]);
        }
    }
}

// ----------------------------------------------------------------------------------------------------------------------- asking

static struct asked *ask(struct raw *self, enum wire_op op)
{
    struct asked *asked = &self->asked[self->asked_count++];
    memset(asked, 0, sizeof(*asked));
    asked->wire = (struct wire_request){.id = ++self->last_id, .op = op};
    return asked;
}

static void ask_put(struct raw *self, struct run *run)
{
    struct asked *asked = ask(self, WIRE_PUT);
    asked->run = run;
    asked->wire.as.put = (struct wire_put){.queue = text(plan_queue(self->queue)),
                                           .stream = self->stream,
                                           .first_number = run->first_number,
                                           .bodies = run->bodies,
                                           .count = run->count,
                                           .wait_ms = world_chance(500) ? 0 : world_spread(500)};
}

static bool has_open(const struct raw *self, enum wire_op op)
{
    bool open = false;
    for (size_t i = 0; i < self->asked_count; i++) {
        open |= !self->asked[i].answered && self->asked[i].wire.op == op;
    }
    return open;
}

static void ask_puts(struct raw *self)
{
    struct run *run = self->runs_count == 0 ? NULL : &self->runs[self->runs_count - 1];
    bool again = run != NULL && run->accepted < run->count && world_chance(500); // also what was refused, with what was not
    if (!has_open(self, WIRE_PUT) && again) {
        world_trace("sends a run again of which %zu of %zu items are accepted", run->accepted, run->count);
        ask_put(self, run);
    } else if (!has_open(self, WIRE_PUT)) { // numbers go on behind what is accepted
        run = &self->runs[self->runs_count++];
        run->first_number = self->next_number;
        run->count = world_between(1, MANY);
        for (size_t i = 0; i < run->count; i++) {
            run->ids[i] = oracle_put(self->worker->number, self->queue, false);
            run->bodies[i] = (struct nq_bytes){body_fill(run->ids[i], run->bytes[i]), run->bytes[i]};
        }
        ask_put(self, run);
    }
    if (world_chance(500)) {
        ask_put(self, run);
    }
}

static void ask_dones(struct raw *self)
{
    struct asked *asked = ask(self, WIRE_TASK_DONE);
    size_t count = 0;
    size_t at = world_random(self->tokens_count); // also one of long ago
    const struct token first = self->tokens[at];
    while (count < MANY && at < self->tokens_count && self->tokens[at].queue_id == first.queue_id &&
           self->tokens[at].epoch == first.epoch) {
        asked->seqs[count] = self->tokens[at].seq;
        asked->deliveries[count++] = self->tokens[at].delivery;
        oracle_done_asked(self->tokens[at].id);
        self->tokens[at] = self->tokens[--self->tokens_count];
    }
    asked->wire.as.tokens = (struct wire_tokens){
        .queue_id = first.queue_id, .epoch = first.epoch, .seqs = asked->seqs, .deliveries = asked->deliveries, .count = count};
    if (world_chance(500)) {
        ask(self, WIRE_TASK_DONE)->wire.as.tokens = asked->wire.as.tokens;
    }
}

static void ask_something(struct raw *self)
{
    size_t from = self->asked_count;
    struct nq_bytes queue = text(plan_queue(self->queue));
    if (world_chance(500)) {
        ask_puts(self);
    }
    if (self->tokens_count > 0 && world_chance(600)) {
        ask_dones(self);
    }
    if (world_chance(300)) {
        ask(self, WIRE_JOIN)->wire.as.on_queue = (struct wire_on_queue){.queue = queue, .wait_ms = world_spread(300)};
    }
    if (world_chance(200)) {
        ask(self, WIRE_STAT)->wire.as.on_queue = (struct wire_on_queue){.queue = queue};
    }
    if (world_chance(500)) {
        ask(self, WIRE_GET)->wire.as.get =
            (struct wire_get){.queue = queue, .max_items = (uint32_t)world_between(1, MANY), .wait_ms = world_spread(300)};
    }
    struct wire_request requests[FRAME_MAX];
    for (size_t i = from; i < self->asked_count; i++) {
        requests[i - from] = self->asked[i].wire;
    }
    if (self->asked_count > from) {
        send(self, requests, self->asked_count - from);
    }
}

static size_t open_count(const struct raw *self)
{
    size_t open = 0;
    for (size_t i = 0; i < self->asked_count; i++) {
        open += self->asked[i].answered ? 0 : 1;
    }
    return open;
}

// ----------------------------------------------------------------------------------------------------------------------- a life

static void work(struct raw *self)
{
    bool more = true;
    uint64_t ends_ms = UINT64_MAX;
    while (!self->lost && (more || open_count(self) > 0) && world_now_ms() < ends_ms) {
        take_events(self);
        receive(self);
        bool room = self->asked_count + FRAME_MAX < REQUESTS_MAX && self->runs_count < REQUESTS_MAX;
        bool quiet = world_now_ms() < self->quiet_until_ms;
        if (self->is_up && more && !quiet && connection_is_writable(self->connection) &&
            open_count(self) + FRAME_MAX / 2 <= FRAME_MAX) {
            more = room && worker_step(self->worker);
            if (more) {
                ask_something(self);
            }
        }
        ends_ms = more ? UINT64_MAX : ends_ms == UINT64_MAX ? world_now_ms() + PATIENCE_MS : ends_ms;
        connection_wait(self->connection, world_spread(50));
    }
    if (!self->lost && open_count(self) > 0) {
        world_fail("a request of a client without the library is never answered");
    }
}

// A put of which no answer came may have been accepted or not.
static void tell_puts(const struct raw *self)
{
    for (size_t i = 0; i < self->runs_count; i++) {
        const struct run *run = &self->runs[i];
        bool open = false;
        for (size_t j = 0; j < self->asked_count; j++) {
            open |= self->asked[j].run == run && !self->asked[j].answered;
        }
        for (size_t k = 0; k < run->count; k++) {
            oracle_put_told(run->ids[k], k < run->accepted ? NQ_OK : open ? NQ_OUTCOME_UNKNOWN : NQ_FULL, 0);
        }
    }
}

void live_raw(struct worker *self)
{
    struct raw *raw = calloc(1, sizeof(*raw));
    assert(raw != NULL);
    raw->worker = self;
    raw->queue = world_chance(300) ? 1 : worker_any_queue(); // the bounded one accepts parts of runs
    raw->stream = world_random(UINT64_MAX) | 1;
    raw->next_number = 1;
    raw->arena = nq_arena_create((size_t)16 * 1024, 0);
    raw->connection = connection_create(NULL);
    for (size_t i = 0; i < sizeof(raw->session_id); i++) {
        raw->session_id[i] = (uint8_t)world_random(256);
    }
    (void)connection_open(raw->connection, "sim://broker");
    work(raw);
    tell_puts(raw);
    connection_destroy(&raw->connection);
    nq_arena_destroy(&raw->arena);
    free(raw);
}
