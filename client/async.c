// The non-blocking form: requests are started, completions collected.
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "finish.h"

struct completion_entry {
    struct completion_entry *next;
    struct nq_client *client;
    struct nq_completion completion;
    struct request *request; // NULL once it has ended
    char *why;               // malloc'd; NULL: the status says it all
    bool at_most_once;
};

static void append(struct completion_entry *entry)
{
    struct nq_client *client = entry->client;
    entry->next = NULL;
    entry->request = NULL;
    if (client->completions_last != NULL) {
        client->completions_last->next = entry;
    } else {
        client->completions_first = entry;
    }
    client->completions_last = entry;
}

static void note_why(struct completion_entry *entry, const struct outcome *outcome)
{
    char why[200];
    client_detail(entry->client, entry->completion.status, outcome->reply, why, sizeof why);
    entry->why = why[0] != '\0' ? strdup(why) : NULL; // without memory the status has to do
}

static void end(struct completion_entry *entry, const struct outcome *outcome)
{
    entry->client->background--;
    if (entry->completion.status != NQ_OK) {
        note_why(entry, outcome);
    }
    append(entry);
}

// The items of a get, in an array of their own.
static enum nq_status take_items(struct completion_entry *entry, struct request *request, const struct outcome *outcome)
{
    struct nq_completion *completion = &entry->completion;
    if (outcome->reply->result != WIRE_GET || outcome->reply->as.get.count == 0) {
        return NQ_BAD_REQUEST;
    }
    struct answer *answer;
    struct nq_item **items = calloc(outcome->reply->as.get.count, sizeof(struct nq_item *));
    enum nq_status status = items != NULL ? answer_create(entry->client, request->wire.as.get.queue, request->wire.id,
                                                          outcome->reply, outcome->frame, entry->at_most_once, &answer)
                                          : NQ_NO_MEMORY;
    if (status != NQ_OK) {
        session_disown(entry->client);
        free(items);
        return status;
    }
    for (uint32_t i = 0; i < answer->count; i++) {
        items[i] = &answer->items[i];
    }
    completion->items = items;
    completion->items_count = answer->count;
    return NQ_OK;
}

// The numbers of a whole queue.
static enum nq_status take_numbers(struct completion_entry *entry, const struct wire_reply *reply)
{
    if (reply->result == WIRE_PURGE) {
        entry->completion.count = reply->as.count;
    } else if (reply->result == WIRE_STAT) {
        entry->completion.stats = malloc(sizeof *entry->completion.stats);
        if (entry->completion.stats == NULL) {
            return NQ_NO_MEMORY;
        }
        queue_stats_copy(entry->completion.stats, &reply->as.stat);
    }
    return NQ_OK;
}

static void request_ended(struct request *request, const struct outcome *outcome)
{
    struct completion_entry *entry = request->user;
    entry->completion.status = outcome->status;
    entry->completion.accepted = request->accepted;
    if (outcome->reply != NULL && outcome->reply->result == WIRE_PUT) {
        entry->completion.last_seq = outcome->reply->as.put.last_seq;
    }
    if (request->wire.op == WIRE_GET && outcome->reply != NULL && outcome->status == NQ_OK) {
        entry->completion.status = take_items(entry, request, outcome);
    } else if (outcome->reply != NULL && outcome->status == NQ_OK) {
        entry->completion.status = take_numbers(entry, outcome->reply);
    }
    end(entry, outcome);
}

static void tokens_ended(struct token_batch *batch, const struct outcome *outcome)
{
    struct completion_entry *entry = batch->user;
    for (size_t i = 0; i < batch->count && entry->completion.status == NQ_OK; i++) {
        entry->completion.status = token_status(outcome, entry->request, i);
    }
    end(entry, outcome);
}

static struct completion_entry *entry_create(struct nq_client *client, void *user)
{
    struct completion_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        (void)client_fail(client, NQ_NO_MEMORY, "out of memory");
        return NULL;
    }
    entry->client = client;
    entry->completion.user = user;
    return entry;
}

