// The order of queues' names, for lists. It is made when it is asked for, and kept through a few queues that come and go, each of which
// moves what stands behind it: whoever lists and deletes in turn must not have all names sorted each time.
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum { CHANGES_KEPT = 64 };

static int compare_names(struct engine_bytes a, struct engine_bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static struct engine_bytes name_of(const struct queue *queue)
{
    return (struct engine_bytes){queue->record.name_len, (const uint8_t *)queue->record.name};
}

static int compare_queues(const void *a, const void *b)
{
    const struct queue *x;
    const struct queue *y;
    memcpy(&x, a, sizeof(void *));
    memcpy(&y, b, sizeof(void *));
    return compare_names(name_of(x), name_of(y));
}

static bool sort(struct engine *self)
{
    if (self->queues_sorted != NULL) {
        return true;
    }
    self->queues_sorted = malloc((self->queue_count + CHANGES_KEPT) * sizeof(struct queue *));
    if (self->queues_sorted == NULL) {
        return false;
    }
    size_t count = 0;
    for (size_t i = 0; self->queues_by_id.slots != NULL && i <= self->queues_by_id.mask; i++) {
        struct queue *queue = self->queues_by_id.slots[i].value;
        if (queue != NULL && !queue->record.deleted) {
            self->queues_sorted[count++] = queue;
        }
    }
    qsort(self->queues_sorted, count, sizeof(struct queue *), compare_queues);
    self->queues_sorted_changes = 0;
    return true;
}

// How many names are not greater.
static size_t place_after(const struct engine *self, struct engine_bytes name)
{
    size_t low = 0;
    size_t high = self->queue_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_names(name_of(self->queues_sorted[middle]), name) > 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

struct queue *engine_queue_after(struct engine *self, struct engine_bytes after)
{
    if (!sort(self)) {
        engine_no_memory(self);
        return NULL;
    }
    size_t place = place_after(self, after);
    return place < self->queue_count ? self->queues_sorted[place] : NULL;
}

// False: the order is not kept any more.
static bool may_change(struct engine *self)
{
    if (self->queues_sorted != NULL && ++self->queues_sorted_changes > CHANGES_KEPT) {
        free(self->queues_sorted);
        self->queues_sorted = NULL;
    }
    return self->queues_sorted != NULL;
}

void names_add(struct engine *self, struct queue *queue)
{
    if (may_change(self)) {
        struct queue **place = self->queues_sorted + place_after(self, name_of(queue));
        size_t behind = (size_t)(self->queues_sorted + self->queue_count - place);
        memmove(place + 1, place, behind * sizeof(struct queue *));
        *place = queue;
    }
}

void names_remove(struct engine *self, const struct queue *queue)
{
    if (may_change(self)) {
        struct queue **behind = self->queues_sorted + place_after(self, name_of(queue));
        size_t count = (size_t)(self->queues_sorted + self->queue_count - behind);
        memmove(behind - 1, behind, count * sizeof(struct queue *));
    }
}
