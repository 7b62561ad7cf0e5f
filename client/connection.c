#include "connection.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "patience.h"
#include "wire_limits.h"

#define SOCKETS_MAX 16384
#define RECONNECT_MS 100
#define RECONNECT_MAX_MS 2000
#define FRAME_BYTES_CEILING (2ll * NQ_BODY_BYTES_MAX) // the broker's own limit is known only after the first answer
#define WATCHED_EVENTS                                                                                                             \
    (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |   \
     ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

struct connection {
    void *context;
    void *socket;
    void *monitor;
    int epoll_fd;
    int wake_fd;
    int socket_fd; // owned by libzmq
    int monitor_fd;
    const struct connection_keys *keys; // NULL: none
    const char *trouble;                // static, or NULL
    bool up;
    bool given_up;          // after a handshake that went wrong libzmq does not try again
    bool event_due;         // the monitor may have something to say
    uint64_t event_look_ms; // when it was asked last
    bool was_full;          // the last frame did not leave
    bool drained;           // nothing was there to be received, and libzmq has not been called since
    struct patience patience;
    bool has_in, has_out;
    zmq_msg_t in, out;
};

// --------------------------------------------------------------------------------------------------- shared context
// One per process: contexts cost threads, and libsodium's tear-down is not safe with several. The mutex guards the count.

static pthread_mutex_t context_mutex = PTHREAD_MUTEX_INITIALIZER;
static void *context;
static size_t context_users;
static pid_t context_pid; // a context does not survive fork(): a child makes its own and leaves the parent's alone

// So that no child is born with the mutex held by a thread that it does not have.
static void lock_contexts(void)
{
    (void)pthread_mutex_lock(&context_mutex);
}

static void unlock_contexts(void)
{
    (void)pthread_mutex_unlock(&context_mutex);
}

static void watch_forks(void)
{
    (void)pthread_atfork(lock_contexts, unlock_contexts, unlock_contexts);
}

static void *context_acquire(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, watch_forks);
    (void)pthread_mutex_lock(&context_mutex);
    if (context_pid != getpid()) {
        context = NULL;
        context_users = 0;
        context_pid = getpid();
    }
    if (context == NULL) {
        context = zmq_ctx_new();
        if (context != NULL) {
            (void)zmq_ctx_set(context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
        }
    }
    if (context != NULL) {
        context_users++;
    }
    void *acquired = context;
    (void)pthread_mutex_unlock(&context_mutex);
    return acquired;
}

static void context_release(void)
{
    (void)pthread_mutex_lock(&context_mutex);
    void *last = NULL;
    if (context_pid == getpid() && --context_users == 0) {
        last = context;
        context = NULL;
    }
    (void)pthread_mutex_unlock(&context_mutex);
    while (last != NULL && zmq_ctx_term(last) != 0 && errno == EINTR) {
    }
}

// ------------------------------------------------------------------------------------------------------- life-cycle

static bool watch(const struct connection *self, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

struct connection *connection_create(const struct connection_keys *keys)
{
    struct connection *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->keys = keys;
    self->socket_fd = -1;
    self->monitor_fd = -1;
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    self->context = context_acquire();
    if (self->wake_fd < 0 || self->epoll_fd < 0 || self->context == NULL || !watch(self, self->wake_fd)) {
        connection_destroy(&self);
    }
    return self;
}

void connection_destroy(struct connection **self_p)
{
    struct connection *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    connection_close(self, 0);
    if (self->context != NULL) {
        context_release();
    }
    if (self->wake_fd >= 0) {
        (void)close(self->wake_fd);
    }
    if (self->epoll_fd >= 0) {
        (void)close(self->epoll_fd);
    }
    free(self);
}

static void set_option(void *socket, int option, int value)
{
    (void)zmq_setsockopt(socket, option, &value, sizeof value);
}

static void set_options(void *socket)
{
    set_option(socket, ZMQ_IMMEDIATE, 1); // nothing is queued for a connection that is not there
    set_option(socket, ZMQ_LINGER, 0);
    set_option(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    set_option(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    set_option(socket, ZMQ_CONNECT_TIMEOUT, 5000);
    set_option(socket, ZMQ_HANDSHAKE_IVL, 5000);
    set_option(socket, ZMQ_TCP_KEEPALIVE, 1);
    set_option(socket, ZMQ_TCP_KEEPALIVE_IDLE, 10);
    set_option(socket, ZMQ_TCP_KEEPALIVE_INTVL, 5);
    set_option(socket, ZMQ_TCP_KEEPALIVE_CNT, 3);
    set_option(socket, ZMQ_IPV6, 1);
    int64_t ceiling = FRAME_BYTES_CEILING;
    (void)zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &ceiling, sizeof ceiling);
}

// With keys, nothing leaves in clear: a socket that cannot have them is not used.
static bool set_keys(void *socket, const struct connection_keys *keys)
{
    return keys == NULL || (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, keys->broker, KEYS_TEXT_BYTES) == 0 &&
                            zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys->own.public_key, KEYS_TEXT_BYTES) == 0 &&
                            zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->own.secret_key, KEYS_TEXT_BYTES) == 0);
}

