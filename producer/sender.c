#include "sender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup.h"

static bool open_handle(struct sender *sender, uint64_t delay_ms)
{
    const struct producer_options *options = sender->options;
    struct nq_producer_options how;
    nq_producer_options_init(&how);
    how.window_items = (size_t)options->window;
    how.batch_items = options->notify ? 1 : 0; // each item is told of when it is accepted, not when a batch is
    how.put_wait_ms = options->put_timeout_ms;
    how.delay_ms = delay_ms;
    enum nq_status status = nq_producer_open(sender->client, options->queue, &how, &sender->handle);
    if (status != NQ_OK) {
        sender_fail(sender, status, nq_error_text(sender->client), UINT64_MAX);
        return false;
    }
    sender->handle_delay_ms = delay_ms;
    sender->handle_first = sender->put_count;
    return true;
}

// A handle has one delay: what was put with another one is stored first, so that the order stays.
static bool change_delay(struct sender *sender, uint64_t delay_ms)
{
    return sender_settle_all(sender) && nq_producer_close(&sender->handle, NQ_WAIT_FOREVER) == NQ_OK &&
           open_handle(sender, delay_ms);
}

static bool gather_headers(struct sender *sender, const struct chunk *chunk, const struct chunk_item *item, struct nq_body *body)
{
    const struct producer_options *options = sender->options;
    size_t count = options->headers_count + item->headers_count;
    if (count > sender->headers_capacity) {
        struct nq_header_field *grown = reallocarray(sender->headers, count, sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        sender->headers = grown;
        sender->headers_capacity = count;
    }
    for (size_t i = 0; i < item->headers_count; i++) {
        const struct chunk_header *header = &chunk->headers[item->header_first + i];
        sender->headers[i] =
            (struct nq_header_field){chunk->bytes.data + header->name_at, chunk->bytes.data + header->value_at, header->value_len};
    }
    if (options->headers_count > 0) {
        memcpy(sender->headers + item->headers_count, options->headers, options->headers_count * sizeof(*options->headers));
    }
    body->headers = sender->headers;
    body->headers_count = count;
    return true;
}

// An interrupted put has had no effect. Go on with it as long as there is time.
static enum nq_status put_through(struct sender *sender, const struct nq_body *body)
{
    enum nq_status status = nq_producer_put(sender->handle, body);
    while (status == NQ_INTERRUPTED && !sender_must_stop(sender)) {
        if (sender->deadline_ms != 0 && !sender_settle_all(sender)) { // ends in time, and then there is room
            return sender->status;
        }
        status = nq_producer_put(sender->handle, body);
    }
    return status;
}

static bool put_item(struct sender *sender, const struct chunk *chunk, size_t i)
{
    const struct chunk_item *item = &chunk->items[i];
    struct nq_body body = {.data = item->len > 0 ? chunk->bytes.data + item->at : "", .len = item->len};
    if (item->delay_ms != sender->handle_delay_ms && !change_delay(sender, item->delay_ms)) {
        return false;
    }
    if (item->headers_count + sender->options->headers_count > 0 && !gather_headers(sender, chunk, item, &body)) {
        sender_fail(sender, NQ_NO_MEMORY, "out of memory", sender->put_count);
        return false;
    }
    // After a signal a put must not wait: the interrupt that ends waits has been spent.
    if (cli_signals_count() > 0 && !sender_settle_all(sender)) {
        return false;
    }
    enum nq_status status = put_through(sender, &body);
    if (status == NQ_OK) {
        sender->put_count++;
        return true;
    }
    if (sender->status == NQ_OK) {
        sender_fail(sender, status, nq_error_text(sender->client), sender->put_count);
    }
    return false;
}

static bool put_chunk(struct sender *sender, struct chunk *chunk)
{
    chunk->local_first = sender->put_count;
    chunk->next = NULL;
    *(sender->unsettled == NULL ? &sender->unsettled : &sender->unsettled_last->next) = chunk;
    sender->unsettled_last = chunk;
    size_t count = chunk->count; // the chunk may be settled with its last item
    for (size_t i = 0; i < count; i++) {
        if (!put_item(sender, chunk, i)) {
            return false;
        }
        if (sender->options->notify) {
            sender_settle(sender);
        }
    }
    sender_settle(sender);
    return true;
}

static void run(struct sender *sender)
{
    bool over = false;
    bool ok = open_handle(sender, sender->options->delay_ms);
    while (ok && !over) {
        struct chunk *chunk = mailbox_take(&sender->mailbox, &over);
        if (chunk != NULL) {
            ok = put_chunk(sender, chunk);
        } else if (!over) {
            ok = sender_work(sender, true); // nothing more for now: what is gathered leaves
        }
    }
    if (sender->handle != NULL) {
        sender_settle_all(sender); // after a failure, too: what stands before it gets stored
        nq_producer_close(&sender->handle, 0);
    }
}

static void *thread_main(void *user)
{
    struct sender *sender = user;
    run(sender);
    atomic_store(&sender->ended, true);
    event_set(sender->mailbox.room_fd);
    return NULL;
}

bool sender_start(struct sender *sender, const struct producer_options *options, struct nq_client *client, unsigned number,
                  int room_fd)
{
    *sender = (struct sender){.options = options, .client = client, .failed_item = UINT64_MAX, .listener = {-1, -1}};
    cli_worker_name(sender->name, sizeof(sender->name), "producer", options->name, options->threads, number);
    bool ok = mailbox_init(&sender->mailbox, room_fd) && cli_listen(&sender->listener, client);
    sender->is_running = ok && pthread_create(&sender->thread, NULL, thread_main, sender) == 0;
    return sender->is_running;
}

void sender_join(struct sender *sender)
{
    if (sender->is_running) {
        pthread_join(sender->thread, NULL);
        sender->is_running = false;
    }
}

void sender_fini(struct sender *sender)
{
    sender_join(sender);
    cli_unlisten(&sender->listener);
    while (sender->unsettled != NULL) {
        struct chunk *chunk = sender->unsettled;
        sender->unsettled = chunk->next;
        chunk_destroy(&chunk);
    }
    mailbox_fini(&sender->mailbox);
    nq_client_destroy(&sender->client);
    free(sender->headers);
}
