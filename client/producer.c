// The producer handle: puts are gathered into batches; a batch is one request. A put leaves at once when nothing is on its way, so a
// single one is as fast as can be. Who puts faster than answers come is held up by the window: from then on batches leave when they
// are full, or when one more is wanted on its way while the caller waits for room; so they stay large and two are under way.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define WINDOW_ITEMS_DEFAULT 10000u
#define WINDOW_BYTES_DEFAULT (16u * 1024 * 1024)
#define BATCH_ITEMS_DEFAULT 1000u
#define BATCH_BYTES (1024u * 1024)
#define BATCHES_IN_FLIGHT 4u
#define LOOK_EVERY 64u // puts between two looks at what has arrived
#define CANCEL_WAIT_MS 1000u
#define STREAMS_MS 5u // so long after it was held up, a caller is taken to be about to put more
#define SMALL_WINDOW 1024u

struct batch {
    struct batch *next;
    struct nq_producer *producer;
    struct request *request;
    struct nq_arena *arena;
    struct nq_bytes *headers; // first batch_items, when some item has any
    size_t count;
    size_t size; // in a frame
    bool has_headers;
    uint64_t first_index;
    struct nq_bytes bodies[];
};

struct nq_producer {
    struct nq_client *client;
    struct nq_producer_options options;
    struct stream stream;
    struct batch *gathering; // NULL: none begun
    struct batch *flying;    // sent or about to be
    struct batch *spare;
    size_t flying_count;
    size_t window_items; // not confirmed
    size_t window_bytes;
    uint64_t put_count;
    uint64_t confirmed;
    uint32_t since_look;
    bool streams;        // the caller was held up lately: more will follow at once
    uint64_t held_up_ms; // when, by connection_tick_ms
    struct nq_producer_failure failure;
    uint64_t reach; // behind the last item that is stored or may be, whatever becomes of those in front of it
    char queue[NQ_NAME_BYTES_MAX + 1];
};

void nq_producer_options_init(struct nq_producer_options *options)
{
    *options = (struct nq_producer_options){.put_wait_ms = NQ_WAIT_FOREVER};
}

enum nq_status nq_producer_open(struct nq_client *client, const char *queue, const struct nq_producer_options *options,
                                struct nq_producer **out)
{
    *out = NULL;
    enum nq_status status = client_check_queue(client, queue);
    if (status != NQ_OK) {
        return status;
    }
    struct nq_producer *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return client_fail(client, NQ_NO_MEMORY, "producer: out of memory");
    }
    nq_producer_options_init(&self->options);
    self->options = options != NULL ? *options : self->options;
    struct nq_producer_options *o = &self->options;
    o->window_items = o->window_items > 0 ? o->window_items : WINDOW_ITEMS_DEFAULT;
    o->window_bytes = o->window_bytes > 0 ? o->window_bytes : WINDOW_BYTES_DEFAULT;
    o->batch_items = o->batch_items > 0 ? o->batch_items : BATCH_ITEMS_DEFAULT;
    o->batch_items = o->batch_items < NQ_ITEMS_PER_REQUEST_MAX ? o->batch_items : NQ_ITEMS_PER_REQUEST_MAX;
    // Two batches fit a large window: one is gathered while the other is on its way. A small one travels whole: a frame costs as
    // much as dozens of items.
    size_t share = o->window_items <= SMALL_WINDOW ? o->window_items : o->window_items / 2;
    o->batch_items = o->batch_items < share ? o->batch_items : share;
    self->client = client;
    memcpy(self->queue, queue, strlen(queue) + 1);
    stream_open(&client->tracker, &self->stream, true);
    *out = self;
    return NQ_OK;
}

// ----------------------------------------------------------------------------------------------------------- batches

static void batch_free(struct batch *batch)
{
    if (batch != NULL) {
        nq_arena_destroy(&batch->arena);
        free(batch->headers);
        free(batch);
    }
}

static struct batch *batch_begin(struct nq_producer *self)
{
    struct batch *batch = self->spare;
    if (batch != NULL) {
        self->spare = batch->next;
    } else {
        batch = calloc(1, sizeof *batch + self->options.batch_items * sizeof batch->bodies[0]);
        if (batch == NULL) {
            return NULL;
        }
        batch->producer = self;
        batch->arena = nq_arena_create((size_t)64 * 1024, 0);
        if (batch->arena == NULL) {
            free(batch);
            return NULL;
        }
    }
    batch->next = NULL;
    batch->count = 0;
    batch->size = REQUEST_FRAME_BYTES;
    batch->has_headers = false;
    batch->first_index = self->put_count;
    return batch;
}

