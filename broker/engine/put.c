// put: a run of items is accepted from the front, as far as there is room.
#include <assert.h>

#include "internal.h"

static uint32_t body_bytes(const struct engine_put *put, size_t index)
{
    return (uint32_t)(put->bodies[index].len + (put->headers == NULL ? 0 : put->headers[index].len));
}

// Numbers up to the stream's last are duplicates; a gap is refused.
static enum engine_status check_stream(const struct engine *self, const struct queue *queue, const struct engine_put *put,
                                       struct stream **stream_p, struct engine_put_result *result)
{
    if (put->stream == 0) {
        return ENGINE_OK;
    }
    struct stream *stream = stream_find(self, queue, put->stream);
    *stream_p = stream;
    if (stream == NULL) {
        return put->first_number > 1 ? ENGINE_STREAM_UNKNOWN : ENGINE_OK;
    }
    result->last_number = stream->last_number;
    if (put->first_number > stream->last_number + 1) {
        return ENGINE_OUT_OF_SEQUENCE;
    }
    if (put->first_number <= stream->last_number) {
        uint64_t known = stream->last_number + 1 - put->first_number;
        result->accepted = known < put->count ? (size_t)known : put->count;
        result->last_seq = stream->last_seq;
        result->duplicate = true;
    }
    return ENGINE_OK;
}

enum engine_status engine_put_before(const struct engine *self, const struct queue *queue, const struct engine_put *put,
                                     struct engine_put_result *result)
{
    struct stream *stream;
    *result = (struct engine_put_result){0};
    return check_stream(self, queue, put, &stream, result);
}

struct room {
    uint64_t items, bytes;
};

static struct room room_in(const struct queue *queue)
{
    struct room room = {UINT64_MAX, UINT64_MAX};
    if (queue->record.maxsize > 0) {
        uint64_t taken = queue_ready(queue) + queue->put_delayed;
        room.items = taken < queue->record.maxsize ? queue->record.maxsize - taken : 0;
    }
    if (queue->record.max_bytes > 0) {
        uint64_t taken = queue_ready_bytes(queue) + queue->put_delayed_bytes;
        room.bytes = taken < queue->record.max_bytes ? queue->record.max_bytes - taken : 0;
    }
    return room;
}

// How many of the run, from `first` on, go in now; `*status` is that of the first that does not.
static size_t count_fitting(const struct queue *queue, const struct engine_put *put, size_t first, enum engine_status *status)
{
    struct room room = room_in(queue);
    uint64_t bytes = 0;
    uint64_t max_bytes = queue->record.max_bytes;
    *status = ENGINE_OK;
    if (put->behind_waiters) {
        room.items = 0;
    }
    for (size_t i = first; i < put->count; i++) {
        uint32_t item = body_bytes(put, i);
        bytes += item;
        if (max_bytes > 0 && item > max_bytes) {
            *status = ENGINE_TOO_LARGE;
        } else if (i - first >= room.items || bytes > room.bytes) {
            *status = ENGINE_FULL;
        }
        if (*status != ENGINE_OK) {
            return i - first;
        }
    }
    return put->count - first;
}

// An atomic run that can never go in whole.
static bool atomic_never_fits(const struct queue *queue, const struct engine_put *put, size_t first)
{
    uint64_t bytes = 0;
    for (size_t i = first; i < put->count; i++) {
        bytes += body_bytes(put, i);
    }
    return (queue->record.maxsize > 0 && put->count - first > queue->record.maxsize) ||
           (queue->record.max_bytes > 0 && bytes > queue->record.max_bytes);
}

static bool delay_items(struct engine *self, struct queue *queue, const struct engine_put *put, size_t first, size_t count,
                        uint64_t first_seq)
{
    if (!heap_reserve(&self->delayed, count) || !heap_reserve(&queue->ahead, count)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct item *item = item_create(self, queue, first_seq + i, body_bytes(put, first + i));
        if (item == NULL) {
            return false;
        }
        item->put_delayed = true;
        heap_insert(&queue->ahead, &item->by_seq, item->seq);
        queue->ahead_bytes += item->bytes;
        item_to_delayed(self, item, self->now_ms + put->delay_ms);
    }
    return true;
}

