// Sessions and queues that come, change and go.
#include "sim.h"

// ------------------------------------------------------------------------------------------------------------------- sessions

void sim_step_renew(struct sim *self)
{
    struct sim_client *client = sim_any_client(self);
    if (sim_chance(self, 30)) {
        uint32_t workers = (uint32_t)sim_between(self, 1, 3);
        engine_session_workers(self->rig.engine, client->session, workers);
        model_session(&self->model, client->session)->workers = workers;
    } else {
        engine_session_renew(self->rig.engine, self->rig.now_ms, client->session);
        model_session_renew(&self->model, client->session);
    }
}

static struct model_item *any_leased(struct sim *self) // NULL: after some tries, none
{
    struct model_item *found = NULL;
    for (int tries = 0; tries < 20 && found == NULL; tries++) {
        struct model_item *item = &self->model.items[sim_random(self, MODEL_ITEMS)];
        found = item->used && item->state == MODEL_LEASED ? item : NULL;
    }
    return found;
}

void sim_step_taken(struct sim *self)
{
    const struct model_item *item = any_leased(self);
    if (item != NULL && !item->old) {
        uint64_t session = item->last_session;
        uint64_t get_id = item->get_id;
        uint32_t count = (uint32_t)sim_between(self, 1, 6);
        engine_session_taken(self->rig.engine, session, get_id, count);
        model_session_taken(&self->model, session, get_id, count);
    }
}

// The answer that it was to leave with could not be made.
static void damage_leased(struct sim *self)
{
    struct model_item *item = any_leased(self);
    if (item != NULL) {
        struct queue *queue = engine_queue_by_id(self->rig.engine, item->queue_id);
        engine_quarantine(self->rig.engine, self->rig.now_ms, queue, item->seq);
        model_quarantine(&self->model, item);
        sim_expect_waited(self);
    }
}

static void spoil(struct model *model, uint64_t queue_id, uint64_t seq)
{
    model_item(model, queue_id, seq)->damaged = true;
}

// It goes from the store behind the engine's back: whoever comes to it cannot read it. When it was put is not known any more, nor that
// it was delayed: not where that matters.
static void damage_fresh(struct sim *self)
{
    struct queue *real;
    const struct model_queue *queue = sim_any_queue(self, &real);
    uint64_t from = queue == NULL ? 0 : real->record.cursor + sim_random(self, 3);
    const struct model_item *item = queue == NULL ? NULL : model_lowest_ready(&self->model, queue->id, from);
    if (item == NULL || item->damaged || item->due_ms > 0 || queue->ttl_ms > 0 ||
        engine_durability(real, item->seq) != ENGINE_DURABLE) {
        return;
    }
    uint64_t seq = item->seq;
    rig_lose(&self->rig, queue->id, seq);
    spoil(&self->model, queue->id, seq);
    spoil(&self->sealed, queue->id, seq);
    spoil(&self->durable, queue->id, seq);
}

void sim_step_damage(struct sim *self)
{
    if (sim_chance(self, 50)) {
        damage_leased(self);
    } else {
        damage_fresh(self);
    }
}

void sim_step_resume(struct sim *self)
{
    const struct sim_client *client = sim_any_client(self);
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
    size_t leases = model_leases(&self->model, client->session);
    engine_session_resume(self->rig.engine, self->rig.now_ms, client->session, named[0], counts[0], named[1], counts[1]);
    model_session_renew(&self->model, client->session);
    model_session_resume(&self->model, client->session, all, count);
    if (model_leases(&self->model, client->session) < leases) {
        sim_expect_waited(self);
    }
}

void sim_step_session_end(struct sim *self)
{
    struct sim_client *client = sim_any_client(self);
    bool goodbye = sim_chance(self, 50);
    bool is_told = goodbye && model_leases(&self->model, client->session) > 0;
    dispatch_session_end(self->rig.dispatch, client->session);
    engine_session_end(self->rig.engine, self->rig.now_ms, client->session, goodbye);
    model_waiters_vanish(&self->model, client->session);
    model_session_end(&self->model, client->session, goodbye);
    if (is_told) {
        sim_expect_waited(self);
    }
    client->session = 0;
}

