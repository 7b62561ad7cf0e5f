// The ROUTER against plain DEALER sockets in the same process.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "lanes.h"
#include "router.h"

static struct router *router;
static void *context, *dealer;

static void set_up(void)
{
    const char *const endpoints[] = {"tcp://127.0.0.1:*"};
    const struct router_config config = {.endpoints = endpoints, .endpoint_count = 1, .frame_bytes_max = 1000, .seed = 42};
    struct router_error error = {0};
    cr_assert_eq(router_open(&config, &router, &error), NQ_OK, "%s", error.text);
    context = zmq_ctx_new();
    dealer = zmq_socket(context, ZMQ_DEALER);
    int linger = 0;
    zmq_setsockopt(dealer, ZMQ_LINGER, &linger, sizeof(linger));
    cr_assert_eq(zmq_connect(dealer, router_endpoint(router, 0)), 0);
}

static void tear_down(void)
{
    zmq_close(dealer);
    zmq_ctx_term(context);
    router_close(&router);
}

TestSuite(router, .init = set_up, .fini = tear_down, .timeout = 30);

static const void *await_frame(uint64_t *connection, size_t *len)
{
    const void *data;
    for (int i = 0; i < 200; i++) {
        router_wait(router, true, NULL, 0, 100);
        if (router_receive(router, connection, &data, len)) {
            return data;
        }
    }
    cr_assert(false, "nothing came");
    return NULL;
}

Test(router, tells_the_port_it_was_given)
{
    cr_assert_eq(strncmp(router_endpoint(router, 0), "tcp://127.0.0.1:", 16), 0);
    cr_assert_null(strchr(router_endpoint(router, 0), '*'));
    cr_assert_null(router_endpoint(router, 1));
}

Test(router, frames_go_both_ways)
{
    uint64_t connection;
    size_t len;
    cr_assert_eq(zmq_send(dealer, "hello", 5, 0), 5);
    const void *data = await_frame(&connection, &len);
    cr_assert_eq(len, 5);
    cr_assert_eq(memcmp(data, "hello", 5), 0);
    cr_assert_neq(connection, 0);
    struct nq_arena *arena = nq_arena_create(4096, 0);
    const struct wire_reply_frame frame = {.version = NQ_PROTOCOL_VERSION, .probe = true};
    const struct wire_packer *packer = wire_prepare_replies(arena, &frame);
    cr_assert(router_send(router, connection, packer));
    cr_assert_not(router_send(router, connection + 1, packer), "nobody is there");
    char got[64];
    int received = zmq_recv(dealer, got, sizeof(got), 0);
    cr_assert_eq(received, (int)wire_packed_size(packer));
    nq_arena_destroy(&arena);
}

Test(router, a_frame_kept_is_taken_up_after_others)
{
    uint64_t first, connection;
    size_t len;
    zmq_send(dealer, "early", 5, 0);
    zmq_send(dealer, "late", 4, 0);
    (void)await_frame(&first, &len);
    struct lane_frame *kept = router_keep(router), *forgotten;
    cr_assert_not_null(kept);
    const void *data = await_frame(&connection, &len);
    cr_assert_eq(memcmp(data, "late", 4), 0);
    data = router_take_up(router, &kept);
    cr_assert_eq(memcmp(data, "early", 5), 0);
    cr_assert_null(kept);
    forgotten = router_keep(router);
    router_forget(&forgotten);
    cr_assert_null(forgotten);
}

Test(router, drops_what_is_not_one_frame)
{
    uint64_t connection;
    size_t len;
    zmq_send(dealer, "a", 1, ZMQ_SNDMORE);
    zmq_send(dealer, "b", 1, ZMQ_SNDMORE);
    zmq_send(dealer, "c", 1, 0);
    zmq_send(dealer, "", 0, ZMQ_SNDMORE);
    zmq_send(dealer, "d", 1, 0);
    zmq_send(dealer, "good", 4, 0);
    const void *data = await_frame(&connection, &len);
    cr_assert_eq(len, 4);
    cr_assert_eq(memcmp(data, "good", 4), 0);
}

Test(router, refuses_connections_that_name_themselves)
{
    void *other = zmq_socket(context, ZMQ_DEALER);
    int linger = 0;
    uint64_t connection;
    size_t len;
    zmq_setsockopt(other, ZMQ_LINGER, &linger, sizeof(linger));
    zmq_setsockopt(other, ZMQ_ROUTING_ID, "myself", 6);
    zmq_connect(other, router_endpoint(router, 0));
    zmq_send(other, "bad", 3, 0);
    zmq_send(other, "bad", 3, 0);
    const void *data;
    router_wait(router, true, NULL, 0, 1000);
    cr_assert_not(router_receive(router, &connection, &data, &len));
    zmq_send(dealer, "good", 4, 0);
    data = await_frame(&connection, &len);
    cr_assert_eq(memcmp(data, "good", 4), 0);
    zmq_close(other);
}

Test(router, a_port_in_use_is_said_clearly)
{
    const char *const endpoints[] = {router_endpoint(router, 0)};
    const struct router_config config = {.endpoints = endpoints, .endpoint_count = 1, .frame_bytes_max = 1000};
    struct router_error error = {0};
    struct router *second;
    cr_assert_eq(router_open(&config, &second, &error), NQ_UNREACHABLE);
    cr_assert_null(second);
    cr_assert_not_null(strstr(error.text, endpoints[0]));
    cr_assert_not_null(strstr(error.text, "in use"));
}

Test(router, a_local_socket_in_use_is_not_taken_over)
{
    char folder[] = "/tmp/nq-router-XXXXXX", endpoint[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/socket", folder);
    const char *const endpoints[] = {endpoint};
    const struct router_config config = {.endpoints = endpoints, .endpoint_count = 1, .frame_bytes_max = 1000};
    struct router_error error = {0};
    struct router *first, *second;
    cr_assert_eq(router_open(&config, &first, &error), NQ_OK, "%s", error.text);
    cr_assert_eq(router_open(&config, &second, &error), NQ_UNREACHABLE);
    cr_assert_not_null(strstr(error.text, "in use"));
    router_close(&first);
    cr_assert_eq(router_open(&config, &first, &error), NQ_OK, "a socket that nobody serves is: %s", error.text);
    router_close(&first);
    rmdir(folder);
}

Test(router, a_name_is_no_address_to_listen_on)
{
    const char *const endpoints[] = {"tcp://no-such-interface:5510"};
    const struct router_config config = {.endpoints = endpoints, .endpoint_count = 1, .frame_bytes_max = 1000};
    struct router_error error = {0};
    struct router *none;
    cr_assert_eq(router_open(&config, &none, &error), NQ_BAD_CONFIG);
    cr_assert_not_null(strstr(error.text, "expected an address of this host"));
}
