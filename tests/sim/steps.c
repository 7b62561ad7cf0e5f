// What happens in one step: one random thing, done to the rig and to the model.
#include <stdio.h>
#include <string.h>

#include "sim.h"

static const char *const names[] = {"a", "b", "c", "x", "y"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

uint64_t sim_random(struct sim *self, uint64_t below)
{
    self->random += 0x9E3779B97F4A7C15ull;
    uint64_t value = self->random;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ull;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBull;
    return (value ^ (value >> 31)) % below;
}

bool sim_chance(struct sim *self, uint64_t percent)
{
    return sim_random(self, 100) < percent;
}

static uint64_t between(struct sim *self, uint64_t low, uint64_t high)
{
    return low + sim_random(self, high - low + 1);
}

static const char *any_name(struct sim *self)
{
    return names[sim_random(self, NAMES)];
}

static struct model_queue *any_queue(struct sim *self, struct queue **real) // NULL: it does not exist
{
    struct model_queue *queue = model_queue_named(&self->model, any_name(self));
    *real = queue == NULL ? NULL : engine_queue_by_id(self->rig.engine, queue->id);
    return queue;
}

static struct sim_client *any_client(struct sim *self)
{
    size_t index = sim_random(self, SIM_CLIENTS);
    struct sim_client *client = &self->clients[index];
    if (client->session == 0) {
        client->session = rig_session(&self->rig, (unsigned)index + 1);
        model_session_open(&self->model, client->session);
    }
    return client;
}

static uint64_t any_wait(struct sim *self)
{
    return sim_chance(self, 50) ? 0 : sim_chance(self, 50) ? between(self, 1, 200) : UINT64_MAX;
}

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
        put.first_number = sim_chance(self, 75) ? last + 1 : between(self, 1, last + (sim_chance(self, 40) ? 4 : 1));
    }
    put.count = sim_chance(self, 80) ? between(self, 1, 4) : between(self, 1, MODEL_RUN);
    put.atomic = sim_chance(self, 15);
    put.delay_ms = sim_chance(self, 15) ? between(self, 1, 300) : 0;
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

static void step_put(struct sim *self)
{
    struct sim_client *client = any_client(self);
    const char *name = any_name(self);
    if (items_used(&self->model) > MODEL_ITEMS / 2) {
        return;
    }
    struct model_put put = any_put(self, client, name);
    uint64_t wait_ms = any_wait(self);
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

static void step_get(struct sim *self)
{
    struct sim_client *client = any_client(self);
    const char *name = any_name(self);
    bool again = sim_chance(self, 8) && client->next_request > 1;
    struct dispatch_get get = {.session_no = client->session,
                               .request_id = again ? between(self, 1, client->next_request - 1) : client->next_request++,
                               .max_items = (uint32_t)(sim_chance(self, 40) ? 1 : between(self, 1, 10)),
                               .max_bytes = sim_chance(self, 80) ? UINT64_MAX : between(self, 1, 60),
                               .lease_ms = sim_chance(self, 70) ? 0 : between(self, 20, 400),
                               .hold_max_ms = sim_chance(self, 80) ? 0 : between(self, 50, 600),
                               .wait_ms = any_wait(self)};
    dispatch_get(self->rig.dispatch, self->rig.now_ms, rig_text(name), &get);
    model_dispatch_get(&self->model, name, &get);
}

static void step_join(struct sim *self)
{
    struct sim_client *client = any_client(self);
    const char *name = any_name(self);
    uint64_t wait_ms = any_wait(self);
    uint64_t request_id = client->next_request++;
    dispatch_join(self->rig.dispatch, self->rig.now_ms, client->session, request_id, rig_text(name), wait_ms);
    model_dispatch_join(&self->model, name, client->session, request_id, wait_ms);
}

static void step_cancel(struct sim *self)
{
    struct sim_client *client = any_client(self);
    uint64_t request_id = between(self, 1, client->next_request);
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
            token->token.session_no = any_client(self)->session;
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
        printf(item == NULL ? "\n" : "; item: state %d, deliveries %u, session %llu, epoch %llu\n", item == NULL ? 0 : (int)item->state,
               item == NULL ? 0 : item->deliveries, item == NULL ? 0 : (unsigned long long)item->last_session,
               item == NULL ? 0 : (unsigned long long)item->lease_epoch);
    }
    return model_queue_of(&self->model, token->queue_id) != NULL;
}

static void step_done(struct sim *self)
{
    struct sim_token token;
    if (!any_token(self, &token)) {
        return;
    }
    bool got_gone = false;
    bool expected_gone = false;
    struct queue *queue = engine_queue_by_id(self->rig.engine, token.queue_id);
    enum engine_status got = engine_task_done(self->rig.engine, self->rig.now_ms, queue, &token.token, &got_gone);
    enum engine_status expected = model_task_done(&self->model, model_queue_of(&self->model, token.queue_id), &token.token, &expected_gone);
    sim_expect(expected == got, "task_done", expected, got);
    sim_expect(expected_gone == got_gone, "task_done: gone", expected_gone, got_gone);
}

