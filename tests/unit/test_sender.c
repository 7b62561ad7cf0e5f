// How much is held for connections that take nothing, in libzmq's hands too; what a client sees of that is in test_router.c.
#include <criterion/criterion.h>

#include "routing_id.h"
#include "sender.h"

enum { FRAME_BYTES = 100000, LINK_BYTES = 1000000, FRAMES_MAX = 2000 };

static void *context, *router, *dealer;
static struct sender sender;
static struct nq_arena *arena;
static const struct wire_packer *large;

static void set_option(void *socket, int option, int value)
{
    cr_assert_eq(zmq_setsockopt(socket, option, &value, sizeof(value)), 0);
}

static void make_large(void)
{
    static uint8_t body[FRAME_BYTES];
    static const struct nq_bytes bodies = {sizeof(body), body};
    static const uint64_t seq = 1;
    static struct wire_reply reply = {
        .id = 1, .result = WIRE_GET, .as.get = {.count = 1, .bodies = &bodies, .seqs = &seq, .epoch = 1, .queue_id = 1}};
    static const struct wire_reply_frame frame = {.version = NQ_PROTOCOL_VERSION, .replies = &reply, .count = 1};
    arena = nq_arena_create(1 << 20, 0);
    large = wire_prepare_replies(arena, &frame);
    cr_assert_not_null(large);
}

// A client that reads nothing.
static void set_up(void)
{
    char endpoint[100];
    size_t size = sizeof(endpoint);
    context = zmq_ctx_new();
    router = zmq_socket(context, ZMQ_ROUTER);
    dealer = zmq_socket(context, ZMQ_DEALER);
    set_option(router, ZMQ_ROUTER_MANDATORY, 1);
    set_option(router, ZMQ_SNDHWM, 64);
    set_option(router, ZMQ_LINGER, 0);
    set_option(dealer, ZMQ_LINGER, 0);
    set_option(dealer, ZMQ_RCVHWM, 1);
    cr_assert_eq(zmq_bind(router, "tcp://127.0.0.1:*"), 0);
    cr_assert_eq(zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    cr_assert_eq(zmq_connect(dealer, endpoint), 0);
    make_large();
}

static void tear_down(void)
{
    sender_forget(&sender);
    zmq_close(dealer);
    zmq_close(router);
    zmq_ctx_term(context);
    sender_fini(&sender);
    nq_arena_destroy(&arena);
}

TestSuite(sender, .init = set_up, .fini = tear_down, .timeout = 30);

static uint64_t meet_dealer(void)
{
    uint8_t id[ROUTING_ID_BYTES];
    uint64_t connection;
    zmq_msg_t frame;
    cr_assert_eq(zmq_send(dealer, "hello", 5, 0), 5);
    cr_assert_eq(zmq_recv(router, id, sizeof(id), 0), ROUTING_ID_BYTES);
    cr_assert(routing_id_read(id, sizeof(id), &connection));
    zmq_msg_init(&frame);
    cr_assert_eq(zmq_msg_recv(&frame, router, 0), 5);
    sender_meet(&sender, connection, &frame);
    zmq_msg_close(&frame);
    return connection;
}

// libzmq takes 64 frames of a connection, of whatever length.
Test(sender, no_more_than_twice_its_share_is_held_for_a_connection)
{
    const struct sender_limits limits = {.link_bytes_max = LINK_BYTES, .bytes_max = UINT64_MAX};
    uint64_t most = 0;
    int sent = 0;
    sender_init(&sender, router, &limits);
    uint64_t connection = meet_dealer();
    while (sender_send(&sender, connection, large)) {
        uint64_t held = __atomic_load_n(&sender.held_bytes, __ATOMIC_ACQUIRE);
        most = held > most ? held : most;
        cr_assert_lt(++sent, FRAMES_MAX);
    }
    cr_assert_gt(most, (uint64_t)LINK_BYTES);
    cr_assert_leq(most, 2 * (uint64_t)LINK_BYTES);
    cr_assert_not(sender_send(&sender, connection, large), "it is ended");
}
