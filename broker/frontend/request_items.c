// PUT, GET, TASK_DONE, EXTEND, REQUEUE, JOIN.
#include "queue.h"
#include "service.h"

enum { ITEM_OVERHEAD_BYTES = 40 }; // of an item in an encoded answer, at most, beside its body and headers

// ------------------------------------------------------------------------------------------------------------------ put, get

static struct engine_put to_engine_put(const struct request *request)
{
    const struct wire_put *put = &request->wire->as.put;
    return (struct engine_put){.session_no = request->peer == NULL ? 0 : request->peer->session_no,
                               .stream = put->stream,
                               .first_number = put->first_number,
                               .bodies = (const struct engine_bytes *)put->bodies,
                               .headers = (const struct engine_bytes *)put->headers,
                               .count = put->count,
                               .delay_ms = put->delay_ms,
                               .atomic = put->atomic};
}

// Of a run that comes again, its answer perhaps lost. What was accepted is told so, whatever there is room for now.
static struct engine_put_result accepted_before(const struct request *request)
{
    const struct engine *engine = request->service->engine;
    const struct queue *queue = engine_queue_find(engine, to_engine_bytes(request->wire->as.put.queue));
    const struct engine_put put = to_engine_put(request);
    struct engine_put_result result = {0};
    if (queue != NULL) {
        (void)engine_put_before(engine, queue, &put, &result); // a run out of its stream's order is refused anyway
    }
    return result;
}

void refuse_put(struct request *request, enum nq_status status)
{
    const struct engine_put_result before = accepted_before(request);
    size_t count = request->wire->as.put.count;
    bool all = count > 0 && before.accepted == count;
    struct answer *answer = request_answer(request, all ? NQ_OK : status);
    if (answer != NULL) {
        answer->kind = ANSWER_PUT;
        answer->as.put = (struct wire_put_reply){.accepted = before.accepted,
                                                 .last_seq = before.last_seq,
                                                 .duplicate = before.duplicate,
                                                 .last_number = before.last_number};
    }
}

static uint64_t bytes_of(const struct wire_put *put)
{
    uint64_t bytes = put->count * engine_kept_bytes(put->delay_ms); // many small ones take memory, too
    for (size_t i = 0; i < put->count; i++) {
        bytes += put->bodies[i].len;
    }
    return bytes;
}

static uint64_t parked_elsewhere(const struct peer *peer)
{
    return peer->principal == NULL ? 0 : peer->principal->parked_bytes - peer->parked_bytes;
}

void request_put(struct request *request)
{
    const struct wire_put *put = &request->wire->as.put;
    struct service *self = request->service;
    enum nq_status room = space_state(&self->space, request->now_ms, bytes_of(put), groups_put_bytes(&self->groups));
    if (room != NQ_OK && accepted_before(request).accepted < put->count) {
        refuse_put(request, room);
        return;
    }
    const struct dispatch_put command = {.session_no = request->peer->session_no,
                                         .request_id = request->wire->id,
                                         .put = to_engine_put(request),
                                         .wait_ms = put->wait_ms,
                                         .parked_by_key_elsewhere = parked_elsewhere(request->peer)};
    self->groups.open->items += put->count;
    dispatch_put(self->dispatch, request->now_ms, to_engine_bytes(put->queue), &command);
    if (put->wait_ms > 0) {
        sessions_watch(&self->sessions, request->now_ms, request->peer);
        sessions_note_parked(&self->sessions, request->peer);
    }
    service_take_answers(self, request->now_ms);
}

// What fits into one frame with `items` items.
static uint64_t answer_bytes_max(const struct service *self, uint64_t items, uint64_t wanted)
{
    uint64_t frame = self->config.limits.frame_bytes;
    uint64_t overhead = NQ_FRAME_SLACK_BYTES + items * ITEM_OVERHEAD_BYTES;
    uint64_t room = frame > overhead ? frame - overhead : 1;
    return wanted == 0 || wanted > room ? room : wanted;
}

// The answer of a get leaves before its leases are stored, and one frame may hold many gets: more than a crash is reckoned to hide must
// not be leased in a group. Two items there are always: a get for one says that its client has use for that now.
static uint32_t items_within_group(const struct service *self, uint32_t wanted)
{
    enum { LEAST = 2 };
    _Static_assert(2 * (GROUP_ITEMS_MAX + LEAST * NQ_REQUESTS_PER_FRAME_MAX) <= ENGINE_UNFLUSHED_LEASES_MAX, "of two groups");
    size_t leased = self->groups.open->leased;
    size_t left = leased + LEAST < GROUP_ITEMS_MAX ? GROUP_ITEMS_MAX - leased : LEAST;
    return wanted < left ? wanted : (uint32_t)left;
}

void request_get(struct request *request)
{
    const struct wire_get *get = &request->wire->as.get;
    struct service *self = request->service;
    const struct dispatch_get command = {
        .session_no = request->peer->session_no,
        .request_id = request->wire->id,
        .max_items = items_within_group(self, get->max_items),
        .max_bytes = answer_bytes_max(self, get->max_items, get->max_bytes),
        .lease_ms = get->lease_ms,
        .hold_max_ms = get->hold_max_ms,
        .wait_ms = get->wait_ms,
        .at_most_once = get->at_most_once,
    };
    dispatch_get(self->dispatch, request->now_ms, to_engine_bytes(get->queue), &command);
    sessions_watch(&self->sessions, request->now_ms, request->peer);
    service_take_answers(self, request->now_ms);
}

