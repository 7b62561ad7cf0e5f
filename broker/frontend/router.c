#include "router.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "clock.h"
#include "lanes.h"
#include "local_socket.h"
#include "patience.h"
#include "routing_id.h"
#include "sender.h"
#include "zap.h"

enum { ENDPOINTS_MAX = 16, ENDPOINT_BYTES = 300, POLL_MAX = 4 };

// A frame received that is served later.
struct waiting_frame {
    struct lane_frame head;
    zmq_msg_t message;
};

struct router {
    void *context, *socket;
    struct zap *zap; // NULL: no keys
    char endpoints[ENDPOINTS_MAX][ENDPOINT_BYTES];
    size_t endpoint_count;
    zmq_msg_t received; // valid when has_received
    bool has_received;
    struct sender sender;
    struct patience patience;
};

static enum nq_status refuse(struct router_error *error, enum nq_status status, const char *what)
{
    snprintf(error->text, sizeof(error->text), "%s: %s", what, zmq_strerror(zmq_errno()));
    error->status = status;
    return status;
}

static bool set_option(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

// libzmq's mark counts frames, which may be megabytes each: it bounds what one connection can make it read ahead of us. Who sends more
// waits, and nothing is lost.
static int frames_read_ahead(const struct router_config *config)
{
    enum { LEAST = 4, MOST = 256 };
    uint64_t frames = config->link_bytes_max / config->frame_bytes_max;
    return config->link_bytes_max == 0 || frames > MOST ? MOST : frames < LEAST ? LEAST : (int)frames;
}

static bool set_options(void *socket, const struct router_config *config)
{
    const int options[][2] = {
        {ZMQ_ROUTER_MANDATORY, 1},
        {ZMQ_HANDSHAKE_IVL, 5000},
        {ZMQ_BACKLOG, 1024},
        {ZMQ_LINGER, 1000},
        {ZMQ_SNDHWM, 64}, // sender.c counts bytes
        {ZMQ_RCVHWM, frames_read_ahead(config)},
        {ZMQ_TCP_KEEPALIVE, 1},
        {ZMQ_TCP_KEEPALIVE_IDLE, 30},
        {ZMQ_TCP_KEEPALIVE_INTVL, 10},
        {ZMQ_TCP_KEEPALIVE_CNT, 3},
        {ZMQ_TCP_MAXRT, 30000},
    };
    bool all = true;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        all = all && set_option(socket, options[i][0], options[i][1]);
    }
    int64_t frame_bytes_max = (int64_t)config->frame_bytes_max;
    return all && zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_bytes_max, sizeof(frame_bytes_max)) == 0;
}

#ifndef ZMQ_ZAP_ENFORCE_DOMAIN // of libzmq's draft interface in name only: 4.3 takes it, and without it an absent handler lets all in
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

// With the domain enforced a handshake fails when nobody answers for it.
static bool set_curve(void *socket, const struct keys_pair *keys)
{
    return set_option(socket, ZMQ_CURVE_SERVER, 1) &&
           zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->secret_key, KEYS_TEXT_BYTES) == 0 &&
           zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN)) == 0 &&
           set_option(socket, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
}

static enum nq_status secure(struct router *self, const struct router_config *config, struct router_error *error)
{
    if (config->keys == NULL) {
        return NQ_OK;
    }
    if (!set_curve(self->socket, config->keys)) {
        return refuse(error, NQ_BAD_CONFIG, "cannot set the keys (is libzmq built with CURVE?)");
    }
    self->zap = zap_start(self->context, config->authorised);
    return self->zap != NULL ? NQ_OK : refuse(error, NQ_UNREACHABLE, "cannot start the thread that authenticates");
}

// libzmq takes the file of a listener that is at work over without a word, and leaves none behind when it ends.
static bool is_taken(const char *endpoint)
{
    static const char ipc[] = "ipc://";
    return strncmp(endpoint, ipc, strlen(ipc)) == 0 && local_socket_is_served(endpoint + strlen(ipc));
}

static enum nq_status refuse_endpoint(struct router_error *error, const char *what)
{
    int why = zmq_errno();
    refuse(error, why == EINVAL || why == EPROTONOSUPPORT || why == ENODEV ? NQ_BAD_CONFIG : NQ_UNREACHABLE, what);
    if (why == ENODEV) {
        snprintf(error->text, sizeof(error->text), "%s: expected an address of this host, an interface or *", what);
    }
    return error->status;
}

