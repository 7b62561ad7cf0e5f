// Streams: the numbered puts of one producer into one queue, so that a retry is not a second item.
#include "internal.h"

struct stream *stream_find(const struct engine *self, const struct queue *queue, uint64_t id)
{
    return table_find(&self->streams, queue->record.queue_id, id);
}

uint64_t engine_stream_last(const struct engine *self, const struct queue *queue, uint64_t id)
{
    const struct stream *stream = stream_find(self, queue, id);
    return stream == NULL ? 0 : stream->last_number;
}

struct stream *stream_create(struct engine *self, struct queue *queue, uint64_t id)
{
    struct stream *stream = pool_get(&self->stream_pool);
    if (stream == NULL || !table_insert(&self->streams, queue->record.queue_id, id, stream)) {
        if (stream != NULL) {
            pool_put(&self->stream_pool, stream);
        }
        engine_no_memory(self);
        return NULL;
    }
    stream->queue = queue;
    stream->id = id;
    list_push_back(&queue->streams, &stream->in_queue);
    list_push_back(&self->streams_by_use, &stream->by_use);
    return stream;
}

void stream_use(struct engine *self, struct stream *stream, struct session *session, bool changed)
{
    stream->used_ms = self->now_ms;
    list_remove(&self->streams_by_use, &stream->by_use);
    list_push_back(&self->streams_by_use, &stream->by_use);
    if (session != NULL && stream->session != session) {
        if (stream->session != NULL) {
            list_remove(&stream->session->streams, &stream->in_session);
        }
        stream->session = session;
        list_push_back(&session->streams, &stream->in_session);
    }
    if (changed && !link_is_linked(&stream->dirty_link)) {
        list_push_back(&self->dirty_streams, &stream->dirty_link);
    }
}

void stream_free(struct engine *self, struct stream *stream, bool record_drop)
{
    if (stream->stored && record_drop) {
        engine_record(self, &(struct change){.kind = CHANGE_STREAM_DROP,
                                             .as.stream_drop = {.queue_id = stream->queue->record.queue_id, .stream = stream->id}});
    }
    if (link_is_linked(&stream->dirty_link)) {
        list_remove(&self->dirty_streams, &stream->dirty_link);
    }
    if (stream->session != NULL) {
        list_remove(&stream->session->streams, &stream->in_session);
    }
    list_remove(&stream->queue->streams, &stream->in_queue);
    list_remove(&self->streams_by_use, &stream->by_use);
    table_remove(&self->streams, stream->queue->record.queue_id, stream->id);
    pool_put(&self->stream_pool, stream);
}

uint64_t streams_next_deadline_ms(const struct engine *self)
{
    struct link *link = list_first(&self->streams_by_use);
    return link == NULL ? UINT64_MAX : list_object(link, struct stream, by_use)->used_ms + self->config.dedup_keep_ms;
}

void streams_expire(struct engine *self, size_t *budget)
{
    while (*budget > 0 && streams_next_deadline_ms(self) <= self->now_ms) {
        struct link *link = list_first(&self->streams_by_use);
        if (link == NULL) {
            return;
        }
        struct stream *stream = list_object(link, struct stream, by_use);
        queue_touch(self, stream->queue); // a run of it that waits for room ends
        stream_free(self, stream, true);
        (*budget)--;
    }
}
