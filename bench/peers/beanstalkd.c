// beanstalkd by its text protocol (Debian has no C library for it that is kept up): commands are pipelined; what is finished
// travels with the next reserve, in lock-step as well: as nq_next does it.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum { LINE_MAX_BYTES = 256, READ_BYTES = 256 * 1024 };

struct connection {
    struct worker *worker;
    int socket;
    size_t window, wanted;
    char *out;
    size_t out_len, out_room;
    char *in;
    size_t in_start, in_end;
    char *body;
    size_t body_room;
    uint64_t *held; // ids of items that are got and not finished yet
    size_t held_count;
};

static void *open_connection(const struct load *load, struct worker *worker, unsigned index, bool consumes)
{
    (void)index;
    (void)consumes;
    struct connection *c = calloc(1, sizeof(*c));
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)load->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (c->socket < 0 || connect(c->socket, (struct sockaddr *)&address, sizeof(address)) != 0) {
        fail("beanstalkd: cannot connect to port %d", load->port);
    }
    int on = 1;
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->worker = worker;
    c->window = load->window;
    c->wanted = 1;
    c->out_room = (load->size + LINE_MAX_BYTES) * (load->window + 1);
    c->out = malloc(c->out_room);
    c->in = malloc(READ_BYTES);
    c->held = calloc(load->window, sizeof(*c->held));
    return c;
}

static void close_connection(void *connection)
{
    struct connection *c = connection;
    close(c->socket);
    free(c->out);
    free(c->in);
    free(c->body);
    free(c->held);
    free(c);
}

// ------------------------------------------------------------------------------------------------ bytes

static void append(struct connection *c, const void *data, size_t len)
{
    if (c->out_len + len > c->out_room) {
        fail("beanstalkd: the window does not fit the buffer");
    }
    memcpy(c->out + c->out_len, data, len);
    c->out_len += len;
}

static void write_out(struct connection *c)
{
    for (size_t sent = 0; sent < c->out_len;) {
        ssize_t wrote = send(c->socket, c->out + sent, c->out_len - sent, MSG_NOSIGNAL);
        if (wrote < 0 && errno != EINTR) {
            fail("beanstalkd: connection lost: %s", strerror(errno));
        }
        sent += wrote > 0 ? (size_t)wrote : 0;
    }
    c->out_len = 0;
}

static void fill(struct connection *c)
{
    ssize_t got = recv(c->socket, c->in, READ_BYTES, 0);
    if (got <= 0) {
        fail("beanstalkd: connection lost");
    }
    c->in_start = 0;
    c->in_end = (size_t)got;
}

static void read_bytes(struct connection *c, char *to, size_t len)
{
    while (len > 0) {
        if (c->in_start == c->in_end) {
            fill(c);
        }
        size_t part = c->in_end - c->in_start < len ? c->in_end - c->in_start : len;
        memcpy(to, c->in + c->in_start, part);
        c->in_start += part;
        to += part;
        len -= part;
    }
}

static void read_line(struct connection *c, char line[static LINE_MAX_BYTES])
{
    for (size_t len = 0; len < LINE_MAX_BYTES - 1; len++) {
        read_bytes(c, line + len, 1);
        if (line[len] == '\n') {
            line[len + 1] = '\0';
            return;
        }
    }
    fail("beanstalkd: an answer without end");
}

static void expect(struct connection *c, const char *answer)
{
    char line[LINE_MAX_BYTES];
    read_line(c, line);
    if (strncmp(line, answer, strlen(answer)) != 0) {
        fail("beanstalkd: %s expected, not %s", answer, line);
    }
}

// ------------------------------------------------------------------------------------------------ put, get and finish

static void send_puts(void *connection, size_t count)
{
    struct connection *c = connection;
    size_t len = worker_body_len(c->worker);
    char line[LINE_MAX_BYTES];
    int line_len = snprintf(line, sizeof(line), "put 0 0 3600 %zu\r\n", len);
    for (size_t i = 0; i < count; i++) {
        append(c, line, (size_t)line_len);
        append(c, worker_body(c->worker), len);
        append(c, "\r\n", 2);
    }
    write_out(c);
}

static bool settle(void *connection, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect(connection, "INSERTED ");
    }
    return true;
}

static void ask_to_finish(struct connection *c)
{
    char line[LINE_MAX_BYTES];
    for (size_t i = 0; i < c->held_count; i++) {
        append(c, line, (size_t)snprintf(line, sizeof(line), "delete %llu\r\n", (unsigned long long)c->held[i]));
    }
}

static void finish(struct connection *c, uint64_t asked_ns)
{
    for (size_t i = 0; i < c->held_count; i++) {
        expect(c, "DELETED");
    }
    if (c->held_count > 0 && c->worker != NULL) {
        worker_done(c->worker, asked_ns, c->held_count);
    }
    c->held_count = 0;
}

// false: nothing came in time.
static bool read_item(struct connection *c, uint64_t *id)
{
    char line[LINE_MAX_BYTES];
    unsigned long long number = 0;
    size_t len = 0;
    read_line(c, line);
    if (strncmp(line, "TIMED_OUT", 9) == 0 || strncmp(line, "DEADLINE_SOON", 13) == 0) {
        return false;
    }
    if (sscanf(line, "RESERVED %llu %zu", &number, &len) != 2) {
        fail("beanstalkd: an item expected, not %s", line);
    }
    if (len + 2 > c->body_room) {
        c->body_room = len + 2;
        c->body = realloc(c->body, c->body_room);
    }
    read_bytes(c, c->body, len + 2);
    if (c->worker != NULL) {
        worker_got(c->worker, c->body, len);
    }
    *id = number;
    return true;
}

static void take(void *connection, size_t count)
{
    struct connection *c = connection;
    uint64_t asked_ns = now_ns();
    size_t wanted = c->wanted < count ? c->wanted : count; // asking for far more than there is costs the server work for nothing
    ask_to_finish(c);
    // The first waits a second at most (the protocol knows whole seconds only), the others not at all.
    append(c, "reserve-with-timeout 1\r\n", 24);
    for (size_t i = 1; i < wanted; i++) {
        append(c, "reserve-with-timeout 0\r\n", 24);
    }
    write_out(c);
    finish(c, asked_ns);
    for (size_t i = 0; i < wanted; i++) {
        c->held_count += read_item(c, &c->held[c->held_count]);
    }
    c->wanted = 2 * c->held_count + 1;
}

// What an earlier run left behind is taken out first.
static void prepare(const struct load *load)
{
    enum { AT_ONCE = 100 };
    struct load at_once = *load;
    at_once.window = AT_ONCE;
    struct connection *c = open_connection(&at_once, NULL, 0, true);
    bool more = true;
    while (more) {
        for (int i = 0; i < AT_ONCE; i++) {
            append(c, "reserve-with-timeout 0\r\n", 24);
        }
        write_out(c);
        for (int i = 0; i < AT_ONCE; i++) {
            c->held_count += read_item(c, &c->held[c->held_count]);
        }
        more = c->held_count > 0;
        ask_to_finish(c);
        write_out(c);
        finish(c, 0);
    }
    close_connection(c);
}

int main(int argc, char **argv)
{
    static const struct peer peer = {"beanstalkd", "tube", prepare, open_connection, send_puts, settle, take, close_connection};
    return load_main(&peer, argc, argv);
}
