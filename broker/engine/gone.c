// Purge, expiry, immediate shutdown, delete: items are gone at once, by a mark, and their space is reclaimed behind it in slices.
#include <stdlib.h>

#include "internal.h"

void queue_count_gone(struct queue *queue, enum gone_kind kind, uint64_t count)
{
    uint64_t *counters[] = {
        [GONE_PURGED] = &queue->record.purged, [GONE_EXPIRED] = &queue->record.expired, [GONE_DROPPED] = &queue->record.dropped};
    *counters[kind] += count;
}

void queue_reclaim_later(struct engine *self, struct queue *queue)
{
    if (!link_is_linked(&queue->reclaim_link)) {
        list_push_back(&self->reclaims, &queue->reclaim_link);
    }
}

// After a crash, what has expired may have expired before it, unrecorded, and gets have gone on behind it: as much as before is in doubt
// from the new cursor on.
static void move_doubt(struct queue *queue, uint64_t passed)
{
    uint64_t below = queue->redelivered_below + passed;
    if (queue->record.cursor < queue->redelivered_below) {
        queue->redelivered_below = below < queue->found_below ? below : queue->found_below;
    }
}

// Items from the cursor up to `seq` were never leased: they go by moving the cursor, and are removed from the store later.
static uint64_t drop_fresh_below(struct engine *self, struct queue *queue, uint64_t seq, uint64_t put_bytes_end)
{
    struct queue_record *record = &queue->record;
    uint64_t old_cursor = record->cursor;
    bool idle = record->reclaimed_below >= record->gone_below;
    if (seq > record->gone_below) {
        record->gone_below = seq;
    }
    if (seq <= old_cursor) {
        if (idle) {
            record->reclaimed_below = record->gone_below;
        }
        return 0;
    }
    if (idle) {
        record->reclaimed_below = old_cursor;
    }
    move_doubt(queue, seq - old_cursor);
    record->cursor = seq;
    record->cursor_put_bytes = put_bytes_end;
    queue_reclaim_later(self, queue);
    return seq - old_cursor;
}

static void bury_heap(struct engine *self, struct queue *queue)
{
    if (queue->returned.count == 0) {
        return;
    }
    if (self->dead_heaps_count == self->dead_heaps_capacity) {
        size_t capacity = self->dead_heaps_capacity == 0 ? 8 : self->dead_heaps_capacity * 2;
        struct heap *heaps = realloc(self->dead_heaps, capacity * sizeof(*heaps));
        if (heaps == NULL) {
            engine_no_memory(self);
            return;
        }
        self->dead_heaps = heaps;
        self->dead_heaps_capacity = capacity;
    }
    queue->buried += queue->returned.count;
    self->dead_heaps[self->dead_heaps_count++] = queue->returned;
    queue->returned = (struct heap){0};
    queue->returned_bytes = 0;
}

static void bury_delayed(struct engine *self, struct queue *queue)
{
    queue->buried += queue->delayed.count;
    list_splice(&self->graveyard, &queue->delayed);
    heap_fini(&queue->ahead); // the items' places in it mean nothing from here on: see bury()
    queue->ahead_bytes = 0;
    queue->delayed_bytes = 0;
    queue->put_delayed = 0;
    queue->put_delayed_bytes = 0;
}

uint64_t queue_drop_all(struct engine *self, struct queue *queue, enum gone_kind kind)
{
    uint64_t count = queue_ready(queue) + queue->delayed.count;
    bury_heap(self, queue);
    bury_delayed(self, queue);
    drop_fresh_below(self, queue, queue->record.next_seq, queue->record.put_bytes);
    queue_count_gone(queue, kind, count);
    queue_touch(self, queue);
    return count;
}

static uint64_t drop_delayed_below(struct engine *self, struct queue *queue, uint64_t seq)
{
    uint64_t count = 0;
    for (struct link *link = list_first(&queue->delayed); link != NULL;) {
        struct item *item = list_object(link, struct item, in_queue);
        link = list_next(&queue->delayed, link);
        if (item->seq < seq) {
            // Ahead of the cursor its bytes are in the stretch that the cursor jumps over; item_finish takes it out of `ahead`.
            item_finish(self, item);
            count++;
        }
    }
    return count;
}

