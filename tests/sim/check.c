#include <stdio.h>
#include <string.h>

#include "sim.h"

void sim_expect(bool ok, const char *what, uint64_t expected, uint64_t got)
{
    if (!ok) {
        model_fail("%s: expected %llu, got %llu", what, (unsigned long long)expected, (unsigned long long)got);
    }
}

void sim_expect_waited(struct sim *self)
{
    sim_expect(engine_pending(self->rig.engine) == ENGINE_PENDING_WAITED, "its answer waits for the store", 1, 0);
}

static void equal(const char *name, const char *what, uint64_t expected, uint64_t got)
{
    if (expected != got) {
        model_fail("queue %s: %s: expected %llu, got %llu", name, what, (unsigned long long)expected, (unsigned long long)got);
    }
}

void sim_take_moves(struct sim *self)
{
    const struct changes *changes = self->rig.open->changes;
    for (; self->changes_seen < changes_count(changes); self->changes_seen++) {
        const struct change *change = changes_at(changes, self->changes_seen);
        if (self->trace && change->kind == CHANGE_REMOVE) {
            printf("    removes %llu: %llu .. %llu\n", (unsigned long long)change->as.remove.queue_id,
                   (unsigned long long)change->as.remove.first_seq, (unsigned long long)change->as.remove.last_seq);
        }
        if (change->kind == CHANGE_MOVE) {
            model_moved(&self->model, change->as.move.queue_id, change->as.move.seq, change->as.move.to_queue_id,
                        change->as.move.to_seq);
        }
    }
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        const struct model_item *item = &self->model.items[i];
        sim_expect(!item->used || item->state != MODEL_MOVING, "an item that should have moved to another queue", item->seq, 0);
    }
}

// -------------------------------------------------------------------------------------------------------------------- answers

static void check_bytes(const struct model_item *item, struct engine_bytes body, struct engine_bytes own_headers)
{
    uint8_t bytes[64];
    size_t len = body_write(item->body, bytes);
    sim_expect(body.len == len && (len == 0 || memcmp(body.data, bytes, len) == 0), "body of an item", len, body.len);
    len = headers_write(item->body, bytes);
    sim_expect(own_headers.len == len && (len == 0 || memcmp(own_headers.data, bytes, len) == 0), "headers of an item", len,
               own_headers.len);
}

// Bodies come from the caller's memory until their put is durable, then from the store.
static void check_readable(struct sim *self, const struct queue *queue, const struct model_item *item)
{
    struct engine_bytes body;
    struct engine_bytes headers;
    struct store_item stored;
    if (engine_recent_item(queue, item->seq, &body, &headers)) {
        check_bytes(item, body, headers);
    } else if (engine_durability(queue, item->seq) == ENGINE_DURABLE) {
        sim_expect(store_read(self->rig.store, queue->record.queue_id, item->seq, &stored) == NQ_OK, "an item in the store",
                   item->seq, 0);
        check_bytes(item, stored.body, stored.own_headers);
        sim_expect(stored.body.len + stored.headers.len == item->bytes, "size of an item", item->bytes,
                   stored.body.len + stored.headers.len);
    }
}

static void check_granted(struct sim *self, struct model_queue *queue, uint64_t session, const struct engine_granted *granted)
{
    struct model_item *item = model_item(&self->model, queue->id, granted->seq);
    sim_expect(granted->delivery == item->deliveries, "delivery", item->deliveries, granted->delivery);
    sim_expect(granted->failures == item->failures, "failures", item->failures, granted->failures);
    sim_expect(granted->redelivered || !item->redelivered, "redelivered", 1, 0);
    sim_expect(!granted->redelivered || item->redelivered || item->doubt, "redelivered", 0, 1);
    item->redelivered = granted->redelivered;
    check_readable(self, engine_queue_by_id(self->rig.engine, queue->id), item);
    self->tokens[self->tokens_count++ % SIM_TOKENS] = (struct sim_token){
        queue->id, {.session_no = session, .epoch = item->lease_epoch, .seq = granted->seq, .delivery = granted->delivery}};
}

static void check_grant(struct sim *self, const struct model_answer *expected, const struct dispatch_answer *got)
{
    const struct engine_grant *grant = &got->grant;
    sim_expect(grant->count == expected->grant.count, "items of a get", expected->grant.count, grant->count);
    struct model_queue *queue = model_queue_of(&self->model, expected->grant.queue_id);
    bool fresh_answer = got->status == ENGINE_OK;
    for (size_t i = 0; i < grant->count && fresh_answer; i++) {
        sim_expect(grant->items[i].seq == expected->grant.seqs[i], "seq of a get", expected->grant.seqs[i], grant->items[i].seq);
        if (queue != NULL && model_item(&self->model, queue->id, grant->items[i].seq) != NULL) { // not gone again in the same batch
            check_granted(self, queue, got->session_no, &grant->items[i]);
            // Which of two queues is served first at one moment is the engine's choice, and makes one get the older one.
            struct model_item *item = model_item(&self->model, queue->id, grant->items[i].seq);
            item->order_get = expected->again ? item->order_get : self->model.next_order;
            sim_expect(expected->again || grant->lease_ms == item->lease_ms, "lease of a get", item->lease_ms, grant->lease_ms);
            sim_expect(expected->again || grant->hold_max_ms == item->hold_max_ms, "hold_max of a get", item->hold_max_ms,
                       grant->hold_max_ms);
        }
    }
    self->model.next_order++;
}

