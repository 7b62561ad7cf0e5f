// Commits of the memory store.
#include <stdlib.h>
#include <string.h>

#include "memory_internal.h"

// -------------------------------------------------------------------------------------------------------------------- records

static bool record_set(struct table *table, uint64_t a, uint64_t b, const void *record, size_t bytes)
{
    void *place = table_find(table, a, b);
    if (place == NULL) {
        place = malloc(bytes);
        if (place == NULL || !table_insert(table, a, b, place)) {
            free(place);
            return false;
        }
    }
    memcpy(place, record, bytes);
    return true;
}

static void record_drop(struct table *table, uint64_t a, uint64_t b)
{
    free(table_remove(table, a, b));
}

static void drop_streams_of(struct memory_store *self, uint64_t queue_id)
{
    struct table *streams = &self->streams;
    for (size_t i = 0; streams->slots != NULL && i <= streams->mask;) {
        const struct stream_record *record = streams->slots[i].value;
        if (record != NULL && record->queue_id == queue_id) {
            record_drop(streams, queue_id, record->stream); // another may move into this slot: look again
        } else {
            i++;
        }
    }
}

// --------------------------------------------------------------------------------------------------------------------- commit

static bool apply_put(struct memory_store *self, const struct change *change)
{
    uint64_t put_bytes = change->as.put.put_bytes;
    for (size_t i = 0; i < change->as.put.count; i++) {
        struct engine_bytes headers = change->as.put.headers == NULL ? (struct engine_bytes){0} : change->as.put.headers[i];
        struct memory_item *item = memory_item_make(headers, (struct engine_bytes){0}, change->as.put.bodies[i]);
        if (item != NULL) {
            item->accepted_ms = change->as.put.accepted_ms;
            item->put_bytes = put_bytes;
            put_bytes += item->headers_len + item->body_len;
        }
        if (!memory_item_insert(self, change->as.put.queue_id, change->as.put.first_seq + i, item)) {
            return false;
        }
    }
    return true;
}

static void remove_items(struct memory_store *self, uint64_t queue_id, uint64_t first_seq, uint64_t last_seq)
{
    struct chunk *chunk;
    for (uint64_t seq = first_seq; seq <= last_seq && (chunk = memory_chunk_from(self, queue_id, seq)) != NULL;) {
        uint64_t chunk_first = chunk->number << CHUNK_BITS;
        uint64_t chunk_last = chunk_first + CHUNK_ITEMS - 1;
        uint64_t last = chunk_last < last_seq ? chunk_last : last_seq;
        for (seq = seq > chunk_first ? seq : chunk_first; seq <= last; seq++) { // the last one taken ends the chunk
            memory_item_discard(self, memory_item_take(self, queue_id, seq));
        }
        if (chunk_last == UINT64_MAX) {
            break;
        }
    }
}

static void remove_records(struct memory_store *self, uint64_t queue_id, uint64_t first_seq, uint64_t last_seq)
{
    struct table *items = &self->items;
    if (last_seq - first_seq < items->count) {
        for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
            record_drop(items, queue_id, seq);
        }
        return;
    }
    for (size_t i = 0; items->count > 0 && i <= items->mask;) {
        const struct item_record *record = items->slots[i].value;
        if (record != NULL && record->queue_id == queue_id && record->seq >= first_seq && record->seq <= last_seq) {
            record_drop(items, queue_id, record->seq); // another may move into this slot: look again
        } else {
            i++;
        }
    }
}

static void apply_remove(struct memory_store *self, uint64_t queue_id, uint64_t first_seq, uint64_t last_seq)
{
    if (first_seq <= last_seq) {
        remove_items(self, queue_id, first_seq, last_seq);
        remove_records(self, queue_id, first_seq, last_seq);
    }
}

static bool apply_move(struct memory_store *self, const struct change *change)
{
    struct memory_item *old = memory_item_take(self, change->as.move.queue_id, change->as.move.seq);
    record_drop(&self->items, change->as.move.queue_id, change->as.move.seq);
    if (old == NULL) {
        return true; // set aside as damaged in the meantime
    }
    size_t own_len = change->as.move.strip_headers ? old->own_headers_len : old->headers_len;
    struct memory_item *item = memory_item_make((struct engine_bytes){own_len, old->bytes}, change->as.move.add_headers,
                                                (struct engine_bytes){old->body_len, old->bytes + old->headers_len});
    if (item != NULL) {
        item->own_headers_len = old->own_headers_len;
        item->accepted_ms = change->as.move.accepted_ms;
        item->put_bytes = change->as.move.put_bytes;
    }
    memory_item_discard(self, old);
    return memory_item_insert(self, change->as.move.to_queue_id, change->as.move.to_seq, item);
}

static bool apply(struct memory_store *self, const struct change *change)
{
    switch (change->kind) {
    case CHANGE_PUT:
        return apply_put(self, change);
    case CHANGE_REMOVE:
        apply_remove(self, change->as.remove.queue_id, change->as.remove.first_seq, change->as.remove.last_seq);
        return true;
    case CHANGE_MOVE:
        return apply_move(self, change);
    case CHANGE_QUARANTINE: // memory does not rot: there is nothing to show to anybody
        apply_remove(self, change->as.quarantine.queue_id, change->as.quarantine.seq, change->as.quarantine.seq);
        return true;
    case CHANGE_QUEUE:
        return record_set(&self->queues, change->as.queue->queue_id, 0, change->as.queue, sizeof(*change->as.queue));
    case CHANGE_QUEUE_DROP:
        record_drop(&self->queues, change->as.queue_drop.queue_id, 0);
        drop_streams_of(self, change->as.queue_drop.queue_id);
        return true;
    case CHANGE_ITEM:
        return record_set(&self->items, change->as.item->queue_id, change->as.item->seq, change->as.item, sizeof(*change->as.item));
    case CHANGE_ITEM_DROP:
        record_drop(&self->items, change->as.item_drop.queue_id, change->as.item_drop.seq);
        return true;
    case CHANGE_RUN:
        return record_set(&self->runs, change->as.run->queue_id, change->as.run->first_seq, change->as.run,
                          sizeof(*change->as.run));
    case CHANGE_RUN_DROP:
        record_drop(&self->runs, change->as.run_drop.queue_id, change->as.run_drop.first_seq);
        return true;
    case CHANGE_STREAM:
        return record_set(&self->streams, change->as.stream->queue_id, change->as.stream->stream, change->as.stream,
                          sizeof(*change->as.stream));
    case CHANGE_STREAM_DROP:
        record_drop(&self->streams, change->as.stream_drop.queue_id, change->as.stream_drop.stream);
        return true;
    case CHANGE_SESSION:
        return record_set(&self->sessions, change->as.session->session_no, 0, change->as.session, sizeof(*change->as.session));
    case CHANGE_SESSION_DROP:
        record_drop(&self->sessions, change->as.session_drop.session_no, 0);
        return true;
    case CHANGE_META:
        self->meta = *change->as.meta;
        return true;
    case CHANGE_COPY:
    case CHANGE_JOURNALED:
        return true; // between stores on disk only
    }
    return true;
}

enum nq_status memory_commit(struct store *store, const struct changes *changes, struct store_error *error)
{
    struct memory_store *self = memory_of(store);
    for (size_t i = 0; i < changes_count(changes) && !self->failed; i++) {
        self->failed = !apply(self, changes_at(changes, i));
    }
    return self->failed ? memory_fail(error, NQ_NO_MEMORY, "memory store: out of memory") : NQ_OK;
}
