// task_done of several items of any queues: one request per queue, all in flight together.
#include <stdlib.h>

#include "client.h"
#include "finish.h"

struct many {
    enum nq_status *statuses; // one per item, in the caller's order
    size_t open;              // requests without an answer
};

struct many_batch {
    struct many *many;
    struct request *request;
    size_t *places; // of the batch's tokens in `statuses`
};

static void many_ended(struct token_batch *batch, const struct outcome *outcome)
{
    struct many_batch *part = batch->user;
    for (size_t i = 0; i < batch->count; i++) {
        part->many->statuses[part->places[i]] = token_status(outcome, part->request, i);
    }
    part->many->open--;
}

static bool many_is_over(void *user)
{
    return ((struct many *)user)->open == 0;
}

// Which batch an item went into is not known to the caller of token_gather, so places are found again by looking at the order:
// tokens stand in their batch in the order of the items.
static void find_places(struct many_batch *part, const struct token_batch *batch, struct nq_item *const *items,
                        const bool *gathered, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count && found < batch->count; i++) {
        if (gathered[i] && items[i]->answer == batch->answers[found] && items[i]->seq == batch->seqs[found]) {
            part->places[found++] = i;
        }
    }
}

static void gather_all(struct nq_item **items, size_t count, struct token_batch **list, bool *gathered, enum nq_status *statuses)
{
    for (size_t i = 0; i < count; i++) {
        gathered[i] = !finish_is_local(items[i], &statuses[i]) && token_gather(list, items[i]);
        if (!gathered[i] && !finish_is_local(items[i], &statuses[i])) {
            statuses[i] = NQ_NO_MEMORY;
        }
    }
}

static void add_batch(struct nq_client *client, struct token_batch *batch, struct many_batch *part)
{
    part->request = token_request(WIRE_TASK_DONE, batch);
    if (part->request == NULL) {
        for (size_t i = 0; i < batch->count; i++) {
            part->many->statuses[part->places[i]] = NQ_NO_MEMORY;
        }
        token_batch_free(batch);
        return;
    }
    batch->ended = many_ended;
    batch->user = part;
    part->many->open++;
    tracker_add(&client->tracker, part->request, client_until(client, 0));
}

static void add_all(struct nq_client *client, struct token_batch *list, struct nq_item **items, const bool *gathered, size_t count,
                    struct many_batch *parts, size_t *places, struct many *many)
{
    for (size_t k = 0; list != NULL; k++) {
        struct token_batch *batch = list;
        list = batch->next;
        batch->next = NULL;
        parts[k] = (struct many_batch){.many = many, .places = places};
        places += batch->count;
        find_places(&parts[k], batch, items, gathered, count);
        add_batch(client, batch, &parts[k]);
    }
}

static size_t list_length(const struct token_batch *list)
{
    size_t length = 0;
    for (; list != NULL; list = list->next) {
        length++;
    }
    return length;
}

static enum nq_status run_many(struct nq_client *client, struct nq_item **items, size_t count, enum nq_status *statuses,
                               bool *gathered)
{
    struct token_batch *list = NULL;
    struct many many = {.statuses = statuses};
    gather_all(items, count, &list, gathered, statuses);
    size_t *places = calloc(count, sizeof *places);
    struct many_batch *parts = calloc(list_length(list) + 1, sizeof *parts);
    if (places == NULL || parts == NULL) {
        while (list != NULL) {
            struct token_batch *batch = list;
            list = batch->next;
            token_batch_free(batch);
        }
        free(places);
        free(parts);
        return NQ_NO_MEMORY;
    }
    add_all(client, list, items, gathered, count, parts, places, &many);
    (void)client_wait(client, many_is_over, &many, UINT64_MAX, WAIT_THROUGH);
    free(places);
    free(parts);
    return NQ_OK;
}

enum nq_status nq_task_done_many(struct nq_client *client, struct nq_item **items, size_t count, enum nq_status *statuses)
{
    if (count == 0) {
        return NQ_OK;
    }
    enum nq_status *all = calloc(count, sizeof *all);
    bool *gathered = calloc(count, sizeof *gathered);
    enum nq_status status = NQ_NO_MEMORY;
    if (all != NULL && gathered != NULL) {
        status = run_many(client, items, count, all, gathered);
    }
    for (size_t i = 0; i < count; i++) {
        enum nq_status one = status == NQ_OK ? all[i] : status;
        if (statuses != NULL) {
            statuses[i] = one;
        }
        if (gathered == NULL || !gathered[i]) {
            answer_unref(items[i]->answer);
        }
        items[i] = NULL;
    }
    for (size_t i = 0; status == NQ_OK && i < count; i++) {
        status = all[i];
    }
    free(all);
    free(gathered);
    if (status == NQ_NO_MEMORY) {
        session_disown(client);
    }
    return status == NQ_OK ? NQ_OK : client_fail_on(client, status, "task_done", NULL, NULL);
}