static bool accept(struct engine *self, struct queue *queue, const struct engine_put *put, size_t first, size_t count)
{
    struct queue_record *record = &queue->record;
    uint64_t first_seq = record->next_seq;
    const struct engine_bytes *headers = put->headers == NULL ? NULL : put->headers + first;
    engine_record(self, &(struct change){.kind = CHANGE_PUT,
                                         .as.put = {.queue_id = record->queue_id,
                                                    .first_seq = first_seq,
                                                    .count = count,
                                                    .bodies = put->bodies + first,
                                                    .headers = headers,
                                                    .accepted_ms = self->now_ms,
                                                    .put_bytes = record->put_bytes}});
    struct recent_put recent = {
        .first_seq = first_seq, .count = count, .bodies = put->bodies + first, .headers = headers, .put_bytes = record->put_bytes};
    if (!recent_add(queue, &recent)) {
        return false;
    }
    for (size_t i = first; i < first + count; i++) {
        record->put_bytes += body_bytes(put, i);
    }
    self->put_bytes += record->put_bytes - recent.put_bytes + count * engine_kept_bytes(put->delay_ms);
    record->next_seq += count;
    record->puts += count;
    if (put->delay_ms > 0 && !delay_items(self, queue, put, first, count, first_seq)) {
        return false;
    }
    engine_wait_for_store(self);
    queue_touch(self, queue);
    return age_note(self, queue);
}

// How many of `count` the broker's own limits allow; *status is changed when that is less.
static size_t within_limits(const struct engine *self, const struct engine_put *put, const struct stream *stream, size_t count,
                            enum engine_status *status)
{
    uint64_t delayed = self->delayed.count;
    uint64_t room = self->config.delayed_max > delayed ? self->config.delayed_max - delayed : 0;
    if (put->delay_ms > 0 && count > room) {
        *status = ENGINE_LIMIT_REACHED;
        count = (size_t)room;
    }
    if (put->stream != 0 && stream == NULL && self->streams.count >= self->config.streams_max) {
        *status = ENGINE_LIMIT_REACHED;
        count = 0;
    }
    return count;
}

static enum engine_status accept_and_number(struct engine *self, struct queue *queue, const struct engine_put *put,
                                            struct stream *stream, size_t count, struct engine_put_result *result)
{
    struct session *session = session_find(self, put->session_no);
    if (!accept(self, queue, put, result->accepted, count)) {
        return engine_no_memory(self);
    }
    result->accepted += count;
    result->last_seq = queue->record.next_seq - 1;
    if (put->stream == 0) {
        return ENGINE_OK;
    }
    if (stream == NULL) {
        stream = stream_create(self, queue, put->stream);
        if (stream == NULL) {
            return ENGINE_NO_MEMORY;
        }
    }
    stream->last_number = put->first_number + result->accepted - 1;
    stream->last_seq = result->last_seq;
    result->last_number = stream->last_number;
    stream_use(self, stream, session, true);
    return ENGINE_OK;
}

enum engine_status engine_put(struct engine *self, uint64_t now_ms, struct queue *queue, const struct engine_put *put,
                              struct engine_put_result *result)
{
    struct stream *stream = NULL;
    *result = (struct engine_put_result){0};
    engine_advance(self, now_ms);
    struct session *session = queue->record.temporary ? session_find(self, put->session_no) : NULL;
    if (session != NULL && session_attach(self, session, queue) == NULL) { // a temporary queue lives as long as its users
        return engine_no_memory(self);
    }
    enum engine_status status = check_stream(self, queue, put, &stream, result);
    if (status != ENGINE_OK || result->accepted == put->count) {
        return status;
    }
    if (queue->record.state != QUEUE_OPEN) {
        return ENGINE_SHUT_DOWN;
    }
    if (put->atomic && atomic_never_fits(queue, put, result->accepted)) {
        return ENGINE_TOO_LARGE;
    }
    size_t left = put->count - result->accepted;
    size_t count = count_fitting(queue, put, result->accepted, &status);
    count = within_limits(self, put, stream, count, &status);
    if (count == 0 || (put->atomic && count < left)) {
        return status;
    }
    enum engine_status accepted = accept_and_number(self, queue, put, stream, count, result);
    return accepted == ENGINE_OK ? status : accepted;
}
