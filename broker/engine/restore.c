// A start on a store: records come back as queues, items, runs, streams and sessions.
#include <stdlib.h>
#include <string.h>

#include "internal.h"

bool engine_restore_meta(struct engine *self, const struct meta_record *record)
{
    engine_advance(self, record->now_ms);
    if (record->next_queue_id > self->next_queue_id) {
        self->next_queue_id = record->next_queue_id;
    }
    if (record->next_session_no > self->next_session_no) {
        self->next_session_no = record->next_session_no;
    }
    return true;
}

bool engine_restore_queue(struct engine *self, const struct queue_record *record)
{
    struct queue *queue = queue_restore_slot(self, record);
    if (queue == NULL) {
        return false;
    }
    if (record->queue_id >= self->next_queue_id) {
        self->next_queue_id = record->queue_id + 1;
    }
    if (record->deleted || record->reclaimed_below < record->gone_below) {
        queue_reclaim_later(self, queue);
    }
    return true;
}

static struct session *restore_session(struct engine *self, const struct session_record *record)
{
    uint64_t no;
    uint64_t next = self->next_session_no;
    self->next_session_no = record->session_no;
    enum engine_status status = engine_session_open(self, self->now_ms, record->id, record->token, &no);
    self->next_session_no = record->session_no >= next ? record->session_no + 1 : next;
    return status == ENGINE_OK ? session_find(self, no) : NULL;
}

bool engine_restore_session(struct engine *self, const struct session_record *record)
{
    struct session *session = restore_session(self, record);
    if (session == NULL) { // there may be fewer now: it has ended
        engine_record(self, &(struct change){.kind = CHANGE_SESSION_DROP, .as.session_drop = {.session_no = record->session_no}});
        return !self->out_of_memory;
    }
    session->renewed_ms = record->renewed_ms;
    session->workers = record->workers;
    session->stored = true;
    return true;
}

static struct run *restore_lease(struct engine *self, struct queue *queue, uint64_t session_no, uint64_t get_id)
{
    struct session *session = session_find(self, session_no);
    struct attachment *attachment = session == NULL ? NULL : session_attach(self, session, queue);
    struct run *run = attachment == NULL ? NULL : run_create(self, attachment);
    if (run != NULL) {
        run->get_id = get_id;
        if (get_id > session->last_get_id) {
            session->last_get_id = get_id;
        }
    }
    return run;
}

bool engine_restore_run(struct engine *self, const struct run_record *record)
{
    struct queue *queue = table_find(&self->queues_by_id, record->queue_id, 0);
    struct run *run = queue == NULL ? NULL : restore_lease(self, queue, record->session_no, record->get_id);
    if (run == NULL) { // its session or queue is gone: the items are found without a holder and return
        engine_record(self, &(struct change){.kind = CHANGE_RUN_DROP,
                                             .as.run_drop = {.queue_id = record->queue_id, .first_seq = record->first_seq}});
        return !self->out_of_memory;
    }
    run->first_seq = record->first_seq;
    run->last_seq = record->last_seq;
    run->got_ms = record->got_ms;
    run->lease_ms = record->lease_ms;
    run->hold_max_ms = record->hold_max_ms;
    run->taken = record->taken;
    run->redelivered = record->redelivered;
    run->stored = true;
    return true;
}

bool engine_restore_item(struct engine *self, const struct item_record *record)
{
    struct queue *queue = table_find(&self->queues_by_id, record->queue_id, 0);
    if (queue == NULL) {
        return true;
    }
    struct item *item = item_create(self, queue, record->seq, 0);
    if (item == NULL) {
        return false;
    }
    item->has_record = true;
    item->redelivered = record->redelivered;
    item->put_delayed = record->put_delayed;
    item->deliveries = record->deliveries;
    item->failures = record->failures;
    item->last_session_no = record->session_no;
    item->due_ms = record->due_ms;
    item->state = record->state;
    if (record->state == ITEM_LEASED) {
        struct run *run = restore_lease(self, queue, record->session_no, record->get_id);
        if (run == NULL) {
            item->state = ITEM_READY;
            item->redelivered = true;
            return !self->out_of_memory;
        }
        run->got_ms = record->got_ms;
        run->lease_ms = record->lease_ms;
        run->hold_max_ms = record->hold_max_ms;
        item->index = (uint32_t)record->due_ms;
        run->taken = record->taken ? item->index + 1 : 0;
        item->run = run; // until engine_restore_stored tells its size
    }
    return true;
}

bool engine_restore_stream(struct engine *self, const struct stream_record *record)
{
    struct queue *queue = table_find(&self->queues_by_id, record->queue_id, 0);
    if (queue == NULL || queue->record.deleted) {
        return true;
    }
    struct stream *stream = stream_create(self, queue, record->stream);
    if (stream == NULL) {
        return false;
    }
    stream->last_number = record->last_number;
    stream->last_seq = record->last_seq;
    stream->used_ms = record->used_ms;
    stream->stored = true;
    return true;
}

