#include "sender.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "clock.h"
#include "routing_id.h"

// Smaller frames are not counted while libzmq has them: there are no more of them than its mark allows.
enum { COUNTED_BYTES_MIN = 1024, SWEEP_AT_LEAST = 256 };

struct kept_frame {
    struct kept_frame *next;
    zmq_msg_t message;
};

struct link {
    struct link *next, *next_waiting;
    uint64_t connection;
    int fd; // -1: not known
    ino_t inode;
    struct kept_frame *first, *last;
    uint64_t kept_bytes; // of small frames, and what each frame takes beside its bytes
    uint64_t held_bytes; // by __atomic_*: of frames that are counted, kept or in libzmq's hands, whose thread frees them
    bool ended;
};

// A frame that is counted; its bytes follow.
struct counted {
    uint64_t *of_link, *of_all;
    uint64_t bytes;
    max_align_t data[];
};

void sender_init(struct sender *self, void *socket, const struct sender_limits *limits)
{
    *self = (struct sender){.socket = socket, .limits = *limits, .sweep_at = SWEEP_AT_LEAST};
}

static void forget_kept(struct link *link)
{
    while (link->first != NULL) {
        struct kept_frame *frame = link->first;
        link->first = frame->next;
        zmq_msg_close(&frame->message);
        free(frame);
    }
    link->last = NULL;
    link->kept_bytes = 0;
}

void sender_forget(struct sender *self)
{
    for (struct link *link = self->links; link != NULL; link = link->next) {
        forget_kept(link);
    }
    self->waiting = NULL;
}

void sender_fini(struct sender *self)
{
    while (self->links != NULL) {
        struct link *link = self->links;
        self->links = link->next;
        free(link);
    }
    table_fini(&self->by_connection);
}

// ----------------------------------------------------------------------------------------------------------------- connections

static bool socket_of(int fd, ino_t *inode)
{
    struct stat found;
    bool is_socket = fd >= 0 && fstat(fd, &found) == 0 && S_ISSOCK(found.st_mode);
    *inode = is_socket ? found.st_ino : 0;
    return is_socket;
}

// Descriptors are used again, sockets' numbers are not.
static bool is_open(const struct link *link)
{
    ino_t inode;
    return socket_of(link->fd, &inode) && inode == link->inode;
}

static uint64_t held_by(const struct link *link)
{
    return __atomic_load_n(&link->held_bytes, __ATOMIC_ACQUIRE) + link->kept_bytes;
}

// Nobody tells that a connection is gone.
static void sweep(struct sender *self)
{
    for (struct link **at = &self->links; *at != NULL;) {
        struct link *link = *at;
        if (held_by(link) > 0 || link->first != NULL || is_open(link)) {
            at = &link->next;
            continue;
        }
        *at = link->next;
        table_remove(&self->by_connection, link->connection, 0);
        free(link);
    }
    self->sweep_at = self->by_connection.count < SWEEP_AT_LEAST / 2 ? SWEEP_AT_LEAST : 2 * self->by_connection.count;
}

void sender_meet(struct sender *self, uint64_t connection, zmq_msg_t *frame)
{
    if (table_find(&self->by_connection, connection, 0) != NULL) {
        return;
    }
    if (self->by_connection.count >= self->sweep_at) {
        sweep(self);
    }
    struct link *link = calloc(1, sizeof(*link));
    if (link == NULL || !table_insert(&self->by_connection, connection, 0, link)) {
        free(link); // what is sent to it is lost, as if it were gone
        return;
    }
    link->connection = connection;
    link->fd = zmq_msg_get(frame, ZMQ_SRCFD);
    (void)socket_of(link->fd, &link->inode);
    link->next = self->links;
    self->links = link;
}

static void leave_waiting(struct sender *self, const struct link *link)
{
    struct link **at = &self->waiting;
    while (*at != NULL && *at != link) {
        at = &(*at)->next_waiting;
    }
    if (*at != NULL) {
        *at = link->next_waiting;
    }
}

