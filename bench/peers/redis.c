// Redis by hiredis, in the manners its documentation gives for a queue that loses nothing, pipelined.
//
//   list    LPUSH of many | BLMOVE, LMOVE to a list of the consumer's items in work | LREM of each from it
//   batch   the same, but one LTRIM for all items of a batch: they can only be finished together, in the order of the gets
//   stream  XADD          | XREADGROUP COUNT n                                      | XACK and XDEL, each with all ids of the batch
//   steps   LPUSH of one  | as list                                                 | as list, answered before more is asked for
//
// What is finished travels with the next request for items, in lock-step as well: as nq_next does it. Not so with steps, the manner of
// most programs, in which Redis was measured when netqueue's targets were set (docs/decisions/0008-window-100-over-zeromq.md).
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { ARGUMENT_MAX = 32 };

struct connection {
    redisContext *context;
    struct worker *worker;
    size_t window, wanted;
    bool stream, trims, steps;
    char work[ARGUMENT_MAX]; // the list of items in work, or the consumer's name in the group
    // Items that are got and not finished yet.
    redisReply **held; // list: the bodies; stream: held[0] is the whole answer
    size_t held_count;
    const char **arguments;
    size_t *lengths;
    char *bodies;                                  // of one batch
    size_t *batches, batches_first, batches_count; // sizes of the LPUSHes on their way: a ring of window + 1
    size_t credit;                                 // items that are accepted and not settled yet
};

static redisContext *connect_to(int port)
{
    redisContext *context = redisConnect("127.0.0.1", port);
    if (context == NULL || context->err != 0) {
        fail("redis: cannot connect to port %d", port);
    }
    return context;
}

static redisReply *reply_of(redisContext *context)
{
    void *reply = NULL;
    if (redisGetReply(context, &reply) != REDIS_OK || ((redisReply *)reply)->type == REDIS_REPLY_ERROR) {
        fail("redis: %s", reply == NULL ? "connection lost" : ((redisReply *)reply)->str);
    }
    return reply;
}

static void skip_replies(redisContext *context, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        freeReplyObject(reply_of(context));
    }
}

static void write_out(redisContext *context)
{
    int written = 0;
    while (!written) {
        if (redisBufferWrite(context, &written) != REDIS_OK) {
            fail("redis: connection lost");
        }
    }
}

static void prepare(const struct load *load)
{
    redisContext *context = connect_to(load->port);
    freeReplyObject(redisCommand(context, "FLUSHALL"));
    if (strcmp(load->variant, "stream") == 0) {
        freeReplyObject(redisCommand(context, "XGROUP CREATE q g $ MKSTREAM"));
    }
    redisFree(context);
}

static void *open_connection(const struct load *load, struct worker *worker, unsigned index, bool consumes)
{
    struct connection *c = calloc(1, sizeof(*c));
    c->context = connect_to(load->port);
    c->worker = worker;
    c->window = load->window;
    c->wanted = 1;
    c->stream = strcmp(load->variant, "stream") == 0;
    c->trims = strcmp(load->variant, "batch") == 0;
    c->steps = strcmp(load->variant, "steps") == 0;
    snprintf(c->work, sizeof(c->work), "work%u", index);
    c->held = calloc(load->window + 1, sizeof(*c->held));
    c->arguments = calloc(load->window + 3, sizeof(*c->arguments));
    c->lengths = calloc(load->window + 3, sizeof(*c->lengths));
    c->batches = calloc(load->window + 1, sizeof(*c->batches));
    c->bodies = consumes ? NULL : malloc((load->window + 1) * (load->size + 1));
    return c;
}

// ------------------------------------------------------------------------------------------------ put

static void send_batch(struct connection *c, size_t count)
{
    size_t len = worker_body_len(c->worker);
    c->arguments[0] = "LPUSH", c->lengths[0] = 5;
    c->arguments[1] = "q", c->lengths[1] = 1;
    for (size_t i = 0; i < count; i++) {
        memcpy(c->bodies + i * len, worker_body(c->worker), len);
        c->arguments[2 + i] = c->bodies + i * len;
        c->lengths[2 + i] = len;
    }
    redisAppendCommandArgv(c->context, (int)(2 + count), c->arguments, c->lengths);
    c->batches[(c->batches_first + c->batches_count++) % (c->window + 1)] = count;
}

static void send_puts(void *connection, size_t count)
{
    struct connection *c = connection;
    size_t most = c->steps ? 1 : count;
    for (size_t sent = 0; sent < count && !c->stream; sent += most) {
        send_batch(c, most);
    }
    for (size_t i = 0; i < count && c->stream; i++) {
        const void *body = worker_body(c->worker);
        redisAppendCommand(c->context, "XADD q * b %b", body, worker_body_len(c->worker));
    }
    write_out(c->context);
}

static bool settle(void *connection, size_t count)
{
    struct connection *c = connection;
    if (c->stream) {
        skip_replies(c->context, count);
        return true;
    }
    while (c->credit < count) { // one answer for a batch
        skip_replies(c->context, 1);
        c->credit += c->batches[c->batches_first];
        c->batches_first = (c->batches_first + 1) % (c->window + 1);
        c->batches_count--;
    }
    c->credit -= count;
    return true;
}

