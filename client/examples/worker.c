// A worker: takes items from a queue until it has been empty for a second. The consumer handle fetches ahead and gathers what is
// done, so that nothing waits for the network; items that fail go back and are tried again, a few times.
// SIGINT and SIGTERM end it after the item at hand.
#include <netqueue.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct nq_client *client;

static void on_signal(int number)
{
    (void)number;
    nq_interrupt(client); // the one function that may be called here
}

static bool work_on(const struct nq_item *item)
{
    (void)printf("working on %.*s\n", (int)nq_item_len(item), (const char *)nq_item_body(item));
    // "flaky" fails the first time.
    bool flaky = nq_item_len(item) == 5 && memcmp(nq_item_body(item), "flaky", 5) == 0;
    return !flaky || nq_item_failures(item) > 0;
}

static enum nq_status fill_queue(const char *queue)
{
    struct nq_queue_options options = {.given = NQ_GIVEN_MAX_DELIVERIES, .max_deliveries = 5};
    enum nq_status status = nq_declare(client, queue, &options, 0, NULL);
    static const struct nq_body bodies[] = {{.data = "one", .len = 3}, {.data = "flaky", .len = 5}, {.data = "three", .len = 5}};
    return status == NQ_OK ? nq_put_many(client, queue, bodies, sizeof bodies / sizeof bodies[0], NULL, NULL) : status;
}

static enum nq_status work(struct nq_consumer *consumer)
{
    for (;;) {
        struct nq_item *item = NULL;
        enum nq_status status = nq_consumer_get(consumer, 1000, &item);
        if (status != NQ_OK) {
            bool over = status == NQ_EMPTY || status == NQ_SHUT_DOWN || status == NQ_INTERRUPTED;
            return over ? NQ_OK : status;
        }
        if (work_on(item)) {
            status = nq_consumer_done(consumer, &item);
        } else {
            struct nq_requeue_options again = {.failed = true, .reason = "it did not work out"};
            status = nq_consumer_requeue(consumer, &item, &again);
        }
        if (status != NQ_OK) {
            return status;
        }
    }
}

int main(void)
{
    const char *queue = "example.worker";
    enum nq_status status = nq_client_create(NULL, &client, NULL);
    if (status != NQ_OK) {
        return nq_status_exit_code(status);
    }
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);

    struct nq_consumer *consumer = NULL;
    status = fill_queue(queue);
    if (status == NQ_OK) {
        status = nq_consumer_open(client, queue, NULL, &consumer);
    }
    if (status == NQ_OK) {
        status = work(consumer);
        enum nq_status closed = nq_consumer_close(&consumer, 5000); // all dones are stored when this is NQ_OK
        status = status == NQ_OK ? closed : status;
    }
    if (status != NQ_OK) {
        (void)fprintf(stderr, "%s\n", nq_error_text(client));
    }
    nq_client_destroy(&client);
    return nq_status_exit_code(status);
}
