#include "keeper.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "wire.h"

struct keeper {
    pthread_t thread;
    bool started;
    struct connection *connection; // the thread's, but for connection_wake
    struct connection *owner;      // only to wake it
    struct nq_arena *arena;        // the thread's

    pthread_mutex_t mutex; // guards identity: the only thing both sides write more than a word of
    struct keeper_identity identity;

    atomic_bool stop;
    atomic_bool busy;
    atomic_bool asleep; // waits without end for `busy`
    atomic_bool lost;
    _Atomic uint64_t interval_ms;
};

#define FORGOTTEN_MS 1000u // a slow link or disk answers sooner than that

// What the thread knows.
struct keeper_turn {
    struct keeper_identity identity;
    bool open;
    bool waiting_to_send;
    bool unanswered;  // nothing has come since sent_ms
    uint64_t sent_ms; // the first that is unanswered
    uint64_t due_ms;
    uint64_t last_id;
};

static void close_connection(struct keeper *self, struct keeper_turn *turn)
{
    connection_close(self->connection, 0);
    turn->open = false;
    turn->unanswered = false;
}

static void take_identity(struct keeper *self, struct keeper_turn *turn)
{
    (void)pthread_mutex_lock(&self->mutex);
    bool moved = turn->identity.endpoint != self->identity.endpoint;
    turn->identity = self->identity;
    (void)pthread_mutex_unlock(&self->mutex);
    if (moved && turn->open) {
        close_connection(self, turn);
    }
}

static bool send_renew(struct keeper *self, struct keeper_turn *turn)
{
    struct wire_request request = {.id = ++turn->last_id, .op = WIRE_RENEW};
    request.as.renew.session_id = (struct nq_bytes){NQ_SESSION_ID_BYTES, turn->identity.session_id};
    request.as.renew.resume_token = (struct nq_bytes){turn->identity.resume_token_len, turn->identity.resume_token};
    struct wire_request_frame frame = {.version = NQ_PROTOCOL_VERSION, .requests = &request, .count = 1};
    nq_arena_reset(self->arena);
    nq_arena_budget(self->arena, NQ_DECODE_BYTES_MIN);
    struct wire_packer *packer = wire_prepare_requests(self->arena, &frame);
    void *out = packer != NULL ? connection_prepare(self->connection, wire_packed_size(packer)) : NULL;
    if (out == NULL) {
        return false;
    }
    wire_pack(packer, out);
    return connection_send(self->connection);
}

static void receive_answers(struct keeper *self, struct keeper_turn *turn)
{
    const void *data;
    size_t len;
    while (connection_receive(self->connection, &data, &len)) {
        turn->unanswered = false;
        struct wire_reply_frame frame;
        nq_arena_reset(self->arena);
        nq_arena_budget(self->arena, wire_decode_budget(len));
        if (wire_decode_replies(self->arena, data, len, &frame) != NQ_OK) {
            continue;
        }
        for (size_t i = 0; i < frame.count; i++) {
            if (frame.replies[i].status == NQ_NO_SESSION && frame.replies[i].id == turn->last_id) {
                atomic_store(&self->lost, true);
                connection_wake(self->owner);
            }
        }
    }
}

