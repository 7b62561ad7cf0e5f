#include "fake_broker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#include "fake_model.h"

// An answer that leaves later.
struct late_answer {
    struct late_answer *next;
    uint64_t due_ms;
    struct fake_peer peer;
    size_t size;
    uint8_t bytes[];
};

struct fake_broker {
    pthread_t thread;
    bool started;
    void *context;
    void *router;
    char endpoint[64];
    pthread_mutex_t mutex; // guards the model and the counts
    struct fake_model model;
    struct fake_peer seen[64];
    size_t seen_count, forgotten_count; // the first ones of those seen are forgotten
    bool paused;
    uint64_t hello_delay_ms;
    struct late_answer *late;
    uint64_t next_body_bytes, next_frame_bytes; // limits after the next disconnect; 0: as before
    atomic_bool stop, disconnect;
    atomic_int drop, disconnect_after;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool open_router(struct fake_broker *self)
{
    int zero = 0;
    self->router = zmq_socket(self->context, ZMQ_ROUTER);
    if (self->router == NULL || zmq_setsockopt(self->router, ZMQ_LINGER, &zero, sizeof zero) != 0) {
        return false;
    }
    int64_t frame_bytes = (int64_t)self->model.frame_bytes;
    (void)zmq_setsockopt(self->router, ZMQ_MAXMSGSIZE, &frame_bytes, sizeof frame_bytes);
    bool first = self->endpoint[0] == '\0';
    for (int tries = 0; zmq_bind(self->router, first ? "tcp://127.0.0.1:*" : self->endpoint) != 0; tries++) {
        struct timespec moment = {.tv_nsec = 1000000}; // the old listener is closed by another thread
        (void)nanosleep(&moment, NULL);
        if (tries > 30000) {
            return false;
        }
    }
    size_t len = sizeof self->endpoint;
    return !first || zmq_getsockopt(self->router, ZMQ_LAST_ENDPOINT, self->endpoint, &len) == 0;
}

static void leave(struct fake_broker *self, struct late_answer *answer)
{
    (void)zmq_send(self->router, answer->peer.bytes, answer->peer.len, ZMQ_SNDMORE);
    (void)zmq_send(self->router, answer->bytes, answer->size, 0);
    free(answer);
}

static void send_answer(struct fake_broker *self, struct nq_arena *arena, const struct fake_answer *answer)
{
    if (answer->reply.result != WIRE_HELLO && atomic_load(&self->drop) > 0) {
        if (atomic_fetch_sub(&self->drop, 1) == 1 && atomic_exchange(&self->disconnect_after, 0) != 0) {
            atomic_store(&self->disconnect, true);
        }
        return;
    }
    struct wire_reply reply = answer->reply;
    struct wire_reply_frame frame = {.version = self->model.version, .replies = &reply, .count = 1};
    struct wire_packer *packer = wire_prepare_replies(arena, &frame);
    if (packer == NULL) {
        return;
    }
    size_t size = wire_packed_size(packer);
    struct late_answer *out = malloc(sizeof *out + size);
    if (out == NULL) {
        return;
    }
    *out = (struct late_answer){.next = self->late, .peer = answer->peer, .size = size};
    wire_pack(packer, out->bytes);
    uint64_t delay_ms = answer->reply.result == WIRE_HELLO ? self->hello_delay_ms : 0;
    if (delay_ms > 0) {
        out->due_ms = delay_ms < UINT64_MAX - now_ms() ? now_ms() + delay_ms : UINT64_MAX;
        self->late = out;
    } else {
        leave(self, out);
    }
}

static void send_late(struct fake_broker *self, uint64_t until_ms)
{
    for (struct late_answer **at = &self->late; *at != NULL;) {
        struct late_answer *answer = *at;
        if (answer->due_ms > until_ms) {
            at = &answer->next;
        } else {
            *at = answer->next;
            leave(self, answer);
        }
    }
}

static void send_answers(struct fake_broker *self, struct nq_arena *arena)
{
    for (size_t i = 0; i < self->model.answers_count; i++) {
        send_answer(self, arena, &self->model.answers[i]);
    }
    self->model.answers_count = 0;
}

static bool receive_frame(struct fake_broker *self, struct fake_peer *peer, zmq_msg_t *body)
{
    int len = zmq_recv(self->router, peer->bytes, sizeof peer->bytes, ZMQ_DONTWAIT);
    if (len < 0 || (size_t)len > sizeof peer->bytes) {
        return false;
    }
    peer->len = (size_t)len;
    return zmq_msg_recv(body, self->router, 0) >= 0;
}

static bool is_forgotten(struct fake_broker *self, const struct fake_peer *peer)
{
    size_t i = 0;
    while (i < self->seen_count && (self->seen[i].len != peer->len || memcmp(self->seen[i].bytes, peer->bytes, peer->len) != 0)) {
        i++;
    }
    if (i == self->seen_count && i < sizeof self->seen / sizeof self->seen[0]) {
        self->seen[self->seen_count++] = *peer;
    }
    return i < self->forgotten_count;
}

static void take_frames(struct fake_broker *self, struct nq_arena *arena)
{
    struct fake_peer peer;
    zmq_msg_t body;
    (void)zmq_msg_init(&body);
    while (receive_frame(self, &peer, &body)) {
        struct wire_request_frame frame;
        struct wire_decode_limits limits = {.body_bytes = self->model.body_bytes, .headers_bytes = NQ_HEADERS_BYTES_DEFAULT};
        nq_arena_reset(arena);
        if (!is_forgotten(self, &peer) &&
            wire_decode_requests(arena, zmq_msg_data(&body), zmq_msg_size(&body), &limits, &frame) == NQ_OK) {
            fake_model_frame(&self->model, arena, &peer, &frame, now_ms());
            send_answers(self, arena);
        }
    }
    (void)zmq_msg_close(&body);
}

static void *broker_main(void *argument)
{
    struct fake_broker *self = argument;
    struct nq_arena *arena = nq_arena_create(65536, 0);
    while (!atomic_load(&self->stop)) {
        zmq_pollitem_t item = {.socket = self->router, .events = ZMQ_POLLIN};
        (void)zmq_poll(&item, 1, 2);
        if (atomic_exchange(&self->disconnect, false)) {
            (void)zmq_close(self->router);
            self->router = NULL;
            (void)pthread_mutex_lock(&self->mutex);
            self->model.known_count = 0;
            if (self->next_frame_bytes > 0) {
                self->model.body_bytes = self->next_body_bytes;
                self->model.frame_bytes = self->next_frame_bytes;
            }
            (void)pthread_mutex_unlock(&self->mutex);
            if (!open_router(self)) {
                break;
            }
        }
        (void)pthread_mutex_lock(&self->mutex);
        if (!self->paused && !atomic_load(&self->disconnect)) { // nothing of the old connections is looked at any more
            take_frames(self, arena);
            nq_arena_reset(arena);
            fake_model_time(&self->model, arena, now_ms());
            send_answers(self, arena);
            send_late(self, now_ms());
        }
        (void)pthread_mutex_unlock(&self->mutex);
    }
    nq_arena_destroy(&arena);
    return NULL;
}

struct fake_broker *fake_broker_start(void)
{
    struct fake_broker *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&self->mutex, NULL);
    fake_model_init(&self->model);
    self->context = zmq_ctx_new();
    self->started = self->context != NULL && open_router(self) && pthread_create(&self->thread, NULL, broker_main, self) == 0;
    if (!self->started) {
        fake_broker_stop(&self);
    }
    return self;
}

