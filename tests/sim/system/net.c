#include "net.h"

#include <assert.h>
#include <stdlib.h>

#include "world.h"

enum { RETRY_MS = 100, RETRY_MORE_MS = 300, LINKS_MAX = 8192, SILENT_US = 60 * 1000 * 1000 };

static struct {
    struct net_config config;
    struct link *links[LINKS_MAX]; // by number - 1
    size_t links_count;
    uint64_t instance;
    void (*arrived)(void); // NULL: nobody listens
    struct packets inbox;
    uint64_t blocked_until_us;
} net;

// -------------------------------------------------------------------------------------------------------------------- packets

struct packet *packet_create(size_t len)
{
    struct packet *packet = malloc(sizeof(*packet) + len);
    assert(packet != NULL);
    packet->next = NULL;
    packet->len = len;
    return packet;
}

void packets_add(struct packets *self, struct packet *packet)
{
    packet->next = NULL;
    if (self->last == NULL) {
        self->first = packet;
    } else {
        self->last->next = packet;
    }
    self->last = packet;
}

struct packet *packets_take(struct packets *self)
{
    struct packet *packet = self->first;
    if (packet != NULL) {
        self->first = packet->next;
        self->last = self->first == NULL ? NULL : self->last;
    }
    return packet;
}

void packets_clear(struct packets *self)
{
    for (struct packet *packet = packets_take(self); packet != NULL; packet = packets_take(self)) {
        free(packet);
    }
}

// ------------------------------------------------------------------------------------------------------------- being under way

static uint64_t arrival_us(uint64_t *last_us)
{
    uint64_t most = world_chance(30) ? net.config.late_us : net.config.delay_us;
    uint64_t at_us = world_now_us() + world_between(5, most);
    *last_us = at_us > *last_us ? at_us : *last_us + 1;
    return *last_us - world_now_us();
}

static void on_arrival_at_broker(void *context, uint64_t number)
{
    struct packet *packet = context;
    struct link *link = packet->link;
    if (number >= link->to_broker_end || link->instance != net.instance || net.arrived == NULL) {
        free(packet);
        return;
    }
    link->to_broker_came = number + 1;
    packets_add(&net.inbox, packet);
    net.arrived();
}

static void on_arrival_at_client(void *context, uint64_t number)
{
    struct packet *packet = context;
    struct link *link = packet->link;
    if (number >= link->to_client_end || link->client == NULL) {
        free(packet);
        return;
    }
    link->to_client_came = number + 1;
    packets_add(&link->client->inbox, packet);
    link->client->changed(link->client);
}

static void on_room(void *context, uint64_t value)
{
    struct link *link = context;
    (void)value;
    if (link->client != NULL) {
        link->client->changed(link->client);
    }
}

bool net_has_room(const struct endpoint *self)
{
    return self->link != NULL && world_now_us() >= self->link->full_until_us;
}

void net_send(struct endpoint *self, struct packet **packet_p)
{
    struct packet *packet = *packet_p;
    struct link *link = self->link;
    *packet_p = NULL;
    packet->link = link;
    world_after(arrival_us(&link->to_broker_us), on_arrival_at_broker, packet, link->to_broker_sent++);
    if (world_chance(5)) {
        uint64_t us = world_between(100, 5000);
        link->full_until_us = world_now_us() + us;
        world_after(us, on_room, link, 0);
    }
}

bool net_takes_no_answer(struct link *link)
{
    if (world_now_us() >= link->answers_full_until_us && world_chance(net.config.slow_permille)) {
        link->answers_full_until_us = world_now_us() + world_spread(300 * 1000);
    }
    return world_now_us() < link->answers_full_until_us;
}

void net_answer(struct link *link, struct packet **packet_p)
{
    struct packet *packet = *packet_p;
    *packet_p = NULL;
    packet->link = link;
    world_after(arrival_us(&link->to_client_us), on_arrival_at_client, packet, link->to_client_sent++);
}

// --------------------------------------------------------------------------------------------------------------- links up, down

static void on_broker_notices(void *context, uint64_t value)
{
    (void)value;
    ((struct link *)context)->broker_sees = false;
}

static void try_again_after(struct endpoint *self, uint64_t us);

