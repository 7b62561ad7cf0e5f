#include "outbox.h"

#include <string.h>

enum {
    SCRATCH_CHUNK_BYTES = 256 * 1024,
    REPLY_BYTES = 96,
    ITEM_BYTES = 48,
    STATS_BYTES = 640,
    FIRST_CAPACITY = 8,
    SMALL_FRAME_BYTES = 1024
};

// The replies for one connection that are not yet sent.
struct bundle {
    struct bundle *next;
    uint64_t connection;
    struct wire_reply *replies;
    const struct answer **answers; // whose they are
    size_t count, capacity;
    size_t bytes; // at most what they take when encoded
    bool refuses; // something was too much for its connection
    bool gone;    // nobody is there
};

bool outbox_init(struct outbox *self, struct engine *engine, struct reader *reader, size_t frame_bytes_max,
                 const struct outbox_sink *sink)
{
    *self = (struct outbox){.engine = engine, .reader = reader, .frame_bytes_max = frame_bytes_max, .sink = *sink};
    self->scratch = nq_arena_create(SCRATCH_CHUNK_BYTES, 0);
    return self->scratch != NULL;
}

void outbox_fini(struct outbox *self)
{
    nq_arena_destroy(&self->scratch);
    table_fini(&self->bundles);
}

static struct nq_bytes to_nq(struct engine_bytes bytes)
{
    return (struct nq_bytes){.len = bytes.len, .data = bytes.data};
}

// ------------------------------------------------------------------------------------------------------------ items of a reply

// The columns of a get's or a peek's reply while it is filled.
struct columns {
    size_t count;
    struct nq_bytes *bodies, *headers;
    uint64_t *seqs;
    uint32_t *deliveries, *failures;
    bool *redelivered;
    bool any_headers, any_delivery, any_failure, any_redelivered;
    size_t bytes;
};

static bool columns_make(struct columns *self, struct nq_arena *arena, size_t count)
{
    *self = (struct columns){0};
    self->bodies = nq_arena_alloc(arena, count * sizeof(*self->bodies));
    self->headers = nq_arena_alloc(arena, count * sizeof(*self->headers));
    self->seqs = nq_arena_alloc(arena, count * sizeof(*self->seqs));
    self->deliveries = nq_arena_alloc(arena, count * sizeof(*self->deliveries));
    self->failures = nq_arena_alloc(arena, count * sizeof(*self->failures));
    self->redelivered = nq_arena_alloc(arena, count * sizeof(*self->redelivered));
    return self->bodies != NULL && self->headers != NULL && self->seqs != NULL && self->deliveries != NULL &&
           self->failures != NULL && self->redelivered != NULL;
}

static void columns_add(struct columns *self, const struct engine_granted *item, struct nq_bytes body, struct nq_bytes headers)
{
    size_t at = self->count++;
    self->bodies[at] = body;
    self->headers[at] = headers;
    self->seqs[at] = item->seq;
    self->deliveries[at] = item->delivery;
    self->failures[at] = item->failures;
    self->redelivered[at] = item->redelivered;
    self->any_headers |= headers.len > 0;
    self->any_delivery |= item->delivery != 1;
    self->any_failure |= item->failures != 0;
    self->any_redelivered |= item->redelivered;
    self->bytes += body.len + headers.len + ITEM_BYTES;
}

static bool columns_fill(struct outbox *self, const struct answer *answer, struct columns *out)
{
    const struct answer_items *items = &answer->as.items;
    if (!columns_make(out, self->scratch, items->count)) {
        return false;
    }
    const struct queue *queue = engine_queue_by_id(self->engine, items->queue_id);
    for (size_t i = 0; i < items->count; i++) {
        if (items->bodies != NULL) {
            columns_add(out, &items->items[i], items->bodies[i], items->headers[i]);
            continue;
        }
        struct engine_bytes body;
        struct engine_bytes headers;
        enum nq_status status = reader_item(self->reader, queue, items->queue_id, items->items[i].seq, &body, &headers);
        if (status == NQ_OK) {
            columns_add(out, &items->items[i], to_nq(body), to_nq(headers));
        } else if (answer->kind == ANSWER_GET) {
            self->sink.unreadable(self->sink.context, items->queue_id, items->items[i].seq, status);
        }
    }
    return true;
}