void fake_broker_stop(struct fake_broker **self_p)
{
    struct fake_broker *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    atomic_store(&self->stop, true);
    if (self->started) {
        (void)pthread_join(self->thread, NULL);
    }
    if (self->router != NULL) {
        send_late(self, UINT64_MAX);
        (void)zmq_close(self->router);
    }
    if (self->context != NULL) {
        (void)zmq_ctx_term(self->context);
    }
    fake_model_fini(&self->model);
    (void)pthread_mutex_destroy(&self->mutex);
    free(self);
}

const char *fake_broker_endpoint(const struct fake_broker *self)
{
    return self->endpoint;
}

void fake_broker_drop_answers(struct fake_broker *self, int count)
{
    atomic_store(&self->drop, count);
}

void fake_broker_disconnect(struct fake_broker *self)
{
    (void)pthread_mutex_lock(&self->mutex); // behind what it is just answering
    atomic_store(&self->disconnect, true);
    (void)pthread_mutex_unlock(&self->mutex);
}

void fake_broker_disconnect_after(struct fake_broker *self, int answers)
{
    atomic_store(&self->disconnect_after, 1);
    atomic_store(&self->drop, answers);
}

void fake_broker_forget_connections(struct fake_broker *self)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->forgotten_count = self->seen_count;
    (void)pthread_mutex_unlock(&self->mutex);
}

