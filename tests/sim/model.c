// Looking at the model; put, get and the ways in which items leave.
#include "model.h"
#include "queue.h"

#include <stdio.h>
#include <string.h>

// ------------------------------------------------------------------------------------------------------------ bodies by number

static uint32_t mix(uint32_t value)
{
    value = (value ^ (value >> 16)) * 0x7FEB352Du;
    value = (value ^ (value >> 15)) * 0x846CA68Bu;
    return value ^ (value >> 16);
}

static size_t fill(uint32_t seed, size_t len, uint8_t *to)
{
    for (size_t i = 0; i < len; i++) {
        to[i] = (uint8_t)mix(seed + (uint32_t)i * 77u);
    }
    return len;
}

size_t body_write(uint32_t body, uint8_t *to)
{
    return fill(body, mix(body) % 24, to);
}

size_t headers_write(uint32_t body, uint8_t *to)
{
    return fill(body + 5000, mix(body + 1) % 4 == 0 ? 6 : 0, to);
}

static uint64_t own_bytes(uint32_t body)
{
    uint8_t scratch[64];
    return body_write(body, scratch) + headers_write(body, scratch);
}

// ---------------------------------------------------------------------------------------------------------------------- look

struct model_queue *model_queue_named(struct model *self, const char *name)
{
    for (size_t i = 0; i < MODEL_QUEUES; i++) {
        if (self->queues[i].used && strcmp(self->queues[i].name, name) == 0) {
            return &self->queues[i];
        }
    }
    return NULL;
}

struct model_queue *model_queue_of(struct model *self, uint64_t queue_id)
{
    for (size_t i = 0; i < MODEL_QUEUES; i++) {
        if (self->queues[i].used && self->queues[i].id == queue_id) {
            return &self->queues[i];
        }
    }
    return NULL;
}

struct model_item *model_item(struct model *self, uint64_t queue_id, uint64_t seq)
{
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        struct model_item *item = &self->items[i];
        if (item->used && item->queue_id == queue_id && item->seq == seq && item->state != MODEL_MOVING) {
            return item;
        }
    }
    return NULL;
}

struct model_item *model_lowest_ready(struct model *self, uint64_t queue_id, uint64_t from_seq)
{
    struct model_item *lowest = NULL;
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        struct model_item *item = &self->items[i];
        if (item->used && item->queue_id == queue_id && item->state == MODEL_READY && item->seq >= from_seq &&
            (lowest == NULL || item->seq < lowest->seq)) {
            lowest = item;
        }
    }
    return lowest;
}

struct model_session *model_session(struct model *self, uint64_t no)
{
    for (size_t i = 0; i < MODEL_SESSIONS; i++) {
        if (self->sessions[i].used && self->sessions[i].no == no) {
            return &self->sessions[i];
        }
    }
    return NULL;
}

struct model_stream *model_stream(struct model *self, uint64_t queue_id, uint64_t stream)
{
    for (size_t i = 0; i < MODEL_STREAMS; i++) {
        struct model_stream *at = &self->streams[i];
        if (at->used && at->queue_id == queue_id && at->stream == stream) {
            return at;
        }
    }
    return NULL;
}

size_t model_count(const struct model *self, uint64_t queue_id, enum model_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        const struct model_item *item = &self->items[i];
        count += item->used && item->queue_id == queue_id && item->state == state;
    }
    return count;
}

size_t model_unfinished(const struct model *self, uint64_t queue_id)
{
    return model_count(self, queue_id, MODEL_READY) + model_count(self, queue_id, MODEL_DELAYED) +
           model_count(self, queue_id, MODEL_LEASED);
}

uint64_t model_ready_bytes(const struct model *self, uint64_t queue_id)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        const struct model_item *item = &self->items[i];
        bool counts = item->used && item->queue_id == queue_id && (item->state == MODEL_READY || item->state == MODEL_DELAYED);
        bytes += counts ? item->bytes : 0;
    }
    return bytes;
}

