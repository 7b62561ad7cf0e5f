// DECLARE, PURGE, DELETE, SHUTDOWN, STAT, LIST, PEEK, REDRIVE.
#include <stdlib.h>
#include <string.h>

#include "permit.h"
#include "queue.h"
#include "service.h"

enum { LIST_MAX = 1000, PEEK_MAX = 1000 };

static struct queue *find(const struct request *request)
{
    return engine_queue_find(request->service->engine, to_engine_bytes(request->wire->as.on_queue.queue));
}

static void answer_count(struct request *request, uint64_t count)
{
    struct answer *answer = request_answer(request, NQ_OK);
    if (answer != NULL) {
        answer->kind = ANSWER_COUNT;
        answer->as.count = count;
    }
}

// --------------------------------------------------------------------------------------------------------------- statistics

// Names are copied: the queue may be gone when the answer leaves.
static struct nq_bytes copy_name(struct service *self, enum engine_durability when, const char *name, size_t len)
{
    char *copy = service_alloc(self, when, len + 1, 1);
    if (copy == NULL) {
        return (struct nq_bytes){0};
    }
    memcpy(copy, name, len);
    return (struct nq_bytes){.len = len, .data = (const uint8_t *)copy};
}

static void fill_stats(struct service *self, const struct queue *queue, struct wire_queue_stats *out)
{
    enum engine_durability when = groups_youngest(&self->groups);
    struct dispatch_counts waiting = dispatch_waiting(self->dispatch, queue);
    struct queue_record record;
    engine_queue_stats(queue, &record);
    *out = (struct wire_queue_stats){
        .name = copy_name(self, when, record.name, record.name_len),
        .queue_id = record.queue_id,
        .options = {.given = record.options_given,
                    .maxsize = record.maxsize,
                    .max_bytes = record.max_bytes,
                    .lease_ms = record.lease_ms,
                    .hold_max_ms = record.hold_max_ms,
                    .max_deliveries = record.max_deliveries,
                    .dead_letter = copy_name(self, when, record.dead_letter, record.dead_letter_len),
                    .ttl_ms = record.ttl_ms,
                    .temporary = record.temporary},
        .ready = record.ready,
        .delayed = record.delayed,
        .leased = record.leased,
        .unfinished = record.ready + record.delayed + record.leased,
        .ready_bytes = engine_queue_ready_bytes(queue),
        .next_seq = record.next_seq,
        .puts = record.puts,
        .gets = record.gets,
        .dones = record.dones,
        .redelivered = record.redelivered,
        .requeued = record.requeued,
        .failed = record.failed,
        .expired = record.expired,
        .purged = record.purged,
        .dead_lettered = record.dead_lettered,
        .dropped = record.dropped,
        .quarantined = record.quarantined,
        .state = record.state,
        .waiting_gets = waiting.gets,
        .waiting_puts = waiting.puts,
        .waiting_joins = waiting.joins,
        .consumers = engine_queue_consumers(queue),
    };
}

static void answer_stat(struct request *request, const struct queue *queue)
{
    struct wire_reply *reply;
    if (request_answer_whole(request, NQ_OK, &reply) != NULL) {
        reply->result = WIRE_STAT;
        fill_stats(request->service, queue, &reply->as.stat);
    }
}

void request_stat(struct request *request)
{
    const struct queue *queue = find(request);
    if (queue == NULL) {
        request_answer(request, NQ_NO_SUCH_QUEUE);
    } else {
        answer_stat(request, queue);
    }
}