void fake_broker_pause(struct fake_broker *self, bool paused)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->paused = paused;
    (void)pthread_mutex_unlock(&self->mutex);
}

void fake_broker_delay_hellos(struct fake_broker *self, uint64_t ms)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->hello_delay_ms = ms;
    (void)pthread_mutex_unlock(&self->mutex);
}

void fake_broker_forget_sessions(struct fake_broker *self)
{
    (void)pthread_mutex_lock(&self->mutex);
    fake_model_forget_sessions(&self->model);
    (void)pthread_mutex_unlock(&self->mutex);
}

void fake_broker_change_store(struct fake_broker *self)
{
    (void)pthread_mutex_lock(&self->mutex);
    fake_model_change_store(&self->model);
    (void)pthread_mutex_unlock(&self->mutex);
}

void fake_broker_forget_streams(struct fake_broker *self)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->model.streams_count = 0;
    (void)pthread_mutex_unlock(&self->mutex);
}

void fake_broker_refuse_puts(struct fake_broker *self, enum nq_status status, int count)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->model.refuse_status = status;
    self->model.refuse_left = count;
    (void)pthread_mutex_unlock(&self->mutex);
}

void fake_broker_refuse(struct fake_broker *self, enum wire_op op, enum nq_status status, int count)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->model.refusals[op] = (struct fake_refusal){status, count};
    (void)pthread_mutex_unlock(&self->mutex);
}

void fake_broker_speak_version(struct fake_broker *self, uint32_t version)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->model.version = version;
    (void)pthread_mutex_unlock(&self->mutex);
}

void fake_broker_set_maxsize(struct fake_broker *self, const char *queue, uint64_t maxsize)
{
    (void)pthread_mutex_lock(&self->mutex);
    fake_model_queue(&self->model, (struct nq_bytes){strlen(queue), (const uint8_t *)queue})->maxsize = maxsize;
    (void)pthread_mutex_unlock(&self->mutex);
}

void fake_broker_set_limits(struct fake_broker *self, uint64_t body_bytes, uint64_t frame_bytes)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->next_body_bytes = body_bytes;
    self->next_frame_bytes = frame_bytes;
    (void)pthread_mutex_unlock(&self->mutex);
}

void fake_broker_set_lease_ms(struct fake_broker *self, uint64_t lease_ms)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->model.lease_ms = lease_ms;
    (void)pthread_mutex_unlock(&self->mutex);
}

void fake_broker_set_session_timeout_ms(struct fake_broker *self, uint64_t timeout_ms)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->model.session_timeout_ms = timeout_ms;
    (void)pthread_mutex_unlock(&self->mutex);
}

struct fake_counts fake_broker_counts(struct fake_broker *self, const char *queue)
{
    (void)pthread_mutex_lock(&self->mutex);
    struct fake_counts counts = fake_model_counts(&self->model, (struct nq_bytes){strlen(queue), (const uint8_t *)queue});
    (void)pthread_mutex_unlock(&self->mutex);
    return counts;
}