static enum nq_status bind_one(struct router *self, const char *endpoint, struct router_error *error)
{
    char *bound = self->endpoints[self->endpoint_count];
    size_t size = ENDPOINT_BYTES;
    char what[320];
    snprintf(what, sizeof(what), "cannot listen on %.250s", endpoint);
    set_option(self->socket, ZMQ_IPV6, strchr(endpoint, '[') != NULL || strstr(endpoint, "://*") != NULL ? 1 : 0);
    if (is_taken(endpoint)) {
        errno = EADDRINUSE;
        return refuse(error, NQ_UNREACHABLE, what);
    }
    if (zmq_bind(self->socket, endpoint) != 0) {
        return refuse_endpoint(error, what);
    }
    if (zmq_getsockopt(self->socket, ZMQ_LAST_ENDPOINT, bound, &size) != 0) {
        return refuse(error, NQ_UNREACHABLE, what);
    }
    self->endpoint_count++;
    return NQ_OK;
}

static struct sender_limits limits_of(const struct router_config *config)
{
    uint64_t least = 2 * (uint64_t)config->frame_bytes_max;
    bool given = config->link_bytes_max != 0 && config->link_bytes_max < ROUTER_LINK_BYTES_MAX;
    uint64_t bytes = given ? config->link_bytes_max : ROUTER_LINK_BYTES_MAX;
    return (struct sender_limits){.link_bytes_max = bytes > least ? bytes : least,
                                  .bytes_max = config->answer_bytes_max == 0 ? UINT64_MAX : config->answer_bytes_max};
}

enum nq_status router_open(const struct router_config *config, struct router **out, struct router_error *error)
{
    struct router *self = calloc(1, sizeof(*self));
    enum nq_status status = NQ_OK;
    if (self == NULL) {
        return refuse(error, NQ_NO_MEMORY, "sockets");
    }
    srandom(config->seed); // libzmq numbers connections from random() or rand() on and seeds neither
    srand(config->seed);
    self->context = zmq_ctx_new();
    self->socket = self->context == NULL ? NULL : zmq_socket(self->context, ZMQ_ROUTER);
    if (self->socket == NULL) {
        status = refuse(error, NQ_UNREACHABLE, "cannot make a socket");
    } else if (!set_options(self->socket, config)) {
        status = refuse(error, NQ_UNREACHABLE, "cannot set a socket's options");
    } else {
        status = secure(self, config, error);
    }
    const struct sender_limits limits = limits_of(config);
    sender_init(&self->sender, self->socket, &limits);
    for (size_t i = 0; i < config->endpoint_count && i < ENDPOINTS_MAX && status == NQ_OK; i++) {
        status = bind_one(self, config->endpoints[i], error);
    }
    if (status != NQ_OK) {
        router_close(&self);
    }
    *out = self;
    return status;
}

static void close_received(struct router *self)
{
    if (self->has_received) {
        zmq_msg_close(&self->received);
        self->has_received = false;
    }
}

void router_close(struct router **self_p)
{
    struct router *self = *self_p;
    if (self == NULL) {
        return;
    }
    sender_forget(&self->sender);
    close_received(self);
    if (self->socket != NULL) {
        zmq_close(self->socket);
    }
    zap_stop(&self->zap);
    while (self->context != NULL && zmq_ctx_term(self->context) != 0 && errno == EINTR) {
    }
    sender_fini(&self->sender);
    free(self);
    *self_p = NULL;
}

const char *router_endpoint(const struct router *self, size_t index)
{
    return index < self->endpoint_count ? self->endpoints[index] : NULL;
}

void router_pause(void)
{
    (void)sched_yield();
}

// Interrupted: nothing is ready, and the caller looks at what else is due.
static int poll_patiently(struct patience *patience, zmq_pollitem_t *items, int count, long timeout_ms)
{
    if (timeout_ms == 0) {
        return zmq_poll(items, count, 0);
    }
    int ready = 0;
    patience_begin(patience, clock_us());
    while (ready == 0 && patience_goes_on(patience, clock_us())) {
        ready = zmq_poll(items, count, 0);
        if (ready == 0) {
            router_pause();
        }
    }
    if (ready == 0) {
        ready = zmq_poll(items, count, timeout_ms);
    }
    patience_end(patience, clock_us());
    return ready;
}