static void step_requeue(struct sim *self)
{
    struct sim_token token;
    if (!any_token(self, &token)) {
        return;
    }
    const struct engine_requeue requeue = {.delay_ms = sim_chance(self, 60) ? 0 : between(self, 1, 150),
                                           .failed = sim_chance(self, 40),
                                           .dead = sim_chance(self, 10)};
    struct queue *queue = engine_queue_by_id(self->rig.engine, token.queue_id);
    enum engine_status got = engine_requeue(self->rig.engine, self->rig.now_ms, queue, &token.token, &requeue);
    enum engine_status expected = model_requeue(&self->model, model_queue_of(&self->model, token.queue_id), &token.token, &requeue);
    sim_expect(expected == got, "requeue", expected, got);
}

static void step_extend(struct sim *self)
{
    struct sim_token token;
    if (!any_token(self, &token)) {
        return;
    }
    uint64_t lease_ms = sim_chance(self, 50) ? 0 : between(self, 20, 400);
    struct queue *queue = engine_queue_by_id(self->rig.engine, token.queue_id);
    enum engine_status got = engine_extend(self->rig.engine, self->rig.now_ms, queue, &token.token, lease_ms);
    enum engine_status expected = model_extend(&self->model, model_queue_of(&self->model, token.queue_id), &token.token, lease_ms);
    sim_expect(expected == got, "extend", expected, got);
}

// ------------------------------------------------------------------------------------------------------------------- sessions

static void step_renew(struct sim *self)
{
    struct sim_client *client = any_client(self);
    if (sim_chance(self, 30)) {
        uint32_t workers = (uint32_t)between(self, 1, 3);
        engine_session_workers(self->rig.engine, client->session, workers);
        model_session(&self->model, client->session)->workers = workers;
    } else {
        engine_session_renew(self->rig.engine, self->rig.now_ms, client->session);
        model_session_renew(&self->model, client->session);
    }
}

static void step_taken(struct sim *self)
{
    const struct model_item *item = &self->model.items[sim_random(self, MODEL_ITEMS)];
    for (int tries = 0; tries < 20 && !(item->used && item->state == MODEL_LEASED && !item->old); tries++) {
        item = &self->model.items[sim_random(self, MODEL_ITEMS)];
    }
    if (item->used && item->state == MODEL_LEASED && !item->old) {
        uint64_t session = item->last_session;
        uint64_t get_id = item->get_id;
        uint32_t count = (uint32_t)between(self, 1, 6);
        engine_session_taken(self->rig.engine, session, get_id, count);
        model_session_taken(&self->model, session, get_id, count);
    }
}

static void step_resume(struct sim *self)
{
    const struct sim_client *client = any_client(self);
    uint64_t named[2][32];
    uint64_t all[64];
    size_t counts[2] = {0, 0};
    size_t count = 0;
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        const struct model_item *item = &self->model.items[i];
        if (item->used && item->state == MODEL_LEASED && item->last_session == client->session && sim_chance(self, 70)) {
            size_t list = sim_random(self, 2);
            if (counts[list] < 32) {
                named[list][counts[list]++] = item->get_id;
                all[count++] = item->get_id;
            }
        }
    }
    engine_session_resume(self->rig.engine, self->rig.now_ms, client->session, named[0], counts[0], named[1], counts[1]);
    model_session_renew(&self->model, client->session);
    model_session_resume(&self->model, client->session, all, count);
}

static void step_session_end(struct sim *self)
{
    struct sim_client *client = any_client(self);
    bool goodbye = sim_chance(self, 50);
    dispatch_session_end(self->rig.dispatch, client->session);
    engine_session_end(self->rig.engine, self->rig.now_ms, client->session, goodbye);
    model_waiters_vanish(&self->model, client->session);
    model_session_end(&self->model, client->session, goodbye);
    client->session = 0;
}

// --------------------------------------------------------------------------------------------------------------------- queues