static bool fill_get(struct outbox *self, const struct answer *answer, struct wire_reply *reply, size_t *bytes)
{
    struct columns columns;
    if (!columns_fill(self, answer, &columns)) {
        return false;
    }
    if (columns.count == 0) { // nothing of it could be read: the client asks again
        reply->status = NQ_BUSY;
        return true;
    }
    reply->result = WIRE_GET;
    reply->as.get = (struct wire_get_reply){
        .queue_id = answer->as.items.queue_id,
        .epoch = engine_epoch(self->engine),
        .count = columns.count,
        .bodies = columns.bodies,
        .headers = columns.any_headers ? columns.headers : NULL,
        .seqs = columns.seqs,
        .deliveries = columns.any_delivery ? columns.deliveries : NULL,
        .failures = columns.any_failure ? columns.failures : NULL,
        .redelivered = columns.any_redelivered ? columns.redelivered : NULL,
        .lease_ms = answer->as.items.lease_ms,
        .hold_max_ms = answer->as.items.hold_max_ms,
    };
    *bytes += columns.bytes;
    return true;
}

static bool fill_peek(struct outbox *self, const struct answer *answer, struct wire_reply *reply, size_t *bytes)
{
    struct columns columns;
    if (!columns_fill(self, answer, &columns)) {
        return false;
    }
    reply->result = WIRE_PEEK;
    reply->as.peek = (struct wire_peek_reply){.seqs = columns.seqs,
                                              .bodies = columns.bodies,
                                              .headers = columns.any_headers ? columns.headers : NULL,
                                              .count = columns.count};
    *bytes += columns.bytes;
    return true;
}

// False: out of memory.
static bool fill_reply(struct outbox *self, const struct answer *answer, struct wire_reply *reply, size_t *bytes)
{
    *bytes = REPLY_BYTES;
    if (answer->kind == ANSWER_WHOLE) {
        *reply = *answer->as.whole;
        reply->id = answer->id;
        reply->status = answer->status;
        *bytes += STATS_BYTES * (reply->result == WIRE_LIST ? reply->as.list.count : 1);
        return true;
    }
    memset(reply, 0, sizeof(*reply));
    reply->id = answer->id;
    reply->status = answer->status;
    if (answer->detail != NULL) {
        reply->detail = (struct nq_bytes){.len = strlen(answer->detail), .data = (const uint8_t *)answer->detail};
        *bytes += reply->detail.len;
    }
    switch (answer->kind) {
    case ANSWER_PUT:
        reply->result = WIRE_PUT;
        reply->as.put = answer->as.put;
        return true;
    case ANSWER_GET:
        return fill_get(self, answer, reply, bytes);
    case ANSWER_PEEK:
        return fill_peek(self, answer, reply, bytes);
    case ANSWER_TOKENS:
        reply->result = WIRE_TASK_DONE;
        reply->as.tokens = answer->as.tokens;
        *bytes += answer->as.tokens.statuses == NULL ? 0 : answer->as.tokens.count * 2;
        return true;
    case ANSWER_COUNT:
        reply->result = WIRE_PURGE;
        reply->as.count = answer->as.count;
        return true;
    default:
        return true;
    }
}

// --------------------------------------------------------------------------------------------------------------------- frames

// What of the items is its client's already, or done, does not go back.
static bool holds_items(const struct answer *answer, const struct wire_reply *reply)
{
    return answer->kind == ANSWER_GET && reply->status == NQ_OK && answer->as.items.bodies == NULL && !answer->as.items.again;
}

// Nobody has had them, and the broker knows: they must not wait for the end of a session, and count as failed then.
static void take_back(struct outbox *self, const struct bundle *bundle)
{
    for (size_t i = 0; i < bundle->count; i++) {
        if (holds_items(bundle->answers[i], &bundle->replies[i])) {
            self->sink.unsent(self->sink.context, bundle->answers[i]);
        }
    }
}

static bool bundle_flush(struct outbox *self, struct bundle *bundle)
{
    if (bundle->count == 0) {
        return true;
    }
    struct wire_reply_frame frame = {.version = NQ_PROTOCOL_VERSION, .replies = bundle->replies, .count = bundle->count};
    const struct wire_packer *packer = wire_prepare_replies(self->scratch, &frame);
    if (packer != NULL && !bundle->gone) {
        bundle->gone = !self->sink.send(self->sink.context, bundle->connection, packer);
    }
    if (bundle->gone) {
        take_back(self, bundle);
    }
    bundle->count = 0;
    bundle->bytes = 0;
    return packer != NULL;
}

static struct bundle *bundle_of(struct outbox *self, uint64_t connection)
{
    if (self->last != NULL && self->last->connection == connection) {
        return self->last;
    }
    struct bundle *bundle = table_find(&self->bundles, connection, 0);
    if (bundle != NULL) {
        return bundle;
    }
    bundle = nq_arena_calloc(self->scratch, 1, sizeof(*bundle));
    if (bundle == NULL || !table_insert(&self->bundles, connection, 0, bundle)) {
        return NULL;
    }
    bundle->connection = connection;
    if (self->last == NULL) {
        self->first = bundle;
    } else {
        self->last->next = bundle;
    }
    self->last = bundle;
    return bundle;
}

