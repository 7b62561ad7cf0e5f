// A getter: batches of items, each checked against what was put and what became of it before, then finished.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "body.h"
#include "load.h"

enum { BATCH_ITEMS = 1000, WAIT_MS = 300 };

struct getter {
    struct load *load;
    struct histogram latency;
    uint64_t fresh_seq;      // the highest that came without the flag "redelivered"
    uint64_t *fresh_numbers; // for each run: one more than the highest number that came without it
    uint32_t ticket;         // as the get was asked for
    struct nq_item *items[BATCH_ITEMS];
    enum nq_status statuses[BATCH_ITEMS];
    _Atomic uint32_t *states[BATCH_ITEMS];
};

static int wrong(const struct nq_item *item, const struct body_head *head, const char *what)
{
    char text[160];
    (void)snprintf(text, sizeof(text), "item %" PRIu64 " of run %" PRIu32 ", seq %" PRIu64 ", delivery %" PRIu32, head->number,
                   head->run, nq_item_seq(item), nq_item_deliveries(item));
    return load_fail(text, what);
}

// Was such an item put, at this place?
static bool was_put(struct account *account, const struct body_head *head)
{
    uint64_t chunk = head->place / CHUNK_ITEMS;
    if (chunk >= atomic_load(&account->chunks_used) || head->run >= RUNS_MAX) {
        return false;
    }
    const struct chunk *of = account_chunk(account, chunk);
    return of->run == head->run && of->first + head->place % CHUNK_ITEMS == head->number &&
           head->number < atomic_load_explicit(&account->runs[head->run].sent, memory_order_acquire);
}

// What came to nobody before comes in the queue's order, and so in that of each putter.
static const char *check_order(struct getter *self, const struct nq_item *item, const struct body_head *head)
{
    uint64_t *next = &self->fresh_numbers[head->run];
    if (nq_item_seq(item) <= self->fresh_seq) {
        return "came behind one that was put later";
    }
    if (head->number < *next) {
        return "came behind one of its putter that was put later";
    }
    self->fresh_seq = nq_item_seq(item);
    *next = head->number + 1;
    return NULL;
}

// Returns what is wrong with this delivery, or NULL.
static const char *note_delivery(struct getter *self, const struct nq_item *item, const struct body_head *head,
                                 _Atomic uint32_t *state)
{
    bool fresh = !nq_item_redelivered(item);
    uint32_t before = atomic_fetch_or(state, ITEM_DELIVERED | (fresh ? ITEM_FRESH : 0));
    uint32_t done = before & ITEM_TICKET;
    if (fresh && (before & ITEM_FRESH) != 0) {
        return "came a second time without the flag \"redelivered\"";
    }
    if (done != 0 && done <= self->ticket) {
        return "was asked for after its task_done had been answered";
    }
    if (before == 0) {
        histogram_record(&self->latency, load_now_ns() - head->put_ns);
    } else {
        self->load->worker->again++;
    }
    self->load->worker->got++;
    return fresh ? check_order(self, item, head) : NULL;
}

static int check_batch(struct getter *self, size_t count)
{
    struct account *account = self->load->account;
    for (size_t i = 0; i < count; i++) {
        const struct nq_item *item = self->items[i];
        struct body_head head = {0};
        if (!body_read(nq_item_body(item), nq_item_len(item), &head)) {
            return wrong(item, &head, "has another body than any that was put");
        }
        if (!was_put(account, &head)) {
            return wrong(item, &head, "was never put");
        }
        self->states[i] = account_item(account, head.place);
        const char *what = note_delivery(self, item, &head, self->states[i]);
        if (what != NULL) {
            return wrong(item, &head, what);
        }
    }
    return 0;
}

static int finish_batch(struct getter *self, size_t count)
{
    struct load *load = self->load;
    for (size_t i = 0; i < count; i++) {
        atomic_fetch_or(self->states[i], ITEM_FINISHING);
    }
    (void)nq_task_done_many(load->client, self->items, count, self->statuses);
    uint32_t ticket = atomic_fetch_add(&load->account->ticket, 1) + 1;
    for (size_t i = 0; i < count; i++) {
        if (self->statuses[i] == NQ_OK) {
            uint32_t before = atomic_load(self->states[i]);
            while ((before & ITEM_TICKET) == 0 &&
                   !atomic_compare_exchange_weak(self->states[i], &before, before | (ticket & ITEM_TICKET))) {
            }
            load->worker->done += (before & ITEM_TICKET) == 0 ? 1 : 0;
        } else if (self->statuses[i] == NQ_LEASE_LOST) {
            load->worker->leases_lost++;
        } else {
            return load_fail("task_done", nq_status_text(self->statuses[i]));
        }
    }
    return 0;
}

static void give_up(struct getter *self, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        nq_item_destroy(&self->items[i]);
    }
}

static int get_all(struct getter *self)
{
    struct load *load = self->load;
    const struct nq_get_options options = {.wait_ms = WAIT_MS};
    int code = 0;
    while (code == 0 && !load_stops) {
        size_t count = 0;
        self->ticket = atomic_load(&load->account->ticket);
        enum nq_status status = nq_get_many(load->client, load->queue, BATCH_ITEMS, &options, self->items, &count);
        if (status == NQ_EMPTY) {
            continue;
        }
        code = status == NQ_OK ? check_batch(self, count) : load_fail_by(load, "get");
        if (code == 0) {
            code = finish_batch(self, count);
        } else {
            give_up(self, count);
        }
    }
    return code;
}

int getter_work(struct load *load)
{
    struct getter *self = calloc(1, sizeof(*self));
    int code = 1;
    if (self != NULL && (self->fresh_numbers = calloc(RUNS_MAX, sizeof(*self->fresh_numbers))) != NULL) {
        self->load = load;
        self->latency = (struct histogram){.counts = load->worker->latency[LATENCY_PUT_TO_GET]};
        code = get_all(self);
    } else {
        code = load_fail("getter", "out of memory");
    }
    if (self != NULL) {
        free(self->fresh_numbers);
    }
    free(self);
    return code;
}