// One look at everything. Returns how long to wait.
static uint64_t keeper_turn(struct keeper *self, struct keeper_turn *turn)
{
    take_identity(self, turn);
    uint64_t now_ms = connection_now_ms();
    while (connection_next_event(self->connection, now_ms) != CONNECTION_NOTHING) {
    }
    receive_answers(self, turn);
    uint64_t interval_ms = atomic_load(&self->interval_ms);
    if (turn->open && connection_is_given_up(self->connection)) { // a key that is not authorised yet may be so when the next is due
        close_connection(self, turn);
        turn->waiting_to_send = false;
        turn->due_ms = now_ms + interval_ms;
    }
    if (turn->due_ms == 0 || turn->due_ms > now_ms + interval_ms) {
        turn->due_ms = now_ms + interval_ms;
    }
    if (!turn->waiting_to_send && now_ms >= turn->due_ms) {
        if (!atomic_load(&self->busy)) {
            turn->due_ms = 0;
            return UINT64_MAX;
        }
        turn->waiting_to_send = true;
        // A connection that a host between has forgotten looks well for a quarter of an hour; a new one may pass.
        if (turn->unanswered && now_ms - turn->sent_ms >= FORGOTTEN_MS) {
            close_connection(self, turn);
        }
    }
    if (turn->waiting_to_send && !turn->open && turn->identity.endpoint != NULL) {
        turn->open = connection_open(self->connection, turn->identity.endpoint) == NQ_OK;
        return turn->open ? 0 : interval_ms; // 0: its events are looked for before it is waited for
    }
    if (turn->waiting_to_send && turn->open && connection_is_writable(self->connection) && send_renew(self, turn)) {
        turn->waiting_to_send = false;
        turn->sent_ms = turn->unanswered ? turn->sent_ms : now_ms;
        turn->unanswered = true;
        turn->due_ms = now_ms + interval_ms;
    }
    if (connection_is_readable(self->connection)) {
        return 0;
    }
    return turn->waiting_to_send ? interval_ms : turn->due_ms - now_ms;
}

static void *keeper_main(void *argument)
{
    struct keeper *self = argument;
    struct keeper_turn turn = {0};
    while (!atomic_load(&self->stop)) {
        uint64_t wait_ms = keeper_turn(self, &turn);
        if (wait_ms == UINT64_MAX) {
            atomic_store(&self->asleep, true); // then look once more: whoever sets busy looks at asleep afterwards
            if (atomic_load(&self->busy) || atomic_load(&self->stop)) {
                wait_ms = 0;
            }
        }
        connection_wait(self->connection, wait_ms);
        atomic_store(&self->asleep, false);
    }
    connection_close(self->connection, 0);
    return NULL;
}

static bool start_thread(struct keeper *self)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    self->started = pthread_create(&self->thread, NULL, keeper_main, self) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return self->started;
}

struct keeper *keeper_create(struct connection *owner)
{
    struct keeper *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&self->mutex, NULL);
    self->owner = owner;
    atomic_store(&self->interval_ms, NQ_SESSION_TIMEOUT_MS_DEFAULT / 3);
    self->connection = connection_create(connection_keys(owner));
    self->arena = nq_arena_create(4096, 0);
    if (self->connection == NULL || self->arena == NULL || !start_thread(self)) {
        keeper_destroy(&self);
    }
    return self;
}

void keeper_destroy(struct keeper **self_p)
{
    struct keeper *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    if (self->started) {
        atomic_store(&self->stop, true);
        connection_wake(self->connection);
        (void)pthread_join(self->thread, NULL);
    }
    connection_destroy(&self->connection);
    nq_arena_destroy(&self->arena);
    (void)pthread_mutex_destroy(&self->mutex);
    free(self);
}

void keeper_identify(struct keeper *self, const struct keeper_identity *identity)
{
    (void)pthread_mutex_lock(&self->mutex);
    self->identity = *identity;
    (void)pthread_mutex_unlock(&self->mutex);
    atomic_store(&self->lost, false);
    connection_wake(self->connection);
}

void keeper_update(struct keeper *self, bool busy, uint64_t interval_ms)
{
    bool sooner = interval_ms < atomic_load_explicit(&self->interval_ms, memory_order_relaxed);
    if (interval_ms != atomic_load_explicit(&self->interval_ms, memory_order_relaxed)) {
        atomic_store(&self->interval_ms, interval_ms);
    }
    if (busy != atomic_load_explicit(&self->busy, memory_order_relaxed)) {
        atomic_store(&self->busy, busy);
    }
    if (busy && (sooner || atomic_load(&self->asleep))) {
        connection_wake(self->connection);
    }
}

bool keeper_session_is_lost(struct keeper *self)
{
    return atomic_load_explicit(&self->lost, memory_order_relaxed) && atomic_exchange(&self->lost, false);
}
