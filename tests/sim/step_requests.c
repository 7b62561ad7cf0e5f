// Requests: put, get, join, cancel, and what is said with tokens.
#include <stdio.h>

#include "sim.h"

// ------------------------------------------------------------------------------------------------------------------- put, get

static uint64_t stream_end(struct sim *self, const char *name, uint64_t stream)
{
    const struct model_queue *queue = model_queue_named(&self->model, name);
    const struct model_stream *known = queue == NULL ? NULL : model_stream(&self->model, queue->id, stream);
    uint64_t last = known == NULL ? 0 : known->last_number;
    for (size_t i = 0; queue != NULL && i < self->model.waiters_count; i++) {
        const struct model_waiter *waiter = &self->model.waiters[i];
        if (waiter->kind == DISPATCH_PUT && waiter->queue_id == queue->id && waiter->put.stream == stream) {
            last = waiter->put.first_number + waiter->put.count - 1;
        }
    }
    return last;
}

static struct model_put any_put(struct sim *self, const struct sim_client *client, const char *name)
{
    struct model_put put = {.session = client->session, .first_number = 1};
    if (!sim_chance(self, 10)) {
        put.stream = (uint64_t)(client - self->clients) + 1000;
        uint64_t last = stream_end(self, name, put.stream);
        put.first_number = sim_chance(self, 75) ? last + 1 : sim_between(self, 1, last + (sim_chance(self, 40) ? 4 : 1));
    }
    put.count = sim_chance(self, 80) ? sim_between(self, 1, 4) : sim_between(self, 1, MODEL_RUN);
    put.atomic = sim_chance(self, 15);
    put.delay_ms = sim_chance(self, 15) ? sim_between(self, 1, 300) : 0;
    for (size_t i = 0; i < put.count; i++) {
        put.bodies[i] = ++self->next_body;
    }
    return put;
}

static struct dispatch_put as_request(struct sim *self, const struct model_put *put, uint64_t request_id, uint64_t wait_ms)
{
    struct engine_bytes bodies[MODEL_RUN];
    struct engine_bytes headers[MODEL_RUN];
    uint8_t bytes[64];
    for (size_t i = 0; i < put->count; i++) {
        bodies[i] = rig_keep(&self->rig, bytes, body_write(put->bodies[i], bytes));
        headers[i] = rig_keep(&self->rig, bytes, headers_write(put->bodies[i], bytes));
    }
    const void *kept_bodies = rig_keep(&self->rig, bodies, put->count * sizeof(bodies[0])).data;
    const void *kept_headers = rig_keep(&self->rig, headers, put->count * sizeof(headers[0])).data;
    return (struct dispatch_put){.session_no = put->session,
                                 .request_id = request_id,
                                 .put = {.session_no = put->session,
                                         .stream = put->stream,
                                         .first_number = put->first_number,
                                         .bodies = kept_bodies,
                                         .headers = kept_headers,
                                         .count = put->count,
                                         .delay_ms = put->delay_ms,
                                         .atomic = put->atomic},
                                 .wait_ms = wait_ms};
}

static size_t items_used(const struct model *model)
{
    size_t used = 0;
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        used += model->items[i].used;
    }
    return used;
}

void sim_step_put(struct sim *self)
{
    struct sim_client *client = sim_any_client(self);
    const char *name = sim_any_name(self);
    if (items_used(&self->model) > MODEL_ITEMS / 2) {
        return;
    }
    struct model_put put = any_put(self, client, name);
    // One that waits with a stream too many learns so when its queue is looked at next, which only the broker knows.
    uint64_t wait_ms = self->rig.config.streams_max < SIM_STREAMS ? 0 : sim_any_wait(self);
    uint64_t request_id = client->next_request++;
    struct dispatch_put request = as_request(self, &put, request_id, wait_ms);
    if (self->trace) {
        printf("    request %llu of session %llu: queue %s stream %llu items %llu + %zu, wait %lld, delay %llu%s\n",
               (unsigned long long)request_id, (unsigned long long)client->session, name, (unsigned long long)put.stream,
               (unsigned long long)put.first_number, put.count, (long long)wait_ms, (unsigned long long)put.delay_ms,
               put.atomic ? ", atomic" : "");
    }
    dispatch_put(self->rig.dispatch, self->rig.now_ms, rig_text(name), &request);
    model_dispatch_put(&self->model, name, &put, request_id, wait_ms);
}

void sim_step_get(struct sim *self)
{
    struct sim_client *client = sim_any_client(self);
    const char *name = sim_any_name(self);
    bool again = sim_chance(self, 8) && client->next_request > 1;
    struct dispatch_get get = {.session_no = client->session,
                               .request_id = again ? sim_between(self, 1, client->next_request - 1) : client->next_request++,
                               .max_items = (uint32_t)(sim_chance(self, 40) ? 1 : sim_between(self, 1, 10)),
                               .max_bytes = sim_chance(self, 80) ? UINT64_MAX : sim_between(self, 1, 60),
                               .lease_ms = sim_chance(self, 70) ? 0 : sim_between(self, 20, 400),
                               .hold_max_ms = sim_chance(self, 80) ? 0 : sim_between(self, 50, 600),
                               .wait_ms = sim_any_wait(self)};
    dispatch_get(self->rig.dispatch, self->rig.now_ms, rig_text(name), &get);
    model_dispatch_get(&self->model, name, &get);
}