// ------------------------------------------------------------------------------------------------------------- stored items

// Items come rising by seq, and so do the runs of a queue: each search goes on where the one before ended.
static struct run *covering_run(struct queue *queue, uint64_t seq)
{
    struct link *link = queue->restore_run != NULL ? queue->restore_run : list_first(&queue->runs);
    for (; link != NULL; link = list_next(&queue->runs, link)) {
        struct run *run = list_object(link, struct run, in_queue);
        queue->restore_run = link;
        if (run->first_seq != 0 && seq <= run->last_seq) {
            return seq >= run->first_seq ? run : NULL;
        }
    }
    return NULL;
}

static void lease_again(struct run *run, struct item *item)
{
    item->run = NULL;
    run_add(run, item);
}

static bool restore_uncovered(struct engine *self, struct queue *queue, struct item *item)
{
    struct run *run = covering_run(queue, item->seq);
    if (run == NULL) {
        item->redelivered = true;
        return item_to_returned(self, item);
    }
    item->covered = true;
    item->deliveries = 1;
    item->redelivered = run->redelivered;
    item->index = (uint32_t)(item->seq - run->first_seq);
    run_add(run, item);
    return true;
}

static bool restore_delayed(struct engine *self, struct queue *queue, struct item *item)
{
    if (!item_to_delayed(self, item, item->due_ms)) {
        return false;
    }
    if (item->seq >= queue->record.cursor) {
        if (!heap_insert(&queue->ahead, &item->by_seq, item->seq)) {
            return false;
        }
        queue->ahead_bytes += item->bytes;
    }
    return true;
}

// A mark has gone over it since: what is left is to remove it.
static void restore_gone(struct engine *self, struct queue *queue, struct item *item)
{
    uint64_t seq = item->seq;
    item_free(self, item);
    engine_record(self, &(struct change){.kind = CHANGE_REMOVE,
                                         .as.remove = {.queue_id = queue->record.queue_id, .first_seq = seq, .last_seq = seq}});
}

bool engine_restore_stored(struct engine *self, uint64_t queue_id, uint64_t seq, uint32_t item_bytes)
{
    struct queue *queue = table_find(&self->queues_by_id, queue_id, 0);
    if (queue == NULL) {
        return true;
    }
    struct item *item = item_find(self, queue, seq);
    bool named = item != NULL;
    if (item == NULL) {
        if (seq >= queue->record.cursor) {
            return true;
        }
        item = item_create(self, queue, seq, item_bytes);
        if (item == NULL) {
            return false;
        }
    }
    item->bytes = item_bytes;
    bool leased = named ? item->state == ITEM_LEASED : covering_run(queue, seq) != NULL;
    if (!leased && seq < queue->record.gone_below) {
        restore_gone(self, queue, item);
        return !self->out_of_memory;
    }
    if (!named) {
        return restore_uncovered(self, queue, item);
    }
    if (item->state == ITEM_LEASED) {
        lease_again(item->run, item);
        return true;
    }
    return item->state == ITEM_DELAYED ? restore_delayed(self, queue, item) : item_to_returned(self, item);
}

// ---------------------------------------------------------------------------------------------------------------------- done

// Records that name items which are not stored are left over from something that went wrong: drop them.
static void drop_strays(struct engine *self)
{
    size_t at = 0;
    for (struct item *item = item_index_next(&self->items, &at); item != NULL; item = item_index_next(&self->items, &at)) {
        if (heap_node_is_in(&item->by_seq) || heap_node_is_in(&item->by_due) || link_is_linked(&item->in_run)) {
            continue;
        }
        item->run = NULL;
        item_forget_record(self, item);
        item_free(self, item);
        at = item_index_again(at);
    }
}

static uint64_t first_seq_of(const struct run *run)
{
    struct link *first = list_first(&run->items);
    return first == NULL ? 0 : list_object(first, struct item, in_run)->seq;
}

// The store knows records by queue and seq. Runs stand in the order of their gets, streams in that of their last use.
static int compare_runs(const void *a, const void *b)
{
    const struct run *x = list_object(*(struct link *const *)a, struct run, in_session);
    const struct run *y = list_object(*(struct link *const *)b, struct run, in_session);
    if (x->get_id != y->get_id) {
        return x->get_id < y->get_id ? -1 : 1;
    }
    uint64_t x_seq = first_seq_of(x);
    uint64_t y_seq = first_seq_of(y);
    return x_seq < y_seq ? -1 : x_seq > y_seq;
}