void request_list(struct request *request)
{
    struct service *self = request->service;
    const struct wire_list *list = &request->wire->as.list;
    size_t max = list->max == 0 || list->max > LIST_MAX ? LIST_MAX : list->max;
    size_t exist = engine_queue_count(self->engine);
    max = max < exist ? max : exist;
    struct wire_queue_stats *stats = service_alloc(self, groups_youngest(&self->groups), max + 1, sizeof(*stats));
    struct wire_reply *reply;
    if (stats == NULL || request_answer_whole(request, NQ_OK, &reply) == NULL) {
        return;
    }
    size_t count = 0;
    struct queue *queue = engine_queue_after(self->engine, to_engine_bytes(list->after));
    while (queue != NULL && count < max) {
        self->groups.open->items++; // it is looked at, though its key may not see it
        if (permit_sees(request, queue->record.name, queue->record.name_len)) {
            fill_stats(self, queue, &stats[count++]);
        }
        struct engine_bytes name = {.len = queue->record.name_len, .data = (const uint8_t *)queue->record.name};
        queue = engine_queue_after(self->engine, name);
    }
    reply->result = WIRE_LIST;
    reply->as.list = (struct wire_list_reply){.queues = stats, .count = count, .more = queue != NULL};
}

// ------------------------------------------------------------------------------------------------------------------- declare

static struct engine_options to_options(const struct wire_options *options)
{
    return (struct engine_options){.given = options->given,
                                   .maxsize = options->maxsize,
                                   .max_bytes = options->max_bytes,
                                   .lease_ms = options->lease_ms,
                                   .hold_max_ms = options->hold_max_ms,
                                   .ttl_ms = options->ttl_ms,
                                   .max_deliveries = options->max_deliveries,
                                   .temporary = options->temporary,
                                   .dead_letter = to_engine_bytes(options->dead_letter)};
}

static enum nq_status check_initial(const struct request *request)
{
    const struct wire_declare *declare = &request->wire->as.declare;
    const struct wire_options *options = &declare->options;
    bool bounded = (options->given & NQ_OPTION_MAXSIZE) != 0 && options->maxsize > 0;
    if (declare->initial == 0 || engine_queue_find(request->service->engine, to_engine_bytes(declare->queue)) != NULL) {
        return NQ_OK;
    }
    if (bounded && declare->initial > options->maxsize) {
        return NQ_TOO_LARGE;
    }
    struct service *self = request->service;
    bool enough = groups_open_has_enough(&self->groups);
    return enough ? NQ_BUSY : space_state(&self->space, request->now_ms, 0, groups_put_bytes(&self->groups));
}

static enum nq_status put_initial(const struct request *request, struct queue *queue)
{
    struct service *self = request->service;
    uint64_t count = request->wire->as.declare.initial;
    struct engine_bytes *bodies = service_alloc(self, ENGINE_OPEN, count, sizeof(*bodies));
    if (bodies == NULL) {
        return NQ_NO_MEMORY;
    }
    const struct engine_put put = {.session_no = request->peer->session_no, .bodies = bodies, .count = count, .atomic = true};
    struct engine_put_result result;
    self->groups.open->items += count;
    return status_of_engine(engine_put(self->engine, request->now_ms, queue, &put, &result));
}

void request_declare(struct request *request)
{
    const struct wire_declare *declare = &request->wire->as.declare;
    struct service *self = request->service;
    struct engine_options options = to_options(&declare->options);
    struct queue *queue = NULL;
    bool created = false;
    enum nq_status status = check_initial(request);
    if (status == NQ_OK) {
        status = status_of_engine(engine_declare(self->engine, request->now_ms, to_engine_bytes(declare->queue), &options,
                                                 declare->update, &queue, &created));
    }
    if (status == NQ_OK && created && declare->initial > 0) {
        status = put_initial(request, queue);
    }
    if (status == NQ_OK) {
        answer_stat(request, queue);
    } else {
        request_answer(request, status);
    }
}

// ------------------------------------------------------------------------------------------------- purge, delete, shutdown

void request_purge(struct request *request)
{
    struct queue *queue = find(request);
    if (queue == NULL) {
        request_answer(request, NQ_NO_SUCH_QUEUE);
        return;
    }
    answer_count(request, engine_purge(request->service->engine, request->now_ms, queue));
}