static void batch_recycle(struct batch *batch)
{
    struct nq_producer *self = batch->producer;
    nq_arena_reset(batch->arena);
    batch->request = NULL;
    batch->next = self->spare;
    self->spare = batch;
}

// How far those reach that may be stored though an earlier one failed: also what is still under way behind that.
static void note_unknown(struct nq_producer *self)
{
    struct nq_producer_failure *failure = &self->failure;
    uint64_t end = self->reach;
    for (const struct batch *batch = self->flying; batch != NULL && failure->status != NQ_OK; batch = batch->next) {
        if (request_was_sent(batch->request) && batch->first_index + batch->count > end) {
            end = batch->first_index + batch->count;
        }
    }
    failure->outcome_unknown = failure->status != NQ_OK && end > failure->failed_index;
    failure->unknown_count = failure->outcome_unknown ? end - failure->failed_index : 0;
}

// Of batches that were under way together any may be answered first. What counts is the first item that is not stored.
static void fail(struct nq_producer *self, enum nq_status status, uint64_t index, const struct wire_reply *reply)
{
    struct nq_producer_failure *failure = &self->failure;
    if (failure->status == NQ_OK || index < failure->failed_index) {
        failure->status = status;
        failure->failed_index = index;
        (void)client_fail_on(self->client, status, "put to", self->queue, reply);
        (void)snprintf(failure->text, sizeof failure->text, "%s", self->client->error);
    }
}

static void send_gathered(struct nq_producer *self);

static void batch_ended(struct request *request, const struct outcome *outcome)
{
    struct batch *batch = request->user;
    struct nq_producer *self = batch->producer;
    struct batch **at = &self->flying;
    while (*at != batch) {
        at = &(*at)->next;
    }
    *at = batch->next;
    self->flying_count--;
    self->client->background--;
    self->confirmed += request->accepted;
    self->window_items -= batch->count;
    self->window_bytes -= batch->size;
    uint64_t reach = batch->first_index + (outcome->status == NQ_OUTCOME_UNKNOWN ? batch->count : request->accepted);
    self->reach = reach > self->reach ? reach : self->reach;
    if (outcome->status != NQ_OK) {
        fail(self, outcome->status, batch->first_index + request->accepted, outcome->reply);
    }
    note_unknown(self);
    batch_recycle(batch);
    if (self->failure.status == NQ_OK && !self->streams) {
        send_gathered(self);
    }
}

// Makes a request of what is gathered; it leaves with the next client_send.
static void send_gathered(struct nq_producer *self)
{
    struct batch *batch = self->gathering;
    struct request *request = batch != NULL && batch->count > 0 ? request_create(WIRE_PUT) : NULL;
    if (request == NULL) {
        return; // without memory: tried again with the next put, or while one is waited for
    }
    request->wire.as.put = (struct wire_put){
        .queue = bytes_of(self->queue),
        .bodies = batch->bodies,
        .headers = batch->has_headers ? batch->headers : NULL,
        .count = batch->count,
        .wait_ms = self->options.put_wait_ms,
        .delay_ms = self->options.delay_ms,
    };
    request->wait_ms = self->options.put_wait_ms;
    request->size = batch->size;
    request->stream = &self->stream;
    request->ended = batch_ended;
    request->user = batch;
    batch->request = request;
    self->gathering = NULL;
    struct batch **at = &self->flying;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = batch;
    self->flying_count++;
    client_add_background(self->client, request);
}

// --------------------------------------------------------------------------------------------------------------- put

static enum nq_status add_headers(struct nq_producer *self, struct batch *batch, const struct nq_body *body)
{
    const struct session *session = &self->client->session;
    if (batch->headers == NULL) {
        batch->headers = calloc(self->options.batch_items, sizeof *batch->headers);
        if (batch->headers == NULL) {
            return NQ_NO_MEMORY;
        }
    }
    if (!batch->has_headers) {
        memset(batch->headers, 0, batch->count * sizeof *batch->headers);
        batch->has_headers = true;
    }
    struct nq_header *headers = nq_arena_alloc(batch->arena, body->headers_count * sizeof *headers);
    if (headers == NULL) {
        return NQ_NO_MEMORY;
    }
    for (size_t i = 0; i < body->headers_count; i++) {
        headers[i].name = bytes_of(body->headers[i].name);
        headers[i].value = (struct nq_bytes){body->headers[i].value_len, body->headers[i].value};
    }
    struct nq_bytes *encoded = &batch->headers[batch->count];
    enum nq_status status = wire_encode_headers(batch->arena, headers, body->headers_count, encoded);
    return status == NQ_OK && session->store_known && encoded->len > session->limits.headers_bytes ? NQ_TOO_LARGE : status;
}

