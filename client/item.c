#include "item.h"

#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "finish.h"

static const uint8_t nothing[1] = {0};

// With a zero byte behind it, as the header promises.
static bool terminate(struct nq_arena *arena, struct nq_bytes *bytes)
{
    uint8_t *copy = nq_arena_alloc(arena, bytes->len + 1);
    if (copy == NULL) {
        return false;
    }
    if (bytes->len > 0) {
        memcpy(copy, bytes->data, bytes->len);
    }
    copy[bytes->len] = 0;
    bytes->data = copy;
    return true;
}

static enum nq_status decode_headers(struct nq_arena *arena, struct nq_bytes encoded, struct nq_item *item)
{
    nq_arena_budget(arena, wire_decode_budget(encoded.len));
    enum nq_status status = wire_decode_headers(arena, encoded, &item->headers, &item->headers_count);
    for (size_t i = 0; status == NQ_OK && i < item->headers_count; i++) {
        if (!terminate(arena, &item->headers[i].name) || !terminate(arena, &item->headers[i].value)) {
            status = NQ_NO_MEMORY;
        }
    }
    if (status != NQ_OK) {
        item->headers_count = 0;
    }
    return status;
}

static enum nq_status fill(struct answer *self, const struct nq_bytes *bodies, const struct nq_bytes *headers, const uint64_t *seqs)
{
    for (uint32_t i = 0; i < self->count; i++) {
        struct nq_item *item = &self->items[i];
        item->answer = self;
        item->body = bodies[i];
        if (item->body.data == NULL) {
            item->body = (struct nq_bytes){0, nothing};
        }
        item->seq = seqs[i];
        item->delivery = 1;
        if (headers != NULL && headers[i].len > 0 && decode_headers(self->frame->arena, headers[i], item) == NQ_NO_MEMORY) {
            return NQ_NO_MEMORY;
        }
    }
    return NQ_OK;
}

static void fill_deliveries(struct answer *self, const struct wire_get_reply *get)
{
    for (uint32_t i = 0; i < self->count; i++) {
        struct nq_item *item = &self->items[i];
        item->delivery = get->deliveries != NULL ? get->deliveries[i] : 1;
        item->failures = get->failures != NULL ? get->failures[i] : 0;
        item->redelivered = get->redelivered != NULL && get->redelivered[i];
    }
}

static void link_answer(struct answer *self)
{
    struct nq_client *client = self->client;
    self->next = client->answers;
    if (client->answers != NULL) {
        client->answers->prev = self;
    }
    client->answers = self;
    if (self->wants_no_end) {
        return;
    }
    self->leased = true;
    client->leased_count++;
    if (self->lease_ms > 0 && self->lease_ms < client->lease_ms_min) {
        client->lease_ms_min = self->lease_ms;
    }
}

enum nq_status answer_create(struct nq_client *client, struct nq_bytes queue, uint64_t get_id, const struct wire_reply *reply,
                             struct frame *frame, bool at_most_once, struct answer **out)
{
    bool is_get = reply->result == WIRE_GET;
    size_t count = is_get ? reply->as.get.count : reply->as.peek.count;
    struct answer *self = calloc(1, sizeof *self + count * sizeof self->items[0]);
    if (self == NULL) {
        return NQ_NO_MEMORY;
    }
    self->client = client;
    self->frame = frame_ref(frame);
    self->get_id = get_id;
    self->count = (uint32_t)count;
    self->refs = count;
    self->received_ms = client->now_ms;
    self->wants_no_end = at_most_once || !is_get;
    size_t name_len = queue.len < NQ_NAME_BYTES_MAX ? queue.len : NQ_NAME_BYTES_MAX;
    memcpy(self->queue, queue.data, name_len);
    enum nq_status status;
    if (is_get) {
        const struct wire_get_reply *get = &reply->as.get;
        self->queue_id = get->queue_id;
        self->epoch = get->epoch;
        self->lease_ms = get->lease_ms;
        status = fill(self, get->bodies, get->headers, get->seqs);
        fill_deliveries(self, get);
    } else {
        status = fill(self, reply->as.peek.bodies, reply->as.peek.headers, reply->as.peek.seqs);
    }
    if (status != NQ_OK) {
        frame_unref(&client->frames, self->frame);
        free(self);
        return status;
    }
    link_answer(self);
    *out = self;
    return NQ_OK;
}

