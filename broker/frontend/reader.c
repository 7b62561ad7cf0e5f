#include "reader.h"

void reader_init(struct reader *self, struct store *store)
{
    *self = (struct reader){.store = store};
}

void reader_end(struct reader *self)
{
    if (self->open) {
        store_read_end(self->store);
        self->open = false;
    }
}

static enum nq_status begin(struct reader *self)
{
    if (self->open || self->error.status != NQ_OK) {
        return self->error.status;
    }
    struct store_error error = {0};
    enum nq_status status = store_read_begin(self->store, &error);
    self->open = status == NQ_OK;
    if (status != NQ_OK) {
        self->error = error;
        self->error.status = status;
    }
    return status;
}

// Failures of the medium stay: the process has to end.
static enum nq_status keep_failure(struct reader *self, enum nq_status status)
{
    if (status == NQ_STORAGE_FAILED || status == NQ_NO_MEMORY) {
        self->error = (struct store_error){.status = status, .text = "reading an item"};
    }
    return status;
}

enum nq_status reader_stored(struct reader *self, uint64_t queue_id, uint64_t seq, struct store_item *item)
{
    enum nq_status status = begin(self);
    return status != NQ_OK ? status : keep_failure(self, store_read(self->store, queue_id, seq, item));
}

enum nq_status reader_next(struct reader *self, uint64_t queue_id, uint64_t seq, uint64_t below_seq, struct store_item *item)
{
    enum nq_status status = begin(self);
    return status != NQ_OK ? status : keep_failure(self, store_read_next(self->store, queue_id, seq, below_seq, item));
}

enum nq_status reader_item(struct reader *self, const struct queue *queue, uint64_t queue_id, uint64_t seq,
                           struct engine_bytes *body, struct engine_bytes *headers)
{
    if (queue != NULL && engine_recent_item(queue, seq, body, headers)) {
        return NQ_OK;
    }
    struct store_item item;
    enum nq_status status = reader_stored(self, queue_id, seq, &item);
    if (status == NQ_OK) {
        *body = item.body;
        *headers = item.headers;
    }
    return status;
}

enum engine_status reader_item_size(void *context, uint64_t queue_id, uint64_t seq, uint32_t *bytes, uint64_t *put_bytes)
{
    struct store_item item;
    struct reader *self = context;
    enum nq_status status = reader_stored(self, queue_id, seq, &item);
    if (status == NQ_DAMAGED || status == NQ_EMPTY) {
        if (self->on_lost != NULL) {
            self->on_lost(self->context, queue_id, seq, status);
        }
        return ENGINE_EMPTY;
    }
    if (status != NQ_OK) {
        return ENGINE_NO_MEMORY;
    }
    *bytes = (uint32_t)(item.body.len + item.headers.len);
    *put_bytes = item.put_bytes;
    return ENGINE_OK;
}
