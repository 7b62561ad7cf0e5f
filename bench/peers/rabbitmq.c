// RabbitMQ by librabbitmq: publisher confirms with `window` unconfirmed, a consumer with a prefetch of `window` that finishes several
// deliveries with one ack of the last. The server does not answer an ack.
//
//   transient | durable | quorum   classic queue without and with persistence, quorum queue
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "load.h"

enum { CHANNEL = 1, PREFETCH_MAX = 65535, FRAME_BYTES = 131072 };
#define QUEUE amqp_cstring_bytes("q")

struct connection {
    struct worker *worker;
    amqp_connection_state_t amqp;
    size_t window;
    bool persistent;
    uint64_t settled, confirmed; // puts, by delivery tag
    uint64_t got, finished;      // deliveries, by delivery tag
};

static void check_reply(amqp_rpc_reply_t reply, const char *what)
{
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        fail("rabbitmq: %s: %s", what,
             reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION ? amqp_error_string2(reply.library_error)
                                                                 : "refused by the server");
    }
}

static void check(struct connection *c, const char *what)
{
    check_reply(amqp_get_rpc_reply(c->amqp), what);
}

static void check_status(int status, const char *what)
{
    if (status != AMQP_STATUS_OK) {
        fail("rabbitmq: %s: %s", what, amqp_error_string2(status));
    }
}

static struct connection *connect_to(const struct load *load)
{
    struct connection *c = calloc(1, sizeof(*c));
    c->window = load->window;
    c->persistent = strcmp(load->variant, "transient") != 0;
    c->amqp = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(c->amqp);
    if (socket == NULL || amqp_socket_open(socket, "127.0.0.1", load->port) != AMQP_STATUS_OK) {
        fail("rabbitmq: cannot connect to port %d", load->port);
    }
    check_reply(amqp_login(c->amqp, "/", 0, FRAME_BYTES, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"), "log in");
    amqp_channel_open(c->amqp, CHANNEL);
    check(c, "channel");
    return c;
}

static void close_connection(void *connection)
{
    struct connection *c = connection;
    amqp_destroy_connection(c->amqp);
    free(c);
}

static void prepare(const struct load *load)
{
    struct connection *c = connect_to(load);
    amqp_table_entry_t kind = {.key = amqp_cstring_bytes("x-queue-type")};
    kind.value.kind = AMQP_FIELD_KIND_UTF8;
    kind.value.value.bytes = amqp_cstring_bytes("quorum");
    amqp_table_t arguments = {.num_entries = strcmp(load->variant, "quorum") == 0, .entries = &kind};
    amqp_queue_delete(c->amqp, CHANNEL, QUEUE, 0, 0);
    check(c, "delete the queue");
    amqp_queue_declare(c->amqp, CHANNEL, QUEUE, 0, c->persistent, 0, 0, arguments);
    check(c, "declare the queue");
    close_connection(c);
}

static void *open_connection(const struct load *load, struct worker *worker, unsigned index, bool consumes)
{
    (void)index;
    struct connection *c = connect_to(load);
    c->worker = worker;
    if (consumes) {
        amqp_basic_qos(c->amqp, CHANNEL, 0, (uint16_t)(load->window < PREFETCH_MAX ? load->window : PREFETCH_MAX), 0);
        check(c, "prefetch");
        amqp_basic_consume(c->amqp, CHANNEL, QUEUE, amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
        check(c, "consume");
    } else {
        amqp_confirm_select(c->amqp, CHANNEL);
        check(c, "confirms");
    }
    return c;
}

// ------------------------------------------------------------------------------------------------ put

static void send_puts(void *connection, size_t count)
{
    struct connection *c = connection;
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = c->persistent ? 2 : 1};
    for (size_t i = 0; i < count; i++) {
        amqp_bytes_t body = {.len = worker_body_len(c->worker), .bytes = (void *)(uintptr_t)worker_body(c->worker)};
        check_status(amqp_basic_publish(c->amqp, CHANNEL, amqp_empty_bytes, QUEUE, 0, 0, &properties, body), "put");
    }
}

static bool settle(void *connection, size_t count)
{
    struct connection *c = connection;
    c->settled += count;
    while (c->confirmed < c->settled) {
        amqp_frame_t frame;
        check_status(amqp_simple_wait_frame(c->amqp, &frame), "answers to puts");
        if (frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == AMQP_BASIC_ACK_METHOD) {
            const amqp_basic_ack_t *confirm = frame.payload.method.decoded;
            // Counted: the server may confirm out of order, but this harness waits for all in the end.
            c->confirmed = confirm->multiple && confirm->delivery_tag > c->confirmed ? confirm->delivery_tag : c->confirmed + 1;
        } else if (frame.frame_type == AMQP_FRAME_METHOD) {
            fail("rabbitmq: a put was refused");
        }
        amqp_maybe_release_buffers(c->amqp);
    }
    return true;
}

// ------------------------------------------------------------------------------------------------ get and finish

static void finish(struct connection *c)
{
    if (c->got > c->finished) {
        check_status(amqp_basic_ack(c->amqp, CHANNEL, c->got, 1), "finish");
        worker_done(c->worker, 0, (size_t)(c->got - c->finished));
        c->finished = c->got;
    }
}

static void take(void *connection, size_t count)
{
    struct connection *c = connection;
    size_t batch = (count + 1) / 2; // the other half of the prefetch keeps coming meanwhile
    struct timeval wait = {0, 100000};
    const struct timeval none = {0, 0};
    for (size_t i = 0; i < batch; i++) {
        amqp_envelope_t envelope;
        amqp_rpc_reply_t reply = amqp_consume_message(c->amqp, &envelope, i == 0 ? &wait : &none, 0);
        if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION && reply.library_error == AMQP_STATUS_TIMEOUT) {
            break;
        }
        if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
            fail("rabbitmq: get: %s", amqp_error_string2(reply.library_error));
        }
        worker_got(c->worker, envelope.message.body.bytes, envelope.message.body.len);
        c->got = envelope.delivery_tag;
        amqp_destroy_envelope(&envelope);
    }
    amqp_maybe_release_buffers(c->amqp);
    finish(c);
}

int main(int argc, char **argv)
{
    static const struct peer peer = {"rabbitmq",      "transient|durable|quorum", prepare, open_connection, send_puts, settle, take,
                                     close_connection};
    return load_main(&peer, argc, argv);
}
