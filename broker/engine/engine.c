// Making and ending an engine, its time, and the bookkeeping of what is to be stored.
#include <assert.h>
#include <stdlib.h>

#include "internal.h"

static void init_lists(struct engine *self)
{
    struct list *lists[] = {&self->sessions,   &self->streams_by_use, &self->orphans,        &self->touched,
                            &self->reclaims,   &self->graveyard,      &self->dirty_queues,   &self->dirty_items,
                            &self->dirty_runs, &self->dirty_streams,  &self->dirty_sessions, &self->sealed_queues};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        list_init(lists[i]);
    }
}

static void seed_tables(struct engine *self)
{
    struct table *tables[] = {&self->queues_by_hash, &self->streams, &self->sessions_by_id, &self->runs_by_get};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        tables[i]->seed = self->config.hash_seed;
    }
}

struct engine *engine_create(const struct engine_config *config, const struct engine_source *source, uint64_t epoch,
                             uint64_t now_ms)
{
    struct engine *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->config = *config;
    self->source = *source;
    self->epoch = epoch;
    self->now_ms = now_ms;
    self->next_queue_id = 1;
    self->next_session_no = 1;
    self->meta_dirty = true;
    init_lists(self);
    seed_tables(self);
    item_index_init(&self->items);
    pool_init(&self->item_pool, sizeof(struct item));
    pool_init(&self->run_pool, sizeof(struct run));
    pool_init(&self->stream_pool, sizeof(struct stream));
    pool_init(&self->attachment_pool, sizeof(struct attachment));
    return self;
}

static void free_queues(struct engine *self)
{
    for (size_t i = 0; self->queues_by_id.slots != NULL && i <= self->queues_by_id.mask; i++) {
        struct queue *queue = self->queues_by_id.slots[i].value;
        if (queue != NULL) {
            heap_fini(&queue->returned);
            heap_fini(&queue->ahead);
            free(queue->recent);
            free(queue->ages);
            free(queue);
        }
    }
    free(self->queues_sorted);
}

void engine_destroy(struct engine **self_p)
{
    struct engine *self = *self_p;
    if (self == NULL) {
        return;
    }
    free_queues(self);
    for (struct link *link = list_pop_front(&self->sessions); link != NULL; link = list_pop_front(&self->sessions)) {
        free(list_object(link, struct session, in_engine));
    }
    struct table *tables[] = {&self->queues_by_id,   &self->queues_by_hash, &self->streams,    &self->sessions_by_no,
                              &self->sessions_by_id, &self->attachments,    &self->runs_by_get};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        table_fini(tables[i]);
    }
    for (size_t i = 0; i < self->dead_heaps_count; i++) {
        heap_fini(&self->dead_heaps[i]);
    }
    free(self->dead_heaps);
    heap_fini(&self->deadlines);
    heap_fini(&self->delayed);
    heap_fini(&self->expiries);
    item_index_fini(&self->items);
    pool_fini(&self->item_pool);
    pool_fini(&self->run_pool);
    pool_fini(&self->stream_pool);
    pool_fini(&self->attachment_pool);
    free(self);
    *self_p = NULL;
}

bool engine_failed(const struct engine *self)
{
    return self->out_of_memory;
}

uint64_t engine_epoch(const struct engine *self)
{
    return self->epoch;
}

uint64_t engine_now_ms(const struct engine *self)
{
    return self->now_ms;
}

uint64_t engine_advance(struct engine *self, uint64_t now_ms)
{
    if (now_ms > self->now_ms) {
        self->now_ms = now_ms;
    }
    return self->now_ms;
}

enum engine_status engine_no_memory(struct engine *self)
{
    self->out_of_memory = true;
    return ENGINE_NO_MEMORY;
}

// ------------------------------------------------------------------------------------------------------- what is to be stored

void engine_set_changes(struct engine *self, struct changes *changes)
{
    self->changes = changes;
}

