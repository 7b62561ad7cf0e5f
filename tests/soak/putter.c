// A putter: items in order through a producer handle, at a rate by schedule, or as fast as getters keep up.
#include <poll.h>
#include <stdlib.h>

#include "body.h"
#include "load.h"
#include "samples.h"

#define NS_PER_S 1000000000u
// Puts between two looks at the answers; one put in so many is timed; how long to wait for answers, the schedule or the getters.
enum { LOOK_EVERY = 64, TIME_EVERY = 16, PATIENCE_MS = 1, WINDOW_ITEMS = 10000 };

struct putter {
    struct load *load;
    struct run *run;
    uint32_t run_number;
    struct nq_producer *handle;
    struct samples samples;
    struct histogram latency;
    uint64_t number;     // of the next item
    uint64_t place, end; // of the next item; of this chunk
    uint64_t started_ns; // the schedule's
    uint8_t body[BODY_BYTES_MAX];
};

static void look(struct putter *self)
{
    uint64_t confirmed = nq_producer_confirmed(self->handle);
    // They form a stream, which takes no item whose predecessor it has not: so many answered means the first so many are stored.
    atomic_store_explicit(&self->run->accepted, confirmed, memory_order_relaxed);
    if (samples_is_due(&self->samples, confirmed)) {
        samples_settle(&self->samples, confirmed, load_now_ns(), 0, &self->latency);
    }
}

static bool begin_run(struct putter *self)
{
    struct account *account = self->load->account;
    uint64_t run = atomic_fetch_add(&account->runs_used, 1);
    if (run >= RUNS_MAX) {
        atomic_fetch_sub(&account->runs_used, 1);
        return false;
    }
    self->run_number = (uint32_t)run;
    self->run = &account->runs[run];
    self->latency = (struct histogram){.counts = self->load->worker->latency[LATENCY_PUT]};
    return samples_init(&self->samples, WINDOW_ITEMS / TIME_EVERY + 2);
}

static int put_one(struct putter *self, uint64_t now_ns)
{
    if (self->place == self->end) {
        self->place = account_take_chunk(self->load->account, self->run_number, self->number);
        if (self->place == UINT64_MAX) {
            return load_fail("putter", "the account is full");
        }
        self->end = self->place + CHUNK_ITEMS;
    }
    const struct body_head head = {.place = self->place, .number = self->number, .put_ns = now_ns, .run = self->run_number};
    const struct nq_body body = {.data = self->body, .len = body_write(self->body, head)};
    atomic_store_explicit(&self->run->sent, self->number + 1, memory_order_release);
    if (nq_producer_put(self->handle, &body) != NQ_OK) {
        return load_fail_by(self->load, "put");
    }
    self->place++;
    self->number++;
    if (self->number % TIME_EVERY == 0) {
        samples_add(&self->samples, self->number, now_ns);
    }
    return 0;
}

// How many may have been put by now.
static uint64_t due(const struct putter *self, uint64_t now_ns)
{
    const struct load *load = self->load;
    uint64_t due = self->number + LOOK_EVERY;
    if (load->rate > 0) {
        uint64_t past_ns = now_ns - self->started_ns;
        due = past_ns / NS_PER_S * load->rate + past_ns % NS_PER_S * load->rate / NS_PER_S;
        due = due < self->number + LOOK_EVERY ? due : self->number + LOOK_EVERY;
    }
    if (load->lead_max > 0 && account_sent(load->account) > account_got(load->account) + load->lead_max) {
        due = 0;
    }
    return due < load->count ? due : load->count;
}

static int put_all(struct putter *self)
{
    struct load *load = self->load;
    struct pollfd client = {.fd = nq_client_fd(load->client), .events = POLLIN};
    int code = 0;
    self->started_ns = load_now_ns();
    while (code == 0 && !load_stops && self->number < load->count) {
        uint64_t now_ns = load_now_ns();
        uint64_t until = due(self, now_ns);
        bool all = until < self->number + LOOK_EVERY;
        while (code == 0 && self->number < until) {
            code = put_one(self, now_ns);
        }
        if (code == 0 && all) {
            (void)nq_producer_work(self->handle); // a failure is kept, and told of by the next put
            (void)poll(&client, 1, PATIENCE_MS);
            (void)nq_producer_work(self->handle);
        }
        look(self);
    }
    return code;
}

int putter_work(struct load *load)
{
    struct putter *self = calloc(1, sizeof(*self));
    const struct nq_producer_options options = {.window_items = WINDOW_ITEMS, .put_wait_ms = NQ_WAIT_FOREVER};
    int code = 1;
    if (self == NULL) {
        return load_fail("putter", "out of memory");
    }
    self->load = load;
    if (!begin_run(self)) {
        code = load_fail("putter", "too many runs, or out of memory");
    } else if (nq_producer_open(load->client, load->queue, &options, &self->handle) != NQ_OK) {
        code = load_fail_by(load, load->queue);
    } else {
        code = put_all(self);
        if (code == 0 && nq_producer_flush(self->handle, NQ_WAIT_FOREVER) != NQ_OK) {
            code = load_fail_by(load, "flush");
        }
        look(self);
    }
    (void)nq_producer_close(&self->handle, 0);
    samples_fini(&self->samples);
    free(self);
    return code;
}