unsigned router_wait(struct router *self, bool reading, const int *fds, size_t fd_count, long timeout_ms)
{
    zmq_pollitem_t items[POLL_MAX] = {0};
    int count = 0;
    unsigned ready = 0;
    for (size_t i = 0; i < fd_count && count < POLL_MAX - 1; i++) {
        items[count++] = (zmq_pollitem_t){.fd = fds[i], .events = ZMQ_POLLIN};
    }
    if (reading) {
        items[count++] = (zmq_pollitem_t){.socket = self->socket, .events = ZMQ_POLLIN};
    }
    if (poll_patiently(&self->patience, items, count, timeout_ms) > 0) {
        for (size_t i = 0; i < fd_count; i++) {
            ready |= items[i].revents != 0 ? 1u << i : 0;
        }
    }
    return ready;
}

// ------------------------------------------------------------------------------------------------------------------- receive

static bool more_follows(void *socket)
{
    int more = 0;
    size_t size = sizeof(more);
    return zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) == 0 && more != 0;
}

static void skip_rest(struct router *self)
{
    while (more_follows(self->socket)) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        int got = zmq_msg_recv(&part, self->socket, ZMQ_DONTWAIT);
        zmq_msg_close(&part);
        if (got < 0) {
            return;
        }
    }
}

// Only routing id and one frame are a frame of ours; ids that clients choose themselves are refused, they could be another's.
static bool receive_one(struct router *self, uint64_t *connection, bool *none)
{
    uint8_t id[256];
    int id_len = zmq_recv(self->socket, id, sizeof(id), ZMQ_DONTWAIT);
    *none = id_len < 0;
    if (id_len < 0) {
        return false;
    }
    if (!more_follows(self->socket)) {
        return false;
    }
    zmq_msg_init(&self->received);
    self->has_received = true;
    if (zmq_msg_recv(&self->received, self->socket, ZMQ_DONTWAIT) < 0) {
        return false;
    }
    if (!routing_id_read(id, id_len, connection) || zmq_msg_more(&self->received)) {
        skip_rest(self);
        return false;
    }
    sender_meet(&self->sender, *connection, &self->received);
    return true;
}

bool router_receive(struct router *self, uint64_t *connection, const void **data, size_t *len)
{
    enum { BAD_IN_A_ROW_MAX = 100 }; // so that rubbish does not hold up the rest
    for (int i = 0; i < BAD_IN_A_ROW_MAX; i++) {
        bool none;
        close_received(self);
        if (receive_one(self, connection, &none)) {
            *data = zmq_msg_data(&self->received);
            *len = zmq_msg_size(&self->received);
            return true;
        }
        if (none) {
            return false;
        }
    }
    return false;
}

// Of the body frame: libzmq 4.3.4 gives a routing id that it has read ahead none of the connection's properties.
const char *router_sender(struct router *self)
{
    return self->has_received ? zmq_msg_gets(&self->received, "User-Id") : NULL;
}

struct lane_frame *router_keep(struct router *self)
{
    struct waiting_frame *frame = malloc(sizeof(*frame));
    if (frame == NULL) {
        return NULL;
    }
    *frame = (struct waiting_frame){0};
    zmq_msg_init(&frame->message);
    zmq_msg_move(&frame->message, &self->received);
    return &frame->head;
}

const void *router_take_up(struct router *self, struct lane_frame **frame_p)
{
    struct waiting_frame *frame = (struct waiting_frame *)*frame_p;
    close_received(self);
    zmq_msg_init(&self->received);
    zmq_msg_move(&self->received, &frame->message);
    self->has_received = true;
    router_forget(frame_p);
    return zmq_msg_data(&self->received);
}

void router_forget(struct lane_frame **frame_p)
{
    struct waiting_frame *frame = (struct waiting_frame *)*frame_p;
    zmq_msg_close(&frame->message);
    free(frame);
    *frame_p = NULL;
}

// ---------------------------------------------------------------------------------------------------------------------- send

bool router_send(struct router *self, uint64_t connection, const struct wire_packer *packer)
{
    return sender_send(&self->sender, connection, packer);
}

uint64_t router_room(const struct router *self, uint64_t connection)
{
    return sender_room(&self->sender, connection);
}

void router_retry(struct router *self, void *context, void (*gone)(void *context, uint64_t connection))
{
    sender_retry(&self->sender, context, gone);
}

bool router_has_kept(const struct router *self)
{
    return sender_has_kept(&self->sender);
}
