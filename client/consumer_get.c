#include <stdlib.h>
#include <string.h>

#include "consumer.h"

#define PREFETCH_MAX 1000u
#define PREFETCH_BYTES (1024u * 1024)
#define SITS_MS 1000u // an answer that took longer to be used up was too large
#define QUICK_MS 100u // one that was used up within this time, with the application waiting for more, was too small
#define CANCEL_WAIT_MS 1000u
#define AT_ONCE_MS 1u
#define SMALL_TARGET 1024u // larger ones are worth two answers on their way

// -------------------------------------------------------------------------------------------------- is it bounded?

static void stat_ended(struct request *request, const struct outcome *outcome)
{
    struct nq_consumer *self = request->user;
    self->stat = NULL;
    if (outcome->reply != NULL && outcome->status == NQ_OK && outcome->reply->result == WIRE_STAT) {
        self->bounded_known = true;
        self->bounded = outcome->reply->as.stat.options.maxsize > 0;
    }
}

// Travels with a get, so it costs no time of its own.
static void ask_bounded(struct nq_consumer *self)
{
    if (!self->grows || self->bounded_known || self->stat != NULL) {
        return;
    }
    self->stat = request_create(WIRE_STAT);
    if (self->stat != NULL) {
        self->stat->wire.as.on_queue.queue = bytes_of(self->queue);
        self->stat->ended = stat_ended;
        self->stat->user = self;
        tracker_add(&self->client->tracker, self->stat, client_until(self->client, 0));
    }
}

void consumer_drop_stat(struct nq_consumer *self)
{
    if (self->stat != NULL) {
        tracker_drop(&self->client->tracker, self->stat, self->client->now_ms);
        self->stat = NULL;
    }
}

// ------------------------------------------------------------------------------------------------------------- gets

static void take_answer(struct nq_consumer *self, struct request *request, const struct outcome *outcome)
{
    const struct wire_reply *reply = outcome->reply;
    struct answer *answer;
    if (reply == NULL || reply->result != WIRE_GET || reply->as.get.count == 0) {
        self->get_status = NQ_BAD_REQUEST;
        return;
    }
    self->get_status = answer_create(self->client, bytes_of(self->queue), request->wire.id, reply, outcome->frame,
                                     self->options.at_most_once, &answer);
    if (self->get_status != NQ_OK) {
        session_disown(self->client);
        return;
    }
    if (self->buffer_last != NULL) {
        self->buffer_last->buffer_next = answer;
    } else {
        self->buffer_first = answer;
    }
    self->buffer_last = answer;
    self->buffered += answer->count;
    self->received += answer->count;
    // It had been waited for, and all that was asked for came: more ahead saves waiting.
    bool quick = self->last_answer_ms > 0 && answer->received_ms - self->last_answer_ms < QUICK_MS;
    if (self->grows && quick && self->app_waits && answer->count >= self->get_max) {
        self->target = self->target == 0 ? 1 : self->target * 2 < PREFETCH_MAX ? self->target * 2 : PREFETCH_MAX;
    }
    self->last_answer_ms = answer->received_ms;
}

static void get_ended(struct request *request, const struct outcome *outcome)
{
    struct nq_consumer *self = request->user;
    self->get = NULL;
    self->client->background--;
    self->get_status = outcome->status;
    if (outcome->status == NQ_OK) {
        take_answer(self, request, outcome);
    }
}

static bool ahead_allowed(const struct nq_consumer *self)
{
    return !self->grows || (self->bounded_known && !self->bounded);
}

static size_t still_wanted(const struct nq_consumer *self, size_t most)
{
    if (self->options.max_items == 0) {
        return most;
    }
    uint64_t left = self->options.max_items > self->received ? self->options.max_items - self->received : 0;
    return left < most ? (size_t)left : most;
}

static bool start_get(struct nq_consumer *self, size_t max, uint64_t wait_ms)
{
    struct nq_get_options options = {.wait_ms = wait_ms,
                                     .lease_ms = self->options.lease_ms,
                                     .hold_max_ms = self->options.hold_max_ms,
                                     .at_most_once = self->options.at_most_once};
    struct request *request = get_request(self->queue, max, &options, true);
    if (request == NULL) {
        return false;
    }
    if (self->grows && max > 1) {
        request->wire.as.get.max_bytes = PREFETCH_BYTES;
    }
    request->ended = get_ended;
    request->user = self;
    self->get = request;
    self->get_waits = wait_ms > 0;
    self->get_max = request->wire.as.get.max_items;
    ask_bounded(self);
    client_add_background(self->client, request);
    return true;
}

bool consumer_uses_up_at_once(const struct nq_consumer *self)
{
    return self->target <= SMALL_TARGET && self->client->now_ms - self->last_answer_ms <= AT_ONCE_MS;
}

// Ask for more while there is still something to work on; what is not there at once is not waited for.
static void get_ahead(struct nq_consumer *self)
{
    if (self->get != NULL || self->target == 0 || self->buffered > self->target / 2 || !ahead_allowed(self) ||
        (self->get_status == NQ_EMPTY && self->buffered > 0) || self->get_status == NQ_SHUT_DOWN ||
        consumer_uses_up_at_once(self)) {
        return;
    }
    size_t max = still_wanted(self, self->target - self->buffered);
    if (max > 0 && start_get(self, max, 0)) {
        client_send(self->client);
    }
}

