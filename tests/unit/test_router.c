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

// ----------------------------------------------------------------------------------------- connections that take their answers late

enum { LARGE_FRAME_BYTES = 100000, LINK_BYTES = 1000000, FRAMES_MAX = 2000 };

static struct nq_arena *answers;
static const struct wire_packer *large;

static void start_limited(uint64_t answer_bytes_max)
{
    static uint8_t body[LARGE_FRAME_BYTES];
    static const struct nq_bytes bodies = {sizeof(body), body};
    static const uint64_t seq = 1;
    static struct wire_reply reply = {
        .id = 1, .result = WIRE_GET, .as.get = {.count = 1, .bodies = &bodies, .seqs = &seq, .epoch = 1, .queue_id = 1}};
    static const struct wire_reply_frame frame = {.version = NQ_PROTOCOL_VERSION, .replies = &reply, .count = 1};
    static const char *const endpoints[] = {"tcp://127.0.0.1:*"};
    const struct router_config config = {.endpoints = endpoints,
                                         .endpoint_count = 1,
                                         .frame_bytes_max = LARGE_FRAME_BYTES,
                                         .link_bytes_max = LINK_BYTES,
                                         .answer_bytes_max = answer_bytes_max,
                                         .seed = 42};
    struct router_error error;
    router_close(&router);
    cr_assert_eq(router_open(&config, &router, &error), NQ_OK, "%s", error.text);
    answers = nq_arena_create(1 << 20, 0);
    large = wire_prepare_replies(answers, &frame);
    cr_assert_not_null(large);
}

static void end_limited(void)
{
    nq_arena_destroy(&answers);
}

// A client that reads nothing ahead, and the number of its connection.
static void *connect_late(uint64_t *connection)
{
    void *late = zmq_socket(context, ZMQ_DEALER);
    const int one = 1, none = 0;
    size_t len;
    zmq_setsockopt(late, ZMQ_RCVHWM, &one, sizeof(one));
    zmq_setsockopt(late, ZMQ_LINGER, &none, sizeof(none));
    zmq_connect(late, router_endpoint(router, 0));
    zmq_send(late, "hello", 5, 0);
    (void)await_frame(connection, &len);
    return late;
}

static void on_gone(void *gone, uint64_t connection)
{
    *(uint64_t *)gone = connection;
}

Test(router, a_client_that_reads_late_gets_all_that_was_sent)
{
    uint64_t connection, gone = 0;
    int sent = 0;
    start_limited(0);
    void *late = connect_late(&connection);
    cr_assert_eq(router_room(router, connection), UINT64_MAX);
    while (router_room(router, connection) > LINK_BYTES / 2) {
        cr_assert(router_send(router, connection, large));
        cr_assert_lt(++sent, FRAMES_MAX);
    }
    for (int received = 0; received < sent; received++) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        while (zmq_msg_recv(&frame, late, ZMQ_DONTWAIT) < 0) { // until it comes; the test has a time limit
            router_retry(router, &gone, on_gone);
        }
        cr_assert_eq(zmq_msg_size(&frame), wire_packed_size(large));
        zmq_msg_close(&frame);
    }
    while (router_room(router, connection) != UINT64_MAX) { // what is read is not held any more
    }
    cr_assert(!router_has_kept(router));
    cr_assert_eq(gone, 0);
    zmq_close(late);
    end_limited();
}

Test(router, a_client_that_reads_nothing_is_ended_and_may_come_again)
{
    uint64_t connection, again;
    size_t len;
    int sent = 0;
    start_limited(0);
    void *late = connect_late(&connection);
    while (router_send(router, connection, large)) {
        cr_assert_lt(++sent, FRAMES_MAX);
    }
    cr_assert(!router_has_kept(router));
    cr_assert(!router_send(router, connection, large));
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    zmq_send(late, "hello", 5, 0); // lost with the old connection, or over the new one
    do {
        (void)zmq_msg_recv(&frame, late, ZMQ_DONTWAIT); // libzmq sees the end behind what is to be read
        zmq_send(late, "hello", 5, ZMQ_DONTWAIT);
        const void *data;
        if (!router_receive(router, &again, &data, &len)) {
            again = connection;
        }
    } while (again == connection);
    cr_assert(router_send(router, again, large));
    zmq_msg_close(&frame);
    zmq_close(late);
    end_limited();
}

Test(router, of_many_that_read_nothing_the_one_that_holds_most_is_ended)
{
    uint64_t most, other;
    int sent = 0;
    bool most_lives = true;
    start_limited(LINK_BYTES);
    void *late[] = {connect_late(&most), connect_late(&other)};
    while (most_lives && router_send(router, other, large)) {
        for (int i = 0; i < 3 && most_lives; i++) {
            most_lives = router_send(router, most, large);
        }
        cr_assert_lt(++sent, FRAMES_MAX);
    }
    cr_assert(router_send(router, most_lives ? most : other, large), "both are ended");
    zmq_close(late[0]);
    zmq_close(late[1]);
    end_limited();
}