static struct model_answer *find_answer(struct model *model, const struct dispatch_answer *got)
{
    for (size_t i = 0; i < model->answers_count; i++) {
        struct model_answer *answer = &model->answers[i];
        if (answer->used && answer->session == got->session_no && answer->request_id == got->request_id) {
            return answer;
        }
    }
    model_fail("an answer to request %llu that nobody asked for (kind %d, end %d, status %d)", (unsigned long long)got->request_id,
               (int)got->kind, (int)got->end, (int)got->status);
}

void sim_check_answers(struct sim *self)
{
    size_t count;
    struct dispatch_answer *answers = dispatch_take_answers(self->rig.dispatch, &count);
    for (size_t i = 0; i < count; i++) {
        struct dispatch_answer *got = &answers[i];
        struct model_answer *expected = find_answer(&self->model, got);
        expected->used = false;
        if (self->trace) {
            printf("    answer to request %llu of session %llu: end %d, status %d\n", (unsigned long long)got->request_id,
                   (unsigned long long)got->session_no, (int)got->end, (int)got->status);
        }
        sim_expect(got->kind == expected->kind, "kind of an answer", expected->kind, got->kind);
        sim_expect(got->end == expected->end, "end of a wait", expected->end, got->end);
        sim_expect(got->status == expected->status, "status of an answer", expected->status, got->status);
        if (got->kind == DISPATCH_PUT) {
            sim_expect(got->put.accepted == expected->put.accepted, "accepted", expected->put.accepted, got->put.accepted);
            sim_expect(got->put.last_seq == expected->put.last_seq, "last_seq", expected->put.last_seq, got->put.last_seq);
            sim_expect(got->put.duplicate == expected->put.duplicate, "duplicate", expected->put.duplicate, got->put.duplicate);
            sim_expect(got->put.last_number == expected->put.last_number, "last_number", expected->put.last_number,
                       got->put.last_number);
        } else if (got->kind == DISPATCH_GET) {
            check_grant(self, expected, got);
        }
        engine_grant_clear(&got->grant);
        self->answers++;
    }
    for (size_t i = 0; i < self->model.answers_count; i++) {
        sim_expect(!self->model.answers[i].used, "a request was not answered", self->model.answers[i].request_id, 0);
    }
    self->model.answers_count = 0;
}

// ---------------------------------------------------------------------------------------------------------------------- state

static void check_counters(const struct model_queue *queue, const struct queue_record *record)
{
    const struct {
        const char *what;
        uint64_t expected, got;
    } counters[] = {
        {"next_seq", queue->next_seq, record->next_seq},
        {"state", (uint64_t)queue->state, record->state},
        {"puts", queue->puts, record->puts},
        {"gets", queue->gets, record->gets},
        {"dones", queue->dones, record->dones},
        {"requeued", queue->requeued, record->requeued},
        {"failed", queue->failed, record->failed},
        {"expired", queue->expired, record->expired},
        {"purged", queue->purged, record->purged},
        {"dead_lettered", queue->dead_lettered, record->dead_lettered},
        {"dropped", queue->dropped, record->dropped},
        {"quarantined", queue->quarantined, record->quarantined},
        {"options given", queue->options_given, record->options_given},
        {"maxsize", queue->maxsize, record->maxsize},
        {"max_bytes", queue->max_bytes, record->max_bytes},
        {"lease", queue->lease_ms, record->lease_ms},
        {"hold_max", queue->hold_max_ms, record->hold_max_ms},
        {"max_deliveries", queue->max_deliveries, record->max_deliveries},
        {"ttl", queue->ttl_ms, record->ttl_ms},
        {"temporary", queue->temporary, record->temporary},
        {"length of the dead-letter queue's name", strlen(queue->dead_letter), record->dead_letter_len},
    };
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        equal(queue->name, counters[i].what, counters[i].expected, counters[i].got);
    }
    sim_expect(memcmp(queue->dead_letter, record->dead_letter, record->dead_letter_len) == 0, "dead-letter queue", 0, 0);
}