// Behind others it goes with them; alone it would stay, with all that are refused after it, until one is not.
static void forget_refused(struct batch *batch)
{
    if (batch->count == 0) {
        nq_arena_reset(batch->arena);
    }
}

// Errors: NO_MEMORY, TOO_LARGE (its headers). Then it is not in the batch.
static enum nq_status add_item(struct nq_producer *self, const struct nq_body *body, size_t size)
{
    if (self->gathering == NULL) {
        self->gathering = batch_begin(self);
    }
    struct batch *batch = self->gathering;
    uint8_t *copy = batch != NULL ? nq_arena_alloc(batch->arena, body->len + 1) : NULL;
    if (copy == NULL) {
        return NQ_NO_MEMORY;
    }
    if (body->len > 0) {
        memcpy(copy, body->data, body->len);
    }
    if (body->headers_count > 0) {
        enum nq_status status = add_headers(self, batch, body);
        if (status != NQ_OK) {
            forget_refused(batch);
            return status;
        }
    } else if (batch->has_headers) {
        batch->headers[batch->count] = (struct nq_bytes){0, NULL};
    }
    batch->bodies[batch->count++] = (struct nq_bytes){body->len, copy};
    batch->size += size;
    self->put_count++;
    self->window_items++;
    self->window_bytes += batch->count == 1 ? batch->size : size;
    return NQ_OK;
}

static bool has_room(const struct nq_producer *self)
{
    return self->failure.status != NQ_OK || self->window_items == 0 ||
           (self->window_items < self->options.window_items && self->window_bytes < self->options.window_bytes);
}

// Nothing is on its way whose answer would send what is gathered: there was no memory for that.
static void send_if_idle(struct nq_producer *self)
{
    if (self->flying_count == 0 && self->failure.status == NQ_OK && self->gathering != NULL && self->gathering->count > 0) {
        send_gathered(self);
        client_send(self->client);
        if (self->gathering != NULL) {
            client_try_again(self->client);
        }
    }
}

// Where there is room, what is gathered may go on growing: sent in pieces it would cost a frame for each.
static bool room_has_come(void *user)
{
    if (!has_room(user)) {
        send_if_idle(user);
    }
    return has_room(user);
}

static bool is_full(const struct nq_producer *self, size_t more)
{
    const struct batch *batch = self->gathering;
    size_t bytes_max = BATCH_BYTES;
    if (self->client->session.limits.frame_bytes - NQ_FRAME_SLACK_BYTES / 2 < bytes_max) {
        bytes_max = (size_t)(self->client->session.limits.frame_bytes - NQ_FRAME_SLACK_BYTES / 2);
    }
    return batch != NULL && batch->count > 0 && (batch->count >= self->options.batch_items || batch->size + more > bytes_max);
}

// Send what is due to be sent; look at what has arrived every now and then.
static void keep_going(struct nq_producer *self)
{
    uint64_t tick_ms = connection_tick_ms();
    self->streams = self->streams && tick_ms - self->held_up_ms <= STREAMS_MS;
    bool full = is_full(self, 0) && self->flying_count < BATCHES_IN_FLIGHT;
    if (self->gathering != NULL && self->gathering->count > 0 && ((self->flying_count == 0 && !self->streams) || full)) {
        send_gathered(self);
        self->since_look = LOOK_EVERY;
    }
    if (++self->since_look >= LOOK_EVERY || tick_ms != self->client->tick_ms) {
        self->since_look = 0;
        client_step(self->client);
    }
}

static bool may_gather(void *user)
{
    const struct nq_producer *self = user;
    return self->failure.status != NQ_OK || self->flying_count < BATCHES_IN_FLIGHT;
}

static enum nq_status kept_failure(struct nq_producer *self)
{
    return client_fail(self->client, self->failure.status, "%s", self->failure.text);
}

static enum nq_status wait_for_room(struct nq_producer *self)
{
    self->streams = true;
    size_t wanted = self->options.window_items / self->options.batch_items > 1 ? 2 : 1;
    if (self->flying_count < wanted) {
        send_gathered(self);
    }
    enum nq_status status = client_wait(self->client, room_has_come, self, UINT64_MAX, WAIT_INTERRUPTIBLE);
    self->held_up_ms = connection_tick_ms();
    return status;
}