static uint64_t start(struct nq_client *client, struct request *request, struct completion_entry *entry)
{
    if (request->ended != token_ended) {
        request->ended = request_ended;
        request->user = entry;
    }
    entry->request = request;
    client_add_background(client, request);
    entry->completion.request = request->wire.id;
    client_wake(client);
    return entry->completion.request;
}

uint64_t async_start(struct nq_client *client, struct request *request, void *user)
{
    struct completion_entry *entry = request != NULL ? entry_create(client, user) : NULL;
    if (entry == NULL) {
        free(request != NULL ? request->memory : NULL);
        free(request);
        return 0;
    }
    return start(client, request, entry);
}

uint64_t nq_start_put(struct nq_client *client, const char *queue, const struct nq_body *bodies, size_t count,
                      const struct nq_put_options *options, void *user)
{
    static const struct nq_put_options defaults = {.wait_ms = NQ_WAIT_FOREVER};
    struct request *request;
    if (client_check_queue(client, queue) != NQ_OK ||
        put_request(client, queue, bodies, count, options != NULL ? options : &defaults, true, &request) != NQ_OK) {
        return 0;
    }
    return async_start(client, request, user);
}

uint64_t nq_start_get(struct nq_client *client, const char *queue, size_t max, const struct nq_get_options *options, void *user)
{
    static const struct nq_get_options defaults = {.wait_ms = NQ_WAIT_FOREVER};
    if (client_check_queue(client, queue) != NQ_OK) {
        return 0;
    }
    options = options != NULL ? options : &defaults;
    struct completion_entry *entry = entry_create(client, user);
    struct request *request = entry != NULL ? get_request(queue, max > 0 ? max : 1, options, true) : NULL;
    if (request == NULL) {
        (void)client_fail(client, NQ_NO_MEMORY, "out of memory");
        free(entry);
        return 0;
    }
    entry->at_most_once = options->at_most_once;
    return start(client, request, entry);
}

// What needs no word to the broker still ends by a completion.
static uint64_t complete_locally(struct nq_item *item, enum nq_status status, struct completion_entry *entry)
{
    entry->completion.status = status;
    entry->completion.request = tracker_new_id(&entry->client->tracker);
    append(entry);
    client_wake(entry->client);
    answer_unref(item->answer);
    return entry->completion.request;
}

static uint64_t start_tokens(struct nq_client *client, struct request *request, struct completion_entry *entry)
{
    struct token_batch *batch = request->user;
    batch->ended = tokens_ended;
    batch->user = entry;
    return start(client, request, entry);
}

static uint64_t start_finish(struct nq_client *client, struct nq_item **item_p, bool requeue,
                             const struct nq_requeue_options *options, void *user)
{
    struct nq_item *item = *item_p;
    struct completion_entry *entry = entry_create(client, user);
    if (item == NULL || entry == NULL) {
        free(entry);
        return 0;
    }
    enum nq_status status;
    if (finish_is_local(item, &status)) {
        *item_p = NULL;
        return complete_locally(item, status, entry);
    }
    struct request *request = requeue_request(item, options);
    if (request == NULL) {
        (void)client_fail(client, NQ_NO_MEMORY, "out of memory");
        free(entry);
        return 0;
    }
    if (!requeue) {
        request->wire.op = WIRE_TASK_DONE; // the same tokens
    }
    *item_p = NULL;
    return start_tokens(client, request, entry);
}

uint64_t nq_start_task_done(struct nq_client *client, struct nq_item **item_p, void *user)
{
    return start_finish(client, item_p, false, NULL, user);
}

uint64_t nq_start_requeue(struct nq_client *client, struct nq_item **item_p, const struct nq_requeue_options *options, void *user)
{
    return start_finish(client, item_p, true, options, user);
}

