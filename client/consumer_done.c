#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer.h"

#define DONE_WINDOW_DEFAULT 10000u
#define SEND_AT 500u       // dones that are worth a frame of their own
#define SEND_AT_ONCE 1024u // the same, when the next get will take them along in a moment
#define LOOK_EVERY 64u     // items between two looks at what has arrived

void nq_consumer_options_init(struct nq_consumer_options *options)
{
    *options = (struct nq_consumer_options){.prefetch = NQ_PREFETCH_AUTO};
}

enum nq_status nq_consumer_open(struct nq_client *client, const char *queue, const struct nq_consumer_options *options,
                                struct nq_consumer **out)
{
    *out = NULL;
    enum nq_status status = client_check_queue(client, queue);
    if (status != NQ_OK) {
        return status;
    }
    struct nq_consumer *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return client_fail(client, NQ_NO_MEMORY, "consumer: out of memory");
    }
    nq_consumer_options_init(&self->options);
    self->options = options != NULL ? *options : self->options;
    if (self->options.done_window == 0) {
        self->options.done_window = DONE_WINDOW_DEFAULT;
    }
    self->grows = self->options.prefetch < 0 && !self->options.at_most_once; // what was got ahead could not be given back
    self->target = self->options.prefetch < 0 ? 0 : (size_t)self->options.prefetch;
    self->client = client;
    memcpy(self->queue, queue, strlen(queue) + 1);
    self->next = client->consumers;
    client->consumers = self;
    *out = self;
    return NQ_OK;
}

struct nq_consumer *consumer_next(struct nq_consumer *consumer)
{
    return consumer->next;
}

// ------------------------------------------------------------------------------------------------------------- dones

static void count_end(struct nq_consumer *self, enum nq_status status)
{
    self->unconfirmed--;
    if (status == NQ_OK) {
        self->confirmed++;
    } else if (status == NQ_LEASE_LOST) {
        self->lost++;
    } else if (self->failure == NQ_OK) {
        self->failure = status;
        (void)client_fail_on(self->client, status, "task_done in", self->queue, NULL);
        (void)snprintf(self->failure_text, sizeof self->failure_text, "%s", self->client->error);
    }
}

// What the callbacks need to know of one request on its way.
struct flight {
    struct nq_consumer *consumer;
    struct request *request;
    bool is_done; // not a requeue
};

static void flight_ended(struct token_batch *batch, const struct outcome *outcome)
{
    struct flight *flight = batch->user;
    struct nq_consumer *self = flight->consumer;
    self->client->background--;
    self->dones_flying--;
    uint64_t confirmed = self->confirmed;
    for (size_t i = 0; i < batch->count; i++) {
        count_end(self, token_status(outcome, flight->request, i));
    }
    if (!flight->is_done) {
        self->confirmed = confirmed; // of dones only
    }
    free(flight);
}

static bool add_request(struct nq_consumer *self, struct request *request, bool is_done, bool in_front)
{
    struct flight *flight = malloc(sizeof *flight);
    if (flight == NULL) {
        return false;
    }
    struct token_batch *batch = request->user;
    *flight = (struct flight){.consumer = self, .request = request, .is_done = is_done};
    batch->ended = flight_ended;
    batch->user = flight;
    self->dones_flying++;
    client_add_background(self->client, request);
    if (in_front) {
        tracker_unsend(&self->client->tracker, request);
    }
    return true;
}

void consumer_contribute(struct nq_consumer *self)
{
    while (self->dones != NULL) {
        struct token_batch *batch = self->dones;
        struct request *request = token_request(WIRE_TASK_DONE, batch);
        if (request == NULL || !add_request(self, request, true, true)) {
            free(request);
            client_try_again(self->client);
            return;
        }
        self->dones = batch->next;
        batch->next = NULL;
    }
    self->dones_gathered = 0;
}

static void send_dones(struct nq_consumer *self)
{
    consumer_contribute(self);
    client_send(self->client);
}

static bool are_many(const struct nq_consumer *self)
{
    return self->dones_gathered >= (consumer_uses_up_at_once(self) ? SEND_AT_ONCE : SEND_AT);
}

void consumer_look(struct nq_consumer *self)
{
    struct nq_client *client = self->client;
    if (++self->since_look < LOOK_EVERY && connection_tick_ms() == client->tick_ms) {
        return;
    }
    self->since_look = 0;
    client_step(client);
    bool few = self->dones_flying > 0 || consumer_uses_up_at_once(self);
    if (self->dones_gathered > 0 && (!few || are_many(self))) {
        send_dones(self);
    }
}

static bool has_room(void *user)
{
    const struct nq_consumer *self = user;
    return self->unconfirmed < self->options.done_window || self->failure != NQ_OK;
}

static enum nq_status make_room(struct nq_consumer *self)
{
    if (!has_room(self)) {
        send_dones(self);
        enum nq_status status = client_wait(self->client, has_room, self, UINT64_MAX, WAIT_THROUGH);
        if (status != NQ_OK) {
            return status;
        }
    }
    return self->failure == NQ_OK ? NQ_OK : consumer_kept_failure(self);
}

