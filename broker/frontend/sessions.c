#include "sessions.h"

#include <stddef.h>
#include <stdlib.h>

void sessions_init(struct sessions *self, struct engine *engine, struct dispatch *dispatch, const struct sessions_config *config)
{
    *self = (struct sessions){.config = *config, .engine = engine, .dispatch = dispatch};
}

void sessions_fini(struct sessions *self)
{
    for (struct heap_node *node = heap_min(&self->timers); node != NULL; node = heap_min(&self->timers)) {
        heap_remove(&self->timers, node);
        struct peer *peer = heap_object(node, struct peer, timer);
        free(peer->permits);
        free(peer);
    }
    heap_fini(&self->timers);
    table_fini(&self->by_connection);
    table_fini(&self->by_no);
}

struct peer *sessions_on(const struct sessions *self, uint64_t connection)
{
    return table_find(&self->by_connection, connection, 0);
}

struct peer *sessions_find(const struct sessions *self, uint64_t session_no)
{
    return table_find(&self->by_no, session_no, 0);
}

static struct peer *add_peer(struct sessions *self, uint64_t session_no, uint64_t first_timer_ms)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    if (peer == NULL || !table_reserve(&self->by_no, 1) || !heap_insert(&self->timers, &peer->timer, first_timer_ms)) {
        free(peer);
        return NULL;
    }
    peer->session_no = session_no;
    table_insert(&self->by_no, session_no, 0, peer);
    return peer;
}

static void leave_connection(struct sessions *self, struct peer *peer, uint64_t now_ms, uint64_t patience_ms)
{
    if (peer->connection != 0) {
        table_remove(&self->by_connection, peer->connection, 0);
        peer->connection = 0;
    }
    peer->ends_ms = now_ms + patience_ms;
    heap_rekey(&self->timers, &peer->timer, peer->ends_ms);
}

struct peer *sessions_bind(struct sessions *self, uint64_t now_ms, uint64_t session_no, uint64_t connection)
{
    struct peer *before = sessions_on(self, connection);
    struct peer *peer = sessions_find(self, session_no);
    if (!table_reserve(&self->by_connection, 1)) {
        return NULL;
    }
    if (peer == NULL) {
        peer = add_peer(self, session_no, now_ms + SESSIONS_PROBE_MS);
        if (peer == NULL) {
            return NULL;
        }
    }
    if (before != NULL && before != peer) {
        leave_connection(self, before, now_ms, self->config.grace_ms);
    }
    if (peer->connection != connection) {
        leave_connection(self, peer, now_ms, self->config.grace_ms);
        table_insert(&self->by_connection, connection, 0, peer);
        peer->connection = connection;
    }
    peer->heard_ms = now_ms;
    heap_rekey(&self->timers, &peer->timer, now_ms + SESSIONS_PROBE_MS);
    return peer;
}

struct restoring {
    struct sessions *sessions;
    uint64_t now_ms;
    bool out_of_memory;
};

static void expect(void *context, uint64_t session_no)
{
    struct restoring *restoring = context;
    uint64_t ends_ms = restoring->now_ms + restoring->sessions->config.timeout_ms;
    struct peer *peer = add_peer(restoring->sessions, session_no, ends_ms);
    if (peer == NULL) {
        restoring->out_of_memory = true;
        return;
    }
    peer->ends_ms = ends_ms;
    peer->heard_ms = restoring->now_ms;
    // It could not renew its leases while the broker was away: that is no fault of its own, and nothing may count as failed for it.
    engine_session_renew(restoring->sessions->engine, restoring->now_ms, session_no);
}

bool sessions_expect_restored(struct sessions *self, uint64_t now_ms)
{
    struct restoring restoring = {.sessions = self, .now_ms = now_ms};
    engine_sessions_each(self->engine, &restoring, expect);
    return !restoring.out_of_memory;
}

void sessions_heard(struct peer *peer, uint64_t now_ms)
{
    peer->heard_ms = now_ms;
}

void sessions_renewed(struct peer *peer, uint64_t now_ms, uint64_t connection)
{
    sessions_heard(peer, now_ms);
    peer->renewer = connection != peer->connection ? connection : peer->renewer;
}

void sessions_watch(struct sessions *self, uint64_t now_ms, struct peer *peer)
{
    if (peer->connection != 0 && peer->timer.key > now_ms + SESSIONS_PROBE_MS) {
        heap_rekey(&self->timers, &peer->timer, now_ms + SESSIONS_PROBE_MS);
    }
}

void sessions_connection_gone(struct sessions *self, uint64_t now_ms, uint64_t connection)
{
    struct peer *peer = sessions_on(self, connection);
    if (peer != NULL) {
        leave_connection(self, peer, now_ms, self->config.grace_ms);
    }
}

