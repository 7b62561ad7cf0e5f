#include "finish.h"

#include <stdlib.h>
#include <string.h>

#include "client.h"

#define BATCH_ROOM_FIRST 4u

void token_batch_free(struct token_batch *self)
{
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->count; i++) {
        answer_unref(self->answers[i]);
    }
    free(self->seqs);
    free(self->deliveries);
    free(self->answers);
    free(self);
}

static bool grow(struct token_batch *self)
{
    size_t room = self->room == 0 ? BATCH_ROOM_FIRST : self->room * 4;
    uint64_t *seqs = realloc(self->seqs, room * sizeof *seqs);
    self->seqs = seqs != NULL ? seqs : self->seqs;
    uint32_t *deliveries = realloc(self->deliveries, room * sizeof *deliveries);
    self->deliveries = deliveries != NULL ? deliveries : self->deliveries;
    struct answer **answers = realloc(self->answers, room * sizeof(struct answer *));
    self->answers = answers != NULL ? answers : self->answers;
    if (seqs == NULL || deliveries == NULL || answers == NULL) {
        return false;
    }
    self->room = room;
    return true;
}

static struct token_batch *batch_for(struct token_batch **list, const struct answer *answer)
{
    for (struct token_batch *batch = *list; batch != NULL; batch = batch->next) {
        if (batch->queue_id == answer->queue_id && batch->epoch == answer->epoch && batch->count < NQ_ITEMS_PER_REQUEST_MAX) {
            return batch;
        }
    }
    struct token_batch *batch = calloc(1, sizeof *batch);
    if (batch != NULL) {
        batch->queue_id = answer->queue_id;
        batch->epoch = answer->epoch;
        batch->next = *list;
        *list = batch;
    }
    return batch;
}

bool token_gather(struct token_batch **list, struct nq_item *item)
{
    struct token_batch *batch = batch_for(list, item->answer);
    if (batch == NULL || (batch->count == batch->room && !grow(batch))) {
        return false;
    }
    batch->seqs[batch->count] = item->seq;
    batch->deliveries[batch->count] = item->delivery;
    batch->answers[batch->count] = item->answer;
    batch->redelivered = batch->redelivered || item->delivery != 1;
    batch->count++;
    return true;
}

struct request *token_request(enum wire_op op, struct token_batch *batch)
{
    struct request *request = request_create(op);
    if (request == NULL) {
        return NULL;
    }
    struct wire_tokens *tokens = &request->wire.as.tokens;
    tokens->queue_id = batch->queue_id;
    tokens->epoch = batch->epoch;
    tokens->seqs = batch->seqs;
    tokens->deliveries = batch->redelivered ? batch->deliveries : NULL;
    tokens->count = batch->count;
    request->size = 64 + batch->count * 16;
    request->ended = token_ended;
    request->user = batch;
    return request;
}

enum nq_status token_status(const struct outcome *outcome, const struct request *request, size_t index)
{
    enum nq_status status = outcome->status;
    const struct wire_reply *reply = outcome->reply;
    if (reply != NULL && reply->result == WIRE_TASK_DONE && reply->as.tokens.statuses != NULL && index < reply->as.tokens.count) {
        status = (enum nq_status)reply->as.tokens.statuses[index];
    }
    // The first sending may have been carried out: then the token is spent, as was wanted.
    if (status == NQ_LEASE_LOST && request->resent && request->wire.op == WIRE_REQUEUE && reply != NULL) {
        status = NQ_OK;
    }
    return status;
}

// To put an item back in a special way. A plain return that is refused is not tried again.
static bool may_go_back_plainly(const struct request *request, const struct outcome *outcome)
{
    const struct wire_tokens *tokens = &request->wire.as.tokens;
    bool is_plain = tokens->delay_ms == 0 && !tokens->failed && !tokens->dead && tokens->reason.len == 0;
    bool is_refused = outcome->reply != NULL || outcome->status == NQ_TOO_LARGE; // the latter: it was never sent
    if (request->wire.op != WIRE_REQUEUE || is_plain || !is_refused) {
        return false;
    }
    switch (token_status(outcome, request, 0)) {
    case NQ_LIMIT_REACHED:
    case NQ_TOO_LARGE:
    case NQ_BAD_REQUEST:
    case NQ_BUSY:
        return true;
    default:
        return false;
    }
}

