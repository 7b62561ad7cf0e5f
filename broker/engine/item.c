// Items that have a state of their own: leased, returned or delayed.
#include <assert.h>

#include "internal.h"

struct item *item_find(const struct engine *self, const struct queue *queue, uint64_t seq)
{
    return item_index_find(&self->items, queue->record.queue_id, seq);
}

struct item *item_create(struct engine *self, struct queue *queue, uint64_t seq, uint32_t bytes)
{
    struct item *item = pool_get(&self->item_pool);
    if (item == NULL || !item_index_add(&self->items, queue->record.queue_id, seq, item)) {
        if (item != NULL) {
            pool_put(&self->item_pool, item);
        }
        engine_no_memory(self);
        return NULL;
    }
    item->queue = queue;
    item->seq = seq;
    item->bytes = bytes;
    return item;
}

void item_free(struct engine *self, struct item *item)
{
    assert(item->run == NULL && !heap_node_is_in(&item->by_seq) && !heap_node_is_in(&item->by_due));
    if (link_is_linked(&item->dirty_link)) {
        list_remove(&self->dirty_items, &item->dirty_link);
    }
    item_index_remove(&self->items, item->queue->record.queue_id, item->seq);
    pool_put(&self->item_pool, item);
}

void item_changed(struct engine *self, struct item *item)
{
    self->lazy = true;
    item->covered = false;
    if (!link_is_linked(&item->dirty_link)) {
        list_push_back(&self->dirty_items, &item->dirty_link);
    }
}

void item_forget_record(struct engine *self, struct item *item)
{
    if (link_is_linked(&item->dirty_link)) {
        list_remove(&self->dirty_items, &item->dirty_link);
    }
    if (item->has_record) {
        engine_record(self, &(struct change){.kind = CHANGE_ITEM_DROP,
                                             .as.item_drop = {.queue_id = item->queue->record.queue_id, .seq = item->seq}});
        item->has_record = false;
    }
}

bool item_to_returned(struct engine *self, struct item *item)
{
    struct queue *queue = item->queue;
    if (!heap_insert(&queue->returned, &item->by_seq, item->seq)) {
        item_free(self, item);
        engine_no_memory(self);
        return false;
    }
    item->state = ITEM_READY;
    queue->returned_bytes += item->bytes;
    item_changed(self, item);
    queue_touch(self, queue);
    return true;
}

bool item_to_delayed(struct engine *self, struct item *item, uint64_t due_ms)
{
    struct queue *queue = item->queue;
    if (!heap_insert(&self->delayed, &item->by_due, due_ms)) {
        item_free(self, item);
        engine_no_memory(self);
        return false;
    }
    item->state = ITEM_DELAYED;
    item->due_ms = due_ms;
    list_push_back(&queue->delayed, &item->in_queue);
    queue->delayed_bytes += item->bytes;
    if (item->put_delayed) {
        queue->put_delayed++;
        queue->put_delayed_bytes += item->bytes;
    }
    item_changed(self, item);
    queue_touch(self, queue);
    return true;
}

static void leave_delayed(struct engine *self, struct item *item)
{
    struct queue *queue = item->queue;
    heap_remove(&self->delayed, &item->by_due);
    list_remove(&queue->delayed, &item->in_queue);
    queue->delayed_bytes -= item->bytes;
    if (item->put_delayed) {
        queue->put_delayed--;
        queue->put_delayed_bytes -= item->bytes;
        item->put_delayed = false;
    }
    if (heap_node_is_in(&item->by_seq)) {
        heap_remove(&queue->ahead, &item->by_seq);
        queue->ahead_bytes -= item->bytes;
    }
}

void item_leave_state(struct engine *self, struct item *item)
{
    switch (item->state) {
    case ITEM_READY:
        heap_remove(&item->queue->returned, &item->by_seq);
        item->queue->returned_bytes -= item->bytes;
        break;
    case ITEM_DELAYED:
        leave_delayed(self, item);
        break;
    case ITEM_LEASED:
        run_drop_item(self, item);
        break;
    }
}

void item_finish(struct engine *self, struct item *item)
{
    struct queue *queue = item->queue;
    uint64_t seq = item->seq;
    item_leave_state(self, item);
    item_free(self, item);
    engine_record(self, &(struct change){.kind = CHANGE_REMOVE,
                                         .as.remove = {.queue_id = queue->record.queue_id, .first_seq = seq, .last_seq = seq}});
    queue_touch(self, queue);
}

static enum gone_kind gone_kind_of(const struct queue *queue)
{
    if (queue->record.state == QUEUE_SHUT_DOWN_AT_ONCE) {
        return GONE_DROPPED;
    }
    return queue->record.ttl_ms > 0 ? GONE_EXPIRED : GONE_PURGED;
}

void item_return(struct engine *self, struct item *item, bool failed, uint64_t delay_ms)
{
    struct queue *queue = item->queue;
    item->redelivered = true;
    if (item->seq < queue->record.gone_below) {
        queue_count_gone(queue, gone_kind_of(queue), 1);
        item_finish(self, item);
        engine_wait_for_store(self); // it is no longer unfinished: a join may be answered
        return;
    }
    if (failed) {
        item->failures++;
        queue->record.failed++;
        if (queue->record.max_deliveries > 0 && item->failures >= queue->record.max_deliveries) {
            static const char reason[] = "max-deliveries";
            item_to_dead_letter(self, item, (struct engine_bytes){sizeof(reason) - 1, (const uint8_t *)reason});
            return;
        }
    } else {
        queue->record.requeued++;
    }
    item_leave_state(self, item);
    if (delay_ms > 0) {
        item_to_delayed(self, item, self->now_ms + delay_ms);
    } else {
        item_to_returned(self, item);
    }
}