static bool consumes(const struct model *self, uint64_t session, uint64_t queue_id)
{
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        const struct model_item *item = &self->items[i];
        if (item->used && item->queue_id == queue_id && item->state == MODEL_LEASED && item->last_session == session) {
            return true;
        }
    }
    for (size_t i = 0; i < self->waiters_count; i++) {
        const struct model_waiter *waiter = &self->waiters[i];
        if (waiter->kind == DISPATCH_GET && waiter->session == session && waiter->queue_id == queue_id) {
            return true;
        }
    }
    return false;
}

size_t model_consumers(const struct model *self, uint64_t queue_id, uint64_t and_session)
{
    size_t count = 0;
    for (size_t i = 0; i < MODEL_SESSIONS; i++) {
        const struct model_session *session = &self->sessions[i];
        count += session->used && (session->no == and_session || consumes(self, session->no, queue_id));
    }
    return count;
}

size_t model_waiting(const struct model *self, uint64_t queue_id, enum dispatch_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < self->waiters_count; i++) {
        count += self->waiters[i].queue_id == queue_id && self->waiters[i].kind == kind;
    }
    return count;
}

size_t model_leases(const struct model *self, uint64_t session)
{
    size_t count = 0;
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        const struct model_item *item = &self->items[i];
        count += item->used && item->state == MODEL_LEASED && item->last_session == session;
    }
    return count;
}

// ----------------------------------------------------------------------------------------------------------------------- put

struct model_item *model_new_item(struct model *self, struct model_queue *queue, uint32_t body, uint64_t seq)
{
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        struct model_item *item = &self->items[i];
        if (!item->used) {
            *item = (struct model_item){.used = true,
                                        .queue_id = queue->id,
                                        .seq = seq,
                                        .body = body,
                                        .own_bytes = own_bytes(body),
                                        .bytes = own_bytes(body),
                                        .accepted_ms = self->now_ms};
            return item;
        }
    }
    model_fail("the model has no room for an item");
}

static enum engine_status put_numbered(struct model *self, const struct model_queue *queue, const struct model_put *put,
                                       struct engine_put_result *result)
{
    const struct model_stream *stream = put->stream == 0 ? NULL : model_stream(self, queue->id, put->stream);
    if (put->stream == 0 || (stream == NULL && put->first_number == 1)) {
        return ENGINE_OK;
    }
    if (stream == NULL) {
        return ENGINE_STREAM_UNKNOWN;
    }
    result->last_number = stream->last_number;
    if (put->first_number > stream->last_number + 1) {
        return ENGINE_OUT_OF_SEQUENCE;
    }
    for (size_t i = 0; i < put->count && put->first_number + i <= stream->last_number; i++) {
        result->accepted++;
        result->duplicate = true;
        result->last_seq = stream->last_seq;
    }
    return ENGINE_OK;
}

// May one more item of `bytes` go in?
static enum engine_status room_for(const struct model *self, const struct model_queue *queue, size_t items, uint64_t bytes_before,
                                   uint64_t bytes)
{
    uint64_t bounded_items = items;
    uint64_t bounded_bytes = bytes_before;
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        const struct model_item *item = &self->items[i];
        if (item->used && item->queue_id == queue->id &&
            (item->state == MODEL_READY || (item->state == MODEL_DELAYED && item->put_delayed))) {
            bounded_items++;
            bounded_bytes += item->bytes;
        }
    }
    if (queue->max_bytes > 0 && bytes > queue->max_bytes) {
        return ENGINE_TOO_LARGE;
    }
    bool full = (queue->maxsize > 0 && bounded_items >= queue->maxsize) ||
                (queue->max_bytes > 0 && bytes > 0 && bounded_bytes + bytes > queue->max_bytes);
    return full ? ENGINE_FULL : ENGINE_OK;
}

static bool never_fits(const struct model_queue *queue, const struct model_put *put, size_t first)
{
    uint64_t bytes = 0;
    for (size_t i = first; i < put->count; i++) {
        bytes += own_bytes(put->bodies[i]);
    }
    return (queue->maxsize > 0 && put->count - first > queue->maxsize) || (queue->max_bytes > 0 && bytes > queue->max_bytes);
}