void token_ended(struct request *request, const struct outcome *outcome)
{
    struct token_batch *batch = request->user;
    bool goes_back = may_go_back_plainly(request, outcome); // its caller has it no more, and others would wait until hold_max
    if (batch->ended != NULL) {
        struct outcome seen = *outcome;
        batch->ended(batch, &seen);
    }
    if (!goes_back) {
        token_batch_free(batch);
        return;
    }
    struct nq_client *client = batch->answers[0]->client;
    batch->ended = NULL;
    batch->next = client->returns;
    client->returns = batch;
}

// ---------------------------------------------------------------------------------------------------------- returns

bool finish_is_local(const struct nq_item *item, enum nq_status *status)
{
    const struct answer *answer = item->answer;
    *status = answer->wants_no_end ? NQ_OK : NQ_LEASE_LOST;
    return answer->wants_no_end || answer->store_gone || answer->client == NULL;
}

void finish_give_back(struct nq_item *item)
{
    struct answer *answer = item->answer;
    enum nq_status status;
    if (finish_is_local(item, &status)) {
        answer_unref(answer);
    } else if (!token_gather(&answer->client->returns, item)) {
        session_disown(answer->client); // with the last of what came with it
        answer_unref(answer);
    } else if (answer->client->background > 0 || answer->client->consumers != NULL) {
        client_wake(answer->client);
    }
}

void finish_send_returns(struct nq_client *client)
{
    while (client->returns != NULL) {
        struct token_batch *batch = client->returns;
        struct request *request = token_request(WIRE_REQUEUE, batch);
        if (request == NULL) {
            return;
        }
        client->returns = batch->next;
        batch->next = NULL;
        tracker_add(&client->tracker, request, client->now_ms);
        tracker_unsend(&client->tracker, request);
    }
}

struct request *requeue_request(struct nq_item *item, const struct nq_requeue_options *options)
{
    static const struct nq_requeue_options none = {0};
    options = options != NULL ? options : &none;
    struct token_batch *batch = NULL;
    if (!token_gather(&batch, item)) {
        token_batch_free(batch);
        return NULL;
    }
    struct request *request = token_request(WIRE_REQUEUE, batch);
    char *reason = options->reason != NULL ? strdup(options->reason) : NULL;
    if (request == NULL || (options->reason != NULL && reason == NULL)) {
        batch->count = 0; // the item keeps its reference
        token_batch_free(batch);
        free(request);
        free(reason);
        return NULL;
    }
    request->memory = reason;
    struct wire_tokens *tokens = &request->wire.as.tokens;
    tokens->delay_ms = options->delay_ms;
    tokens->failed = options->failed;
    tokens->dead = options->dead;
    tokens->reason = bytes_of(reason);
    request->size += tokens->reason.len;
    return request;
}

// -------------------------------------------------------------------------------------------------- task_done, requeue

static void finish_ended(struct token_batch *batch, const struct outcome *outcome)
{
    struct finish_call *finish = batch->user;
    finish->first = NQ_OK;
    for (size_t i = 0; i < batch->count; i++) {
        enum nq_status status = token_status(outcome, finish->request, i);
        if (finish->statuses != NULL) {
            finish->statuses[i] = status;
        }
        if (finish->first == NQ_OK) {
            finish->first = status;
        }
    }
    finish->call.ended = true;
    finish->call.status = finish->first;
}

static bool finish_is_over(void *user)
{
    return ((struct finish_call *)user)->call.ended;
}

void finish_begin(struct nq_client *client, struct request *request, struct finish_call *finish)
{
    struct token_batch *batch = request->user;
    finish->request = request;
    batch->ended = finish_ended;
    batch->user = finish;
    tracker_add(&client->tracker, request, client_until(client, 0));
}

void finish_await(struct nq_client *client, struct finish_call *finish)
{
    (void)client_wait(client, finish_is_over, finish, UINT64_MAX, WAIT_THROUGH);
}

static enum nq_status run(struct nq_client *client, struct request *request, enum nq_status *statuses, const char *what,
                          const char *queue)
{
    struct finish_call finish = {.statuses = statuses};
    finish_begin(client, request, &finish);
    finish_await(client, &finish);
    return finish.first == NQ_OK ? NQ_OK : client_fail_on(client, finish.first, what, queue, NULL);
}