enum nq_status nq_consumer_done(struct nq_consumer *self, struct nq_item **item_p)
{
    struct nq_item *item = *item_p;
    if (item == NULL) {
        return client_fail(self->client, NQ_BAD_REQUEST, "task_done: no item");
    }
    *item_p = NULL;
    enum nq_status status = make_room(self);
    if (status != NQ_OK) {
        finish_give_back(item);
        return status;
    }
    if (finish_is_local(item, &status)) {
        self->unconfirmed++;
        count_end(self, status);
        answer_unref(item->answer);
        return NQ_OK;
    }
    if (!token_gather(&self->dones, item)) {
        finish_give_back(item);
        return client_fail(self->client, NQ_NO_MEMORY, "task_done: out of memory");
    }
    self->unconfirmed++;
    self->dones_gathered++;
    if (are_many(self)) {
        send_dones(self);
    }
    return NQ_OK;
}

enum nq_status nq_consumer_requeue(struct nq_consumer *self, struct nq_item **item_p, const struct nq_requeue_options *options)
{
    struct nq_item *item = *item_p;
    if (item == NULL) {
        return client_fail(self->client, NQ_BAD_REQUEST, "requeue: no item");
    }
    *item_p = NULL;
    enum nq_status status = make_room(self);
    if (status != NQ_OK) {
        finish_give_back(item);
        return status;
    }
    if (finish_is_local(item, &status)) {
        self->lost += status == NQ_LEASE_LOST ? 1 : 0;
        answer_unref(item->answer);
        return NQ_OK;
    }
    struct request *request = requeue_request(item, options);
    if (request == NULL) {
        finish_give_back(item);
        return client_fail(self->client, NQ_NO_MEMORY, "requeue: out of memory");
    }
    if (!add_request(self, request, false, false)) {
        token_batch_free(request->user);
        free(request->memory);
        free(request);
        session_disown(self->client);
        return client_fail(self->client, NQ_NO_MEMORY, "requeue: out of memory");
    }
    self->unconfirmed++;
    client_send(self->client);
    return NQ_OK;
}

static bool is_flushed(void *user)
{
    const struct nq_consumer *self = user;
    return self->dones_flying == 0 && self->dones == NULL; // some are left when there was no memory for a request
}

enum nq_status nq_consumer_flush(struct nq_consumer *self, uint64_t wait_ms)
{
    consumer_contribute(self);
    enum nq_status status = client_wait(self->client, is_flushed, self, client_until(self->client, wait_ms), WAIT_INTERRUPTIBLE);
    if (self->failure != NQ_OK) {
        return consumer_kept_failure(self);
    }
    return status == NQ_OK ? NQ_OK : client_fail_on(self->client, status, "flush of", self->queue, NULL);
}

uint64_t nq_consumer_confirmed(const struct nq_consumer *self)
{
    return self->confirmed;
}

uint64_t nq_consumer_lost(const struct nq_consumer *self)
{
    return self->lost;
}

enum nq_status nq_consumer_work(struct nq_consumer *self)
{
    if (self->dones_gathered > 0) {
        consumer_contribute(self);
    }
    (void)nq_client_process(self->client);
    return self->failure == NQ_OK ? NQ_OK : consumer_kept_failure(self);
}

// -------------------------------------------------------------------------------------------------------------- close

// Requests on their way outlive the handle: their tokens are the client's from now on.
static void leave_flights(struct nq_consumer *self)
{
    struct tracker *tracker = &self->client->tracker;
    struct request_list *lists[] = {&tracker->unsent, &tracker->sent, &tracker->held};
    for (size_t i = 0; i < 3; i++) {
        for (struct request *r = lists[i]->first; r != NULL; r = r->next) {
            struct token_batch *batch = r->ended == token_ended ? r->user : NULL;
            struct flight *flight = batch != NULL && batch->ended == flight_ended ? batch->user : NULL;
            if (flight != NULL && flight->consumer == self) {
                self->client->background--;
                batch->ended = NULL;
                free(flight);
            }
        }
    }
}

static void unlink_consumer(struct nq_consumer *self)
{
    struct nq_consumer **at = &self->client->consumers;
    while (*at != self) {
        at = &(*at)->next;
    }
    *at = self->next;
}

enum nq_status nq_consumer_close(struct nq_consumer **consumer_p, uint64_t wait_ms)
{
    struct nq_consumer *self = *consumer_p;
    if (self == NULL) {
        return NQ_OK;
    }
    *consumer_p = NULL;
    consumer_stop_get(self);
    consumer_give_back_buffer(self);
    enum nq_status status = nq_consumer_flush(self, wait_ms);
    consumer_drop_stat(self);
    leave_flights(self);
    client_send(self->client);
    unlink_consumer(self);
    while (self->dones != NULL) {
        struct token_batch *batch = self->dones;
        self->dones = batch->next;
        token_batch_free(batch);
    }
    free(self);
    return status;
}
