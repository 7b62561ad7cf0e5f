// Inside a program with a loop of its own: requests are started, one descriptor is polled, completions are collected.
#include <netqueue.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define ITEMS 10

static const char queue[] = "example.event_loop";
static const char a_put[] = "put", a_get[] = "get", a_done[] = "done"; // to tell completions apart

struct loop {
    struct nq_client *client;
    int done;
};

static bool start_puts(struct nq_client *client)
{
    for (int i = 0; i < ITEMS; i++) {
        char text[32];
        struct nq_body body = {.data = text, .len = (size_t)snprintf(text, sizeof text, "item %d", i)};
        if (nq_start_put(client, queue, &body, 1, NULL, (void *)(uintptr_t)a_put) == 0) {
            return false;
        }
    }
    return nq_start_get(client, queue, 4, NULL, (void *)(uintptr_t)a_get) != 0;
}

static enum nq_status take(struct loop *loop, struct nq_completion *completion)
{
    if (completion->status != NQ_OK) {
        return completion->status;
    }
    for (size_t i = 0; i < completion->items_count; i++) {
        (void)printf("%.*s\n", (int)nq_item_len(completion->items[i]), (const char *)nq_item_body(completion->items[i]));
        (void)nq_start_task_done(loop->client, &completion->items[i], (void *)(uintptr_t)a_done);
    }
    nq_free(completion->items);
    loop->done += completion->user == a_done ? 1 : 0;
    if (completion->user == a_get && loop->done + (int)completion->items_count < ITEMS) {
        (void)nq_start_get(loop->client, queue, 4, NULL, (void *)(uintptr_t)a_get);
    }
    return NQ_OK;
}

static enum nq_status turn(struct loop *loop)
{
    uint64_t wait_ms = nq_client_timeout_ms(loop->client);
    struct pollfd fds[] = {{.fd = nq_client_fd(loop->client), .events = POLLIN}}; // and those of the rest of the program
    (void)poll(fds, 1, wait_ms > 10000 ? 10000 : (int)wait_ms);
    (void)nq_client_process(loop->client);
    struct nq_completion completion;
    enum nq_status status = NQ_OK;
    while (status == NQ_OK && nq_next_completion(loop->client, &completion) == NQ_OK) {
        status = take(loop, &completion);
    }
    return status;
}

int main(void)
{
    struct loop loop = {0};
    enum nq_status status = nq_client_create(NULL, &loop.client, NULL);
    if (status != NQ_OK) {
        return nq_status_exit_code(status);
    }
    if (!start_puts(loop.client)) {
        status = NQ_BAD_REQUEST;
    }
    while (status == NQ_OK && loop.done < ITEMS) {
        status = turn(&loop);
    }
    if (status != NQ_OK) {
        (void)fprintf(stderr, "%s\n", nq_status_text(status));
    }
    nq_client_destroy(&loop.client);
    return nq_status_exit_code(status);
}