enum engine_pending engine_pending(const struct engine *self)
{
    if (self->waited) {
        return ENGINE_PENDING_WAITED;
    }
    return self->lazy || self->meta_dirty ? ENGINE_PENDING_LAZY : ENGINE_PENDING_NONE;
}

void engine_record(struct engine *self, const struct change *change)
{
    self->lazy = true;
    if (!changes_add(self->changes, change)) {
        engine_no_memory(self);
    }
}

void engine_wait_for_store(struct engine *self)
{
    self->waited = true;
}

void queue_changed(struct engine *self, struct queue *queue)
{
    self->lazy = true;
    if (!link_is_linked(&queue->dirty_link)) {
        list_push_back(&self->dirty_queues, &queue->dirty_link);
    }
}

void queue_touch(struct engine *self, struct queue *queue)
{
    queue_changed(self, queue);
    if (!link_is_linked(&queue->touched_link)) {
        list_push_back(&self->touched, &queue->touched_link);
    }
}

struct queue *engine_next_touched(struct engine *self)
{
    struct link *link = list_pop_front(&self->touched);
    return link == NULL ? NULL : list_object(link, struct queue, touched_link);
}

static void collect_queues(struct engine *self)
{
    for (struct link *link = list_pop_front(&self->dirty_queues); link != NULL; link = list_pop_front(&self->dirty_queues)) {
        struct queue *queue = list_object(link, struct queue, dirty_link);
        struct queue_record record;
        engine_queue_stats(queue, &record);
        engine_record(self, &(struct change){.kind = CHANGE_QUEUE, .as.queue = &record});
        queue->sealed_seq = queue->record.next_seq;
        if (!link_is_linked(&queue->sealed_link)) {
            list_push_back(&self->sealed_queues, &queue->sealed_link);
        }
    }
}

static struct item_record item_to_record(const struct item *item)
{
    struct item_record record = {
        .queue_id = item->queue->record.queue_id,
        .seq = item->seq,
        .state = (uint8_t)item->state,
        .redelivered = item->redelivered,
        .put_delayed = item->put_delayed,
        .deliveries = item->deliveries,
        .failures = item->failures,
        .due_ms = item->state == ITEM_DELAYED  ? item->due_ms
                  : item->state == ITEM_LEASED ? item->index
                                               : 0,
        .session_no = item->last_session_no,
    };
    if (item->state == ITEM_LEASED) {
        record.get_id = item->run->get_id;
        record.got_ms = item->run->got_ms;
        record.lease_ms = item->run->lease_ms;
        record.hold_max_ms = item->run->hold_max_ms;
        record.taken = item->index < item->run->taken;
    }
    return record;
}

static void collect_items(struct engine *self)
{
    for (struct link *link = list_pop_front(&self->dirty_items); link != NULL; link = list_pop_front(&self->dirty_items)) {
        struct item *item = list_object(link, struct item, dirty_link);
        struct item_record record = item_to_record(item);
        item->has_record = true;
        if (item->state == ITEM_LEASED && !item->run->session->stored) {
            session_changed(self, item->run->session);
        }
        engine_record(self, &(struct change){.kind = CHANGE_ITEM, .as.item = &record});
    }
}

// In the answer the items of a run may stand behind others that were ready before: in its record only its own stretch counts.
static uint32_t taken_of_stretch(const struct run *run)
{
    uint32_t taken = 0;
    for (struct link *link = list_first(&run->items); run->taken > 0 && link != NULL; link = list_next(&run->items, link)) {
        const struct item *item = list_object(link, struct item, in_run);
        if (item->covered && item->index < run->taken) {
            taken = (uint32_t)(item->seq - run->first_seq + 1);
        }
    }
    return taken;
}