static void on_client_notices(void *context, uint64_t value)
{
    struct link *link = context;
    struct endpoint *client = link->client;
    (void)value;
    if (client == NULL) {
        return;
    }
    world_trace("link %llu is down", (unsigned long long)link->number);
    link->client = NULL;
    client->link = NULL;
    client->down(client);
    try_again_after(client, world_between(RETRY_MS, RETRY_MS + RETRY_MORE_MS) * 1000);
}

static uint64_t notice_us(void)
{
    return world_chance(100) ? world_between(1, 20 * net.config.notice_us) : world_between(1, net.config.notice_us);
}

static void cut(struct link *link, bool client_is_told)
{
    if (link->cut) {
        return;
    }
    world_trace("link %llu is cut", (unsigned long long)link->number);
    link->cut = true;
    link->to_broker_end = link->to_broker_came + world_random(link->to_broker_sent - link->to_broker_came + 1);
    link->to_client_end = link->to_client_came + world_random(link->to_client_sent - link->to_client_came + 1);
    world_after(notice_us(), on_broker_notices, link, 0);
    if (client_is_told) {
        bool silent = world_chance(net.config.silent_permille);
        world_after(silent ? SILENT_US : notice_us(), on_client_notices, link, 0);
    }
}

static void on_attempt(void *context, uint64_t attempt)
{
    struct endpoint *self = context;
    if (self->attempt != attempt) {
        return;
    }
    if (net.arrived == NULL || world_now_us() < net.blocked_until_us) {
        self->up(self, false);
        try_again_after(self, world_between(RETRY_MS, RETRY_MS + RETRY_MORE_MS) * 1000);
        return;
    }
    struct link *link = calloc(1, sizeof(*link));
    assert(link != NULL && net.links_count < LINKS_MAX);
    net.links[net.links_count++] = link;
    *link = (struct link){.number = net.links_count,
                          .instance = net.instance,
                          .client = self,
                          .broker_sees = true,
                          .to_broker_end = UINT64_MAX,
                          .to_client_end = UINT64_MAX};
    self->link = link;
    world_trace("link %llu is up", (unsigned long long)link->number);
    self->up(self, true);
}

static void try_again_after(struct endpoint *self, uint64_t us)
{
    world_after(us, on_attempt, self, ++self->attempt);
}

void net_connect(struct endpoint *self)
{
    net_close(self);
    try_again_after(self, world_between(100, 2000));
}

void net_close(struct endpoint *self)
{
    self->attempt++;
    packets_clear(&self->inbox);
    if (self->link != NULL) {
        struct link *link = self->link;
        self->link = NULL;
        link->client = NULL;
        cut(link, false);
    }
}

// ----------------------------------------------------------------------------------------------------------- the broker's side

void net_listen(void (*arrived)(void))
{
    net.arrived = arrived;
}

void net_hang_up(void)
{
    net.arrived = NULL;
    net.instance++;
    packets_clear(&net.inbox);
    for (size_t i = 0; i < net.links_count; i++) {
        if (!net.links[i]->cut) {
            cut(net.links[i], true);
        }
        net.links[i]->broker_sees = false;
    }
}

struct packet *net_receive(void)
{
    return packets_take(&net.inbox);
}

bool net_inbox_is_empty(void)
{
    return net.inbox.first == NULL;
}

struct link *net_link(uint64_t number)
{
    assert(number >= 1 && number <= net.links_count);
    return net.links[number - 1];
}

// --------------------------------------------------------------------------------------------------------------------- faults

void net_cut_any(void)
{
    size_t from = net.links_count == 0 ? 0 : world_random(net.links_count);
    for (size_t i = 0; i < net.links_count; i++) {
        struct link *link = net.links[(from + i) % net.links_count];
        if (!link->cut) {
            cut(link, true);
            return;
        }
    }
}

void net_block(uint64_t us)
{
    net.blocked_until_us = world_now_us() + us;
}

void net_heal(void)
{
    net.config.silent_permille = 0;
    net.config.slow_permille = 0;
    net.blocked_until_us = 0;
}

void net_begin(const struct net_config *config)
{
    net.config = *config;
    net.instance = 1;
    net.links_count = 0;
    net.blocked_until_us = 0;
    net.arrived = NULL;
}

void net_end(void)
{
    packets_clear(&net.inbox);
    for (size_t i = 0; i < net.links_count; i++) {
        free(net.links[i]);
    }
    net.links_count = 0;
}