void request_join(struct request *request)
{
    const struct wire_on_queue *join = &request->wire->as.on_queue;
    struct service *self = request->service;
    dispatch_join(self->dispatch, request->now_ms, request->peer->session_no, request->wire->id, to_engine_bytes(join->queue),
                  join->wait_ms);
    sessions_watch(&self->sessions, request->now_ms, request->peer);
    service_take_answers(self, request->now_ms);
}

// -------------------------------------------------------------------------------------------------------------------- tokens

typedef enum engine_status token_command(const struct request *request, struct queue *queue, const struct engine_token *token,
                                         bool *gone);

static enum engine_status token_done(const struct request *request, struct queue *queue, const struct engine_token *token,
                                     bool *gone)
{
    return engine_task_done(request->service->engine, request->now_ms, queue, token, gone);
}

static enum engine_status token_extend(const struct request *request, struct queue *queue, const struct engine_token *token,
                                       bool *gone)
{
    (void)gone;
    return engine_extend(request->service->engine, request->now_ms, queue, token, request->wire->as.tokens.lease_ms);
}

static enum engine_status token_requeue(const struct request *request, struct queue *queue, const struct engine_token *token,
                                        bool *gone)
{
    const struct wire_tokens *tokens = &request->wire->as.tokens;
    const struct engine_requeue requeue = {
        .delay_ms = tokens->delay_ms, .failed = tokens->failed, .dead = tokens->dead, .reason = to_engine_bytes(tokens->reason)};
    (void)gone;
    return engine_requeue(request->service->engine, request->now_ms, queue, token, &requeue);
}

// Of a queue that is deleted nothing is stored any more.
static enum engine_status token_of_no_queue(const struct request *request, bool *gone)
{
    const struct wire_tokens *tokens = &request->wire->as.tokens;
    if (!engine_queue_id_was_used(request->service->engine, tokens->queue_id)) {
        return ENGINE_NOT_LEASED;
    }
    *gone = request->wire->op == WIRE_TASK_DONE;
    return *gone ? ENGINE_OK : ENGINE_LEASE_LOST;
}

// What goes to dead letters is copied by the commit: no more of it than one may hold.
static bool moves_too_much(const struct request *request, const struct queue *queue)
{
    const struct wire_tokens *tokens = &request->wire->as.tokens;
    bool may_move = request->wire->op == WIRE_REQUEUE && (tokens->dead || tokens->failed) && queue->record.dead_letter_len > 0;
    return may_move && groups_open_moves_enough(&request->service->groups);
}

static enum nq_status each_status(const struct request *request, struct queue *queue, const struct engine_token *token,
                                  token_command *command, bool *gone)
{
    if (queue == NULL) {
        return status_of_engine(token_of_no_queue(request, gone));
    }
    return moves_too_much(request, queue) ? NQ_BUSY : status_of_engine(command(request, queue, token, gone));
}

// The status of the whole is the first token's when all have the same, else each one's is told.
static void answer_tokens(struct request *request, const uint32_t *statuses, size_t count, uint32_t gone)
{
    bool same = true;
    for (size_t i = 1; i < count; i++) {
        same = same && statuses[i] == statuses[0];
    }
    struct service *self = request->service;
    uint32_t *told = NULL;
    if (!same) { // the answer's own memory: it may wait for another group than the frame's
        told = service_alloc(self, groups_youngest(&self->groups), count, sizeof(*told));
        for (size_t i = 0; told != NULL && i < count; i++) {
            told[i] = statuses[i];
        }
    }
    struct answer *answer = request_answer(request, same && count > 0 ? (enum nq_status)statuses[0] : NQ_OK);
    if (answer != NULL) {
        answer->kind = ANSWER_TOKENS;
        answer->as.tokens = (struct wire_token_reply){.statuses = told, .count = told == NULL ? 0 : count, .gone = gone};
    }
}

static void each_token(struct request *request, token_command *command)
{
    const struct wire_tokens *tokens = &request->wire->as.tokens;
    struct service *self = request->service;
    struct queue *queue = engine_queue_by_id(self->engine, tokens->queue_id);
    uint32_t *statuses = service_alloc(self, ENGINE_OPEN, tokens->count, sizeof(*statuses));
    uint32_t gone_count = 0;
    self->groups.open->items += tokens->count;
    for (size_t i = 0; i < tokens->count && statuses != NULL; i++) {
        bool gone = false;
        const struct engine_token token = {.session_no = request->peer->session_no,
                                           .epoch = tokens->epoch,
                                           .seq = tokens->seqs[i],
                                           .delivery = tokens->deliveries == NULL ? 1 : tokens->deliveries[i]};
        statuses[i] = each_status(request, queue, &token, command, &gone);
        gone_count += gone ? 1 : 0;
    }
    if (statuses != NULL) {
        answer_tokens(request, statuses, tokens->count, gone_count);
    }
}

void request_task_done(struct request *request)
{
    each_token(request, token_done);
}

void request_extend(struct request *request)
{
    each_token(request, token_extend);
}

void request_requeue(struct request *request)
{
    each_token(request, token_requeue);
}