// Its client sees that and connects anew; what libzmq has for it is freed by its thread.
static void end_link(struct sender *self, struct link *link)
{
    uint32_t left_out;
    char note[LOG_NOTE_BYTES];
    if (log_limit_pass(&self->log, clock_us() / 1000, &left_out)) {
        log_warning("a connection is ended that did not take %" PRIu64 " bytes of answers%s", held_by(link),
                    log_limit_note(left_out, note));
    }
    leave_waiting(self, link);
    forget_kept(link);
    link->ended = true;
    if (is_open(link)) {
        shutdown(link->fd, SHUT_RDWR);
    }
}

// ---------------------------------------------------------------------------------------------------------------------- counts

// Of the connections that are not ended; the others' are on their way out.
static uint64_t held_by_all(const struct sender *self, struct link **most)
{
    uint64_t all = 0;
    *most = NULL;
    for (struct link *link = self->links; link != NULL; link = link->next) {
        if (!link->ended) {
            uint64_t held = held_by(link);
            all += held;
            *most = *most == NULL || held > held_by(*most) ? link : *most;
        }
    }
    return all;
}

static void make_room(struct sender *self, uint64_t bytes)
{
    struct link *most;
    if (__atomic_load_n(&self->held_bytes, __ATOMIC_ACQUIRE) + bytes <= self->limits.bytes_max) {
        return;
    }
    while (held_by_all(self, &most) + bytes > self->limits.bytes_max && most != NULL && held_by(most) > 0) {
        end_link(self, most);
    }
}

static uint64_t left_of(uint64_t limit, uint64_t taken)
{
    return limit > taken ? limit - taken : 0;
}

// Of what all may have, the second half is for those for whom nothing is held: they can have one answer while others do not read. What
// was ended counts until it is freed.
uint64_t sender_room(const struct sender *self, uint64_t connection)
{
    const struct link *link = table_find(&self->by_connection, connection, 0);
    uint64_t held = link == NULL ? 0 : held_by(link);
    uint64_t held_in_all = __atomic_load_n(&self->held_bytes, __ATOMIC_ACQUIRE);
    if (held == 0) {
        return held_in_all <= self->limits.bytes_max ? UINT64_MAX : 0;
    }
    uint64_t own = left_of(self->limits.link_bytes_max, held);
    uint64_t shared = left_of(self->limits.bytes_max / 2, held_in_all);
    return own < shared ? own : shared;
}

// ---------------------------------------------------------------------------------------------------------------------- frames

// By libzmq, on its thread or ours. The link's count goes last: at 0 it may be freed.
static void on_freed(void *data, void *hint)
{
    struct counted *counted = hint;
    uint64_t bytes = __atomic_load_n(&counted->bytes, __ATOMIC_ACQUIRE);
    uint64_t *of_link = counted->of_link;
    uint64_t *of_all = counted->of_all;
    (void)data;
    free(counted);
    __atomic_sub_fetch(of_all, bytes, __ATOMIC_RELEASE);
    __atomic_sub_fetch(of_link, bytes, __ATOMIC_RELEASE);
}

static bool make_counted(struct sender *self, struct link *link, zmq_msg_t *message, const struct wire_packer *packer)
{
    size_t size = wire_packed_size(packer);
    struct counted *counted = malloc(sizeof(*counted) + size);
    if (counted == NULL) {
        return false;
    }
    *counted = (struct counted){.of_link = &link->held_bytes, .of_all = &self->held_bytes};
    wire_pack(packer, (uint8_t *)counted->data);
    // libzmq hands it from thread to thread; said once more, as ThreadSanitizer does not see into libzmq.
    __atomic_store_n(&counted->bytes, sizeof(*counted) + size, __ATOMIC_RELEASE);
    if (zmq_msg_init_data(message, counted->data, size, on_freed, counted) != 0) {
        free(counted);
        return false;
    }
    __atomic_add_fetch(&self->held_bytes, sizeof(*counted) + size, __ATOMIC_RELAXED);
    __atomic_add_fetch(&link->held_bytes, sizeof(*counted) + size, __ATOMIC_RELAXED);
    return true;
}