static void are_taken(struct nq_item **items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        items[i] = NULL;
    }
}

// Items without a token to send: the completion tells how the first of them that failed stands.
static uint64_t start_all_local(struct nq_client *client, struct nq_item **items, size_t count, void *user)
{
    struct completion_entry *entry = entry_create(client, user);
    enum nq_status first = NQ_OK;
    for (size_t i = 0; entry != NULL && i < count; i++) {
        enum nq_status status;
        (void)finish_is_local(items[i], &status);
        first = first == NQ_OK ? status : first;
        if (i + 1 < count) {
            answer_unref(items[i]->answer);
        }
    }
    uint64_t request = entry != NULL ? complete_locally(items[count - 1], first, entry) : 0;
    are_taken(items, request != 0 ? count : 0);
    return request;
}

uint64_t nq_start_task_done_many(struct nq_client *client, struct nq_item **items, size_t count, void *user)
{
    struct token_batch *list = NULL;
    enum nq_status status;
    bool ok = count > 0 && count <= NQ_ITEMS_PER_REQUEST_MAX;
    size_t local = 0;
    for (size_t i = 0; ok && i < count; i++) {
        local += finish_is_local(items[i], &status) ? 1 : 0;
    }
    if (ok && local == count) {
        return start_all_local(client, items, count, user);
    }
    // One that is finished here already is sent all the same when others must be: a lost lease is told by the broker, too.
    for (size_t i = 0; ok && i < count; i++) {
        ok = items[i]->answer->queue_id == items[0]->answer->queue_id && token_gather(&list, items[i]) && list->next == NULL;
    }
    struct request *request = ok ? token_request(WIRE_TASK_DONE, list) : NULL;
    struct completion_entry *entry = request != NULL ? entry_create(client, user) : NULL;
    if (entry != NULL) {
        are_taken(items, count);
        return start_tokens(client, request, entry);
    }
    free(request);
    while (list != NULL) { // the items keep their references
        struct token_batch *batch = list;
        list = batch->next;
        batch->count = 0;
        token_batch_free(batch);
    }
    (void)client_fail(client, NQ_BAD_REQUEST, "task_done: %zu items, not of one queue, or out of memory", count);
    return 0;
}

uint64_t nq_start_extend(struct nq_client *client, struct nq_item *item, uint64_t lease_ms, void *user)
{
    enum nq_status status;
    struct completion_entry *entry = entry_create(client, user);
    if (entry == NULL) {
        return 0;
    }
    item->answer->refs++; // the request's; the caller keeps his own
    if (finish_is_local(item, &status)) {
        return complete_locally(item, status, entry);
    }
    struct request *request = requeue_request(item, NULL); // the same token
    if (request == NULL) {
        answer_unref(item->answer);
        (void)client_fail(client, NQ_NO_MEMORY, "extend: out of memory");
        free(entry);
        return 0;
    }
    request->wire.op = WIRE_EXTEND;
    request->wire.as.tokens.lease_ms = extend_ms(client, item, lease_ms);
    return start_tokens(client, request, entry);
}

uint64_t nq_start_join(struct nq_client *client, const char *queue, uint64_t wait_ms, void *user)
{
    struct completion_entry *entry = client_check_queue(client, queue) == NQ_OK ? entry_create(client, user) : NULL;
    struct nq_get_options as_get = {.wait_ms = wait_ms};
    struct request *request = entry != NULL ? get_request(queue, 1, &as_get, true) : NULL; // for the copy of the name
    if (request == NULL) {
        free(entry);
        return 0;
    }
    struct nq_bytes name = request->wire.as.get.queue;
    request->wire.op = WIRE_JOIN;
    request->wire.as.on_queue = (struct wire_on_queue){.queue = name, .wait_ms = wait_ms};
    return start(client, request, entry);
}

