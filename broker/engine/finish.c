// task_done, extend, requeue: what the holder of a lease says of its item.
#include "internal.h"

// How a token stands to its item: the four cases of PROTOCOL.md, and the never issued one.
enum token_case {
    TOKEN_HELD,         // leased, to this session, by this delivery
    TOKEN_LOST_WAITING, // its lease is lost, the item is ready or delayed, and this session had it last
    TOKEN_LOST,         // another delivery has it
    TOKEN_GONE,         // no longer stored
    TOKEN_NEVER_ISSUED,
};

static enum token_case classify_untracked(const struct engine *self, const struct queue *queue, const struct engine_token *token)
{
    if (token->seq < queue->record.cursor) {
        return TOKEN_GONE;
    }
    // Never leased since the start; before a crash it may have been, without its lease having been flushed.
    return token->epoch < self->epoch ? TOKEN_LOST : TOKEN_NEVER_ISSUED;
}

static enum token_case classify(const struct engine *self, const struct queue *queue, const struct engine_token *token,
                                struct item **item_p)
{
    if (token->epoch > self->epoch || token->seq == 0 || token->seq >= queue->record.next_seq || token->delivery == 0) {
        return TOKEN_NEVER_ISSUED;
    }
    struct item *item = item_find(self, queue, token->seq);
    *item_p = item;
    if (item == NULL || (item->state != ITEM_LEASED && item->seq < queue->record.gone_below)) { // or about to be reclaimed
        return classify_untracked(self, queue, token);
    }
    if (token->delivery > item->deliveries) {
        return token->epoch < self->epoch ? TOKEN_LOST : TOKEN_NEVER_ISSUED;
    }
    // After a crash the same delivery number may be given out a second time: the epoch tells them apart. A lease from before the
    // start is known by the epoch of its get, or by this one where the answer was given again.
    bool same_epoch = !item->leased_now || token->epoch == self->epoch;
    bool same = same_epoch && item->last_session_no == token->session_no && item->deliveries == token->delivery;
    if (item->state == ITEM_LEASED) {
        return same ? TOKEN_HELD : TOKEN_LOST;
    }
    return same ? TOKEN_LOST_WAITING : TOKEN_LOST;
}

enum engine_status engine_task_done(struct engine *self, uint64_t now_ms, struct queue *queue, const struct engine_token *token,
                                    bool *gone)
{
    struct item *item = NULL;
    engine_advance(self, now_ms);
    *gone = false;
    switch (classify(self, queue, token, &item)) {
    case TOKEN_HELD:
    case TOKEN_LOST_WAITING:
        queue->record.dones++;
        item_finish(self, item);
        engine_wait_for_store(self);
        return ENGINE_OK;
    case TOKEN_GONE:
        *gone = true;
        return ENGINE_OK;
    case TOKEN_LOST:
        return ENGINE_LEASE_LOST;
    case TOKEN_NEVER_ISSUED:
        break;
    }
    return ENGINE_NOT_LEASED;
}

static enum engine_status status_of(enum token_case token_case)
{
    if (token_case == TOKEN_HELD) {
        return ENGINE_OK;
    }
    return token_case == TOKEN_NEVER_ISSUED ? ENGINE_NOT_LEASED : ENGINE_LEASE_LOST;
}

enum engine_status engine_extend(struct engine *self, uint64_t now_ms, struct queue *queue, const struct engine_token *token,
                                 uint64_t lease_ms)
{
    struct item *item = NULL;
    engine_advance(self, now_ms);
    enum engine_status status = status_of(classify(self, queue, token, &item));
    if (status != ENGINE_OK) {
        return status;
    }
    struct run *old = item->run;
    struct run *run = run_create(self, old->attachment);
    if (run == NULL) {
        return ENGINE_NO_MEMORY;
    }
    // Its age does not change: among the session's runs it stays where it was.
    list_remove(&run->session->runs, &run->in_session);
    list_insert_before(&run->session->runs, &old->in_session, &run->in_session);
    run->get_id = old->get_id;
    run->got_ms = self->now_ms;
    run->lease_ms = lease_ms > 0 ? lease_ms : queue->record.lease_ms;
    run->hold_max_ms = old->hold_max_ms;
    run->taken = old->taken;
    run_drop_item(self, item);
    run_add(run, item);
    item_changed(self, item);
    queue_changed(self, queue);
    engine_wait_for_store(self);
    return run_start(self, run) ? ENGINE_OK : engine_no_memory(self);
}

enum engine_status engine_requeue(struct engine *self, uint64_t now_ms, struct queue *queue, const struct engine_token *token,
                                  const struct engine_requeue *requeue)
{
    struct item *item = NULL;
    engine_advance(self, now_ms);
    enum engine_status status = status_of(classify(self, queue, token, &item));
    if (status != ENGINE_OK) {
        return status;
    }
    bool gone = item->seq < queue->record.gone_below;
    if (requeue->delay_ms > 0 && !requeue->dead && !gone && self->delayed.count >= self->config.delayed_max) {
        return ENGINE_LIMIT_REACHED;
    }
    engine_wait_for_store(self);
    if (requeue->dead && !gone) {
        static const char rejected[] = "rejected";
        struct engine_bytes reason = requeue->reason;
        if (reason.len == 0) {
            reason = (struct engine_bytes){sizeof(rejected) - 1, (const uint8_t *)rejected};
        }
        item->failures++;
        queue->record.failed++;
        item_to_dead_letter(self, item, reason);
    } else {
        item_return(self, item, requeue->failed, requeue->delay_ms);
    }
    return self->out_of_memory ? ENGINE_NO_MEMORY : ENGINE_OK;
}

void engine_quarantine(struct engine *self, uint64_t now_ms, struct queue *queue, uint64_t seq)
{
    engine_advance(self, now_ms);
    struct item *item = item_find(self, queue, seq);
    if (item == NULL || (item->state != ITEM_LEASED && seq < queue->record.gone_below)) { // or about to be reclaimed
        return;
    }
    item_leave_state(self, item);
    item_forget_record(self, item);
    item_free(self, item);
    queue->record.quarantined++;
    engine_record(self,
                  &(struct change){.kind = CHANGE_QUARANTINE, .as.quarantine = {.queue_id = queue->record.queue_id, .seq = seq}});
    engine_wait_for_store(self);
    queue_touch(self, queue);
}