// --------------------------------------------------------------------------------------------------------- handing out

static void drop_front(struct nq_consumer *self)
{
    struct answer *answer = self->buffer_first;
    self->buffer_first = answer->buffer_next;
    if (self->buffer_first == NULL) {
        self->buffer_last = NULL;
    }
    answer->buffer_next = NULL;
}

static void front_is_used_up(struct nq_consumer *self)
{
    struct answer *answer = self->buffer_first;
    if (self->grows && self->target > 0 && self->client->now_ms - answer->received_ms > SITS_MS) {
        self->target /= 2;
    }
    drop_front(self);
}

// NULL: nothing there. Items whose lease went with the session are with others by now.
static struct nq_item *next_item(struct nq_consumer *self)
{
    while (self->buffer_first != NULL) {
        struct answer *answer = self->buffer_first;
        struct nq_item *item = &answer->items[answer->cursor++];
        bool lost = !answer->leased && !answer->wants_no_end;
        self->buffered--;
        if (!lost) {
            answer_is_taken(answer, answer->cursor);
        }
        if (answer->cursor == answer->count) {
            front_is_used_up(self);
        }
        if (!lost) {
            return item;
        }
        self->received--; // another one may be asked for
        answer_unref(answer);
    }
    return NULL;
}

void consumer_give_back_buffer(struct nq_consumer *self)
{
    while (self->buffer_first != NULL) {
        struct answer *answer = self->buffer_first;
        drop_front(self);
        uint32_t first = answer->cursor;
        uint32_t count = answer->count;
        for (uint32_t i = first; i < count; i++) {
            finish_give_back(&answer->items[i]);
        }
        self->received -= count - first;
    }
    self->buffered = 0;
}

static bool get_is_over(void *user)
{
    const struct nq_consumer *self = user;
    return self->get == NULL || self->failure != NQ_OK;
}

// Nobody waits any more: its items go back, now or when they come.
void consumer_stop_get(struct nq_consumer *self)
{
    struct nq_client *client = self->client;
    if (self->get == NULL) {
        return;
    }
    struct request *cancel = request_was_sent(self->get) ? cancel_request(self->get->wire.id) : NULL;
    if (cancel != NULL) {
        tracker_add(&client->tracker, cancel, client_until(client, 0));
        (void)client_wait(client, get_is_over, self, client_until(client, CANCEL_WAIT_MS), WAIT_THROUGH);
    }
    if (self->get != NULL) {
        get_abandon(client, self->get);
        self->get = NULL;
    }
    if (!self->options.at_most_once) {
        consumer_give_back_buffer(self);
        client_send(client);
    }
}

enum nq_status consumer_kept_failure(struct nq_consumer *self)
{
    return client_fail(self->client, self->failure, "%s", self->failure_text);
}

static enum nq_status wait_for_get(struct nq_consumer *self)
{
    self->app_waits = true;
    enum nq_status status = client_wait(self->client, get_is_over, self, UINT64_MAX, WAIT_INTERRUPTIBLE);
    self->app_waits = false;
    if (status == NQ_INTERRUPTED) {
        consumer_stop_get(self);
        if (self->options.at_most_once && self->buffered > 0) {
            return NQ_OK; // gone from the broker: it can only be handed over
        }
        return client_fail_on(self->client, NQ_INTERRUPTED, "get from", self->queue, NULL);
    }
    return NQ_OK;
}

// One turn with an empty buffer: ask, wait. NQ_OK: look again.
static enum nq_status fetch(struct nq_consumer *self, uint64_t until_ms)
{
    struct nq_client *client = self->client;
    bool waits = true;
    if (self->get == NULL) {
        size_t most = ahead_allowed(self) && self->target > 1 ? self->target : 1;
        size_t max = still_wanted(self, most);
        if (max == 0) {
            return client_fail_on(client, NQ_EMPTY, "get from", self->queue, NULL);
        }
        uint64_t now_ms = client_until(client, 0);
        uint64_t left_ms = until_ms == UINT64_MAX ? NQ_WAIT_FOREVER : until_ms > now_ms ? until_ms - now_ms : 0;
        if (!start_get(self, max, left_ms)) {
            return client_fail(client, NQ_NO_MEMORY, "get: out of memory");
        }
    } else {
        waits = self->get_waits;
    }
    enum nq_status status = wait_for_get(self);
    if (status != NQ_OK || self->get_status == NQ_OK || self->failure != NQ_OK) {
        return status;
    }
    if (!waits && self->get_status == NQ_EMPTY) {
        return NQ_OK; // only the look ahead found nothing
    }
    return client_fail_on(client, self->get_status, "get from", self->queue, NULL);
}

enum nq_status nq_consumer_get(struct nq_consumer *self, uint64_t wait_ms, struct nq_item **item)
{
    *item = NULL;
    uint64_t until_ms = 0;
    for (bool waits = false;; waits = true) {
        if (self->failure != NQ_OK) {
            return consumer_kept_failure(self);
        }
        *item = next_item(self);
        if (*item != NULL) {
            get_ahead(self);
            consumer_look(self);
            return NQ_OK;
        }
        if (!waits) { // only now, as a look at the clock is not free
            until_ms = client_until(self->client, wait_ms);
        }
        enum nq_status status = fetch(self, until_ms);
        if (status != NQ_OK) {
            return status;
        }
    }
}