static void end_leases(struct answer *self)
{
    struct nq_client *client = self->client;
    if (!self->leased || client == NULL) {
        return;
    }
    self->leased = false;
    client->leased_count--;
    if (client->leased_count == 0) {
        client->lease_ms_min = UINT64_MAX;
    }
}

static void unlink_answer(struct answer *self)
{
    if (self->client == NULL) {
        return;
    }
    if (self->prev != NULL) {
        self->prev->next = self->next;
    } else {
        self->client->answers = self->next;
    }
    if (self->next != NULL) {
        self->next->prev = self->prev;
    }
}

static void unlink_report(struct answer *self)
{
    if (!self->to_report || self->client == NULL) {
        return;
    }
    struct answer **at = &self->client->reports;
    while (*at != NULL && *at != self) {
        at = &(*at)->report_next;
    }
    if (*at != NULL) {
        *at = self->report_next;
        self->client->reports_count--;
    }
    self->to_report = false;
}

void answer_unref(struct answer *self)
{
    if (--self->refs > 0) {
        return;
    }
    end_leases(self);
    unlink_report(self);
    unlink_answer(self);
    frame_unref(self->client != NULL ? &self->client->frames : NULL, self->frame);
    free(self);
}

void answer_is_taken(struct answer *self, uint32_t count)
{
    if (count <= self->taken) {
        return;
    }
    self->taken = count;
    if (self->leased && !self->to_report && self->client != NULL) {
        self->to_report = true;
        self->report_next = self->client->reports;
        self->client->reports = self;
        self->client->reports_count++;
    }
}

void answer_lose(struct answer *self, bool store_gone)
{
    self->store_gone = self->store_gone || store_gone;
    end_leases(self);
    unlink_report(self);
}

// ------------------------------------------------------------------------------------------------------- accessors

const void *nq_item_body(const struct nq_item *item)
{
    return item->body.data;
}

size_t nq_item_len(const struct nq_item *item)
{
    return item->body.len;
}

void nq_items_bodies(struct nq_item *const *items, size_t count, const void **bodies, size_t *lens)
{
    for (size_t i = 0; i < count; i++) {
        bodies[i] = items[i]->body.data;
        lens[i] = items[i]->body.len;
    }
}

const char *nq_item_queue(const struct nq_item *item)
{
    return item->answer->queue;
}

uint64_t nq_item_seq(const struct nq_item *item)
{
    return item->seq;
}

uint32_t nq_item_deliveries(const struct nq_item *item)
{
    return item->delivery;
}

uint32_t nq_item_failures(const struct nq_item *item)
{
    return item->failures;
}

bool nq_item_redelivered(const struct nq_item *item)
{
    return item->redelivered;
}

uint64_t nq_item_fence(const struct nq_item *item)
{
    return item->answer->epoch << 32 | item->delivery; // a crash may repeat a delivery's number, but never in the same epoch
}

size_t nq_item_headers_count(const struct nq_item *item)
{
    return item->headers_count;
}

struct nq_header_field nq_item_header(const struct nq_item *item, size_t index)
{
    if (index >= item->headers_count) {
        return (struct nq_header_field){.name = "", .value = nothing, .value_len = 0};
    }
    const struct nq_header *header = &item->headers[index];
    return (struct nq_header_field){
        .name = (const char *)header->name.data, .value = header->value.data, .value_len = header->value.len};
}

void nq_item_destroy(struct nq_item **item_p)
{
    struct nq_item *item = *item_p;
    if (item == NULL) {
        return;
    }
    *item_p = NULL;
    finish_give_back(item);
}