uint64_t queue_drop_below(struct engine *self, struct queue *queue, uint64_t seq, enum gone_kind kind, uint64_t put_bytes_end)
{
    if (seq > queue->record.next_seq) {
        seq = queue->record.next_seq;
    }
    uint64_t ahead_before = queue->ahead.count;
    uint64_t count = drop_delayed_below(self, queue, seq);
    uint64_t ahead_dropped = ahead_before - queue->ahead.count;
    while (heap_min_key(&queue->returned) < seq) {
        item_finish(self, heap_object(heap_min(&queue->returned), struct item, by_seq));
        count++;
    }
    uint64_t jumped = drop_fresh_below(self, queue, seq, put_bytes_end);
    count += jumped - (jumped == 0 ? 0 : ahead_dropped);
    queue_count_gone(queue, kind, count);
    queue_touch(self, queue);
    return count;
}

static void remove_range(struct engine *self, const struct queue *queue, uint64_t first_seq, uint64_t end_seq)
{
    if (first_seq < end_seq) {
        engine_record(
            self,
            &(struct change){.kind = CHANGE_REMOVE,
                             .as.remove = {.queue_id = queue->record.queue_id, .first_seq = first_seq, .last_seq = end_seq - 1}});
    }
}

void bury(struct engine *self, struct item *item)
{
    struct queue *queue = item->queue;
    if (heap_node_is_in(&item->by_due)) {
        heap_remove(&self->delayed, &item->by_due);
        list_remove(&self->graveyard, &item->in_queue);
    }
    item->by_seq.index = 0;
    remove_range(self, queue, item->seq, item->seq + 1);
    queue->buried--;
    item_free(self, item);
}

static size_t bury_some(struct engine *self, size_t budget)
{
    struct link *link = list_first(&self->graveyard);
    for (; budget > 0 && link != NULL; link = list_first(&self->graveyard)) {
        bury(self, list_object(link, struct item, in_queue));
        budget--;
    }
    while (budget > 0 && self->dead_heaps_count > 0) {
        struct heap *heap = &self->dead_heaps[self->dead_heaps_count - 1];
        if (heap->count == 0) {
            heap_fini(heap);
            self->dead_heaps_count--;
            continue;
        }
        bury(self, heap_object(heap->nodes[heap->count--], struct item, by_seq));
        budget--;
    }
    return budget;
}

// Remove a slice of what the mark has left behind; items that are still on lease stay until they are finished.
static void reclaim_fresh(struct engine *self, struct queue *queue, size_t budget)
{
    struct queue_record *record = &queue->record;
    uint64_t end = record->gone_below - record->reclaimed_below > budget ? record->reclaimed_below + budget : record->gone_below;
    uint64_t first = record->reclaimed_below;
    for (uint64_t seq = first; queue->leased > 0 && seq < end; seq++) {
        if (item_find(self, queue, seq) != NULL) {
            remove_range(self, queue, first, seq);
            first = seq + 1;
        }
    }
    remove_range(self, queue, first, end);
    record->reclaimed_below = end;
    queue_changed(self, queue);
}

static void reclaim_end(struct engine *self, struct queue *queue)
{
    list_remove(&self->reclaims, &queue->reclaim_link);
    if (!queue->record.deleted) {
        return;
    }
    if (queue->buried > 0 || queue->waiters != NULL) {
        queue_reclaim_later(self, queue);
        return;
    }
    uint64_t queue_id = queue->record.queue_id;
    queue_free(self, queue);
    engine_record(self, &(struct change){.kind = CHANGE_QUEUE_DROP, .as.queue_drop = {.queue_id = queue_id}});
}

bool reclaim_is_due(const struct engine *self)
{
    return !self->reclaimed_in_group && (self->reclaims.count > 0 || self->graveyard.count > 0 || self->dead_heaps_count > 0);
}

// What of the budget that has taken: at least 1, for the queue itself.
static size_t reclaim_queue(struct engine *self, struct queue *queue, size_t budget)
{
    uint64_t first = queue->record.reclaimed_below;
    if (first < queue->record.gone_below) {
        reclaim_fresh(self, queue, budget);
    }
    size_t taken = (size_t)(queue->record.reclaimed_below - first);
    if (queue->record.reclaimed_below >= queue->record.gone_below) {
        reclaim_end(self, queue);
    }
    return taken > 0 ? taken : 1;
}

void reclaim_slice(struct engine *self)
{
    self->reclaimed_in_group = true;
    self->lazy = true;
    size_t budget = bury_some(self, RECLAIM_SLICE);
    size_t left = self->reclaims.count; // each once: some have to wait
    for (struct link *link = list_first(&self->reclaims); link != NULL && left > 0 && budget > 0; left--) {
        budget -= reclaim_queue(self, list_object(link, struct queue, reclaim_link), budget);
        link = list_first(&self->reclaims);
    }
    engine_wait_for_store(self); // so that the next group, and the next slice, come without delay
}