void sim_step_join(struct sim *self)
{
    struct sim_client *client = sim_any_client(self);
    const char *name = sim_any_name(self);
    uint64_t wait_ms = sim_any_wait(self);
    uint64_t request_id = client->next_request++;
    dispatch_join(self->rig.dispatch, self->rig.now_ms, client->session, request_id, rig_text(name), wait_ms);
    model_dispatch_join(&self->model, name, client->session, request_id, wait_ms);
}

void sim_step_cancel(struct sim *self)
{
    struct sim_client *client = sim_any_client(self);
    uint64_t request_id = sim_between(self, 1, client->next_request);
    if (self->model.waiters_count > 0 && sim_chance(self, 70)) {
        const struct model_waiter *waiter = &self->model.waiters[sim_random(self, self->model.waiters_count)];
        sim_expect(dispatch_cancel(self->rig.dispatch, waiter->session, waiter->request_id), "cancel", 1, 0);
        model_cancel(&self->model, waiter->session, waiter->request_id);
        return;
    }
    bool expected = model_cancel(&self->model, client->session, request_id);
    bool got = dispatch_cancel(self->rig.dispatch, client->session, request_id);
    sim_expect(expected == got, "cancel", expected, got);
}

// --------------------------------------------------------------------------------------------------------------------- tokens

static bool any_token(struct sim *self, struct sim_token *token)
{
    if (self->tokens_count == 0) {
        return false;
    }
    uint64_t known = self->tokens_count < SIM_TOKENS ? self->tokens_count : SIM_TOKENS;
    *token = self->tokens[sim_random(self, known)];
    if (sim_chance(self, 15)) {
        switch (sim_random(self, 5)) {
        case 0:
            token->token.session_no = sim_any_client(self)->session;
            break;
        case 1:
            token->token.delivery += (uint32_t)sim_random(self, 2);
            break;
        case 2:
            token->token.delivery -= (uint32_t)sim_random(self, 2);
            break;
        case 3:
            token->token.seq = sim_random(self, token->token.seq + 5);
            break;
        default:
            token->token.epoch += sim_random(self, 3) - 1;
            break;
        }
    }
    if (self->trace) {
        const struct model_item *item = model_item(&self->model, token->queue_id, token->token.seq);
        printf("    token: queue %llu seq %llu delivery %u session %llu epoch %llu", (unsigned long long)token->queue_id,
               (unsigned long long)token->token.seq, token->token.delivery, (unsigned long long)token->token.session_no,
               (unsigned long long)token->token.epoch);
        printf(item == NULL ? "\n" : "; item: state %d, deliveries %u, session %llu, epoch %llu\n",
               item == NULL ? 0 : (int)item->state, item == NULL ? 0 : item->deliveries,
               item == NULL ? 0 : (unsigned long long)item->last_session, item == NULL ? 0 : (unsigned long long)item->lease_epoch);
    }
    return model_queue_of(&self->model, token->queue_id) != NULL;
}

void sim_step_done(struct sim *self)
{
    struct sim_token token;
    if (!any_token(self, &token)) {
        return;
    }
    bool got_gone = false;
    bool expected_gone = false;
    struct queue *queue = engine_queue_by_id(self->rig.engine, token.queue_id);
    enum engine_status got = engine_task_done(self->rig.engine, self->rig.now_ms, queue, &token.token, &got_gone);
    enum engine_status expected =
        model_task_done(&self->model, model_queue_of(&self->model, token.queue_id), &token.token, &expected_gone);
    sim_expect(expected == got, "task_done", expected, got);
    sim_expect(expected_gone == got_gone, "task_done: gone", expected_gone, got_gone);
    if (got == ENGINE_OK && !got_gone) {
        sim_expect_waited(self);
    }
}

void sim_step_requeue(struct sim *self)
{
    struct sim_token token;
    if (!any_token(self, &token)) {
        return;
    }
    const struct engine_requeue requeue = {.delay_ms = sim_chance(self, 60) ? 0 : sim_between(self, 1, 150),
                                           .failed = sim_chance(self, 40),
                                           .dead = sim_chance(self, 10)};
    struct queue *queue = engine_queue_by_id(self->rig.engine, token.queue_id);
    enum engine_status got = engine_requeue(self->rig.engine, self->rig.now_ms, queue, &token.token, &requeue);
    enum engine_status expected = model_requeue(&self->model, model_queue_of(&self->model, token.queue_id), &token.token, &requeue);
    sim_expect(expected == got, "requeue", expected, got);
    if (got == ENGINE_OK) {
        sim_expect_waited(self);
    }
}

void sim_step_extend(struct sim *self)
{
    struct sim_token token;
    if (!any_token(self, &token)) {
        return;
    }
    uint64_t lease_ms = sim_chance(self, 50) ? 0 : sim_between(self, 20, 400);
    struct queue *queue = engine_queue_by_id(self->rig.engine, token.queue_id);
    enum engine_status got = engine_extend(self->rig.engine, self->rig.now_ms, queue, &token.token, lease_ms);
    enum engine_status expected = model_extend(&self->model, model_queue_of(&self->model, token.queue_id), &token.token, lease_ms);
    sim_expect(expected == got, "extend", expected, got);
    if (got == ENGINE_OK) {
        sim_expect_waited(self);
    }
}