void sessions_end(struct sessions *self, uint64_t now_ms, struct peer *peer, bool goodbye)
{
    dispatch_session_end(self->dispatch, peer->session_no);
    engine_session_end(self->engine, now_ms, peer->session_no, goodbye);
    if (peer->connection != 0) {
        table_remove(&self->by_connection, peer->connection, 0);
    }
    table_remove(&self->by_no, peer->session_no, 0);
    heap_remove(&self->timers, &peer->timer);
    sessions_belong(peer, NULL);
    free(peer);
}

void sessions_belong(struct peer *peer, struct principal *principal)
{
    if (peer->principal != NULL) {
        peer->principal->sessions--;
        peer->principal->parked_bytes -= peer->parked_bytes;
    }
    peer->principal = principal;
    if (principal != NULL) {
        principal->sessions++;
        principal->parked_bytes += peer->parked_bytes;
    }
    free(peer->permits);
    peer->permits = NULL;
}

void sessions_note_parked(const struct sessions *self, struct peer *peer)
{
    uint64_t before = peer->parked_bytes;
    if (peer->principal != NULL) {
        peer->parked_bytes = dispatch_session_parked_bytes(self->dispatch, peer->session_no);
        peer->principal->parked_bytes = peer->principal->parked_bytes - before + peer->parked_bytes;
    }
}

bool sessions_each(struct sessions *self, void *context, void (*visit)(void *context, struct peer *peer))
{
    size_t count = self->timers.count;
    struct peer **peers = malloc((count + 1) * sizeof(*peers));
    if (peers == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        peers[i] = heap_object(self->timers.nodes[i + 1], struct peer, timer);
    }
    for (size_t i = 0; i < count; i++) {
        visit(context, peers[i]);
    }
    free(peers);
    return true;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// Also without a connection of its own: it lives as long as what renews it stands, and does so.
static bool is_renewed(const struct sessions *self, uint64_t now_ms, const struct peer *peer)
{
    return peer->renewer != 0 && now_ms < peer->heard_ms + self->config.timeout_ms &&
           self->config.probe(self->config.context, peer->renewer);
}

static void look_after_unconnected(struct sessions *self, uint64_t now_ms, struct peer *peer)
{
    if (now_ms < peer->ends_ms) {
        heap_rekey(&self->timers, &peer->timer, peer->ends_ms);
    } else if (is_renewed(self, now_ms, peer)) {
        heap_rekey(&self->timers, &peer->timer, now_ms + SESSIONS_PROBE_MS);
    } else {
        sessions_end(self, now_ms, peer, false);
    }
}

static void look_after(struct sessions *self, uint64_t now_ms, struct peer *peer)
{
    if (peer->connection == 0) {
        look_after_unconnected(self, now_ms, peer);
        return;
    }
    bool busy =
        engine_session_leases(self->engine, peer->session_no) > 0 || dispatch_session_waits(self->dispatch, peer->session_no);
    uint64_t silence_ends_ms = peer->heard_ms + self->config.timeout_ms;
    if (busy && now_ms >= silence_ends_ms) {
        sessions_end(self, now_ms, peer, false);
        return;
    }
    uint64_t next_ms = busy ? min_u64(now_ms + SESSIONS_PROBE_MS, silence_ends_ms) : now_ms + self->config.timeout_ms;
    heap_rekey(&self->timers, &peer->timer, next_ms);
    if (!self->config.probe(self->config.context, peer->connection)) {
        leave_connection(self, peer, now_ms, self->config.grace_ms);
    }
}

bool sessions_excuse(struct sessions *self, uint64_t now_ms, uint64_t late_ms)
{
    if (late_ms < min_u64(SESSIONS_LATE_MS, self->config.timeout_ms / 3)) { // whoever lives has a third of the time to spare
        return false;
    }
    for (size_t i = 1; i <= self->timers.count; i++) {
        struct peer *peer = heap_object(self->timers.nodes[i], struct peer, timer);
        uint64_t ends_ms = now_ms + self->config.grace_ms;
        peer->heard_ms = now_ms;
        peer->ends_ms = peer->ends_ms > ends_ms ? peer->ends_ms : ends_ms;
        engine_session_renew(self->engine, now_ms, peer->session_no);
    }
    return true;
}

bool sessions_tick(struct sessions *self, uint64_t now_ms)
{
    bool due = heap_min_key(&self->timers) <= now_ms;
    if (due) {
        look_after(self, now_ms, heap_object(heap_min(&self->timers), struct peer, timer));
    }
    return due;
}

uint64_t sessions_next_deadline_ms(const struct sessions *self)
{
    return heap_min_key(&self->timers);
}