static void number_stream(struct model *self, const struct model_queue *queue, const struct model_put *put, uint64_t last_number)
{
    struct model_stream *stream = model_stream(self, queue->id, put->stream);
    for (size_t i = 0; i < MODEL_STREAMS && stream == NULL; i++) {
        if (!self->streams[i].used) {
            stream = &self->streams[i];
        }
    }
    if (stream == NULL) {
        model_fail("the model has no room for a stream");
    }
    *stream = (struct model_stream){.used = true,
                                    .queue_id = queue->id,
                                    .stream = put->stream,
                                    .last_number = last_number,
                                    .last_seq = queue->next_seq - 1,
                                    .used_ms = self->now_ms,
                                    .session = put->session};
}

static enum engine_status count_fitting(const struct model *self, const struct model_queue *queue, const struct model_put *put,
                                        size_t first, bool behind_waiters, size_t *fitting)
{
    uint64_t bytes = 0;
    *fitting = 0;
    for (size_t i = first; i < put->count; i++) {
        uint64_t more = own_bytes(put->bodies[i]);
        enum engine_status status = room_for(self, queue, *fitting, bytes, more);
        if (behind_waiters && status == ENGINE_OK) {
            status = ENGINE_FULL;
        }
        if (status != ENGINE_OK) {
            *fitting = put->atomic ? 0 : *fitting;
            return status;
        }
        bytes += more;
        (*fitting)++;
    }
    return ENGINE_OK;
}

// Would it be a stream more than there may be?
static bool is_one_stream_too_many(struct model *self, const struct model_queue *queue, const struct model_put *put)
{
    size_t count = 0;
    for (size_t i = 0; i < MODEL_STREAMS; i++) {
        count += self->streams[i].used;
    }
    return put->stream != 0 && count >= self->config.streams_max && model_stream(self, queue->id, put->stream) == NULL;
}

enum engine_status model_put(struct model *self, struct model_queue *queue, const struct model_put *put, bool behind_waiters,
                             struct engine_put_result *result)
{
    *result = (struct engine_put_result){0};
    if (queue->temporary) {
        model_use(self, put->session, queue);
    }
    enum engine_status status = put_numbered(self, queue, put, result);
    if (status != ENGINE_OK || result->accepted == put->count) {
        return status;
    }
    if (queue->state != QUEUE_OPEN) {
        return ENGINE_SHUT_DOWN;
    }
    if (put->atomic && never_fits(queue, put, result->accepted)) {
        return ENGINE_TOO_LARGE;
    }
    size_t fitting;
    status = count_fitting(self, queue, put, result->accepted, behind_waiters, &fitting);
    if (is_one_stream_too_many(self, queue, put)) {
        return ENGINE_LIMIT_REACHED;
    }
    for (size_t i = 0; i < fitting; i++) {
        struct model_item *item = model_new_item(self, queue, put->bodies[result->accepted], queue->next_seq);
        if (put->delay_ms > 0) {
            item->state = MODEL_DELAYED;
            item->put_delayed = true;
            item->due_ms = self->now_ms + put->delay_ms;
        }
        result->last_seq = queue->next_seq++;
        result->accepted++;
        queue->puts++;
    }
    if (fitting > 0 && put->stream != 0) {
        result->last_number = put->first_number + result->accepted - 1;
        number_stream(self, queue, put, result->last_number);
    }
    return status;
}

// ----------------------------------------------------------------------------------------------------------------------- get

static void lease_one(struct model *self, struct model_queue *queue, const struct dispatch_get *get, struct model_item *item,
                      uint32_t index)
{
    item->state = MODEL_LEASED;
    item->deliveries++;
    item->put_delayed = false;
    item->last_session = get->session_no;
    item->lease_epoch = self->epoch;
    item->get_id = get->request_id;
    item->got_ms = self->now_ms;
    item->lease_ms = get->lease_ms > 0 ? get->lease_ms : queue->lease_ms;
    item->hold_max_ms = get->hold_max_ms > 0 ? get->hold_max_ms : queue->hold_max_ms;
    item->index = index;
    item->taken = get->max_items == 1;
    item->taken_flushed = false;
    item->lease_dirty = true;
    item->old = false;
    item->order_get = self->next_order;
    queue->gets++;
}