// --------------------------------------------------------------------------------------------------------------------- queues

static struct engine_options any_options(struct sim *self, const struct model_queue *queue)
{
    struct engine_options options = {.maxsize = sim_chance(self, 30) ? 0 : sim_between(self, 1, 8),
                                     .max_bytes = sim_chance(self, 50) ? 0 : sim_between(self, 20, 120),
                                     .lease_ms = sim_between(self, 30, 500),
                                     .hold_max_ms = sim_between(self, 100, 900),
                                     .max_deliveries = (uint32_t)sim_random(self, 4),
                                     .ttl_ms = sim_between(self, 50, 800),
                                     .temporary = queue == NULL || sim_chance(self, 50)};
    const char *dead_letter = sim_chance(self, 20) ? "" : sim_any_name(self);
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
    uint64_t percent = queue == NULL ? 15 : queue->temporary ? 60 : 10;
    options.given |= sim_chance(self, percent) ? ENGINE_OPTION_TEMPORARY : 0;
    return options;
}

void sim_step_declare(struct sim *self)
{
    const char *name = sim_any_name(self);
    struct engine_options options = any_options(self, model_queue_named(&self->model, name));
    bool update = sim_chance(self, 50);
    struct queue *queue;
    bool created;
    enum engine_status got = engine_declare(self->rig.engine, self->rig.now_ms, rig_text(name), &options, update, &queue, &created);
    enum engine_status expected = model_declare(&self->model, name, &options, update);
    sim_expect(expected == got, "declare", expected, got);
    if (got == ENGINE_OK) {
        sim_expect_waited(self);
    }
}

void sim_step_purge(struct sim *self)
{
    struct queue *real;
    struct model_queue *queue = sim_any_queue(self, &real);
    if (queue != NULL) {
        uint64_t got = engine_purge(self->rig.engine, self->rig.now_ms, real);
        uint64_t expected = model_purge(&self->model, queue);
        sim_expect(expected == got, "purged", expected, got);
        sim_expect_waited(self);
    }
}

void sim_step_shutdown(struct sim *self)
{
    struct queue *real;
    struct model_queue *queue = sim_any_queue(self, &real);
    if (queue != NULL) {
        bool immediate = sim_chance(self, 50);
        uint64_t got = engine_shutdown(self->rig.engine, self->rig.now_ms, real, immediate);
        uint64_t expected = model_shutdown(&self->model, queue, immediate);
        sim_expect(expected == got, "shut down", expected, got);
        sim_expect_waited(self);
    }
}

void sim_step_delete(struct sim *self)
{
    struct queue *real;
    struct model_queue *queue = sim_any_queue(self, &real);
    if (queue != NULL && (queue->state != QUEUE_OPEN || sim_chance(self, 20))) {
        uint64_t got = engine_delete(self->rig.engine, self->rig.now_ms, real);
        uint64_t expected = model_delete(&self->model, queue);
        sim_expect(expected == got, "deleted", expected, got);
        sim_expect_waited(self);
    }
}

void sim_step_redrive(struct sim *self)
{
    struct queue *real_from;
    struct queue *real_to;
    struct model_queue *from = sim_any_queue(self, &real_from);
    struct model_queue *to = sim_any_queue(self, &real_to);
    if (from == NULL || to == NULL || from == to) {
        return;
    }
    const struct model_item *item = model_lowest_ready(&self->model, from->id, sim_random(self, from->next_seq + 1));
    if (item == NULL) {
        return;
    }
    uint64_t cursor = real_from->record.cursor;
    enum engine_status got =
        engine_redrive(self->rig.engine, self->rig.now_ms, real_from, item->seq, real_to, (uint32_t)item->own_bytes);
    enum engine_status expected = model_redrive(&self->model, from, item->seq, to, cursor);
    sim_expect(expected == got, "redrive", expected, got);
    if (got == ENGINE_OK) {
        sim_expect_waited(self);
    }
}