static bool bundle_reserve(struct outbox *self, struct bundle *bundle)
{
    if (bundle->count < bundle->capacity) {
        return true;
    }
    size_t capacity = bundle->capacity == 0 ? FIRST_CAPACITY : bundle->capacity * 2;
    struct wire_reply *replies = nq_arena_alloc(self->scratch, capacity * sizeof(*replies));
    const struct answer **answers = nq_arena_alloc(self->scratch, capacity * sizeof(struct answer *));
    if (replies == NULL || answers == NULL) {
        return false;
    }
    if (bundle->count > 0) {
        memcpy(replies, bundle->replies, bundle->count * sizeof(*replies));
        memcpy(answers, bundle->answers, bundle->count * sizeof(struct answer *));
    }
    bundle->replies = replies;
    bundle->answers = answers;
    bundle->capacity = capacity;
    return true;
}

// Its client takes its answers too slowly for another one of these. What is done already (at most once) has to be sent. Once there was no
// room there is none for the rest: a get that is answered again must not bring items that have gone back a moment ago.
static bool is_too_much(const struct outbox *self, const struct answer *answer, const struct bundle *bundle, size_t bytes)
{
    bool is_get = answer->kind == ANSWER_GET && answer->as.items.bodies == NULL;
    return (is_get || answer->kind == ANSWER_PEEK) && answer->status == NQ_OK &&
           (bundle->refuses || bundle->bytes + bytes > self->sink.room(self->sink.context, answer->connection));
}

// What the client has, or is about to have from an earlier answer, stays its own.
static void refuse(struct outbox *self, const struct answer *answer, struct wire_reply *reply, size_t *bytes)
{
    static const char why[] = "much of what this connection has asked for has not been taken yet";
    if (answer->kind == ANSWER_GET && !answer->as.items.again) {
        self->sink.unsent(self->sink.context, answer);
    }
    *reply =
        (struct wire_reply){.id = answer->id, .status = NQ_BUSY, .detail = {.len = sizeof(why) - 1, .data = (const uint8_t *)why}};
    *bytes = REPLY_BYTES + sizeof(why);
}

static bool add_answer(struct outbox *self, const struct answer *answer)
{
    struct wire_reply reply;
    size_t bytes;
    struct bundle *bundle = bundle_of(self, answer->connection);
    if (bundle == NULL || !fill_reply(self, answer, &reply, &bytes)) {
        return false;
    }
    if (is_too_much(self, answer, bundle, bytes)) {
        bundle->refuses = true;
        refuse(self, answer, &reply, &bytes);
    }
    bool full = bundle->bytes + bytes > self->frame_bytes_max || bundle->count == NQ_REQUESTS_PER_FRAME_MAX;
    if (full && !bundle_flush(self, bundle)) {
        return false;
    }
    if (!bundle_reserve(self, bundle)) {
        return false;
    }
    bundle->answers[bundle->count] = answer;
    bundle->replies[bundle->count++] = reply;
    bundle->bytes += bytes;
    return true;
}

// Packing and sending a large frame takes as long as many small ones, whose receivers need not wait for it.
static bool flush_all(struct outbox *self)
{
    bool fits = true;
    for (struct bundle *bundle = self->first; bundle != NULL && fits; bundle = bundle->next) {
        fits = bundle->bytes > SMALL_FRAME_BYTES || bundle_flush(self, bundle);
    }
    for (struct bundle *bundle = self->first; bundle != NULL && fits; bundle = bundle->next) {
        fits = bundle_flush(self, bundle);
    }
    return fits;
}

bool outbox_send(struct outbox *self, struct answer_list *answers)
{
    bool fits = true;
    for (const struct answer *answer = answers->first; answer != NULL && fits; answer = answer->next) {
        fits = add_answer(self, answer);
    }
    fits = fits && flush_all(self);
    for (struct bundle *bundle = self->first; bundle != NULL; bundle = bundle->next) {
        table_remove(&self->bundles, bundle->connection, 0);
        if (bundle->gone) { // now that what was not sent is back
            self->sink.gone(self->sink.context, bundle->connection);
        }
    }
    self->first = NULL;
    self->last = NULL;
    nq_arena_reset(self->scratch);
    answer_list_clear(answers);
    return fits;
}

bool outbox_send_probe(struct outbox *self, uint64_t connection)
{
    struct wire_reply_frame frame = {.version = NQ_PROTOCOL_VERSION, .probe = true};
    const struct wire_packer *packer = wire_prepare_replies(self->scratch, &frame);
    if (packer != NULL && !self->sink.send(self->sink.context, connection, packer)) {
        self->sink.gone(self->sink.context, connection);
    }
    nq_arena_reset(self->scratch);
    return packer != NULL;
}
