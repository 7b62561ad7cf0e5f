// Calls of the library against a fake broker: each ends OK or says why not, nothing that was answered OK is lost, and once there is
// memory again the same client works.
#include <stdio.h>
#include <string.h>

#include "fake_broker.h"
#include "netqueue.h"
#include "no_memory.h"

// A call tries again until its time-out, so memory that is out for good would be all waiting. It comes back after some failures:
// more than a step of the library has, so that what it tries again at once fails again, too.
enum { MANY = 3, TIMEOUT_MS = 30000, FAILURES = 40 };

static struct fake_broker *broker;
static char queue[32];
static uint64_t stored, done; // as the library said

static enum nq_status note(enum nq_status status, uint64_t more_stored, uint64_t more_done)
{
    stored += status == NQ_OK ? more_stored : 0;
    done += status == NQ_OK ? more_done : 0;
    return status;
}

static enum nq_status single(struct nq_client *client)
{
    struct nq_item *item = NULL;
    const struct nq_header_field header = {"name", "value", 5};
    const struct nq_body body = {.data = "b", .len = 1, .headers = &header, .headers_count = 1};
    enum nq_status status = note(nq_put(client, queue, "a", 1, NULL, NULL), 1, 0);
    if (status == NQ_OK) {
        status = note(nq_put_many(client, queue, &body, 1, NULL, NULL), 1, 0);
    }
    if (status == NQ_OK) {
        status = nq_get(client, queue, NULL, &item);
    }
    if (status == NQ_OK) {
        status = nq_extend(client, item, 0);
    }
    if (status == NQ_OK) {
        status = note(nq_task_done(client, &item), 0, 1);
    }
    nq_item_destroy(&item);
    if (status == NQ_OK) {
        status = nq_get(client, queue, NULL, &item);
    }
    if (status == NQ_OK) {
        status = nq_requeue(client, &item, NULL);
    }
    nq_item_destroy(&item);
    return status;
}

static enum nq_status many(struct nq_client *client)
{
    struct nq_item *items[MANY] = {NULL};
    size_t count = 0;
    enum nq_status status = nq_get_many(client, queue, MANY, NULL, items, &count);
    if (status == NQ_OK) {
        status = note(nq_task_done_many(client, items, count, NULL), 0, count);
    }
    for (size_t i = 0; i < MANY; i++) {
        nq_item_destroy(&items[i]);
    }
    return status;
}

static enum nq_status produce(struct nq_client *client)
{
    struct nq_producer *producer = NULL;
    const struct nq_body body = {.data = "c", .len = 1};
    enum nq_status status = nq_producer_open(client, queue, NULL, &producer);
    if (status != NQ_OK) {
        return status;
    }
    for (int i = 0; i < MANY && status == NQ_OK; i++) {
        status = nq_producer_put(producer, &body);
    }
    if (status == NQ_OK) {
        status = nq_producer_flush(producer, TIMEOUT_MS);
        no_memory_require(status != NQ_OK || nq_producer_confirmed(producer) == MANY, "a flush that is OK confirms all");
    }
    stored += nq_producer_confirmed(producer);
    enum nq_status closed = nq_producer_close(&producer, TIMEOUT_MS);
    return status == NQ_OK ? closed : status;
}

static enum nq_status consume(struct nq_client *client)
{
    struct nq_consumer *consumer = NULL;
    struct nq_item *item = NULL;
    enum nq_status status = nq_consumer_open(client, queue, NULL, &consumer);
    if (status != NQ_OK) {
        return status;
    }
    for (int i = 0; i < MANY && status == NQ_OK; i++) {
        status = nq_consumer_get(consumer, TIMEOUT_MS, &item);
        if (status == NQ_OK) {
            status = nq_consumer_done(consumer, &item);
        }
        nq_item_destroy(&item);
    }
    if (status == NQ_OK) {
        status = nq_consumer_flush(consumer, TIMEOUT_MS);
        no_memory_require(status != NQ_OK || nq_consumer_confirmed(consumer) == MANY, "a flush that is OK confirms all");
    }
    done += nq_consumer_confirmed(consumer);
    enum nq_status closed = nq_consumer_close(&consumer, TIMEOUT_MS);
    return status == NQ_OK ? closed : status;
}

static enum nq_status look(struct nq_client *client)
{
    struct nq_broker_info info;
    struct nq_queue_stats stats;
    enum nq_status status = nq_ping(client, &info);
    return status == NQ_OK ? nq_stat(client, queue, &stats) : status;
}

static enum nq_status create(struct nq_client **client)
{
    const char *servers[] = {fake_broker_endpoint(broker)};
    const struct nq_client_options options = {.servers = servers, .servers_count = 1, .timeout_ms = TIMEOUT_MS};
    return nq_client_create(&options, client, NULL);
}

static void run_calls(uint64_t nth, uint64_t failures)
{
    static enum nq_status (*const parts[])(struct nq_client *) = {single, many, produce, consume, look};
    static uint64_t runs;
    struct nq_client *client = NULL;
    enum nq_status status;
    broker = fake_broker_start(); // a new one each time: it has room for a few queues only
    no_memory_require(broker != NULL, "a broker to talk to");
    snprintf(queue, sizeof(queue), "q%llu", (unsigned long long)++runs);
    stored = done = 0;
    no_memory_arm(ALLOC_THIS_THREAD, nth, failures);
    status = create(&client);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && status == NQ_OK; i++) {
        status = parts[i](client);
    }
    bool failed = no_memory_disarm();
    if (!failed) {
        no_memory_require(status == NQ_OK, client == NULL ? "a client is made" : nq_error_text(client));
    }
    no_memory_require(status == NQ_OK || status == NQ_NO_MEMORY || client != NULL, "a client that is not made says why");
    if (client != NULL) {
        no_memory_require(status == NQ_OK || nq_error_text(client)[0] != '\0', "a failure has a text");
        const enum nq_status later = nq_put(client, queue, "z", 1, NULL, NULL);
        no_memory_require(later == NQ_OK, nq_error_text(client)); // with memory again, the client works
        stored++;
    }
    const bool kept = fake_broker_counts(broker, queue).leased > 0; // as of something that the put had to overtake
    no_memory_require(client == NULL || !kept, "what could not be handed over has gone back");
    nq_client_destroy(&client);
    struct fake_counts counts = fake_broker_counts(broker, queue);
    no_memory_require(counts.ready + counts.leased + counts.done >= stored, "what the library said is stored is there");
    no_memory_require(counts.done >= done, "what it said is done is done");
    fake_broker_stop(&broker);
}

int main(void)
{
    no_memory_each_with("calls of the library", run_calls, 1);
    no_memory_each_with("calls of the library", run_calls, FAILURES);
    return 0;
}