static enum nq_status finish_locally(struct nq_client *client, struct nq_item *item, enum nq_status status, const char *what)
{
    if (status != NQ_OK) {
        (void)client_fail_on(client, status, what, item->answer->queue, NULL);
    }
    answer_unref(item->answer);
    return status;
}

struct request *done_request(struct nq_item *item)
{
    struct token_batch *batch = NULL;
    struct request *request = token_gather(&batch, item) ? token_request(WIRE_TASK_DONE, batch) : NULL;
    if (request == NULL) {
        session_disown(item->answer->client);
        if (batch == NULL || batch->count == 0) {
            answer_unref(item->answer);
        }
        token_batch_free(batch);
    }
    return request;
}

enum nq_status nq_task_done(struct nq_client *client, struct nq_item **item_p)
{
    struct nq_item *item = *item_p;
    if (item == NULL) {
        return client_fail(client, NQ_BAD_REQUEST, "task_done: no item");
    }
    *item_p = NULL;
    enum nq_status status;
    if (finish_is_local(item, &status)) {
        return finish_locally(client, item, status, "task_done");
    }
    char queue[NQ_NAME_BYTES_MAX + 1];
    memcpy(queue, item->answer->queue, sizeof queue);
    struct request *request = done_request(item);
    if (request == NULL) {
        return client_fail(client, NQ_NO_MEMORY, "task_done: out of memory");
    }
    return run(client, request, NULL, "task_done", queue);
}

enum nq_status nq_requeue(struct nq_client *client, struct nq_item **item_p, const struct nq_requeue_options *options)
{
    struct nq_item *item = *item_p;
    if (item == NULL) {
        return client_fail(client, NQ_BAD_REQUEST, "requeue: no item");
    }
    *item_p = NULL;
    enum nq_status status;
    if (finish_is_local(item, &status)) {
        return finish_locally(client, item, status, "requeue");
    }
    char queue[NQ_NAME_BYTES_MAX + 1];
    memcpy(queue, item->answer->queue, sizeof queue);
    struct request *request = requeue_request(item, options);
    if (request == NULL) {
        session_disown(client);
        answer_unref(item->answer);
        return client_fail(client, NQ_NO_MEMORY, "requeue: out of memory");
    }
    return run(client, request, NULL, "requeue", queue);
}

// 0: that of the get, which is known here, unlike what the queue's is by now: leases are renewed in time because the shortest is known.
uint64_t extend_ms(struct nq_client *client, const struct nq_item *item, uint64_t lease_ms)
{
    lease_ms = lease_ms > 0 ? lease_ms : item->answer->lease_ms;
    client->lease_ms_min = lease_ms > 0 && lease_ms < client->lease_ms_min ? lease_ms : client->lease_ms_min;
    return lease_ms;
}

enum nq_status nq_extend(struct nq_client *client, struct nq_item *item, uint64_t lease_ms)
{
    enum nq_status status;
    if (finish_is_local(item, &status)) {
        return status == NQ_OK ? NQ_OK : client_fail_on(client, status, "extend", item->answer->queue, NULL);
    }
    struct request *request = request_create(WIRE_EXTEND);
    if (request == NULL) {
        return client_fail(client, NQ_NO_MEMORY, "extend: out of memory");
    }
    struct wire_tokens *tokens = &request->wire.as.tokens;
    tokens->queue_id = item->answer->queue_id;
    tokens->epoch = item->answer->epoch;
    tokens->seqs = &item->seq;
    tokens->deliveries = &item->delivery;
    tokens->count = 1;
    tokens->lease_ms = extend_ms(client, item, lease_ms);
    struct call call;
    status = call_run(client, request, &call, WAIT_THROUGH);
    if (status == NQ_OK && call.frame != NULL && call.reply.result == WIRE_TASK_DONE && call.reply.as.tokens.count > 0 &&
        call.reply.as.tokens.statuses != NULL) {
        status = (enum nq_status)call.reply.as.tokens.statuses[0];
    }
    if (status != NQ_OK) {
        (void)client_fail_on(client, status, "extend", item->answer->queue, call.frame != NULL ? &call.reply : NULL);
    }
    call_end(client, &call);
    return status;
}