static void collect_runs(struct engine *self)
{
    for (struct link *link = list_pop_front(&self->dirty_runs); link != NULL; link = list_pop_front(&self->dirty_runs)) {
        struct run *run = list_object(link, struct run, dirty_link);
        struct run_record record = {
            .queue_id = run->queue->record.queue_id,
            .first_seq = run->first_seq,
            .last_seq = run->last_seq,
            .session_no = run->session->no,
            .get_id = run->get_id,
            .got_ms = run->got_ms,
            .lease_ms = run->lease_ms,
            .hold_max_ms = run->hold_max_ms,
            .taken = taken_of_stretch(run),
            .redelivered = run->redelivered,
        };
        run->stored = true;
        if (!run->session->stored) {
            session_changed(self, run->session);
        }
        engine_record(self, &(struct change){.kind = CHANGE_RUN, .as.run = &record});
    }
}

static void collect_streams(struct engine *self)
{
    for (struct link *link = list_pop_front(&self->dirty_streams); link != NULL; link = list_pop_front(&self->dirty_streams)) {
        struct stream *stream = list_object(link, struct stream, dirty_link);
        struct stream_record record = {
            .queue_id = stream->queue->record.queue_id,
            .stream = stream->id,
            .last_number = stream->last_number,
            .last_seq = stream->last_seq,
            .used_ms = stream->used_ms,
        };
        stream->stored = true;
        engine_record(self, &(struct change){.kind = CHANGE_STREAM, .as.stream = &record});
    }
}

// Only sessions that hold leases are worth a record: the others lose nothing by starting anew.
static void collect_sessions(struct engine *self)
{
    for (struct link *link = list_pop_front(&self->dirty_sessions); link != NULL; link = list_pop_front(&self->dirty_sessions)) {
        struct session *session = list_object(link, struct session, dirty_link);
        if (session->leases == 0) {
            continue;
        }
        struct session_record record = {.session_no = session->no, .renewed_ms = session->renewed_ms, .workers = session->workers};
        for (size_t i = 0; i < ENGINE_SESSION_ID_BYTES; i++) {
            record.id[i] = session->id[i];
        }
        for (size_t i = 0; i < ENGINE_RESUME_TOKEN_BYTES; i++) {
            record.token[i] = session->token[i];
        }
        session->stored = true;
        engine_record(self, &(struct change){.kind = CHANGE_SESSION, .as.session = &record});
    }
}

// What is told from time to time only, because a crash may forget it: how alive sessions are, and what their applications have taken.
static void touch_all_leases(struct engine *self)
{
    for (struct link *s = list_first(&self->sessions); s != NULL; s = list_next(&self->sessions, s)) {
        struct session *session = list_object(s, struct session, in_engine);
        for (struct link *r = list_first(&session->runs); r != NULL; r = list_next(&session->runs, r)) {
            struct run *run = list_object(r, struct run, in_session);
            run_changed(self, run);
            for (struct link *i = list_first(&run->items); i != NULL; i = list_next(&run->items, i)) {
                struct item *item = list_object(i, struct item, in_run);
                // Its run's record tells its place in the answer only where that follows from its seq.
                if (!item->covered || item->index != item->seq - run->first_seq) {
                    item_changed(self, item);
                }
            }
        }
        session_changed(self, session);
    }
}

// Since a crash, items that nobody has leased again may have been handed out before it. What a graceful stop stores must not end that
// doubt: the next start begins as after a crash.
static bool deliveries_are_in_doubt(const struct engine *self)
{
    for (size_t i = 0; self->queues_by_id.slots != NULL && i <= self->queues_by_id.mask; i++) {
        const struct queue *queue = self->queues_by_id.slots[i].value;
        if (queue != NULL && queue->record.cursor < queue->redelivered_below) {
            return true;
        }
    }
    return false;
}

