// The producer's and the consumer's handles: a window of unconfirmed puts, prefetch, gathered dones.
#include "body.h"
#include "oracle.h"
#include "plan.h"
#include "worker.h"
#include "world.h"

enum { HANDLE_ITEMS = 64 };

// ------------------------------------------------------------------------------------------------------------------- producer

static void tell_window(const struct nq_producer *producer, enum nq_status flushed, const uint64_t *ids, size_t count)
{
    const struct nq_producer_failure *failure = nq_producer_failure(producer);
    uint64_t confirmed = nq_producer_confirmed(producer);
    bool final = confirmed == failure->failed_index; // else earlier ones are still under way, and may fail, too
    if (flushed == NQ_OK && confirmed != count) {
        world_fail("a flush is over with %llu of %zu items confirmed", (unsigned long long)confirmed, count);
    }
    for (size_t i = 0; i < count; i++) {
        bool unknown = failure->outcome_unknown && i >= failure->failed_index && i < failure->failed_index + failure->unknown_count;
        enum nq_status status = failure->status;
        if (flushed == NQ_OK || (failure->status != NQ_OK && final && i < failure->failed_index)) {
            status = NQ_OK;
        } else if (failure->status == NQ_OK || unknown || i < failure->failed_index) { // not flushed to the end: nobody has said
            status = NQ_OUTCOME_UNKNOWN;
        } else if (status == NQ_OUTCOME_UNKNOWN) {
            status = NQ_UNREACHABLE; // beyond those in doubt: not sent
        }
        oracle_put_told(ids[i], status, 0);
    }
}

static size_t fill_window(struct worker *self, struct nq_producer *producer, unsigned queue, uint64_t *ids)
{
    size_t count = 0;
    while (count < HANDLE_ITEMS && worker_step(self)) {
        uint8_t bytes[BODY_BYTES_MAX];
        uint64_t id = oracle_put(self->number, queue, false);
        struct nq_body body = worker_body(id, bytes);
        enum nq_status status = nq_producer_put(producer, &body);
        if (status == NQ_OK) {
            ids[count++] = id;
        } else {
            oracle_put_told(id, status == NQ_OUTCOME_UNKNOWN ? NQ_UNREACHABLE : status,
                            0); // kept from before: this one was not taken
            break;
        }
        if (world_chance(100)) {
            (void)nq_producer_work(producer);
            worker_pause(50);
        }
        if (world_chance(50)) {
            (void)nq_producer_flush(producer, world_spread(100));
        }
    }
    return count;
}

void live_producer(struct worker *self)
{
    unsigned queue = worker_any_queue();
    uint64_t ids[HANDLE_ITEMS];
    struct nq_producer_options options;
    struct nq_producer *producer;
    worker_open(self);
    nq_producer_options_init(&options);
    options.window_items = world_between(1, 20);
    options.batch_items = world_between(1, 6);
    options.put_wait_ms = world_chance(300) ? NQ_WAIT_FOREVER : world_spread(2000);
    if (options.put_wait_ms == NQ_WAIT_FOREVER) {
        worker_is_impatient(self);
    }
    if (nq_producer_open(self->client, plan_queue(queue), &options, &producer) != NQ_OK) {
        world_fail("a producer cannot be opened");
    }
    size_t count = fill_window(self, producer, queue, ids);
    enum nq_status status = nq_producer_flush(producer, world_chance(800) ? 20000 : world_spread(500));
    tell_window(producer, status, ids, count);
    (void)nq_producer_close(&producer, 0);
    worker_close(self);
}

// ------------------------------------------------------------------------------------------------------------------- consumer

struct finished {
    uint64_t ids[HANDLE_ITEMS];
    size_t count;
};

static void finish(struct nq_consumer *consumer, struct nq_item *item, struct finished *finished)
{
    uint64_t id = worker_item_id(item);
    if (world_chance(150)) {
        const struct nq_requeue_options options = {.delay_ms = world_chance(300) ? world_spread(800) : 0,
                                                   .failed = world_chance(500)};
        (void)nq_consumer_requeue(consumer, &item, &options);
        return;
    }
    if (id != 0) {
        oracle_done_asked(id);
        finished->ids[finished->count++] = id;
    }
    (void)nq_consumer_done(consumer, &item);
}

static void consume(struct worker *self, struct nq_consumer *consumer, unsigned queue, struct finished *finished)
{
    while (finished->count < HANDLE_ITEMS && worker_step(self)) {
        struct nq_item *item = NULL;
        enum nq_status status = nq_consumer_get(consumer, worker_wait_ms(self), &item);
        if (status == NQ_OK) {
            worker_take(self, item, queue);
        }
        if (world_chance(150)) {
            worker_pause(world_chance(100) ? 3000 : 50);
        }
        unsigned from;
        item = world_chance(900) ? worker_release(self, &from) : NULL;
        if (item != NULL) {
            finish(consumer, item, finished);
        }
        if (status == NQ_SHUT_DOWN) {
            break;
        }
    }
}

void live_consumer(struct worker *self)
{
    unsigned queue = worker_any_queue();
    struct nq_consumer_options options;
    struct nq_consumer *consumer;
    struct finished finished = {.count = 0};
    worker_open(self);
    nq_consumer_options_init(&options);
    options.prefetch = world_chance(500) ? NQ_PREFETCH_AUTO : (int)world_random(6);
    options.lease_ms = world_chance(300) ? world_between(50, 1000) : 0;
    options.done_window = world_between(1, 20);
    if (nq_consumer_open(self->client, plan_queue(queue), &options, &consumer) != NQ_OK) {
        world_fail("a consumer cannot be opened");
    }
    consume(self, consumer, queue, &finished);
    enum nq_status status = nq_consumer_flush(consumer, world_chance(800) ? 20000 : world_spread(500));
    for (size_t i = 0; status == NQ_OK && nq_consumer_lost(consumer) == 0 && i < finished.count; i++) {
        oracle_done_told(finished.ids[i], NQ_OK);
    }
    worker_lets_go(self);
    (void)nq_consumer_close(&consumer, world_spread(500));
    worker_close(self);
}
