// A client that nobody uses while its broker is away.
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "test_client_fixture.h"

enum { ATTEMPTS = 1000 }; // libzmq tells of three things each time, and keeps two thousand for who does not ask

int __real_zmq_setsockopt(void *socket, int option, const void *value, size_t len);
__attribute__((visibility("default"))) int __wrap_zmq_setsockopt(void *socket, int option, const void *value, size_t len);

// What takes more than an hour otherwise: it tries again as fast as it can.
int __wrap_zmq_setsockopt(void *socket, int option, const void *value, size_t len)
{
    static const int soon = 1, no_later = 0;
    value = option == ZMQ_RECONNECT_IVL ? &soon : option == ZMQ_RECONNECT_IVL_MAX ? &no_later : value;
    return __real_zmq_setsockopt(socket, option, value, len);
}

struct nobody {
    int listener;
    char endpoint[64];
    atomic_int attempts;
};

static void *turn_away(void *argument)
{
    struct nobody *self = argument;
    for (int connection = accept(self->listener, NULL, NULL); connection >= 0; connection = accept(self->listener, NULL, NULL)) {
        (void)close(connection);
        (void)atomic_fetch_add(&self->attempts, 1);
    }
    return NULL;
}

static void listen_somewhere(struct nobody *self)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(self->listener, (const struct sockaddr *)&address, len), 0);
    cr_assert_eq(listen(self->listener, 16), 0);
    cr_assert_eq(getsockname(self->listener, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(self->endpoint, sizeof self->endpoint, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
}

// All clients of a process have one thread of libzmq's: what it waits for, they all wait for, and so would the end of the unused one.
Test(idle, it_stops_no_other_client, .timeout = 60)
{
    struct rig rig = rig_make();
    static struct nobody nobody;
    listen_somewhere(&nobody);
    const char *servers[] = {nobody.endpoint};
    struct nq_client_options options = {.servers = servers, .servers_count = 1};
    struct nq_client *idle;
    pthread_t thread;
    cr_assert_eq(nq_client_create(&options, &idle, NULL), NQ_OK);
    cr_assert_eq(pthread_create(&thread, NULL, turn_away, &nobody), 0);
    while (atomic_load(&nobody.attempts) < ATTEMPTS) {
        cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK, "after %d attempts: %s", atomic_load(&nobody.attempts),
                     nq_error_text(rig.client));
    }
    nq_client_destroy(&idle);
    (void)shutdown(nobody.listener, SHUT_RDWR);
    (void)pthread_join(thread, NULL);
    (void)close(nobody.listener);
    rig_end(&rig);
}
