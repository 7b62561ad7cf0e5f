#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define ITEM_FRAME_BYTES 16u           // tags and lengths of one item, rounded up
#define STREAMS_KEPT NQ_QUEUES_DEFAULT // a broker has no more queues, unless it was told to

static int compare_streams(const void *a, const void *b)
{
    const struct queue_stream *x = a;
    const struct queue_stream *y = b;
    return x->lane != y->lane ? (x->lane < y->lane ? -1 : 1) : strcmp(x->queue, y->queue);
}

static void stream_unlink(struct nq_client *client, struct queue_stream *stream)
{
    *(stream->older != NULL ? &stream->older->newer : &client->streams_oldest) = stream->newer;
    *(stream->newer != NULL ? &stream->newer->older : &client->streams_newest) = stream->older;
}

static void stream_is_used(struct nq_client *client, struct queue_stream *stream)
{
    stream->newer = NULL;
    stream->older = client->streams_newest;
    *(stream->older != NULL ? &stream->older->newer : &client->streams_oldest) = stream;
    client->streams_newest = stream;
}

static void forget_stream(struct nq_client *client, struct queue_stream *stream)
{
    stream_unlink(client, stream);
    (void)tdelete(stream, &client->streams, compare_streams);
    stream_close(&client->tracker, &stream->stream);
    client->streams_count--;
    free(stream);
}

// Of a stream without unanswered puts nothing is sent a second time: whoever puts there again may begin another. Brokers keep what they
// know of one for a day, unless its queue is deleted, so only those go that are most likely of queues that are no more.
static void forget_some_streams(struct nq_client *client)
{
    for (int looks = 0; looks < 2 && client->streams_count >= STREAMS_KEPT; looks++) {
        struct queue_stream *oldest = client->streams_oldest;
        if (oldest->stream.first == NULL) {
            forget_stream(client, oldest);
        } else {
            stream_unlink(client, oldest);
            stream_is_used(client, oldest);
        }
    }
}

static struct queue_stream *make_stream(struct nq_client *client, const struct queue_stream *wanted)
{
    forget_some_streams(client);
    struct queue_stream *stream = malloc(sizeof *stream);
    if (stream == NULL) {
        return NULL;
    }
    *stream = *wanted;
    if (tsearch(stream, &client->streams, compare_streams) == NULL) {
        free(stream);
        return NULL;
    }
    stream_open(&client->tracker, &stream->stream, false);
    client->streams_count++;
    return stream;
}

struct stream *client_stream(struct nq_client *client, const char *queue, uint32_t lane)
{
    struct queue_stream wanted = {.lane = lane};
    memcpy(wanted.queue, queue, strlen(queue) + 1);
    if (client->streams_newest != NULL &&
        compare_streams(client->streams_newest, &wanted) == 0) { // most go where the last one went
        return &client->streams_newest->stream;
    }
    struct queue_stream **found = tfind(&wanted, &client->streams, compare_streams);
    struct queue_stream *stream = found != NULL ? *found : make_stream(client, &wanted);
    if (stream == NULL) {
        return NULL;
    }
    if (found != NULL) {
        stream_unlink(client, stream);
    }
    stream_is_used(client, stream);
    return &stream->stream;
}

void client_forget_streams(struct nq_client *client)
{
    while (client->streams_oldest != NULL) {
        forget_stream(client, client->streams_oldest);
    }
}

size_t put_body_size(const struct nq_body *body)
{
    size_t size = body->len + ITEM_FRAME_BYTES;
    for (size_t i = 0; i < body->headers_count; i++) {
        size += strlen(body->headers[i].name) + body->headers[i].value_len + ITEM_FRAME_BYTES;
    }
    return size;
}

// ------------------------------------------------------------------------------------------------- making a request

// What a put request needs in one block: arrays, and headers and copies of bodies behind them.
struct put_memory {
    struct nq_bytes *bodies;
    struct nq_bytes *headers;
    uint8_t *bytes;
    size_t left;
    char *queue;
};

static void *lay_out(struct put_memory *memory, const char *queue, size_t count, size_t bytes, bool headers)
{
    size_t queue_len = strlen(queue) + 1;
    size_t arrays = count * sizeof(struct nq_bytes) * (headers ? 2 : 1);
    uint8_t *block = malloc(arrays + bytes + queue_len);
    if (block == NULL) {
        return NULL;
    }
    memory->bodies = (void *)block;
    memory->headers = headers ? memory->bodies + count : NULL;
    memory->bytes = block + arrays;
    memory->left = bytes;
    memory->queue = (char *)(block + arrays + bytes);
    memcpy(memory->queue, queue, queue_len);
    return block;
}

