// The broker's socket in the simulated network: broker/frontend/router.h as router.c does it with ZeroMQ.
#include "router.h"

#include <assert.h>
#include <stdlib.h>

#include "host.h"
#include "net.h"
#include "tap.h"
#include "world.h"

struct router {
    struct runner *runner;
    struct packet *in;
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
        net_hang_up();
        *self_p = NULL;
    }
}

const char *router_endpoint(const struct router *self, size_t index)
{
    (void)self;
    return index == 0 ? "sim://broker" : NULL;
}

unsigned router_wait(struct router *self, bool reading, const int *fds, size_t fd_count, long timeout_ms)
{
    (void)self;
    (void)fds;
    (void)fd_count;
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

bool router_send(struct router *self, uint64_t connection, const struct wire_packer *packer)
{
    struct link *link = net_link(connection);
    (void)self;
    if (host_step()) {
        return true; // nothing leaves a dead process
    }
    if (!link->broker_sees) {
        return false;
    }
    struct packet *packet = packet_create(wire_packed_size(packer));
    wire_pack(packer, packet->bytes);
    tap_reply(link, packet->bytes, packet->len);
    net_answer(link, &packet);
    (void)host_step();
    return true;
}

void router_retry(struct router *self, void *context, void (*gone)(void *context, uint64_t connection))
{
    (void)self;
    (void)context;
    (void)gone;
}

bool router_has_kept(const struct router *self)
{
    (void)self;
    return false;
}

const char *router_sender(struct router *self)
{
    (void)self;
    return NULL;
}
