// get: lease the lowest ready items, at most a fair share of them.
#include <stdlib.h>

#include "internal.h"

// Delayed items that the cursor reaches are passed by: they keep their seq and come back below it.
static void pass_delayed(struct queue *queue)
{
    while (heap_min_key(&queue->ahead) == queue->record.cursor) {
        struct item *item = heap_object(heap_min(&queue->ahead), struct item, by_seq);
        heap_remove(&queue->ahead, &item->by_seq);
        queue->ahead_bytes -= item->bytes;
        queue->record.cursor_put_bytes += item->bytes;
        queue->record.cursor++;
    }
}

static void pass_damaged(struct engine *self, struct queue *queue)
{
    engine_record(self, &(struct change){.kind = CHANGE_QUARANTINE,
                                         .as.quarantine = {.queue_id = queue->record.queue_id, .seq = queue->record.cursor}});
    queue->record.quarantined++;
    queue->record.cursor++;
    engine_wait_for_store(self); // it is no longer unfinished: a join may be answered
    queue_touch(self, queue);
}

bool cursor_item(struct engine *self, struct queue *queue, uint32_t *bytes, uint64_t *put_bytes)
{
    for (pass_delayed(queue); queue->record.cursor < queue->record.next_seq; pass_delayed(queue)) {
        enum engine_status status = item_size(self, queue, queue->record.cursor, bytes, put_bytes);
        if (status == ENGINE_OK) {
            queue->record.cursor_put_bytes = *put_bytes; // behind damaged ones
            return true;
        }
        if (status != ENGINE_EMPTY) { // it is there, for all we know
            engine_no_memory(self);
            return false;
        }
        pass_damaged(self, queue);
    }
    queue->record.cursor_put_bytes = queue->record.put_bytes;
    return false;
}

// The next ready item, and what it weighs. False: none (damaged ones are set aside on the way).
static bool next_ready(struct engine *self, struct queue *queue, struct item **returned, uint32_t *bytes, uint64_t *put_bytes)
{
    struct heap_node *node = heap_min(&queue->returned);
    if (node != NULL) { // always below the cursor
        *returned = heap_object(node, struct item, by_seq);
        *bytes = (*returned)->bytes;
        return true;
    }
    *returned = NULL;
    return cursor_item(self, queue, bytes, put_bytes);
}

static struct item *take_fresh(struct engine *self, struct queue *queue, struct run *run, uint32_t bytes, uint64_t put_bytes)
{
    uint64_t seq = queue->record.cursor;
    struct item *item = item_create(self, queue, seq, bytes);
    if (item == NULL) {
        return NULL;
    }
    item->covered = true;
    item->redelivered = seq < queue->redelivered_below;
    queue->record.cursor = seq + 1;
    queue->record.cursor_put_bytes = put_bytes + bytes;
    if (run->first_seq == 0) {
        run->first_seq = seq;
        run->redelivered = item->redelivered;
    }
    run->last_seq = seq;
    return item;
}

static struct item *take_returned(struct engine *self, struct item *item)
{
    item_leave_state(self, item);
    item_changed(self, item);
    return item;
}

// A run's record has one flag for all its items; the few where it would be wrong get a record of their own.
static void settle_redelivered(struct engine *self, struct run *run, struct item *item)
{
    if (item->covered && item->redelivered != run->redelivered) {
        item_changed(self, item);
    }
}

static void grant_add(struct engine_grant *grant, const struct item *item)
{
    grant->items[grant->count++] = (struct engine_granted){
        .seq = item->seq, .delivery = item->deliveries, .failures = item->failures, .redelivered = item->redelivered};
    if (item->seq > grant->highest_seq) {
        grant->highest_seq = item->seq;
    }
}

static bool lease_items(struct engine *self, struct queue *queue, struct run *run, size_t max_items, uint64_t max_bytes,
                        struct engine_grant *grant)
{
    uint64_t total = 0;
    while (grant->count < max_items) {
        struct item *item;
        uint32_t bytes = 0;
        uint64_t put_bytes = 0;
        if (!next_ready(self, queue, &item, &bytes, &put_bytes) || (grant->count > 0 && total + bytes > max_bytes)) {
            return !self->out_of_memory;
        }
        item = item != NULL ? take_returned(self, item) : take_fresh(self, queue, run, bytes, put_bytes);
        if (item == NULL) {
            return false;
        }
        total += bytes;
        item->deliveries++;
        item->leased_now = true;
        item->index = (uint32_t)grant->count;
        run_add(run, item);
        settle_redelivered(self, run, item);
        queue->record.redelivered += item->redelivered ? 1 : 0;
        grant_add(grant, item);
    }
    return true;
}