static int compare_streams(const void *a, const void *b)
{
    const struct stream *x = list_object(*(struct link *const *)a, struct stream, by_use);
    const struct stream *y = list_object(*(struct link *const *)b, struct stream, by_use);
    if (x->used_ms != y->used_ms) {
        return x->used_ms < y->used_ms ? -1 : 1;
    }
    if (x->queue->record.queue_id != y->queue->record.queue_id) {
        return x->queue->record.queue_id < y->queue->record.queue_id ? -1 : 1;
    }
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool sort_list(struct engine *self, struct list *list, int (*compare)(const void *a, const void *b))
{
    size_t count = list->count;
    if (count < 2) {
        return true;
    }
    struct link **links = malloc(count * sizeof(*links));
    if (links == NULL) {
        engine_no_memory(self);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        links[i] = list_pop_front(list);
    }
    qsort(links, count, sizeof(*links), compare);
    for (size_t i = 0; i < count; i++) {
        list_push_back(list, links[i]);
    }
    free(links);
    return true;
}

// In a get's answer the items that had come back stand in front of the stretch that its run's record names: how many?
static uint32_t places_in_front(const struct run *run)
{
    for (struct link *link = list_prev(&run->session->runs, &run->in_session); link != NULL;
         link = list_prev(&run->session->runs, link)) {
        const struct run *other = list_object(link, struct run, in_session);
        const struct item *item = list_object(list_first(&other->items), struct item, in_run);
        if (other->get_id != run->get_id || item->seq < run->first_seq) {
            return other->get_id == run->get_id ? item->index + 1 : 0;
        }
    }
    return 0;
}

static void place_stretches(const struct session *session)
{
    for (struct link *r = list_first(&session->runs); r != NULL; r = list_next(&session->runs, r)) {
        struct run *run = list_object(r, struct run, in_session);
        uint32_t places = run->first_seq == 0 ? 0 : places_in_front(run);
        for (struct link *i = list_first(&run->items); places > 0 && i != NULL; i = list_next(&run->items, i)) {
            list_object(i, struct item, in_run)->index += places;
        }
        run->taken += run->taken > 0 ? places : 0;
    }
}

static bool sort_restored(struct engine *self)
{
    for (struct link *link = list_first(&self->sessions); link != NULL; link = list_next(&self->sessions, link)) {
        struct session *session = list_object(link, struct session, in_engine);
        if (!sort_list(self, &session->runs, compare_runs)) {
            return false;
        }
        place_stretches(session);
    }
    return sort_list(self, &self->streams_by_use, compare_streams);
}

static void doubt(struct engine *self, struct item *item)
{
    item->redelivered = true;
    if (item->covered) { // its run's record speaks for all that it covers
        item->run->redelivered = true;
        run_changed(self, item->run);
    } else {
        item_changed(self, item);
    }
}

// After a crash: what is ready may have been handed out since the last commit. So may what is on lease: the lease may have ended, the
// item have gone to another; if its get is answered again, the answer says so.
static void doubt_deliveries(struct engine *self)
{
    size_t at = 0;
    for (struct item *item = item_index_next(&self->items, &at); item != NULL; item = item_index_next(&self->items, &at)) {
        bool ready = item->state == ITEM_READY || (item->state == ITEM_DELAYED && item->due_ms <= self->now_ms);
        if ((ready || item->state == ITEM_LEASED) && !item->redelivered) {
            doubt(self, item);
        }
    }
}

static bool start_runs(struct engine *self, struct queue *queue)
{
    for (struct link *link = list_first(&queue->runs); link != NULL;) {
        struct run *run = list_object(link, struct run, in_queue);
        link = list_next(&queue->runs, link);
        if (run->items.count == 0) {
            run_free(self, run);
        } else if (!run_start(self, run)) {
            return false;
        }
    }
    return true;
}

bool engine_restore_done(struct engine *self, bool clean)
{
    drop_strays(self);
    for (size_t i = 0; self->queues_by_id.slots != NULL && i <= self->queues_by_id.mask; i++) {
        struct queue *queue = self->queues_by_id.slots[i].value;
        if (queue == NULL) {
            continue;
        }
        if (!start_runs(self, queue)) {
            return false;
        }
        if (!clean) { // gets pass by what is delayed
            uint64_t horizon = queue->record.cursor + ENGINE_UNFLUSHED_LEASES_MAX + queue->ahead.count;
            queue->found_below = queue->record.next_seq;
            queue->redelivered_below = horizon < queue->record.next_seq ? horizon : queue->record.next_seq;
        }
        if (queue->record.temporary && !queue->record.deleted) {
            queue->orphan_at_ms = self->now_ms + self->config.orphan_ms;
            list_push_back(&self->orphans, &queue->orphan_link);
        }
    }
    if (!clean) {
        doubt_deliveries(self);
    }
    return sort_restored(self) && !self->out_of_memory;
}
