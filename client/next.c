// Finish an item and get the next one: both requests travel in one frame.
#include <string.h>

#include "client.h"
#include "finish.h"

static void begin_done(struct nq_client *client, struct nq_item *item, struct finish_call *finish)
{
    if (finish_is_local(item, &finish->first)) {
        answer_unref(item->answer);
        finish->call.ended = true;
        return;
    }
    struct request *request = done_request(item);
    if (request == NULL) {
        finish->first = NQ_NO_MEMORY;
        finish->call.ended = true;
        return;
    }
    finish_begin(client, request, finish);
}

enum nq_status nq_next(struct nq_client *client, const char *queue, const struct nq_get_options *options, struct nq_item **item_p,
                       enum nq_status *done)
{
    struct nq_item *item = *item_p;
    *item_p = NULL;
    *done = NQ_OK;
    if (item == NULL) {
        return nq_get(client, queue, options, item_p);
    }
    struct finish_call finish = {.first = NQ_OK};
    char finished[NQ_NAME_BYTES_MAX + 1];
    memcpy(finished, item->answer->queue, sizeof finished);
    begin_done(client, item, &finish);
    enum nq_status status = nq_get(client, queue, options, item_p);
    char text[sizeof client->error];
    memcpy(text, client->error, sizeof text); // of the get: what follows is on the way already
    if (!finish.call.ended) {
        finish_await(client, &finish);
    }
    *done = finish.first;
    if (status != NQ_OK) {
        memcpy(client->error, text, sizeof text);
    } else if (finish.first != NQ_OK) {
        (void)client_fail_on(client, finish.first, "task_done", finished, NULL);
    }
    return status;
}
