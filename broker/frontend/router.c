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
#include "table.h"
#include "zap.h"

enum { ENDPOINTS_MAX = 16, ENDPOINT_BYTES = 300, ROUTING_ID_BYTES = 5, POLL_MAX = 4, FRAMES_HELD_MIN = 4 };

// libzmq's own routing ids: a zero and a counter. Ours are never 0.
static const uint64_t CONNECTION_MARK = 1ull << 32;

struct kept_frame {
    struct kept_frame *next;
    zmq_msg_t message;
};

// A frame received that is served later.
struct waiting_frame {
    struct lane_frame head;
    zmq_msg_t message;
};

// What a connection did not take at once.
struct kept {
    struct kept *next;
    uint64_t connection;
    struct kept_frame *first, *last;
    size_t bytes;
};

struct router {
    void *context, *socket;
    struct zap *zap; // NULL: no keys
    char endpoints[ENDPOINTS_MAX][ENDPOINT_BYTES];
    size_t endpoint_count;
    zmq_msg_t received; // valid when has_received
    bool has_received;
    struct table kept_by_connection;
    struct kept *kept;
    size_t overflow_bytes_max; // kept for one connection
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

// libzmq's marks count frames, which may be megabytes each: they bound what one connection can make it hold.
static int frames_held(const struct router_config *config, int most)
{
    uint64_t frames = config->link_bytes_max / config->frame_bytes_max;
    return config->link_bytes_max == 0 || frames > (uint64_t)most ? most : frames < FRAMES_HELD_MIN ? FRAMES_HELD_MIN : (int)frames;
}

static bool set_options(void *socket, const struct router_config *config)
{
    const int options[][2] = {
        {ZMQ_ROUTER_MANDATORY, 1},
        {ZMQ_HANDSHAKE_IVL, 5000},
        {ZMQ_BACKLOG, 1024},
        {ZMQ_LINGER, 1000},
        {ZMQ_SNDHWM, frames_held(config, 64)},
        {ZMQ_RCVHWM, frames_held(config, 256)},
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

static size_t overflow_of(const struct router_config *config)
{
    uint64_t least = 2 * (uint64_t)config->frame_bytes_max;
    uint64_t bytes = config->link_bytes_max == 0 || config->link_bytes_max > ROUTER_OVERFLOW_BYTES_MAX ? ROUTER_OVERFLOW_BYTES_MAX
                                                                                                       : config->link_bytes_max;
    return (size_t)(bytes > least ? bytes : least);
}

enum nq_status router_open(const struct router_config *config, struct router **out, struct router_error *error)
{
    struct router *self = calloc(1, sizeof(*self));
    enum nq_status status = NQ_OK;
    if (self == NULL) {
        return refuse(error, NQ_NO_MEMORY, "sockets");
    }
    self->overflow_bytes_max = overflow_of(config);
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
    for (size_t i = 0; i < config->endpoint_count && i < ENDPOINTS_MAX && status == NQ_OK; i++) {
        status = bind_one(self, config->endpoints[i], error);
    }
    if (status != NQ_OK) {
        router_close(&self);
    }
    *out = self;
    return status;
}

static void free_kept(struct kept *kept)
{
    while (kept->first != NULL) {
        struct kept_frame *frame = kept->first;
        kept->first = frame->next;
        zmq_msg_close(&frame->message);
        free(frame);
    }
    free(kept);
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
    while (self->kept != NULL) {
        struct kept *kept = self->kept;
        self->kept = kept->next;
        free_kept(kept);
    }
    table_fini(&self->kept_by_connection);
    close_received(self);
    if (self->socket != NULL) {
        zmq_close(self->socket);
    }
    zap_stop(&self->zap);
    while (self->context != NULL && zmq_ctx_term(self->context) != 0 && errno == EINTR) {
    }
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

static uint64_t connection_of(const uint8_t id[ROUTING_ID_BYTES])
{
    uint32_t number;
    memcpy(&number, id + 1, sizeof(number));
    return CONNECTION_MARK | number;
}

static void routing_id_of(uint64_t connection, uint8_t id[ROUTING_ID_BYTES])
{
    uint32_t number = (uint32_t)connection;
    id[0] = 0;
    memcpy(id + 1, &number, sizeof(number));
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
    if (id_len != ROUTING_ID_BYTES || id[0] != 0 || zmq_msg_more(&self->received)) {
        skip_rest(self);
        return false;
    }
    *connection = connection_of(id);
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

enum sent { SENT, SENT_LATER, SENT_NEVER };

// Takes the message when it is SENT. An error is told on the routing id only, so nothing follows an id that was refused.
static enum sent send_message(struct router *self, uint64_t connection, zmq_msg_t *message)
{
    uint8_t id[ROUTING_ID_BYTES];
    routing_id_of(connection, id);
    if (zmq_send(self->socket, id, sizeof(id), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        return zmq_errno() == EAGAIN || zmq_errno() == EINTR ? SENT_LATER : SENT_NEVER;
    }
    return zmq_msg_send(message, self->socket, ZMQ_DONTWAIT) < 0 ? SENT_NEVER : SENT;
}

static void forget_kept(struct router *self, struct kept *kept)
{
    struct kept **at = &self->kept;
    while (*at != kept) {
        at = &(*at)->next;
    }
    *at = kept->next;
    table_remove(&self->kept_by_connection, kept->connection, 0);
    free_kept(kept);
}

static struct kept *keep_for(struct router *self, uint64_t connection)
{
    struct kept *kept = table_find(&self->kept_by_connection, connection, 0);
    if (kept != NULL) {
        return kept;
    }
    kept = calloc(1, sizeof(*kept));
    if (kept == NULL || !table_insert(&self->kept_by_connection, connection, 0, kept)) {
        free(kept);
        return NULL;
    }
    kept->connection = connection;
    kept->next = self->kept;
    self->kept = kept;
    return kept;
}

// Takes the message in any case. False: it would be too much for this connection, which is given up.
static bool keep(struct router *self, uint64_t connection, zmq_msg_t *message)
{
    struct kept *kept = keep_for(self, connection);
    struct kept_frame *frame = kept == NULL ? NULL : calloc(1, sizeof(*frame));
    size_t bytes = zmq_msg_size(message);
    if (frame == NULL || kept->bytes + bytes > self->overflow_bytes_max) {
        free(frame);
        zmq_msg_close(message);
        if (kept != NULL) {
            forget_kept(self, kept);
        }
        return false;
    }
    zmq_msg_init(&frame->message);
    zmq_msg_move(&frame->message, message);
    zmq_msg_close(message);
    if (kept->last == NULL) {
        kept->first = frame;
    } else {
        kept->last->next = frame;
    }
    kept->last = frame;
    kept->bytes += bytes;
    return true;
}

bool router_send(struct router *self, uint64_t connection, const struct wire_packer *packer)
{
    zmq_msg_t message;
    if (zmq_msg_init_size(&message, wire_packed_size(packer)) != 0) {
        return false;
    }
    wire_pack(packer, zmq_msg_data(&message));
    bool behind_others = self->kept != NULL && table_find(&self->kept_by_connection, connection, 0) != NULL;
    enum sent sent = behind_others ? SENT_LATER : send_message(self, connection, &message);
    if (sent == SENT_LATER) {
        return keep(self, connection, &message);
    }
    if (sent == SENT_NEVER) {
        zmq_msg_close(&message);
    }
    return sent == SENT;
}

// True: all that was kept for the connection is sent.
static enum sent retry_one(struct router *self, struct kept *kept)
{
    while (kept->first != NULL) {
        struct kept_frame *frame = kept->first;
        size_t bytes = zmq_msg_size(&frame->message);
        enum sent sent = send_message(self, kept->connection, &frame->message);
        if (sent != SENT) {
            return sent;
        }
        kept->bytes -= bytes;
        kept->first = frame->next;
        kept->last = frame->next == NULL ? NULL : kept->last;
        free(frame);
    }
    return SENT;
}

void router_retry(struct router *self, void *context, void (*gone)(void *context, uint64_t connection))
{
    for (struct kept *kept = self->kept; kept != NULL;) {
        struct kept *next = kept->next;
        uint64_t connection = kept->connection;
        enum sent sent = retry_one(self, kept);
        if (sent != SENT_LATER) {
            forget_kept(self, kept);
        }
        if (sent == SENT_NEVER) {
            gone(context, connection);
        }
        kept = next;
    }
}

bool router_has_kept(const struct router *self)
{
    return self->kept != NULL;
}
