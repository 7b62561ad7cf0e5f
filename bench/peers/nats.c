// NATS JetStream by libnats: a work-queue stream, a durable pull consumer, each item finished by its own ack (the server demands that
// of a work queue). Window 1: synchronous publish, fetch 1, acknowledged ack. Else asynchronous publishing with `window` pending, fetch of
// `window` at once, acks sent on, the last of a batch acknowledged.
//
//   file | memory   the stream's storage
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { WAIT_MS = 10000, URL_BYTES = 64 };

struct connection {
    struct worker *worker;
    natsConnection *nats;
    jsCtx *js;
    natsSubscription *subscription;
    size_t window;
    bool paced;
};

static void check(natsStatus status, const char *what)
{
    if (status != NATS_OK) {
        fail("nats: %s: %s (%s)", what, natsStatus_GetText(status), nats_GetLastError(NULL) == NULL ? "" : nats_GetLastError(NULL));
    }
}

static struct connection *connect_to(const struct load *load)
{
    struct connection *c = calloc(1, sizeof(*c));
    natsOptions *options = NULL;
    jsOptions js_options;
    char url[URL_BYTES];
    snprintf(url, sizeof(url), "nats://127.0.0.1:%d", load->port);
    c->window = load->window;
    c->paced = load->rate > 0;
    check(natsOptions_Create(&options), "options");
    check(natsOptions_SetURL(options, url), "address");
    if (load->window == 1 || load->rate > 0) { // not by way of the thread that gathers
        check(natsOptions_SetSendAsap(options, true), "options");
    }
    check(natsConnection_Connect(&c->nats, options), "connect");
    natsOptions_Destroy(options);
    jsOptions_Init(&js_options);
    js_options.PublishAsync.MaxPending = (int64_t)load->window;
    js_options.PublishAsync.StallWait = WAIT_MS;
    check(natsConnection_JetStream(&c->js, c->nats, &js_options), "JetStream");
    return c;
}

static void close_connection(void *connection)
{
    struct connection *c = connection;
    natsSubscription_Destroy(c->subscription);
    jsCtx_Destroy(c->js);
    natsConnection_Destroy(c->nats);
    free(c);
}

static void prepare(const struct load *load)
{
    struct connection *c = connect_to(load);
    jsErrCode code = 0;
    js_DeleteStream(c->js, "q", NULL, &code); // there may be none
    jsStreamConfig stream;
    const char *subjects[] = {"q"};
    jsStreamConfig_Init(&stream);
    stream.Name = "q";
    stream.Subjects = subjects;
    stream.SubjectsLen = 1;
    stream.Retention = js_WorkQueuePolicy;
    stream.Storage = strcmp(load->variant, "memory") == 0 ? js_MemoryStorage : js_FileStorage;
    check(js_AddStream(NULL, c->js, &stream, NULL, &code), "stream");
    jsConsumerConfig consumer;
    jsConsumerConfig_Init(&consumer);
    consumer.Durable = "c";
    consumer.AckPolicy = js_AckExplicit;
    consumer.MaxAckPending = 200000;
    consumer.MaxWaiting = 1000;
    check(js_AddConsumer(NULL, c->js, "q", &consumer, NULL, &code), "consumer");
    close_connection(c);
}

static void *open_connection(const struct load *load, struct worker *worker, unsigned index, bool consumes)
{
    (void)index;
    struct connection *c = connect_to(load);
    c->worker = worker;
    if (consumes) {
        jsErrCode code = 0;
        jsSubOptions options;
        jsSubOptions_Init(&options);
        options.Stream = "q";
        options.Consumer = "c";
        check(js_PullSubscribe(&c->subscription, c->js, "q", "c", NULL, &options, &code), "subscribe");
    }
    return c;
}

static void send_puts(void *connection, size_t count)
{
    struct connection *c = connection;
    jsErrCode code = 0;
    int len = (int)worker_body_len(c->worker);
    for (size_t i = 0; i < count; i++) {
        const void *body = worker_body(c->worker);
        if (c->window == 1) {
            check(js_Publish(NULL, c->js, "q", body, len, NULL, &code), "put");
        } else {
            check(js_PublishAsync(c->js, "q", body, len, NULL), "put");
        }
    }
}

// The library says only when nothing is pending any more. At full speed it is left to keep its own window of MaxPending, else it
// would run empty between two halves; at a fixed rate all that was due is waited for.
static bool settle(void *connection, size_t count)
{
    (void)count;
    struct connection *c = connection;
    if (c->window == 1) {
        return true;
    }
    if (!c->paced) {
        return false;
    }
    jsPubOptions options;
    jsPubOptions_Init(&options);
    options.MaxWait = WAIT_MS;
    check(js_PublishAsyncComplete(c->js, &options), "answers to puts");
    return true;
}

static void take(void *connection, size_t count)
{
    struct connection *c = connection;
    natsMsgList list = {NULL, 0};
    jsErrCode code = 0;
    natsStatus status = natsSubscription_Fetch(&list, c->subscription, (int)count, 100, &code);
    if (status != NATS_TIMEOUT) {
        check(status, "get");
    }
    for (int i = 0; i < list.Count; i++) {
        worker_got(c->worker, natsMsg_GetData(list.Msgs[i]), (size_t)natsMsg_GetDataLength(list.Msgs[i]));
    }
    uint64_t asked_ns = now_ns();
    for (int i = 0; i < list.Count; i++) {
        bool last = i == list.Count - 1;
        check(last ? natsMsg_AckSync(list.Msgs[i], NULL, &code) : natsMsg_Ack(list.Msgs[i], NULL), "finish");
    }
    if (list.Count > 0) {
        worker_done(c->worker, asked_ns, (size_t)list.Count);
    }
    natsMsgList_Destroy(&list);
}

int main(int argc, char **argv)
{
    static const struct peer peer = {"nats", "file|memory", prepare, open_connection, send_puts, settle, take, close_connection};
    int exit_code = load_main(&peer, argc, argv);
    nats_Close();
    return exit_code;
}
