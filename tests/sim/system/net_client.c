// A client's connection in the simulated network: client/connection.h as client/connection.c does it with ZeroMQ.
#include "connection.h"

#include <assert.h>
#include <stdlib.h>

#include "net.h"
#include "net_client.h"
#include "world.h"

enum { EVENTS_MAX = 64, WAIT_MS_MAX = 3600 * 1000, TICK_MS = 4, CLOCK_AT_START_MS = 77 * 1000 * 1000 };

struct connection {
    struct endpoint endpoint; // first
    enum connection_event events[EVENTS_MAX];
    size_t events_count;
    struct packet *in, *out;
    struct runner *waiting;
    bool woken;
    bool vanished; // its process is dead: nothing leaves or comes any more
    int number;
};

static struct connection **connections; // all of this run: events may still name one that is closed
static size_t connections_count;

static void wake_up(struct connection *self)
{
    if (self->waiting != NULL) {
        runner_wake(self->waiting);
    }
}

static void on_changed(struct endpoint *endpoint)
{
    wake_up((struct connection *)(void *)endpoint);
}

static void add_event(struct connection *self, enum connection_event event)
{
    if (self->events_count == EVENTS_MAX) { // nobody looks: only refusals can be so many
        return;
    }
    self->events[self->events_count++] = event;
    wake_up(self);
}

static void on_up(struct endpoint *endpoint, bool connected)
{
    add_event((struct connection *)(void *)endpoint, connected ? CONNECTION_UP : CONNECTION_REFUSED);
}

static void on_down(struct endpoint *endpoint)
{
    add_event((struct connection *)(void *)endpoint, CONNECTION_DOWN);
}

struct connection *connection_create(const struct connection_keys *keys)
{
    (void)keys;
    struct connection *self = calloc(1, sizeof(*self));
    connections = realloc(connections, (connections_count + 1) * sizeof(struct connection *));
    assert(self != NULL && connections != NULL);
    self->endpoint.changed = on_changed;
    self->endpoint.up = on_up;
    self->endpoint.down = on_down;
    self->number = (int)connections_count;
    connections[connections_count++] = self;
    return self;
}

const struct connection_keys *connection_keys(const struct connection *self)
{
    (void)self;
    return NULL;
}

const char *connection_trouble(const struct connection *self)
{
    (void)self;
    return NULL;
}

bool connection_is_given_up(const struct connection *self)
{
    (void)self;
    return false; // links that are down come up again
}

void connection_destroy(struct connection **self_p)
{
    struct connection *self = *self_p;
    if (self != NULL) { // freed at the end of the run
        connection_close(self, 0);
        *self_p = NULL;
    }
}

enum nq_status connection_open(struct connection *self, const char *endpoint)
{
    (void)endpoint;
    connection_close(self, 0);
    if (!self->vanished) {
        net_connect(&self->endpoint);
    }
    return NQ_OK;
}

void connection_close(struct connection *self, int linger_ms)
{
    (void)linger_ms;
    free(self->in);
    free(self->out);
    self->in = self->out = NULL;
    self->events_count = 0;
    net_close(&self->endpoint);
}

enum connection_event connection_next_event(struct connection *self, uint64_t now_ms)
{
    (void)now_ms;
    if (self->events_count == 0) {
        return CONNECTION_NOTHING;
    }
    enum connection_event event = self->events[0];
    self->events_count--;
    for (size_t i = 0; i < self->events_count; i++) {
        self->events[i] = self->events[i + 1];
    }
    return event;
}

bool connection_is_readable(struct connection *self)
{
    return self->endpoint.inbox.first != NULL;
}

// As a ZeroMQ socket whose monitor has not been read yet: not up before the event has been taken.
bool connection_is_writable(struct connection *self)
{
    return self->events_count == 0 && net_has_room(&self->endpoint);
}

void *connection_prepare(struct connection *self, size_t size)
{
    free(self->out);
    self->out = packet_create(size);
    return self->out->bytes;
}

bool connection_send(struct connection *self)
{
    if (self->out == NULL || !net_has_room(&self->endpoint)) {
        return false;
    }
    net_send(&self->endpoint, &self->out);
    return true;
}

bool connection_receive(struct connection *self, const void **data, size_t *len)
{
    free(self->in);
    self->in = packets_take(&self->endpoint.inbox);
    if (self->in == NULL) {
        return false;
    }
    *data = self->in->bytes;
    *len = self->in->len;
    return true;
}

int connection_fd(const struct connection *self)
{
    return self->number;
}

void connection_wait(struct connection *self, uint64_t timeout_ms)
{
    uint64_t ms = timeout_ms > WAIT_MS_MAX ? WAIT_MS_MAX : timeout_ms;
    bool ready = self->woken || self->events_count > 0 || self->endpoint.inbox.first != NULL;
    self->woken = false;
    self->waiting = runner_current();
    runner_wait_us(ready || ms == 0 ? world_between(1, 20) : ms * 1000);
    self->waiting = NULL;
}

void connection_wake(struct connection *self)
{
    self->woken = true;
    wake_up(self);
}

uint64_t connection_now_ms(void)
{
    return CLOCK_AT_START_MS + world_now_ms();
}

uint64_t connection_tick_ms(void)
{
    return connection_now_ms() / TICK_MS * TICK_MS;
}

// --------------------------------------------------------------------------------------------------------- for the simulation

void net_client_wait(int fd, uint64_t timeout_ms)
{
    assert(fd >= 0 && (size_t)fd < connections_count);
    struct connection *self = connections[fd];
    bool woken = self->woken;
    connection_wait(self, timeout_ms);
    self->woken |= woken; // polling takes nothing away
}

void net_client_vanish(int fd)
{
    assert(fd >= 0 && (size_t)fd < connections_count);
    connections[fd]->vanished = true;
    net_close(&connections[fd]->endpoint);
}

void net_client_end(void)
{
    for (size_t i = 0; i < connections_count; i++) {
        free(connections[i]);
    }
    free(connections);
    connections = NULL;
    connections_count = 0;
}