static size_t fair_share(const struct queue *queue, const struct attachment *attachment)
{
    uint64_t consumers = queue->consumers;
    if (attachment->leases == 0 && attachment->waits == 0) {
        consumers++;
    }
    uint64_t ready = queue_ready(queue);
    uint64_t share = (ready + consumers - 1) / consumers;
    return share > SIZE_MAX ? SIZE_MAX : (size_t)share;
}

static enum engine_status lease(struct engine *self, struct queue *queue, struct attachment *attachment,
                                const struct engine_get *get, size_t count, struct engine_grant *out)
{
    out->items = malloc(count * sizeof(*out->items)); // as many as are filled in are looked at
    struct run *run = out->items == NULL ? NULL : run_create(self, attachment);
    if (run == NULL) {
        return engine_no_memory(self);
    }
    run->get_id = get->get_id;
    run->got_ms = self->now_ms;
    run->taken = get->max_items == 1 ? 1 : 0; // whoever asks for one has use for it now
    run->lease_ms = get->lease_ms > 0 ? get->lease_ms : queue->record.lease_ms;
    run->hold_max_ms = get->hold_max_ms > 0 ? get->hold_max_ms : queue->record.hold_max_ms;
    bool leased = lease_items(self, queue, run, count, get->max_bytes, out);
    queue_touch(self, queue);
    if (out->count == 0) { // all that seemed ready was damaged; a run without items would never end
        run_free(self, run);
        return leased ? ENGINE_EMPTY : engine_no_memory(self);
    }
    if (out->count < count) {
        out->items = engine_granted_fit(out->items, out->count);
    }
    queue->record.gets += out->count;
    run_changed(self, run);
    if (!leased || !run_start(self, run)) {
        return engine_no_memory(self);
    }
    out->queue_id = queue->record.queue_id;
    out->get_id = get->get_id;
    out->lease_ms = run->lease_ms;
    out->hold_max_ms = run->hold_max_ms;
    return ENGINE_OK;
}

enum engine_status engine_get(struct engine *self, uint64_t now_ms, struct queue *queue, const struct engine_get *get,
                              struct engine_grant *out)
{
    *out = (struct engine_grant){0};
    engine_advance(self, now_ms);
    struct session *session = session_find(self, get->session_no);
    if (session == NULL) {
        return ENGINE_NO_SESSION;
    }
    struct attachment *attachment = session_attach(self, session, queue);
    if (attachment == NULL) {
        return engine_no_memory(self);
    }
    if (queue_ready(queue) == 0) {
        bool drained = queue->record.state != QUEUE_OPEN && queue->delayed.count == 0;
        return drained ? ENGINE_SHUT_DOWN : ENGINE_EMPTY;
    }
    if (session->leases >= self->config.leases_per_session_max) {
        return ENGINE_LIMIT_REACHED;
    }
    size_t count = fair_share(queue, attachment);
    uint64_t may = self->config.leases_per_session_max - session->leases;
    count = count < get->max_items ? count : get->max_items;
    count = count < may ? count : (size_t)may;
    if (get->get_id > session->last_get_id) {
        session->last_get_id = get->get_id;
    }
    enum engine_status status = lease(self, queue, attachment, get, count, out);
    if (status != ENGINE_OK) {
        engine_grant_clear(out);
    }
    return status;
}

struct engine_granted *engine_granted_fit(struct engine_granted *items, size_t count)
{
    if (count == 0) {
        free(items);
        return NULL;
    }
    struct engine_granted *fit = realloc(items, count * sizeof(*items));
    if (fit == NULL) {
        return items; // as large as they were
    }
    return fit;
}

void engine_grant_clear(struct engine_grant *grant)
{
    free(grant->items);
    *grant = (struct engine_grant){0};
}