// ------------------------------------------------------------------------------------------------ get and finish

static void ask_to_finish_list(struct connection *c)
{
    if (c->trims && c->held_count > 0) {
        redisAppendCommand(c->context, "LTRIM %s 0 %lld", c->work, -(long long)c->held_count - 1);
    }
    for (size_t i = 0; i < c->held_count && !c->trims; i++) {
        redisAppendCommand(c->context, "LREM %s -1 %b", c->work, c->held[i]->str, c->held[i]->len);
    }
}

static void finish_list(struct connection *c, uint64_t asked_ns)
{
    skip_replies(c->context, c->trims ? c->held_count > 0 : c->held_count);
    if (c->held_count > 0) {
        worker_done(c->worker, asked_ns, c->held_count);
    }
    for (size_t i = 0; i < c->held_count; i++) {
        freeReplyObject(c->held[i]);
    }
    c->held_count = 0;
}

static void take_list(struct connection *c, size_t count)
{
    uint64_t asked_ns = now_ns();
    ask_to_finish_list(c);
    if (c->steps) {
        write_out(c->context);
        finish_list(c, asked_ns);
    }
    // Asking for far more than there is costs the server work for nothing.
    size_t wanted = c->wanted < count ? c->wanted : count;
    redisAppendCommand(c->context, "BLMOVE q %s RIGHT LEFT 0.1", c->work);
    for (size_t i = 1; i < wanted; i++) {
        redisAppendCommand(c->context, "LMOVE q %s RIGHT LEFT", c->work);
    }
    write_out(c->context);
    if (!c->steps) {
        finish_list(c, asked_ns);
    }
    for (size_t i = 0; i < wanted; i++) {
        redisReply *reply = reply_of(c->context);
        if (reply->type == REDIS_REPLY_STRING) {
            worker_got(c->worker, reply->str, reply->len);
            c->held[c->held_count++] = reply;
        } else {
            freeReplyObject(reply);
        }
    }
    c->wanted = 2 * c->held_count + 1;
}

static redisReply *entries_of(redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 ? reply->element[0]->element[1] : NULL;
}

static void append_ids(struct connection *c, const char *command, const char *group, redisReply *entries)
{
    int used = 0;
    const char *const front[] = {command, "q", group};
    for (int i = 0; i < 3 && front[i] != NULL; i++, used++) {
        c->arguments[used] = front[i];
        c->lengths[used] = strlen(front[i]);
    }
    for (size_t i = 0; i < entries->elements; i++, used++) {
        c->arguments[used] = entries->element[i]->element[0]->str;
        c->lengths[used] = entries->element[i]->element[0]->len;
    }
    redisAppendCommandArgv(c->context, used, c->arguments, c->lengths);
}

static void ask_to_finish_stream(struct connection *c)
{
    if (c->held_count > 0) {
        append_ids(c, "XACK", "g", entries_of(c->held[0]));
        append_ids(c, "XDEL", NULL, entries_of(c->held[0]));
    }
}

static void finish_stream(struct connection *c, uint64_t asked_ns)
{
    if (c->held_count > 0) {
        skip_replies(c->context, 2);
        worker_done(c->worker, asked_ns, c->held_count);
        freeReplyObject(c->held[0]);
        c->held_count = 0;
    }
}

static void take_stream(struct connection *c, size_t count)
{
    uint64_t asked_ns = now_ns();
    ask_to_finish_stream(c);
    redisAppendCommand(c->context, "XREADGROUP GROUP g %s COUNT %d BLOCK 100 STREAMS q >", c->work, (int)count);
    write_out(c->context);
    finish_stream(c, asked_ns);
    redisReply *reply = reply_of(c->context);
    redisReply *entries = entries_of(reply);
    if (entries == NULL) {
        freeReplyObject(reply);
        return;
    }
    c->held[0] = reply;
    c->held_count = entries->elements;
    for (size_t i = 0; i < entries->elements; i++) {
        redisReply *body = entries->element[i]->element[1]->element[1];
        worker_got(c->worker, body->str, body->len);
    }
}

static void take(void *connection, size_t count)
{
    struct connection *c = connection;
    if (c->stream) {
        take_stream(c, count);
    } else {
        take_list(c, count);
    }
}

static void close_connection(void *connection)
{
    struct connection *c = connection;
    for (size_t i = 0; i < (c->stream ? c->held_count > 0 : c->held_count); i++) {
        freeReplyObject(c->held[i]);
    }
    redisFree(c->context);
    free(c->held);
    free(c->arguments);
    free(c->lengths);
    free(c->batches);
    free(c->bodies);
    free(c);
}

int main(int argc, char **argv)
{
    static const struct peer peer = {"redis", "list|batch|stream|steps", prepare, open_connection, send_puts, settle,
                                     take,    close_connection};
    return load_main(&peer, argc, argv);
}
