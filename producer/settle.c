// What becomes of items after the put: confirmed, told of, or failed.
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "sender.h"

static void notify(const struct sender *sender, struct chunk *chunk, uint64_t until)
{
    if (chunk->notified >= until) {
        return;
    }
    flockfile(stdout);
    for (; chunk->notified < until; chunk->notified++) {
        const struct chunk_item *item = &chunk->items[chunk->notified];
        fputs("Producer notify : item ", stdout);
        if (item->len > 0) {
            fwrite(chunk->bytes.data + item->at, 1, item->len, stdout);
        }
        fprintf(stdout, " appended to queue by %s\n", sender->name);
    }
    cli_flush_stdout();
    funlockfile(stdout);
}

void sender_settle(struct sender *sender)
{
    uint64_t confirmed = sender->handle_first + nq_producer_confirmed(sender->handle);
    atomic_store(&sender->confirmed, confirmed);
    while (sender->unsettled != NULL) {
        struct chunk *chunk = sender->unsettled;
        uint64_t done = confirmed > chunk->local_first ? confirmed - chunk->local_first : 0;
        done = done < chunk->count ? done : chunk->count;
        if (sender->options->notify) {
            notify(sender, chunk, done);
        }
        if (done < chunk->count) {
            return;
        }
        sender->unsettled = chunk->next;
        chunk_destroy(&chunk);
    }
    sender->unsettled_last = NULL;
}

uint64_t sender_input_index(const struct sender *sender, uint64_t local_index)
{
    for (const struct chunk *chunk = sender->unsettled; chunk != NULL; chunk = chunk->next) {
        if (local_index >= chunk->local_first && local_index < chunk->local_first + chunk->count) {
            return chunk->first + (local_index - chunk->local_first);
        }
    }
    return UINT64_MAX;
}

void sender_fail(struct sender *sender, enum nq_status status, const char *text, uint64_t local_index)
{
    sender->status = status;
    snprintf(sender->error, sizeof(sender->error), "%s", text);
    sender->failed_item = sender_input_index(sender, local_index);
}

static bool take_over_failure(struct sender *sender)
{
    const struct nq_producer_failure *failure = nq_producer_failure(sender->handle);
    if (failure->status == NQ_OK) {
        return false;
    }
    sender_fail(sender, failure->status, failure->text, sender->handle_first + failure->failed_index);
    sender->unknown = failure->unknown_count;
    return true;
}

bool sender_must_stop(struct sender *sender)
{
    unsigned signals = cli_signals_count();
    if (signals == 0) {
        return false;
    }
    uint64_t now_ms = cli_now_ms();
    if (sender->deadline_ms == 0) {
        sender->deadline_ms = now_ms + sender->options->grace_ms;
    }
    return signals > 1 || now_ms >= sender->deadline_ms;
}

static int wait_ms(const struct sender *sender)
{
    uint64_t wait = nq_client_timeout_ms(sender->client);
    if (sender->deadline_ms != 0) {
        uint64_t now_ms = cli_now_ms();
        uint64_t left = sender->deadline_ms > now_ms ? sender->deadline_ms - now_ms : 0;
        wait = left < wait ? left : wait;
    }
    return wait > 3600000 ? 3600000 : (int)wait;
}

bool sender_work(struct sender *sender, bool until_mail)
{
    nq_producer_work(sender->handle);
    sender_settle(sender);
    if (take_over_failure(sender)) {
        return false;
    }
    uint64_t pending = sender->put_count - atomic_load(&sender->confirmed);
    if (pending > 0 && sender_must_stop(sender)) {
        if (sender->status == NQ_OK) {
            sender_fail(sender, NQ_INTERRUPTED, "stopped before everything was stored", UINT64_MAX);
        }
        sender->unknown = pending;
        return false;
    }
    if (pending == 0 && !until_mail) {
        return true;
    }
    struct pollfd waits[3] = {
        {.fd = nq_client_fd(sender->client), .events = POLLIN},
        {.fd = sender->listener.fd, .events = POLLIN},
        {.fd = until_mail ? sender->mailbox.arrived_fd : -1, .events = POLLIN},
    };
    poll(waits, 3, wait_ms(sender));
    cli_listener_clear(&sender->listener);
    return true;
}

bool sender_settle_all(struct sender *sender)
{
    while (sender->put_count > atomic_load(&sender->confirmed)) {
        if (!sender_work(sender, false)) {
            return false;
        }
    }
    return true;
}