static struct engine_options any_options(struct sim *self, const struct model_queue *queue)
{
    struct engine_options options = {.maxsize = sim_chance(self, 30) ? 0 : between(self, 1, 8),
                                     .max_bytes = sim_chance(self, 50) ? 0 : between(self, 20, 120),
                                     .lease_ms = between(self, 30, 500),
                                     .hold_max_ms = between(self, 100, 900),
                                     .max_deliveries = (uint32_t)sim_random(self, 4),
                                     .ttl_ms = between(self, 50, 800),
                                     .temporary = true};
    const char *dead_letter = sim_chance(self, 20) ? "" : any_name(self);
    options.dead_letter = rig_text(dead_letter);
    const uint32_t any[] = {ENGINE_OPTION_MAXSIZE,  ENGINE_OPTION_MAX_BYTES,      ENGINE_OPTION_LEASE,
                            ENGINE_OPTION_HOLD_MAX, ENGINE_OPTION_MAX_DELIVERIES, ENGINE_OPTION_DEAD_LETTER};
    for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++) {
        options.given |= sim_chance(self, 30) ? any[i] : 0;
    }
    // How old the items are that were put without a ttl is only known coarsely: it is given at the start or not at all.
    if ((queue == NULL || queue->ttl_ms > 0) && sim_chance(self, 30)) {
        options.given |= ENGINE_OPTION_TTL;
    }
    if (queue == NULL && sim_chance(self, 15)) {
        options.given |= ENGINE_OPTION_TEMPORARY;
    }
    return options;
}

static void step_declare(struct sim *self)
{
    const char *name = any_name(self);
    struct engine_options options = any_options(self, model_queue_named(&self->model, name));
    bool update = sim_chance(self, 50);
    struct queue *queue;
    bool created;
    enum engine_status got = engine_declare(self->rig.engine, self->rig.now_ms, rig_text(name), &options, update, &queue, &created);
    enum engine_status expected = model_declare(&self->model, name, &options, update);
    sim_expect(expected == got, "declare", expected, got);
}

static void step_purge(struct sim *self)
{
    struct queue *real;
    struct model_queue *queue = any_queue(self, &real);
    if (queue != NULL) {
        uint64_t got = engine_purge(self->rig.engine, self->rig.now_ms, real);
        uint64_t expected = model_purge(&self->model, queue);
        sim_expect(expected == got, "purged", expected, got);
    }
}

static void step_shutdown(struct sim *self)
{
    struct queue *real;
    struct model_queue *queue = any_queue(self, &real);
    if (queue != NULL) {
        bool immediate = sim_chance(self, 50);
        uint64_t got = engine_shutdown(self->rig.engine, self->rig.now_ms, real, immediate);
        uint64_t expected = model_shutdown(&self->model, queue, immediate);
        sim_expect(expected == got, "shut down", expected, got);
    }
}

static void step_delete(struct sim *self)
{
    struct queue *real;
    struct model_queue *queue = any_queue(self, &real);
    if (queue != NULL && (queue->state != QUEUE_OPEN || sim_chance(self, 20))) {
        uint64_t got = engine_delete(self->rig.engine, self->rig.now_ms, real);
        uint64_t expected = model_delete(&self->model, queue);
        sim_expect(expected == got, "deleted", expected, got);
    }
}

static void step_redrive(struct sim *self)
{
    struct queue *real_from;
    struct queue *real_to;
    struct model_queue *from = any_queue(self, &real_from);
    struct model_queue *to = any_queue(self, &real_to);
    if (from == NULL || to == NULL || from == to) {
        return;
    }
    const struct model_item *item = model_lowest_ready(&self->model, from->id, sim_random(self, from->next_seq + 1));
    if (item == NULL) {
        return;
    }
    enum engine_status got =
        engine_redrive(self->rig.engine, self->rig.now_ms, real_from, item->seq, real_to, (uint32_t)item->own_bytes);
    enum engine_status expected = model_redrive(&self->model, from, item->seq, to);
    sim_expect(expected == got, "redrive", expected, got);
}

// ------------------------------------------------------------------------------------------------------------- time, commits

static void step_time(struct sim *self)
{
    uint64_t ms = sim_chance(self, 90) ? between(self, 1, 40) : between(self, 1, 600);
    uint64_t next = engine_next_deadline_ms(self->rig.engine);
    if (sim_chance(self, 30) && next > self->rig.now_ms && next - self->rig.now_ms < 1000) {
        ms = next - self->rig.now_ms - sim_random(self, 2);
    }
    self->rig.now_ms += ms;
    self->model.now_ms = self->rig.now_ms;
    while (engine_tick(self->rig.engine, self->rig.now_ms)) {
    }
    model_tick(&self->model);
}

static void seal(struct sim *self, bool clean)
{
    sim_take_moves(self);
    rig_seal(&self->rig, clean);
    self->changes_seen = 0;
    model_seal(&self->model, clean);
    self->sealed = self->model;
}

static void land(struct sim *self)
{
    rig_land(&self->rig);
    self->durable = self->sealed;
}

static void step_commit(struct sim *self)
{
    if (self->rig.flying != NULL) {
        land(self);
    } else {
        seal(self, false);
    }
}

static void run(struct sim *self)
{
    dispatch_run(self->rig.dispatch, self->rig.now_ms);
    model_run(&self->model);
    sim_take_moves(self);
    sim_check_answers(self);
}

