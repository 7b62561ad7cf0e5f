// Time to live: coarse marks of when items were accepted, so that expiry needs no memory per item.
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static size_t age_count(const struct queue *queue)
{
    return queue->ages_end - queue->ages_first;
}

// Without a ttl only a few marks are kept, should it get one: each second one goes, its items count as a little younger.
static void thin_out(struct queue *queue)
{
    size_t kept = queue->ages_first;
    for (size_t i = queue->ages_first; i < queue->ages_end; i += 2) {
        struct age_mark mark = queue->ages[i];
        if (i + 1 < queue->ages_end) {
            mark = queue->ages[i + 1];
            mark.first_ms = queue->ages[i].first_ms;
        }
        queue->ages[kept++] = mark;
    }
    queue->ages_end = kept;
}

static bool make_room(struct queue *queue)
{
    if (queue->ages_end < queue->ages_capacity) {
        return true;
    }
    if (queue->ages_first > queue->ages_capacity / 2) {
        memmove(queue->ages, queue->ages + queue->ages_first, age_count(queue) * sizeof(*queue->ages));
        queue->ages_end -= queue->ages_first;
        queue->ages_first = 0;
        return true;
    }
    size_t capacity = queue->ages_capacity == 0 ? 4 : queue->ages_capacity * 2;
    struct age_mark *ages = realloc(queue->ages, capacity * sizeof(*ages));
    if (ages == NULL) {
        return false;
    }
    queue->ages = ages;
    queue->ages_capacity = capacity;
    return true;
}

static bool add_mark(struct queue *queue, struct age_mark mark)
{
    if (queue->record.ttl_ms == 0 && age_count(queue) >= AGE_MARKS_IDLE_MAX) {
        thin_out(queue);
    }
    if (!make_room(queue)) {
        return false;
    }
    queue->ages[queue->ages_end++] = mark;
    return true;
}

void age_schedule(struct engine *self, struct queue *queue)
{
    bool wanted = queue->record.ttl_ms > 0 && age_count(queue) > 0;
    if (!wanted) {
        if (heap_node_is_in(&queue->expiry)) {
            heap_remove(&self->expiries, &queue->expiry);
        }
        return;
    }
    uint64_t due_ms = queue->ages[queue->ages_first].last_ms + queue->record.ttl_ms;
    if (heap_node_is_in(&queue->expiry)) {
        heap_rekey(&self->expiries, &queue->expiry, due_ms);
    } else if (!heap_insert(&self->expiries, &queue->expiry, due_ms)) {
        engine_no_memory(self);
    }
}

static uint64_t granularity_ms(const struct queue *queue)
{
    uint64_t ms = queue->record.ttl_ms / AGE_MARKS_PER_TTL;
    return ms == 0 ? 1 : ms;
}

bool age_note(struct engine *self, struct queue *queue)
{
    if (queue->record.ttl_ms == 0) { // nothing below the cursor is worth a mark
        while (age_count(queue) > 0 && queue->ages[queue->ages_first].seq_end <= queue->record.cursor) {
            queue->ages_first++;
        }
        if (age_count(queue) == 0) {
            queue->ages_first = queue->ages_end = 0;
        }
    }
    struct age_mark *last = age_count(queue) == 0 ? NULL : &queue->ages[queue->ages_end - 1];
    if (last != NULL && self->now_ms - last->first_ms < granularity_ms(queue)) {
        last->seq_end = queue->record.next_seq;
        last->last_ms = self->now_ms;
        last->put_bytes_end = queue->record.put_bytes;
    } else if (!add_mark(queue, (struct age_mark){queue->record.next_seq, self->now_ms, self->now_ms, queue->record.put_bytes})) {
        return false;
    }
    if (queue->record.ttl_ms > 0 && (age_count(queue) == 1 || !heap_node_is_in(&queue->expiry))) {
        age_schedule(self, queue);
    }
    return true;
}

bool age_begin(struct engine *self, struct queue *queue)
{
    bool unknown = queue->record.ttl_ms > 0 && age_count(queue) == 0 && queue_unfinished(queue) > 0;
    return !unknown ||
           add_mark(queue, (struct age_mark){queue->record.next_seq, self->now_ms, self->now_ms, queue->record.put_bytes});
}

void age_expire(struct engine *self, struct queue *queue)
{
    if (age_count(queue) > 0) {
        struct age_mark mark = queue->ages[queue->ages_first];
        if (mark.last_ms + queue->record.ttl_ms <= self->now_ms) {
            queue->ages_first++;
            if (queue_drop_below(self, queue, mark.seq_end, GONE_EXPIRED, mark.put_bytes_end) > 0) {
                engine_wait_for_store(self);
            }
        }
    }
    age_schedule(self, queue);
}

bool engine_restore_age(struct engine *self, uint64_t queue_id, uint64_t seq_end, uint64_t last_ms, uint64_t put_bytes_end)
{
    struct queue *queue = table_find(&self->queues_by_id, queue_id, 0);
    if (queue == NULL || !add_mark(queue, (struct age_mark){seq_end, last_ms, last_ms, put_bytes_end})) {
        return queue == NULL;
    }
    age_schedule(self, queue);
    return !self->out_of_memory;
}