void engine_collect(struct engine *self, uint64_t now_ms, bool clean)
{
    engine_advance(self, now_ms);
    if (clean) {
        touch_all_leases(self);
    }
    collect_items(self);
    collect_runs(self);
    collect_sessions(self);
    collect_streams(self);
    collect_queues(self);
    struct meta_record meta = {.now_ms = self->now_ms,
                               .epoch = self->epoch,
                               .next_queue_id = self->next_queue_id,
                               .next_session_no = self->next_session_no,
                               .clean = clean && !deliveries_are_in_doubt(self)};
    engine_record(self, &(struct change){.kind = CHANGE_META, .as.meta = &meta});
    self->waited = false;
    self->lazy = false;
    self->meta_dirty = false;
    self->reclaimed_in_group = false;
    self->moved_bytes = 0;
    self->put_bytes = 0;
}

uint64_t engine_put_bytes(const struct engine *self)
{
    return self->put_bytes;
}

uint64_t engine_moved_bytes(const struct engine *self)
{
    return self->moved_bytes;
}

void engine_mark_durable(struct engine *self)
{
    for (struct link *link = list_pop_front(&self->sealed_queues); link != NULL; link = list_pop_front(&self->sealed_queues)) {
        struct queue *queue = list_object(link, struct queue, sealed_link);
        queue->durable_seq = queue->sealed_seq;
        recent_drop_durable(queue);
    }
}

enum engine_durability engine_durability(const struct queue *queue, uint64_t seq)
{
    if (seq < queue->durable_seq) {
        return ENGINE_DURABLE;
    }
    return seq < queue->sealed_seq ? ENGINE_SEALED : ENGINE_OPEN;
}

// ---------------------------------------------------------------------------------------------------------------------- time

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t engine_next_deadline_ms(const struct engine *self)
{
    if (reclaim_is_due(self)) {
        return 0;
    }
    uint64_t next = min_u64(runs_next_deadline_ms(self), heap_min_key(&self->delayed));
    next = min_u64(next, heap_min_key(&self->expiries));
    next = min_u64(next, streams_next_deadline_ms(self));
    struct link *orphan = list_first(&self->orphans);
    if (orphan != NULL) {
        next = min_u64(next, list_object(orphan, struct queue, orphan_link)->orphan_at_ms);
    }
    return next;
}

static void delays_end(struct engine *self, size_t *budget)
{
    while (*budget > 0 && heap_min_key(&self->delayed) <= self->now_ms) {
        struct item *item = heap_object(heap_min(&self->delayed), struct item, by_due);
        struct queue *queue = item->queue;
        (*budget)--;
        if (item->seq < queue->record.gone_below) {
            bury(self, item);
            continue;
        }
        bool fresh_again = heap_node_is_in(&item->by_seq);
        item_leave_state(self, item);
        if (fresh_again) { // the cursor has not come by: it is an item like any other now
            item_forget_record(self, item);
            item_free(self, item);
        } else if (!item_to_returned(self, item)) {
            return;
        }
        queue_touch(self, queue);
    }
}

static void ages_end(struct engine *self, size_t *budget)
{
    while (*budget > 0 && heap_min_key(&self->expiries) <= self->now_ms) {
        (*budget)--;
        age_expire(self, heap_object(heap_min(&self->expiries), struct queue, expiry));
    }
}

static void orphans_end(struct engine *self)
{
    struct link *link = list_first(&self->orphans);
    while (link != NULL && list_object(link, struct queue, orphan_link)->orphan_at_ms <= self->now_ms) {
        struct queue *queue = list_object(link, struct queue, orphan_link);
        list_remove(&self->orphans, link);
        if (queue->record.temporary && queue->attachments.count == 0) { // an update may have made it one that stays
            engine_delete(self, self->now_ms, queue);
        }
        link = list_first(&self->orphans);
    }
}

bool engine_tick(struct engine *self, uint64_t now_ms)
{
    size_t budget = TICK_BUDGET;
    engine_advance(self, now_ms);
    if (!runs_expire(self, &budget)) {
        engine_no_memory(self);
        return false;
    }
    delays_end(self, &budget);
    ages_end(self, &budget);
    streams_expire(self, &budget);
    orphans_end(self);
    if (reclaim_is_due(self)) {
        reclaim_slice(self);
    }
    return budget == 0;
}