static struct model_queue *owner_of(struct model *self, const struct model_item *item)
{
    struct model_queue *queue = model_queue_of(self, item->queue_id);
    if (queue == NULL) {
        model_fail("an item of no queue");
    }
    return queue;
}

enum engine_status model_get(struct model *self, struct model_queue *queue, const struct dispatch_get *get,
                             struct model_grant *grant)
{
    *grant = (struct model_grant){.queue_id = queue->id};
    model_use(self, get->session_no, queue);
    size_t ready = model_count(self, queue->id, MODEL_READY);
    size_t leases = model_leases(self, get->session_no);
    if (ready == 0) {
        bool drained = queue->state != QUEUE_OPEN && model_count(self, queue->id, MODEL_DELAYED) == 0;
        return drained ? ENGINE_SHUT_DOWN : ENGINE_EMPTY;
    }
    if (leases >= self->config.leases_per_session_max) {
        return ENGINE_LIMIT_REACHED;
    }
    size_t consumers = model_consumers(self, queue->id, get->session_no);
    size_t share = (ready + consumers - 1) / consumers;
    uint64_t bytes = 0;
    while (grant->count < get->max_items && grant->count < share && leases + grant->count < self->config.leases_per_session_max) {
        struct model_item *item = model_next_whole(self, queue);
        if (item == NULL || (grant->count > 0 && bytes + item->bytes > get->max_bytes)) {
            break;
        }
        bytes += item->bytes;
        lease_one(self, queue, get, item, (uint32_t)grant->count);
        grant->seqs[grant->count++] = item->seq;
    }
    self->next_order++;
    return grant->count > 0 ? ENGINE_OK : ENGINE_EMPTY;
}

// -------------------------------------------------------------------------------------------------------------- dead letters

static uint64_t header_bytes(const char *name, size_t value_len)
{
    return 2 + strlen(name) + 2 + value_len;
}

static void to_dead_letter(struct model *self, struct model_item *item, const char *reason)
{
    struct model_queue *queue = owner_of(self, item);
    if (queue->dead_letter[0] == '\0') {
        queue->dropped++;
        item->used = false;
        return;
    }
    char number[24];
    queue->dead_lettered++;
    item->state = MODEL_MOVING;
    item->move_to = model_queue_use(self, queue->dead_letter)->id;
    item->move_strip = false;
    item->bytes += header_bytes("nq-origin-queue", strlen(queue->name)) + header_bytes("nq-reason", strlen(reason));
    item->bytes += header_bytes("nq-origin-seq", (size_t)snprintf(number, sizeof(number), "%llu", (unsigned long long)item->seq));
    item->bytes += header_bytes("nq-failures", (size_t)snprintf(number, sizeof(number), "%u", item->failures));
}

void model_moved(struct model *self, uint64_t queue_id, uint64_t seq, uint64_t to_queue_id, uint64_t to_seq)
{
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        struct model_item *item = &self->items[i];
        if (item->used && item->state == MODEL_MOVING && item->queue_id == queue_id && item->seq == seq &&
            item->move_to == to_queue_id) {
            struct model_queue *to = model_queue_of(self, to_queue_id);
            struct model_item moved = *item;
            item->used = false;
            if (to == NULL) {
                return; // a temporary queue, which went with the session that the item came back from
            }
            if (to->next_seq != to_seq) {
                model_fail("item moved to seq %llu instead of the tail", (unsigned long long)to_seq);
            }
            struct model_item *arrived = model_new_item(self, to, moved.body, to->next_seq++);
            arrived->bytes = moved.move_strip ? moved.own_bytes : moved.bytes;
            to->puts++;
            return;
        }
    }
    model_fail("an item moved that should not have");
}

enum engine_status model_redrive(struct model *self, struct model_queue *from, uint64_t seq, struct model_queue *to,
                                 uint64_t cursor)
{
    struct model_item *item = model_item(self, from->id, seq);
    if (to->state != QUEUE_OPEN) {
        return ENGINE_SHUT_DOWN;
    }
    enum engine_status room = room_for(self, to, 0, 0, item == NULL ? 0 : item->own_bytes);
    if (room != ENGINE_OK) {
        return room;
    }
    if (seq >= cursor) {
        model_look_as_far_as(self, from, cursor, seq);
    }
    if (item == NULL || !item->used || item->state != MODEL_READY) {
        return ENGINE_EMPTY;
    }
    item->state = MODEL_MOVING;
    item->move_to = to->id;
    item->move_strip = true;
    return ENGINE_OK;
}