static void check_queue(struct sim *self, const struct model_queue *queue)
{
    struct model *model = &self->model;
    const struct queue *real = engine_queue_by_id(self->rig.engine, queue->id);
    struct queue_record record;
    sim_expect(real != NULL, "a queue is missing", queue->id, 0);
    engine_queue_stats(real, &record);
    sim_expect(strlen(queue->name) == record.name_len && memcmp(queue->name, record.name, record.name_len) == 0, "name", 0, 0);
    equal(queue->name, "ready", model_count(model, queue->id, MODEL_READY), record.ready);
    equal(queue->name, "delayed", model_count(model, queue->id, MODEL_DELAYED), record.delayed);
    equal(queue->name, "leased", model_count(model, queue->id, MODEL_LEASED), record.leased);
    equal(queue->name, "ready bytes", model_ready_bytes(model, queue->id), engine_queue_ready_bytes(real));
    equal(queue->name, "consumers", model_consumers(model, queue->id, 0), engine_queue_consumers(real));
    check_counters(queue, &record);
    struct dispatch_counts waiting = dispatch_waiting(self->rig.dispatch, real);
    equal(queue->name, "waiting gets", model_waiting(model, queue->id, DISPATCH_GET), waiting.gets);
    equal(queue->name, "waiting puts", model_waiting(model, queue->id, DISPATCH_PUT), waiting.puts);
    equal(queue->name, "waiting joins", model_waiting(model, queue->id, DISPATCH_JOIN), waiting.joins);
    sim_expect(waiting.gets == 0 || record.ready == 0, "ready while a get waits", 0, record.ready);
    sim_expect(waiting.joins == 0 || record.ready + record.delayed + record.leased > 0, "a join waits for nothing", 0,
               waiting.joins);
    for (uint64_t stream = 1000; stream < 1000 + SIM_CLIENTS; stream++) {
        const struct model_stream *known = model_stream(model, queue->id, stream);
        equal(queue->name, "last number of a stream", known == NULL ? 0 : known->last_number,
              engine_stream_last(self->rig.engine, real, stream));
    }
    uint64_t from = sim_random(self, queue->next_seq + 1);
    uint64_t seq = 0;
    const struct model_item *lowest = model_lowest_ready(model, queue->id, from);
    uint64_t looks = 0;
    bool found = engine_ready_seq(real, from, &seq, &looks);
    equal(queue->name, "lowest ready seq", lowest == NULL ? 0 : lowest->seq, found ? seq : 0);
}

void sim_check_state(struct sim *self)
{
    struct model *model = &self->model;
    size_t queues = 0;
    for (size_t i = 0; i < MODEL_QUEUES; i++) {
        if (model->queues[i].used) {
            queues++;
            check_queue(self, &model->queues[i]);
        }
    }
    sim_expect(queues == engine_queue_count(self->rig.engine), "queues", queues, engine_queue_count(self->rig.engine));
    size_t sessions = 0;
    for (size_t i = 0; i < MODEL_SESSIONS; i++) {
        if (model->sessions[i].used) {
            sessions++;
            size_t leases = engine_session_leases(self->rig.engine, model->sessions[i].no);
            sim_expect(leases == model_leases(model, model->sessions[i].no), "leases of a session",
                       model_leases(model, model->sessions[i].no), leases);
        }
    }
    sim_expect(sessions == engine_session_count(self->rig.engine), "sessions", sessions, engine_session_count(self->rig.engine));
    sim_expect(dispatch_parked_bytes(self->rig.dispatch) == model_parked_bytes(model, 0), "parked bytes",
               model_parked_bytes(model, 0), dispatch_parked_bytes(self->rig.dispatch));
    sim_expect(!engine_failed(self->rig.engine) && !dispatch_failed(self->rig.dispatch), "out of memory", 0, 1);
}

// ---------------------------------------------------------------------------------------------------------------------- store

static void check_stored_queue(struct sim *self, uint64_t queue_id)
{
    const struct model_queue *queue = model_queue_of(&self->model, queue_id);
    size_t live = queue == NULL ? 0 : model_unfinished(&self->model, queue_id) - model_damaged(&self->model, queue_id);
    size_t stored = rig_stored_items(&self->rig, queue_id);
    if (stored != live) {
        struct store_item item;
        for (uint64_t seq = 1; queue != NULL && seq < queue->next_seq; seq++) {
            bool is_stored = store_read(self->rig.store, queue_id, seq, &item) == NQ_OK;
            const struct model_item *item_of_model = model_item(&self->model, queue_id, seq);
            if (is_stored != (item_of_model != NULL && !item_of_model->damaged)) {
                fprintf(stderr, "seq %llu is %s\n", (unsigned long long)seq, is_stored ? "left over" : "missing");
            }
        }
        model_fail("queue %llu: %zu items are stored, %zu exist", (unsigned long long)queue_id, stored, live);
    }
}

void sim_check_store(struct sim *self)
{
    for (uint64_t queue_id = 1; queue_id <= self->last_queue_id; queue_id++) {
        check_stored_queue(self, queue_id);
    }
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        const struct model_item *item = &self->model.items[i];
        struct store_item stored;
        if (item->used && !item->damaged) {
            sim_expect(store_read(self->rig.store, item->queue_id, item->seq, &stored) == NQ_OK, "an item in the store", item->seq,
                       0);
            check_bytes(item, stored.body, stored.own_headers);
        }
    }
}