static bool get_fd(void *socket, int *fd)
{
    size_t len = sizeof *fd;
    return zmq_getsockopt(socket, ZMQ_FD, fd, &len) == 0;
}

static bool start_monitor(struct connection *self)
{
    char address[64];
    (void)snprintf(address, sizeof address, "inproc://nq-monitor-%p", self->socket);
    self->monitor = zmq_socket(self->context, ZMQ_PAIR);
    if (self->monitor == NULL || zmq_socket_monitor(self->socket, address, WATCHED_EVENTS) != 0) {
        return false;
    }
    set_option(self->monitor, ZMQ_LINGER, 0);
    set_option(self->monitor, ZMQ_RCVHWM, 0); // none: libzmq's only thread would wait until a client that is not used asks
    return zmq_connect(self->monitor, address) == 0 && get_fd(self->monitor, &self->monitor_fd) && watch(self, self->monitor_fd);
}

enum nq_status connection_open(struct connection *self, const char *endpoint)
{
    connection_close(self, 0);
    self->given_up = false;
    enum nq_status status = NQ_NO_MEMORY;
    self->socket = zmq_socket(self->context, ZMQ_DEALER);
    if (self->socket == NULL) {
        goto fail;
    }
    set_options(self->socket);
    if (!set_keys(self->socket, self->keys)) {
        status = NQ_BAD_CONFIG;
        goto fail;
    }
    if (!start_monitor(self) || !get_fd(self->socket, &self->socket_fd) || !watch(self, self->socket_fd)) {
        goto fail;
    }
    if (zmq_connect(self->socket, endpoint) != 0) {
        status = NQ_BAD_REQUEST;
        goto fail;
    }
    self->event_due = true;
    return NQ_OK;
fail:
    connection_close(self, 0);
    self->given_up = true;
    return status;
}

static void unwatch(const struct connection *self, int *fd)
{
    if (*fd >= 0) {
        (void)epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, *fd, NULL);
        *fd = -1;
    }
}

void connection_close(struct connection *self, int linger_ms)
{
    if (self->has_in) {
        (void)zmq_msg_close(&self->in);
        self->has_in = false;
    }
    if (self->has_out) {
        (void)zmq_msg_close(&self->out);
        self->has_out = false;
    }
    unwatch(self, &self->socket_fd);
    unwatch(self, &self->monitor_fd);
    if (self->socket != NULL) {
        (void)zmq_socket_monitor(self->socket, NULL, 0);
        set_option(self->socket, ZMQ_LINGER, linger_ms);
        (void)zmq_close(self->socket);
        self->socket = NULL;
    }
    if (self->monitor != NULL) {
        (void)zmq_close(self->monitor);
        self->monitor = NULL;
    }
    self->up = false;
    self->was_full = false;
    self->drained = false;
}

// ----------------------------------------------------------------------------------------------------------- events

// First part: 16 bits event, 32 bits value. Second part: the endpoint, not needed. False: none there.
static bool monitor_receive(struct connection *self, uint16_t *event, uint32_t *value)
{
    zmq_msg_t part;
    (void)zmq_msg_init(&part);
    bool got = zmq_msg_recv(&part, self->monitor, ZMQ_DONTWAIT) >= 0;
    if (got && zmq_msg_size(&part) >= sizeof *event + sizeof *value) {
        memcpy(event, zmq_msg_data(&part), sizeof *event);
        memcpy(value, (const char *)zmq_msg_data(&part) + sizeof *event, sizeof *value);
    }
    while (got && zmq_msg_more(&part) && zmq_msg_recv(&part, self->monitor, ZMQ_DONTWAIT) >= 0) {
    }
    (void)zmq_msg_close(&part);
    return got;
}

// Why there is no connection. A handshake that is merely broken off may be the broker's end, or its not understanding us.
static enum connection_event judge_failure(struct connection *self, uint16_t event, uint32_t value)
{
    bool gives_up = event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH || event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
    self->given_up = self->given_up || gives_up; // that it is disconnected is told afterwards
    switch (event) {
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        self->trouble = "the broker does not know this key";
        return CONNECTION_FORBIDDEN;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        if (value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH) {
            self->trouble =
                self->keys == NULL ? "the broker demands keys (--keys, NETQUEUE_KEYS)" : "the broker has no keys, but we do";
            return CONNECTION_FORBIDDEN;
        }
        self->trouble = self->keys == NULL ? "it is no netqueue broker" : "it does not hold the broker's key that we have";
        return CONNECTION_REFUSED;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        self->trouble = self->keys == NULL ? "it breaks off the handshake: it may demand keys (--keys, NETQUEUE_KEYS)"
                                           : "it breaks off the handshake: it may not hold the broker's key that we have";
        return CONNECTION_REFUSED;
    default:
        return CONNECTION_REFUSED;
    }
}

const struct connection_keys *connection_keys(const struct connection *self)
{
    return self->keys;
}

const char *connection_trouble(const struct connection *self)
{
    return self->trouble;
}

bool connection_is_given_up(const struct connection *self)
{
    return self->given_up;
}