static struct nq_bytes keep(struct put_memory *memory, const void *data, size_t len)
{
    struct nq_bytes kept = {len, memory->bytes};
    if (len > 0) {
        memcpy(memory->bytes, data, len);
    }
    memory->bytes += len;
    memory->left -= len;
    return kept;
}

static enum nq_status encode_headers(struct nq_client *client, const struct nq_body *body, struct nq_bytes *out)
{
    struct nq_header *headers = nq_arena_alloc(client->scratch, body->headers_count * sizeof *headers);
    if (headers == NULL) {
        return NQ_NO_MEMORY;
    }
    for (size_t i = 0; i < body->headers_count; i++) {
        headers[i].name = bytes_of(body->headers[i].name);
        headers[i].value = (struct nq_bytes){body->headers[i].value_len, body->headers[i].value};
    }
    return wire_encode_headers(client->scratch, headers, body->headers_count, out);
}

static enum nq_status fill(struct nq_client *client, struct put_memory *memory, const struct nq_body *bodies, size_t count,
                           bool copy)
{
    for (size_t i = 0; i < count; i++) {
        memory->bodies[i] = copy ? keep(memory, bodies[i].data, bodies[i].len) : (struct nq_bytes){bodies[i].len, bodies[i].data};
        if (memory->headers == NULL) {
            continue;
        }
        memory->headers[i] = (struct nq_bytes){0, NULL};
        if (bodies[i].headers_count == 0) {
            continue;
        }
        struct nq_bytes encoded;
        nq_arena_reset(client->scratch);
        enum nq_status status = encode_headers(client, &bodies[i], &encoded);
        bool over = client->session.store_known && encoded.len > client->session.limits.headers_bytes;
        if (status == NQ_OK && (over || encoded.len > memory->left)) {
            status = NQ_TOO_LARGE;
        }
        if (status != NQ_OK) {
            return client_fail(client, status, "the headers of an item: %s", nq_status_text(status));
        }
        memory->headers[i] = keep(memory, encoded.data, encoded.len);
    }
    return NQ_OK;
}

// What the block must hold, and what the request takes in a frame. What is too large for one leaves in parts, unless it is atomic.
static enum nq_status measure(struct nq_client *client, const struct nq_body *bodies, size_t count, bool atomic, bool copy,
                              size_t *bytes, bool *headers, size_t *size)
{
    const struct wire_limits *limits = &client->session.limits;
    bool known = client->session.store_known; // else the broker's may be wider: they are looked at when it leaves
    if (count == 0 || count > limits->items) {
        return client_fail(client, NQ_TOO_LARGE, "a put of %zu items; 1 to %u go into one request", count, limits->items);
    }
    *size = REQUEST_FRAME_BYTES;
    for (size_t i = 0; i < count; i++) {
        if (known && bodies[i].len > limits->body_bytes) {
            return client_fail(client, NQ_TOO_LARGE, "an item of %zu bytes; the broker takes up to %llu", bodies[i].len,
                               (unsigned long long)limits->body_bytes);
        }
        size_t item_size = put_body_size(&bodies[i]);
        *size += item_size;
        *headers = *headers || bodies[i].headers_count > 0;
        *bytes += (copy ? item_size : item_size - bodies[i].len);
    }
    if (known && atomic && *size > limits->frame_bytes && count > 1) {
        return client_fail(client, NQ_TOO_LARGE, "a put of %zu bytes; one request takes up to %llu", *size,
                           (unsigned long long)limits->frame_bytes);
    }
    return NQ_OK;
}

enum nq_status put_request(struct nq_client *client, const char *queue, const struct nq_body *bodies, size_t count,
                           const struct nq_put_options *options, bool copy, struct request **out)
{
    size_t bytes = 0;
    bool headers = false;
    size_t size = 0;
    enum nq_status status = measure(client, bodies, count, options->atomic, copy, &bytes, &headers, &size);
    if (status != NQ_OK) {
        return status;
    }
    struct request *request = request_create(WIRE_PUT);
    struct put_memory memory = {0};
    void *block = request != NULL ? lay_out(&memory, queue, count, copy || headers ? bytes : 0, headers) : NULL;
    struct stream *stream = block != NULL ? client_stream(client, queue, options->lane) : NULL;
    if (stream == NULL) {
        status = client_fail(client, NQ_NO_MEMORY, "put: out of memory");
    } else {
        status = fill(client, &memory, bodies, count, copy);
    }
    if (status != NQ_OK) {
        free(block);
        free(request);
        return status;
    }
    request->memory = block;
    request->size = size;
    request->stream = stream;
    request->wait_ms = options->wait_ms;
    request->wire.as.put = (struct wire_put){
        .queue = bytes_of(memory.queue),
        .bodies = memory.bodies,
        .headers = memory.headers,
        .count = count,
        .wait_ms = options->wait_ms,
        .delay_ms = options->delay_ms,
        .atomic = options->atomic,
    };
    *out = request;
    return NQ_OK;
}

