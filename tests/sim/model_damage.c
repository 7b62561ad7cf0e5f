// Items that cannot be read: they count until somebody comes to them, who sets them aside.
#include "model.h"

size_t model_damaged(const struct model *self, uint64_t queue_id)
{
    size_t count = 0;
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        count += self->items[i].used && self->items[i].queue_id == queue_id && self->items[i].damaged;
    }
    return count;
}

void model_quarantine(struct model *self, struct model_item *item)
{
    struct model_queue *queue = model_queue_of(self, item->queue_id);
    if (queue == NULL) {
        model_fail("a damaged item of no queue");
    }
    queue->quarantined++;
    item->used = false;
}

struct model_item *model_next_whole(struct model *self, const struct model_queue *queue)
{
    struct model_item *item = model_lowest_ready(self, queue->id, 0);
    for (; item != NULL && item->damaged; item = model_lowest_ready(self, queue->id, 0)) {
        model_quarantine(self, item);
    }
    return item;
}

void model_look_as_far_as(struct model *self, const struct model_queue *queue, uint64_t cursor, uint64_t seq)
{
    struct model_item *item = model_lowest_ready(self, queue->id, cursor);
    while (item != NULL && (item->damaged || item->seq < seq)) {
        uint64_t next = item->seq + 1;
        if (item->damaged) {
            model_quarantine(self, item);
        }
        item = model_lowest_ready(self, queue->id, next);
    }
}
