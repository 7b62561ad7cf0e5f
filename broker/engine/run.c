// Runs: the leases of one get. They end together, so that one deadline and one record serve all of them.
#include <assert.h>

#include "internal.h"

struct run *run_create(struct engine *self, struct attachment *attachment)
{
    struct run *run = pool_get(&self->run_pool);
    if (run == NULL) {
        engine_no_memory(self);
        return NULL;
    }
    run->attachment = attachment;
    run->queue = attachment->queue;
    run->session = attachment->session;
    attachment->runs++;
    list_init(&run->items);
    list_push_back(&run->session->runs, &run->in_session);
    list_push_back(&run->queue->runs, &run->in_queue);
    return run;
}

uint64_t run_deadline_ms(const struct run *run)
{
    uint64_t renewed = run->session->renewed_ms > run->got_ms ? run->session->renewed_ms : run->got_ms;
    uint64_t lease_end = renewed + run->lease_ms;
    uint64_t hold_end = run->got_ms + run->hold_max_ms;
    return lease_end < hold_end ? lease_end : hold_end;
}

bool run_start(struct engine *self, struct run *run)
{
    if (table_find(&self->runs_by_get, run->session->no, run->get_id) == NULL &&
        !table_insert(&self->runs_by_get, run->session->no, run->get_id, run)) {
        return false;
    }
    return heap_insert(&self->deadlines, &run->deadline, run_deadline_ms(run));
}

void run_changed(struct engine *self, struct run *run)
{
    self->lazy = true;
    if (run->first_seq != 0 && !link_is_linked(&run->dirty_link)) {
        list_push_back(&self->dirty_runs, &run->dirty_link);
    }
}

void run_add(struct run *run, struct item *item)
{
    item->run = run;
    item->state = ITEM_LEASED;
    item->last_session_no = run->session->no;
    list_push_back(&run->items, &item->in_run);
    run->session->leases++;
    run->queue->leased++;
    attachment_leases(run->attachment, 1);
}

// Runs of one get stand side by side: another one of them is found in its place from now on.
static void forget_get(struct engine *self, struct run *run)
{
    if (table_find(&self->runs_by_get, run->session->no, run->get_id) != run) {
        return;
    }
    table_remove(&self->runs_by_get, run->session->no, run->get_id);
    struct link *beside[] = {list_prev(&run->session->runs, &run->in_session), list_next(&run->session->runs, &run->in_session)};
    for (size_t i = 0; i < 2; i++) {
        struct run *other = beside[i] == NULL ? NULL : list_object(beside[i], struct run, in_session);
        if (other != NULL && other->get_id == run->get_id) {
            table_insert(&self->runs_by_get, run->session->no, run->get_id, other); // there is room: one was just taken out
            return;
        }
    }
}

void run_free(struct engine *self, struct run *run)
{
    assert(run->items.count == 0);
    if (heap_node_is_in(&run->deadline)) {
        heap_remove(&self->deadlines, &run->deadline);
    }
    if (link_is_linked(&run->dirty_link)) {
        list_remove(&self->dirty_runs, &run->dirty_link);
    }
    if (run->stored) {
        engine_record(self,
                      &(struct change){.kind = CHANGE_RUN_DROP,
                                       .as.run_drop = {.queue_id = run->queue->record.queue_id, .first_seq = run->first_seq}});
    }
    forget_get(self, run);
    run->attachment->runs--;
    list_remove(&run->session->runs, &run->in_session);
    list_remove(&run->queue->runs, &run->in_queue);
    pool_put(&self->run_pool, run);
}

void run_drop_item(struct engine *self, struct item *item)
{
    struct run *run = item->run;
    list_remove(&run->items, &item->in_run);
    item->run = NULL;
    run->session->leases--;
    run->queue->leased--;
    attachment_leases(run->attachment, -1);
    if (run->items.count == 0) {
        run_free(self, run);
    }
}

static void run_expire(struct engine *self, struct run *run)
{
    size_t left = run->items.count; // the run is freed with its last item
    for (struct link *link = list_first(&run->items); left > 0 && link != NULL; left--) {
        struct item *item = list_object(link, struct item, in_run);
        link = list_next(&run->items, link);
        item_return(self, item, item->in_work, 0);
    }
}

// All of a session's runs that are due, at once: which of their items count as failed must not depend on which one goes first.
static void session_expire(struct engine *self, struct session *session, size_t *budget)
{
    session_mark_in_work(self, session);
    for (struct link *link = list_first(&session->runs); link != NULL;) {
        struct run *run = list_object(link, struct run, in_session);
        link = list_next(&session->runs, link);
        if (run_deadline_ms(run) <= self->now_ms) {
            *budget -= run->items.count < *budget ? run->items.count : *budget;
            run_expire(self, run);
        }
    }
}

// What ends may move to dead letters. Those of one session at least end in each tick.
static bool moves_enough(const struct engine *self)
{
    return self->config.moved_bytes_max > 0 && self->moved_bytes >= self->config.moved_bytes_max;
}

uint64_t runs_next_deadline_ms(const struct engine *self)
{
    return moves_enough(self) ? UINT64_MAX : heap_min_key(&self->deadlines); // the commit's end is when they go on
}

bool runs_expire(struct engine *self, size_t *budget)
{
    bool enough = false;
    while (*budget > 0 && !enough && heap_min_key(&self->deadlines) <= self->now_ms) {
        struct run *run = heap_object(heap_min(&self->deadlines), struct run, deadline);
        uint64_t deadline_ms = run_deadline_ms(run); // a renewal since may have moved it
        if (deadline_ms > self->now_ms) {
            heap_rekey(&self->deadlines, &run->deadline, deadline_ms);
            (*budget)--;
            continue;
        }
        session_expire(self, run->session, budget);
        enough = moves_enough(self);
    }
    return !self->out_of_memory;
}