enum nq_status nq_cancel(struct nq_client *client, uint64_t request_id)
{
    struct request *request = tracker_find_started(&client->tracker, request_id);
    if (request == NULL || request->ended != request_ended) {
        return client_fail(client, NQ_BAD_REQUEST, "cancel: no such request");
    }
    if (!request_was_sent(request) && request->stream == NULL) {
        struct outcome outcome = {.status = NQ_CANCELLED, .now_ms = client->now_ms};
        tracker_end(&client->tracker, request, &outcome);
    } else {
        struct request *cancel = cancel_request(request->wire.id);
        request->cancelled = true;
        if (cancel == NULL) {
            return client_fail(client, NQ_NO_MEMORY, "cancel: out of memory");
        }
        tracker_add(&client->tracker, cancel, client_until(client, 0));
    }
    client_wake(client);
    return NQ_OK;
}

int nq_client_fd(const struct nq_client *client)
{
    return connection_fd(client->connection);
}

uint64_t nq_client_timeout_ms(const struct nq_client *client)
{
    if (client->completions_first != NULL ||
        (client->tracker.unsent.count > 0 && client->session.state == SESSION_UP && !client->woken)) {
        return client->completions_first != NULL ? 0 : 10; // the socket would not take more: look again soon
    }
    uint64_t deadline_ms = client_next_deadline_ms(client);
    uint64_t now_ms = connection_now_ms();
    return deadline_ms == UINT64_MAX ? NQ_WAIT_FOREVER : deadline_ms > now_ms ? deadline_ms - now_ms : 0;
}

enum nq_status nq_client_process(struct nq_client *client)
{
    connection_wait(client->connection, 0); // clears the wake-up
    client->woken = false;
    do {
        client_step(client);
    } while (connection_is_readable(client->connection)); // the descriptor tells of edges only
    return NQ_OK;
}

enum nq_status nq_next_completion(struct nq_client *client, struct nq_completion *out)
{
    struct completion_entry *entry = client->completions_first;
    if (entry == NULL) {
        return NQ_EMPTY;
    }
    client->completions_first = entry->next;
    if (client->completions_first == NULL) {
        client->completions_last = NULL;
    }
    *out = entry->completion;
    if (out->items_count > 0) {
        answer_is_taken(out->items[0]->answer, (uint32_t)out->items_count);
    }
    if (out->status != NQ_OK) {
        bool more = entry->why != NULL;
        (void)client_fail(client, out->status, "%s%s%s", nq_status_text(out->status), more ? ": " : "", more ? entry->why : "");
    }
    free(entry->why);
    free(entry);
    return NQ_OK;
}

static bool has_completion(void *user)
{
    return ((struct nq_client *)user)->completions_first != NULL;
}

enum nq_status nq_wait_completion(struct nq_client *client, uint64_t wait_ms, struct nq_completion *out)
{
    if (client->woken) { // of the request just started: no reason to look again
        connection_wait(client->connection, 0);
        client->woken = false;
    }
    if (client_wait(client, has_completion, client, client_until(client, wait_ms), WAIT_INTERRUPTIBLE) == NQ_INTERRUPTED) {
        return NQ_INTERRUPTED;
    }
    return nq_next_completion(client, out);
}

// Requests without a completion are freed with the tracker; their entries were only theirs.
void completions_free(struct nq_client *client)
{
    while (client->completions_first != NULL) {
        struct completion_entry *entry = client->completions_first;
        client->completions_first = entry->next;
        for (size_t i = 0; i < entry->completion.items_count; i++) {
            answer_unref(entry->completion.items[i]->answer);
        }
        free(entry->completion.items);
        free(entry->completion.stats);
        free(entry->why);
        free(entry);
    }
    client->completions_last = NULL;
}

void async_drop(struct request *request)
{
    if (request->ended == request_ended) {
        free(request->user);
    } else if (request->ended == token_ended && ((struct token_batch *)request->user)->ended == tokens_ended) {
        free(((struct token_batch *)request->user)->user);
    }
}
