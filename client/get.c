#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "finish.h"

static const struct nq_get_options get_defaults = {.wait_ms = NQ_WAIT_FOREVER};

struct request *get_request(const char *queue, size_t max, const struct nq_get_options *options, bool keep_name)
{
    struct request *request = request_create(WIRE_GET);
    char *name = request != NULL && keep_name ? strdup(queue) : NULL;
    if (request == NULL || (keep_name && name == NULL)) {
        free(request);
        return NULL;
    }
    request->memory = name;
    request->wait_ms = options->wait_ms;
    request->wire.as.get = (struct wire_get){
        .queue = bytes_of(keep_name ? name : queue),
        .max_items = (uint32_t)(max < NQ_ITEMS_PER_REQUEST_MAX ? max : NQ_ITEMS_PER_REQUEST_MAX),
        .wait_ms = options->wait_ms,
        .lease_ms = options->lease_ms,
        .hold_max_ms = options->hold_max_ms,
        .at_most_once = options->at_most_once,
    };
    return request;
}

void get_return_items(struct nq_client *client, const struct wire_reply *reply, struct frame *frame, struct nq_bytes queue,
                      uint64_t id)
{
    struct answer *answer;
    if (reply->result != WIRE_GET || reply->as.get.count == 0) {
        return;
    }
    if (answer_create(client, queue, id, reply, frame, false, &answer) != NQ_OK) {
        session_disown(client);
        return;
    }
    uint32_t count = answer->count;
    for (uint32_t i = 0; i < count; i++) {
        finish_give_back(&answer->items[i]); // the last one may free the answer
    }
}

static void abandoned_ended(struct request *request, const struct outcome *outcome)
{
    struct nq_client *client = request->user;
    if (request->background) {
        client->background--;
    }
    if (outcome->reply != NULL && outcome->status == NQ_OK && !request->wire.as.get.at_most_once) {
        get_return_items(client, outcome->reply, outcome->frame, request->wire.as.get.queue, request->wire.id);
    }
}

void get_abandon(struct nq_client *client, struct request *request)
{
    if (!request_was_sent(request)) {
        if (request->background) {
            client->background--;
        }
        tracker_drop(&client->tracker, request, client->now_ms);
        return;
    }
    if (request->memory == NULL) { // the name was the caller's
        struct nq_bytes *queue = &request->wire.as.get.queue;
        uint8_t *copy = malloc(queue->len + 1);
        if (copy != NULL) {
            memcpy(copy, queue->data, queue->len);
            copy[queue->len] = 0;
        }
        queue->len = copy != NULL ? queue->len : 0;
        queue->data = copy;
        request->memory = copy;
    }
    request->abandoned = true;
    request->ended = abandoned_ended;
    request->user = client;
}

static enum nq_status take_items(struct nq_client *client, const char *queue, uint64_t id, bool at_most_once,
                                 const struct call *call, size_t max, struct nq_item **items, size_t *count)
{
    if (call->frame == NULL || call->reply.result != WIRE_GET || call->reply.as.get.count == 0 || call->reply.as.get.count > max) {
        return client_fail(client, NQ_BAD_REQUEST, "get from '%s': the broker's answer makes no sense", queue);
    }
    struct answer *answer;
    enum nq_status status = answer_create(client, bytes_of(queue), id, &call->reply, call->frame, at_most_once, &answer);
    if (status != NQ_OK) {
        session_disown(client);
        return client_fail(client, status, "get from '%s': %s", queue, nq_status_text(status));
    }
    for (uint32_t i = 0; i < answer->count; i++) {
        items[i] = &answer->items[i];
    }
    *count = answer->count;
    answer_is_taken(answer, answer->count);
    session_update_keeper(client);
    return NQ_OK;
}

enum nq_status nq_get_many(struct nq_client *client, const char *queue, size_t max, const struct nq_get_options *options,
                           struct nq_item **items, size_t *count)
{
    options = options != NULL ? options : &get_defaults;
    *count = 0;
    enum nq_status status = client_check_queue(client, queue);
    if (status != NQ_OK) {
        return status;
    }
    if (max == 0) {
        return client_fail(client, NQ_BAD_REQUEST, "get of 0 items");
    }
    struct request *request = get_request(queue, max, options, false);
    if (request == NULL) {
        return client_fail(client, NQ_NO_MEMORY, "get: out of memory");
    }
    struct call call;
    status = call_run(client, request, &call, WAIT_INTERRUPTIBLE);
    if (status == NQ_OK) {
        status = take_items(client, queue, call.reply.id, options->at_most_once, &call, max, items, count);
    } else {
        (void)client_fail_on(client, status, "get from", queue, call.frame != NULL ? &call.reply : NULL);
    }
    call_end(client, &call);
    return status;
}

enum nq_status nq_get(struct nq_client *client, const char *queue, const struct nq_get_options *options, struct nq_item **item)
{
    size_t count;
    *item = NULL;
    return nq_get_many(client, queue, 1, options, item, &count);
}