enum nq_status nq_producer_put(struct nq_producer *self, const struct nq_body *body)
{
    struct nq_client *client = self->client;
    size_t size = put_body_size(body);
    if (self->failure.status == NQ_OK && body->len > client->session.limits.body_bytes && client->session.store_known) {
        return client_fail(client, NQ_TOO_LARGE, "an item of %zu bytes; the broker takes up to %llu", body->len,
                           (unsigned long long)client->session.limits.body_bytes);
    }
    if (!has_room(self)) {
        enum nq_status status = wait_for_room(self);
        if (status != NQ_OK) {
            return client_fail_on(client, status, "put to", self->queue, NULL);
        }
    }
    if (self->failure.status == NQ_OK && is_full(self, size)) {
        enum nq_status status = client_wait(client, may_gather, self, UINT64_MAX, WAIT_INTERRUPTIBLE);
        if (status != NQ_OK) {
            return client_fail_on(client, status, "put to", self->queue, NULL);
        }
        if (self->failure.status == NQ_OK) {
            send_gathered(self);
        }
    }
    if (self->failure.status != NQ_OK) {
        return kept_failure(self);
    }
    enum nq_status added = add_item(self, body, size);
    if (added != NQ_OK) {
        return client_fail(client, added, "an item for '%s' and its headers: %s", self->queue, nq_status_text(added));
    }
    keep_going(self);
    return self->failure.status == NQ_OK ? NQ_OK : kept_failure(self);
}

// -------------------------------------------------------------------------------------------------- flush, work, close

static bool is_flushed(void *user)
{
    struct nq_producer *self = user;
    send_if_idle(self);
    return self->flying_count == 0 && (self->failure.status != NQ_OK || self->gathering == NULL || self->gathering->count == 0);
}

enum nq_status nq_producer_flush(struct nq_producer *self, uint64_t wait_ms)
{
    if (self->failure.status == NQ_OK && self->gathering != NULL && self->flying_count < BATCHES_IN_FLIGHT) {
        send_gathered(self);
    }
    enum nq_status status = client_wait(self->client, is_flushed, self, client_until(self->client, wait_ms), WAIT_INTERRUPTIBLE);
    if (self->failure.status != NQ_OK) {
        return kept_failure(self);
    }
    return status == NQ_OK ? NQ_OK : client_fail_on(self->client, status, "flush of puts to", self->queue, NULL);
}

uint64_t nq_producer_confirmed(const struct nq_producer *self)
{
    if (self->failure.status == NQ_OK) {
        return self->confirmed;
    }
    uint64_t confirmed = self->failure.failed_index; // but for what is under way
    for (const struct batch *batch = self->flying; batch != NULL && batch->first_index < self->failure.failed_index;
         batch = batch->next) {
        confirmed -= batch->count - batch->request->accepted;
    }
    return confirmed;
}

const struct nq_producer_failure *nq_producer_failure(const struct nq_producer *self)
{
    return &self->failure;
}

enum nq_status nq_producer_work(struct nq_producer *self)
{
    if (self->failure.status == NQ_OK && self->gathering != NULL && self->flying_count < BATCHES_IN_FLIGHT) {
        send_gathered(self);
    }
    (void)nq_client_process(self->client);
    return self->failure.status == NQ_OK ? NQ_OK : kept_failure(self);
}

// What still waits for room is called back, so that nothing is accepted after the handle is gone.
static void call_back(struct nq_producer *self)
{
    struct nq_client *client = self->client;
    self->failure.status = self->failure.status != NQ_OK ? self->failure.status : NQ_TIMED_OUT; // nothing more is sent
    for (struct batch *batch = self->flying; batch != NULL; batch = batch->next) {
        struct request *cancel = batch->request->state == REQUEST_SENT ? cancel_request(batch->request->wire.id) : NULL;
        if (cancel != NULL) {
            tracker_add(&client->tracker, cancel, client->now_ms);
        }
    }
    (void)client_wait(client, is_flushed, self, client_until(client, CANCEL_WAIT_MS), WAIT_THROUGH);
    while (self->flying != NULL) {
        struct batch *batch = self->flying;
        self->flying = batch->next;
        self->client->background--;
        tracker_drop(&client->tracker, batch->request, client->now_ms);
        batch_recycle(batch);
    }
}

enum nq_status nq_producer_close(struct nq_producer **producer_p, uint64_t wait_ms)
{
    struct nq_producer *self = *producer_p;
    if (self == NULL) {
        return NQ_OK;
    }
    *producer_p = NULL;
    enum nq_status status = nq_producer_flush(self, wait_ms);
    if (self->flying_count > 0) {
        call_back(self);
    }
    while (self->spare != NULL) {
        struct batch *batch = self->spare;
        self->spare = batch->next;
        batch_free(batch);
    }
    batch_free(self->gathering);
    stream_close(&self->client->tracker, &self->stream);
    free(self);
    return status;
}