static void step_restart(struct sim *self)
{
    bool clean = sim_chance(self, 50);
    if (clean) {
        run(self);
        if (self->rig.flying != NULL) {
            land(self);
        }
        seal(self, true);
        land(self);
    }
    self->restarts++;
    rig_restart_stored(&self->rig);
    self->model = self->durable;
    self->model.engine = self->rig.engine;
    model_restart(&self->model, clean, self->rig.now_ms, self->rig.epoch);
    for (size_t i = 0; i < SIM_CLIENTS; i++) {
        const uint8_t id[ENGINE_SESSION_ID_BYTES] = {0, (uint8_t)(i + 1)};
        self->clients[i].session = engine_session_find(self->rig.engine, id);
        self->clients[i].next_request += 1000;
    }
    self->changes_seen = 0;
    sim_take_moves(self);
    while (engine_tick(self->rig.engine, self->rig.now_ms)) {
    }
    model_tick(&self->model);
    run(self);
    sim_check_state(self);
    seal(self, false); // the new epoch is stored before anything is given out
    land(self);
}

void sim_settle(struct sim *self)
{
    for (int i = 0;; i++) {
        sim_expect(i < 1000, "does not settle", 0, 0);
        while (engine_tick(self->rig.engine, self->rig.now_ms)) {
        }
        model_tick(&self->model);
        run(self);
        if (self->rig.flying != NULL) {
            land(self);
        }
        seal(self, false);
        land(self);
        if (engine_next_deadline_ms(self->rig.engine) > self->rig.now_ms) {
            break;
        }
    }
    sim_check_store(self);
}

// ---------------------------------------------------------------------------------------------------------------------- steps

static const struct {
    const char *name;
    unsigned weight;
    void (*step)(struct sim *self);
} steps[] = {
    {"put", 220, step_put},   {"get", 200, step_get},    {"done", 130, step_done},  {"requeue", 70, step_requeue}, {"extend", 25, step_extend}, {"renew", 25, step_renew},
    {"taken", 25, step_taken},  {"join", 25, step_join},    {"cancel", 20, step_cancel}, {"resume", 10, step_resume},  {"session_end", 10, step_session_end}, {"declare", 45, step_declare},
    {"purge", 12, step_purge},  {"shutdown", 6, step_shutdown}, {"delete", 14, step_delete}, {"redrive", 30, step_redrive}, {"time", 140, step_time},  {"commit", 100, step_commit},
    {"restart", 6, step_restart}, {"settle", 6, sim_settle},
};

void sim_start(struct sim *self, uint64_t seed)
{
    bool trace = self->trace;
    memset(self, 0, sizeof(*self));
    self->trace = trace;
    self->random = seed;
    rig_init(&self->rig);
    self->rig.config.lease_ms = 200;
    self->rig.config.hold_max_ms = 700;
    self->rig.config.dedup_keep_ms = between(self, 500, 5000);
    self->rig.config.orphan_ms = 300;
    self->rig.config.leases_per_session_max = sim_chance(self, 30) ? 8 : 1000;
    self->rig.limits = (struct dispatch_config){.waiters_per_session_max = 6, .parked_bytes_per_session_max = 700, .parked_bytes_max = 2000};
    rig_start(&self->rig);
    self->model.config = self->rig.config;
    self->model.limits = self->rig.limits;
    self->model.engine = self->rig.engine;
    self->model.now_ms = self->rig.now_ms;
    self->model.epoch = self->rig.epoch;
    self->model.next_order = 1;
    for (size_t i = 0; i < SIM_CLIENTS; i++) {
        self->clients[i].next_request = 1;
    }
    seal(self, false);
    land(self);
}

void sim_step(struct sim *self)
{
    unsigned all = 0;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        all += steps[i].weight;
    }
    uint64_t at = sim_random(self, all);
    size_t index = 0;
    for (; at >= steps[index].weight; index++) {
        at -= steps[index].weight;
    }
    if (self->trace) {
        printf("%llu at %llu: %s\n", (unsigned long long)self->step, (unsigned long long)self->rig.now_ms, steps[index].name);
    }
    steps[index].step(self);
    for (size_t i = 0; i < MODEL_QUEUES; i++) {
        const struct model_queue *queue = &self->model.queues[i];
        self->last_queue_id = queue->used && queue->id > self->last_queue_id ? queue->id : self->last_queue_id;
    }
    sim_take_moves(self);
    sim_check_answers(self);
    if (!sim_chance(self, 20)) { // several requests may come before waiters are looked at
        run(self);
        sim_check_state(self);
    }
    self->step++;
}

void sim_end(struct sim *self)
{
    run(self);
    sim_settle(self);
    sim_check_state(self);
    rig_fini(&self->rig);
}