static bool make_frame(struct sender *self, struct link *link, zmq_msg_t *message, const struct wire_packer *packer)
{
    size_t size = wire_packed_size(packer);
    if (size >= COUNTED_BYTES_MIN) {
        return make_counted(self, link, message, packer);
    }
    if (zmq_msg_init_size(message, size) != 0) {
        return false;
    }
    wire_pack(packer, zmq_msg_data(message));
    return true;
}

enum sent { SENT, SENT_LATER, SENT_NEVER };

// Takes the message when it is SENT. An error is told on the routing id only, so nothing follows an id that was refused.
static enum sent send_message(struct sender *self, uint64_t connection, zmq_msg_t *message)
{
    uint8_t id[ROUTING_ID_BYTES];
    routing_id_write(connection, id);
    if (zmq_send(self->socket, id, sizeof(id), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        return zmq_errno() == EAGAIN || zmq_errno() == EINTR ? SENT_LATER : SENT_NEVER;
    }
    return zmq_msg_send(message, self->socket, ZMQ_DONTWAIT) < 0 ? SENT_NEVER : SENT;
}

static uint64_t uncounted_bytes(zmq_msg_t *message)
{
    size_t size = zmq_msg_size(message);
    return sizeof(struct kept_frame) + (size < COUNTED_BYTES_MIN ? size : 0);
}

// Takes the message in any case. False: out of memory, and the connection is ended.
static bool keep(struct sender *self, struct link *link, zmq_msg_t *message)
{
    struct kept_frame *frame = calloc(1, sizeof(*frame));
    if (frame == NULL) {
        zmq_msg_close(message);
        end_link(self, link);
        return false;
    }
    zmq_msg_init(&frame->message);
    zmq_msg_move(&frame->message, message);
    zmq_msg_close(message);
    if (link->last == NULL) {
        link->first = frame;
        link->next_waiting = self->waiting;
        self->waiting = link;
    } else {
        link->last->next = frame;
    }
    link->last = frame;
    link->kept_bytes += uncounted_bytes(&frame->message);
    return true;
}

bool sender_send(struct sender *self, uint64_t connection, const struct wire_packer *packer)
{
    zmq_msg_t message;
    struct link *link = table_find(&self->by_connection, connection, 0);
    make_room(self, wire_packed_size(packer));
    if (link == NULL || link->ended || !make_frame(self, link, &message, packer)) {
        return false;
    }
    if (held_by(link) > 2 * self->limits.link_bytes_max) { // with this frame, wherever the others are
        zmq_msg_close(&message);
        end_link(self, link);
        return false;
    }
    enum sent sent = link->first != NULL ? SENT_LATER : send_message(self, connection, &message);
    if (sent == SENT_LATER) {
        return keep(self, link, &message);
    }
    if (sent == SENT_NEVER) {
        zmq_msg_close(&message);
    }
    return sent == SENT;
}

// SENT: all that was kept for the connection is sent.
static enum sent retry_one(struct sender *self, struct link *link)
{
    while (link->first != NULL) {
        struct kept_frame *frame = link->first;
        uint64_t bytes = uncounted_bytes(&frame->message);
        enum sent sent = send_message(self, link->connection, &frame->message);
        if (sent != SENT) {
            return sent;
        }
        link->kept_bytes -= bytes;
        link->first = frame->next;
        link->last = frame->next == NULL ? NULL : link->last;
        free(frame);
    }
    return SENT;
}

void sender_retry(struct sender *self, void *context, void (*gone)(void *context, uint64_t connection))
{
    for (struct link *link = self->waiting; link != NULL;) {
        struct link *next = link->next_waiting;
        enum sent sent = retry_one(self, link);
        if (sent != SENT_LATER) {
            leave_waiting(self, link);
            forget_kept(link);
        }
        if (sent == SENT_NEVER) {
            gone(context, link->connection);
        }
        link = next;
    }
}

bool sender_has_kept(const struct sender *self)
{
    return self->waiting != NULL;
}