void request_delete(struct request *request)
{
    struct service *self = request->service;
    struct queue *queue = find(request);
    if (queue == NULL) {
        request_answer(request, NQ_NO_SUCH_QUEUE);
        return;
    }
    answer_count(request, engine_delete(self->engine, request->now_ms, queue));
    dispatch_run(self->dispatch, request->now_ms); // its waiters end before the name is used again
    service_take_answers(self, request->now_ms);
}

void request_shutdown(struct request *request)
{
    struct queue *queue = find(request);
    if (queue == NULL) {
        request_answer(request, NQ_NO_SUCH_QUEUE);
        return;
    }
    answer_count(request, engine_shutdown(request->service->engine, request->now_ms, queue, request->wire->as.on_queue.immediate));
}

// ---------------------------------------------------------------------------------------------------------------------- peek

// Ready items from `from_seq` on that can be read now and fit into one answer.
static size_t choose_items(const struct request *request, const struct queue *queue, struct engine_granted *items, size_t max)
{
    struct service *self = request->service;
    const struct wire_on_queue *peek = &request->wire->as.on_queue;
    uint64_t overhead = NQ_FRAME_SLACK_BYTES + max * 64;
    uint64_t room = self->config.limits.frame_bytes > overhead ? self->config.limits.frame_bytes - overhead : 1;
    uint64_t limit = peek->max_bytes == 0 || peek->max_bytes > room ? room : peek->max_bytes;
    uint64_t total = 0;
    uint64_t seq = peek->from_seq;
    uint64_t looks = 0;
    size_t count = 0;
    for (; count < max && engine_ready_seq(queue, seq, &seq, &looks); seq++) {
        struct engine_bytes body;
        struct engine_bytes headers;
        if (reader_item(self->reader, queue, queue->record.queue_id, seq, &body, &headers) != NQ_OK) {
            continue; // a get will find out what is wrong with it
        }
        total += body.len + headers.len;
        if (count > 0 && total > limit) {
            break;
        }
        items[count++] = (struct engine_granted){.seq = seq, .delivery = 1};
    }
    groups_note_looks(&self->groups, looks);
    return count;
}

void request_peek(struct request *request)
{
    const struct queue *queue = find(request);
    if (queue == NULL) {
        request_answer(request, NQ_NO_SUCH_QUEUE);
        return;
    }
    uint64_t wanted = request->wire->as.on_queue.max_items;
    size_t max = wanted == 0 ? 1 : wanted > PEEK_MAX ? PEEK_MAX : (size_t)wanted;
    struct engine_granted *items = calloc(max, sizeof(*items));
    struct answer *answer = items == NULL ? NULL : request_answer(request, NQ_OK);
    if (answer == NULL) {
        free(items);
        request->service->out_of_memory = true;
        return;
    }
    size_t count = choose_items(request, queue, items, max);
    request->service->groups.open->items += count;
    answer->kind = ANSWER_PEEK;
    items = engine_granted_fit(items, count);
    answer->as.items = (struct answer_items){.queue_id = queue->record.queue_id, .items = items, .count = count};
}

// ------------------------------------------------------------------------------------------------------------------- redrive

void request_redrive(struct request *request)
{
    const struct wire_on_queue *wire = &request->wire->as.on_queue;
    const struct queue *queue = find(request);
    bool to_itself = wire->to.len == wire->queue.len && memcmp(wire->to.data, wire->queue.data, wire->to.len) == 0;
    enum nq_status status = queue == NULL ? NQ_NO_SUCH_QUEUE : to_itself ? NQ_BAD_REQUEST : NQ_OK;
    const struct redrive_order order = {.connection = request->connection,
                                        .request_id = request->wire->id,
                                        .from_queue_id = queue == NULL ? 0 : queue->record.queue_id,
                                        .end_seq = queue == NULL ? 0 : queue->record.next_seq,
                                        .to = to_engine_bytes(wire->to),
                                        .max_items = wire->max_items};
    if (status == NQ_OK) {
        status = redrives_add(&request->service->redrives, &order);
    }
    if (status != NQ_OK) {
        request_answer(request, status);
    }
}