// --------------------------------------------------------------------------------------------------------------- back, done

void model_return(struct model *self, struct model_item *item, bool failed, uint64_t delay_ms)
{
    struct model_queue *queue = owner_of(self, item);
    item->redelivered = true;
    if (item->gone) {
        uint64_t *counter = queue->state == QUEUE_SHUT_DOWN_AT_ONCE ? &queue->dropped
                            : queue->ttl_ms > 0                     ? &queue->expired
                                                                    : &queue->purged;
        ++*counter;
        item->used = false;
        return;
    }
    if (failed) {
        item->failures++;
        queue->failed++;
        if (queue->max_deliveries > 0 && item->failures >= queue->max_deliveries) {
            to_dead_letter(self, item, "max-deliveries");
            return;
        }
    } else {
        queue->requeued++;
    }
    item->state = delay_ms > 0 ? MODEL_DELAYED : MODEL_READY;
    item->due_ms = self->now_ms + delay_ms;
}

enum standing { HELD, LOST_BUT_WAITING, LOST, GONE, NEVER };

static enum standing token_standing(struct model *self, const struct model_queue *queue, const struct engine_token *token,
                                    struct model_item **out)
{
    struct model_item *item = model_item(self, queue->id, token->seq);
    *out = item;
    if (token->seq == 0 || token->delivery == 0 || token->seq >= queue->next_seq || token->epoch > self->epoch) {
        return NEVER;
    }
    if (item == NULL) {
        return GONE;
    }
    if (token->delivery > item->deliveries) {
        return token->epoch < self->epoch ? LOST : NEVER; // an unflushed lease before a crash, or nothing
    }
    // A lease from before the start is known by any epoch up to this one: an answer given again carries this one.
    bool epoch = item->lease_epoch != self->epoch || token->epoch == self->epoch;
    bool own = epoch && token->delivery == item->deliveries && token->session_no == item->last_session;
    if (!own) {
        return LOST;
    }
    return item->state == MODEL_LEASED ? HELD : LOST_BUT_WAITING;
}

enum engine_status model_task_done(struct model *self, struct model_queue *queue, const struct engine_token *token, bool *gone)
{
    struct model_item *item;
    enum standing standing = token_standing(self, queue, token, &item);
    *gone = standing == GONE;
    if (item != NULL && (standing == HELD || standing == LOST_BUT_WAITING)) {
        item->used = false;
        queue->dones++;
        return ENGINE_OK;
    }
    return *gone ? ENGINE_OK : standing == NEVER ? ENGINE_NOT_LEASED : ENGINE_LEASE_LOST;
}

enum engine_status model_extend(struct model *self, struct model_queue *queue, const struct engine_token *token, uint64_t lease_ms)
{
    struct model_item *item;
    enum standing standing = token_standing(self, queue, token, &item);
    if (standing != HELD || item == NULL) {
        return standing == NEVER ? ENGINE_NOT_LEASED : ENGINE_LEASE_LOST;
    }
    item->got_ms = self->now_ms;
    item->lease_ms = lease_ms > 0 ? lease_ms : queue->lease_ms;
    item->lease_dirty = true;
    return ENGINE_OK;
}

enum engine_status model_requeue(struct model *self, struct model_queue *queue, const struct engine_token *token,
                                 const struct engine_requeue *requeue)
{
    struct model_item *item;
    enum standing standing = token_standing(self, queue, token, &item);
    if (standing != HELD || item == NULL) {
        return standing == NEVER ? ENGINE_NOT_LEASED : ENGINE_LEASE_LOST;
    }
    if (requeue->dead && !item->gone) {
        item->failures++;
        queue->failed++;
        to_dead_letter(self, item, "rejected");
    } else {
        model_return(self, item, requeue->failed, requeue->delay_ms);
    }
    return ENGINE_OK;
}
