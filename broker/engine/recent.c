// Items whose put is not durable yet: their bodies are in the caller's memory, not in the store.
#include <stdlib.h>
#include <string.h>

#include "internal.h"

bool recent_add(struct queue *queue, const struct recent_put *put)
{
    if (queue->recent_first == queue->recent_end) {
        queue->recent_first = queue->recent_end = 0;
    }
    if (queue->recent_end == queue->recent_capacity) {
        size_t capacity = queue->recent_capacity == 0 ? 4 : queue->recent_capacity * 2;
        struct recent_put *recent = realloc(queue->recent, capacity * sizeof(*recent));
        if (recent == NULL) {
            return false;
        }
        queue->recent = recent;
        queue->recent_capacity = capacity;
    }
    queue->recent[queue->recent_end++] = *put;
    return true;
}

const struct recent_put *recent_find(const struct queue *queue, uint64_t seq)
{
    size_t low = queue->recent_first;
    size_t high = queue->recent_end;
    if (low == high || seq < queue->recent[low].first_seq) {
        return NULL;
    }
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (queue->recent[middle].first_seq <= seq) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const struct recent_put *put = &queue->recent[low];
    return seq - put->first_seq < put->count ? put : NULL;
}

// What many small puts at once have taken must not stay with each queue that ever had them.
static void forget_burst(struct queue *queue)
{
    if (queue->recent_capacity > RECENT_KEPT) {
        free(queue->recent);
        queue->recent = NULL;
        queue->recent_capacity = 0;
    }
}

void recent_drop_durable(struct queue *queue)
{
    while (queue->recent_first < queue->recent_end && queue->recent[queue->recent_first].first_seq < queue->durable_seq) {
        queue->recent_first++;
    }
    if (queue->recent_first == queue->recent_end) {
        queue->recent_first = queue->recent_end = 0;
        forget_burst(queue);
        return;
    }
    if (queue->recent_first > queue->recent_capacity / 2) { // keep the array from creeping
        size_t count = queue->recent_end - queue->recent_first;
        memmove(queue->recent, queue->recent + queue->recent_first, count * sizeof(*queue->recent));
        queue->recent_first = 0;
        queue->recent_end = count;
    }
}

static uint32_t recent_bytes(const struct recent_put *put, size_t index)
{
    if (put->bodies == NULL) {
        return put->bytes;
    }
    return (uint32_t)(put->bodies[index].len + (put->headers == NULL ? 0 : put->headers[index].len));
}

bool engine_recent_item(const struct queue *queue, uint64_t seq, struct engine_bytes *body, struct engine_bytes *headers)
{
    const struct recent_put *put = recent_find(queue, seq);
    if (put == NULL || put->bodies == NULL) {
        return false;
    }
    size_t index = (size_t)(seq - put->first_seq);
    *body = put->bodies[index];
    *headers = put->headers == NULL ? (struct engine_bytes){0} : put->headers[index];
    return true;
}

enum engine_status item_size(struct engine *self, const struct queue *queue, uint64_t seq, uint32_t *bytes, uint64_t *put_bytes)
{
    const struct recent_put *put = recent_find(queue, seq);
    if (put == NULL) {
        return self->source.item(self->source.context, queue->record.queue_id, seq, bytes, put_bytes);
    }
    // Within one run the counter before this item is known exactly when it follows the cursor, as it does in a get.
    *bytes = recent_bytes(put, (size_t)(seq - put->first_seq));
    *put_bytes = seq == put->first_seq ? put->put_bytes : queue->record.cursor_put_bytes;
    return ENGINE_OK;
}