// Asking costs system calls, so it is done when the descriptor says so, else once a millisecond.
enum connection_event connection_next_event(struct connection *self, uint64_t now_ms)
{
    uint16_t event = 0;
    uint32_t value = 0;
    if (!self->event_due && now_ms == self->event_look_ms) {
        return CONNECTION_NOTHING;
    }
    self->event_look_ms = now_ms;
    self->event_due = true;
    while (self->monitor != NULL && monitor_receive(self, &event, &value)) {
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            self->up = true;
            self->trouble = NULL;
            return CONNECTION_UP;
        }
        bool was_up = self->up;
        self->up = false;
        return was_up ? CONNECTION_DOWN : judge_failure(self, event, value);
    }
    self->event_due = false;
    return CONNECTION_NOTHING;
}

static bool has_event(struct connection *self, int wanted)
{
    int events = 0;
    size_t len = sizeof events;
    return self->socket != NULL && zmq_getsockopt(self->socket, ZMQ_EVENTS, &events, &len) == 0 && (events & wanted) != 0;
}

bool connection_is_readable(struct connection *self)
{
    return !self->drained && has_event(self, ZMQ_POLLIN);
}

bool connection_is_writable(struct connection *self)
{
    self->drained = self->drained && !self->was_full;
    return self->up && (!self->was_full || has_event(self, ZMQ_POLLOUT));
}

// ----------------------------------------------------------------------------------------------------------- frames

void *connection_prepare(struct connection *self, size_t size)
{
    if (self->has_out) {
        (void)zmq_msg_close(&self->out);
    }
    self->has_out = zmq_msg_init_size(&self->out, size) == 0;
    return self->has_out ? zmq_msg_data(&self->out) : NULL;
}

bool connection_send(struct connection *self)
{
    if (!self->has_out || self->socket == NULL) {
        return false;
    }
    int rc;
    self->drained = false; // what has arrived may be noted in there, and the descriptor say no more of it
    do {
        rc = zmq_msg_send(&self->out, self->socket, ZMQ_DONTWAIT);
    } while (rc < 0 && errno == EINTR);
    self->has_out = rc < 0; // libzmq owns what it took
    self->was_full = rc < 0;
    return rc >= 0;
}

// True: *single says whether the message was of one part, which then is in self->in.
static bool receive_message(struct connection *self, bool *single)
{
    int rc;
    do {
        rc = zmq_msg_recv(&self->in, self->socket, ZMQ_DONTWAIT);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        self->drained = true;
        return false;
    }
    *single = !zmq_msg_more(&self->in);
    while (zmq_msg_more(&self->in) && zmq_msg_recv(&self->in, self->socket, ZMQ_DONTWAIT) >= 0) {
    }
    return true;
}

bool connection_receive(struct connection *self, const void **data, size_t *len)
{
    if (self->socket == NULL) {
        return false;
    }
    if (!self->has_in) {
        (void)zmq_msg_init(&self->in);
        self->has_in = true;
    }
    bool single = false;
    while (receive_message(self, &single)) {
        if (single) {
            *data = zmq_msg_data(&self->in);
            *len = zmq_msg_size(&self->in);
            return true;
        }
    }
    (void)zmq_msg_close(&self->in);
    self->has_in = false;
    return false;
}

// ---------------------------------------------------------------------------------------------------------- waiting

int connection_fd(const struct connection *self)
{
    return self->epoll_fd;
}

static void clear_wake(struct connection *self)
{
    uint64_t count;
    while (read(self->wake_fd, &count, sizeof count) < 0 && errno == EINTR) {
    }
}

static uint64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int wait_for_events(struct connection *self, struct epoll_event *events, int max, int timeout)
{
    if (timeout == 0) {
        return epoll_wait(self->epoll_fd, events, max, 0);
    }
    int count = 0;
    patience_begin(&self->patience, now_us());
    while (count == 0 && patience_goes_on(&self->patience, now_us())) {
        count = epoll_wait(self->epoll_fd, events, max, 0);
        if (count == 0) {
            (void)sched_yield();
        }
    }
    if (count == 0) {
        count = epoll_wait(self->epoll_fd, events, max, timeout);
    }
    patience_end(&self->patience, now_us());
    return count;
}

void connection_wait(struct connection *self, uint64_t timeout_ms)
{
    struct epoll_event events[4];
    int timeout = timeout_ms > 3600u * 1000 ? 3600 * 1000 : (int)timeout_ms;
    int count = wait_for_events(self, events, 4, timeout);
    for (int i = 0; i < count; i++) {
        if (events[i].data.fd == self->wake_fd) {
            clear_wake(self);
        } else if (events[i].data.fd == self->monitor_fd) {
            self->event_due = true;
        }
    }
}

void connection_wake(struct connection *self)
{
    uint64_t one = 1;
    int saved = errno; // for signal handlers
    ssize_t rc = write(self->wake_fd, &one, sizeof one);
    (void)rc; // full means that it is readable already
    errno = saved;
}

uint64_t connection_now_ms(void)
{
    return now_us() / 1000;
}

uint64_t connection_tick_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
