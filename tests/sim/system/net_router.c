// The broker's socket in the simulated network: broker/frontend/router.h as router.c does it with ZeroMQ.
#include "router.h"

#include <assert.h>
#include <stdlib.h>

#include "host.h"
#include "lanes.h"
#include "net.h"
#include "tap.h"
#include "world.h"

enum { KEPT_US = 2000 * 1000 };

struct router {
    struct runner *runner;
    struct packet *in;
    struct packets kept; // for connections that are full
};

static struct router router;

static void on_arrival(void)
{
    runner_wake(router.runner);
}

enum nq_status router_open(const struct router_config *config, struct router **out, struct router_error *error)
{
    (void)config;
    (void)error;
    router = (struct router){.runner = runner_current()};
    net_listen(on_arrival);
    *out = &router;
    return NQ_OK;
}

void router_close(struct router **self_p)
{
    if (*self_p != NULL) {
        free(router.in);
        router.in = NULL;
        packets_clear(&router.kept);
        net_hang_up();
        *self_p = NULL;
    }
}

const char *router_endpoint(const struct router *self, size_t index)
{
    (void)self;
    return index == 0 ? "sim://broker" : NULL;
}

// What was kept goes on its way soon after its connection takes answers again.
static void check_kept(const struct router *self)
{
    for (const struct packet *packet = self->kept.first; packet != NULL; packet = packet->next) {
        if (packet->link->broker_sees && world_now_us() > packet->link->answers_full_until_us + KEPT_US) {
            world_fail("an answer is kept for link %llu, which has taken answers again for long",
                       (unsigned long long)packet->link->number);
        }
    }
}

unsigned router_wait(struct router *self, bool reading, const int *fds, size_t fd_count, long timeout_ms)
{
    (void)fds;
    (void)fd_count;
    check_kept(self);
    host_turn_ended();
    bool ready = host_ready() != 0 || (reading && !net_inbox_is_empty()) || timeout_ms == 0;
    runner_wait_us(ready ? world_between(1, 20) : timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms * 1000);
    return host_ready();
}

void router_pause(void)
{
    (void)host_step();
    runner_wait_us(world_between(1, 20));
}

bool router_receive(struct router *self, uint64_t *connection, const void **data, size_t *len)
{
    if (host_step()) {
        return false;
    }
    free(self->in);
    self->in = net_receive();
    if (self->in == NULL) {
        return false;
    }
    *connection = self->in->link->number;
    *data = self->in->bytes;
    *len = self->in->len;
    tap_request(self->in->link, self->in->bytes, self->in->len);
    return true;
}

struct waiting_frame {
    struct lane_frame head;
    struct packet *packet;
};

struct lane_frame *router_keep(struct router *self)
{
    struct waiting_frame *frame = calloc(1, sizeof(*frame));
    assert(frame != NULL);
    frame->packet = self->in;
    self->in = NULL;
    return &frame->head;
}

const void *router_take_up(struct router *self, struct lane_frame **frame_p)
{
    struct waiting_frame *frame = (struct waiting_frame *)*frame_p;
    free(self->in);
    self->in = frame->packet;
    frame->packet = NULL;
    router_forget(frame_p);
    return self->in->bytes;
}

void router_forget(struct lane_frame **frame_p)
{
    struct waiting_frame *frame = (struct waiting_frame *)*frame_p;
    free(frame->packet);
    free(frame);
    *frame_p = NULL;
}

static bool has_kept(const struct router *self, const struct link *link)
{
    const struct packet *packet = self->kept.first;
    while (packet != NULL && packet->link != link) {
        packet = packet->next;
    }
    return packet != NULL;
}

bool router_send(struct router *self, uint64_t connection, const struct wire_packer *packer)
{
    struct link *link = net_link(connection);
    (void)self;
    if (host_step()) {
        return true; // nothing leaves a dead process
    }
    if (host_disk_has_failed()) {
        world_fail("something leaves the broker after its disk has failed");
    }
    if (!link->broker_sees) {
        return false;
    }
    struct packet *packet = packet_create(wire_packed_size(packer));
    wire_pack(packer, packet->bytes);
    tap_reply(link, packet->bytes, packet->len);
    packet->link = link;
    if (has_kept(self, link) || net_takes_no_answer(link)) {
        packets_add(&self->kept, packet);
    } else {
        net_answer(link, &packet);
    }
    (void)host_step();
    return true;
}

uint64_t router_room(const struct router *self, uint64_t connection)
{
    return has_kept(self, net_link(connection)) ? 0 : UINT64_MAX;
}

// What is kept for one connection goes on in order, or stays; of one that is gone it is forgotten.
static void retry_one(struct router *self, struct packet **packet_p, void *context,
                      void (*gone)(void *context, uint64_t connection))
{
    struct packet *packet = *packet_p;
    struct link *link = packet->link;
    if (!link->broker_sees) {
        free(packet);
        gone(context, link->number);
    } else if (has_kept(self, link) || net_takes_no_answer(link)) {
        packets_add(&self->kept, packet);
    } else {
        net_answer(link, &packet);
    }
    *packet_p = NULL;
}

void router_retry(struct router *self, void *context, void (*gone)(void *context, uint64_t connection))
{
    struct packets before = self->kept;
    self->kept = (struct packets){0};
    for (struct packet *packet = packets_take(&before); packet != NULL; packet = packets_take(&before)) {
        if (host_step()) {
            free(packet);
        } else {
            retry_one(self, &packet, context, gone);
        }
    }
}

bool router_has_kept(const struct router *self)
{
    return self->kept.first != NULL;
}

const char *router_sender(struct router *self)
{
    (void)self;
    return NULL;
}