// ------------------------------------------------------------------------------------------------------- nq_put

static const struct nq_put_options put_defaults = {.wait_ms = NQ_WAIT_FOREVER};

static enum nq_status put_run(struct nq_client *client, const char *queue, const struct nq_body *bodies, size_t count,
                              const struct nq_put_options *options, size_t *accepted, uint64_t *seq)
{
    struct request *request;
    enum nq_status status = put_request(client, queue, bodies, count, options, false, &request);
    if (status != NQ_OK) {
        return status;
    }
    struct call call;
    status = call_run(client, request, &call, WAIT_INTERRUPTIBLE);
    *accepted = call.accepted;
    if (call.frame != NULL && call.reply.result == WIRE_PUT) {
        *seq = call.reply.as.put.last_seq;
    }
    if (status != NQ_OK) {
        (void)client_fail_on(client, status, "put to", queue, call.frame != NULL ? &call.reply : NULL);
    }
    call_end(client, &call);
    return status;
}

static bool session_is_up(void *user)
{
    return ((struct nq_client *)user)->session.state == SESSION_UP;
}

// The limits are known only after HELLO. Without an answer within the time-out the put itself finds out what is wrong.
// Errors: INTERRUPTED, said.
static enum nq_status learn_limits(struct nq_client *client, const char *queue)
{
    if (client->session.store_known) {
        return NQ_OK;
    }
    uint64_t until_ms = client_until(client, client->timeout_ms / 2);
    enum nq_status status = client_wait(client, session_is_up, client, until_ms, WAIT_INTERRUPTIBLE);
    return status == NQ_INTERRUPTED ? client_fail_on(client, status, "put to", queue, NULL) : NQ_OK;
}

static size_t chunk_length(const struct nq_client *client, const struct nq_body *bodies, size_t count)
{
    size_t bytes = 0;
    size_t n = 0;
    size_t bytes_max = client->session.limits.frame_bytes - NQ_FRAME_SLACK_BYTES / 2;
    while (n < count && n < client->session.limits.items && (n == 0 || bytes + put_body_size(&bodies[n]) <= bytes_max)) {
        bytes += put_body_size(&bodies[n++]);
    }
    return n;
}

enum nq_status nq_put(struct nq_client *client, const char *queue, const void *body, size_t len,
                      const struct nq_put_options *options, uint64_t *seq)
{
    struct nq_body one = {.data = body, .len = len};
    enum nq_status status = client_check_queue(client, queue);
    if (status == NQ_OK && len > client->session.limits.body_bytes) {
        status = learn_limits(client, queue);
    }
    if (status != NQ_OK) {
        return status;
    }
    size_t accepted = 0;
    uint64_t last_seq = 0;
    status = put_run(client, queue, &one, 1, options != NULL ? options : &put_defaults, &accepted, &last_seq);
    if (seq != NULL) {
        *seq = last_seq;
    }
    return status;
}

enum nq_status nq_put_many(struct nq_client *client, const char *queue, const struct nq_body *bodies, size_t count,
                           const struct nq_put_options *options, size_t *accepted)
{
    options = options != NULL ? options : &put_defaults;
    size_t done = 0;
    uint64_t seq;
    enum nq_status status = client_check_queue(client, queue);
    if (status == NQ_OK && count > 0) {
        status = learn_limits(client, queue);
    }
    uint64_t until_ms = client_until(client, options->wait_ms);
    while (status == NQ_OK && done < count) {
        struct nq_put_options left = *options;
        if (options->wait_ms != NQ_WAIT_FOREVER) {
            left.wait_ms = until_ms > client->now_ms ? until_ms - client->now_ms : 0;
        }
        size_t chunk = options->atomic ? count : chunk_length(client, bodies + done, count - done);
        size_t some = 0;
        status = put_run(client, queue, bodies + done, chunk, &left, &some, &seq);
        done += some;
    }
    if (accepted != NULL) {
        *accepted = done;
    }
    return status;
}
