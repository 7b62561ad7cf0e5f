// Clients in several threads, with keepers, interrupts and reconnects: for the thread sanitizer.
#include <pthread.h>
#include <stdio.h>

#include "fake_broker.h"
#include "netqueue.h"

#define ROUNDS 300

struct worker {
    struct fake_broker *broker;
    const char *queue;
    struct nq_client *client;
    bool ok;
};

static bool round_trip(struct nq_client *client, const char *queue)
{
    struct nq_item *item = NULL;
    if (nq_put(client, queue, "x", 1, NULL, NULL) != NQ_OK) {
        return false;
    }
    enum nq_status status = nq_get(client, queue, NULL, &item);
    if (status == NQ_INTERRUPTED) {
        status = nq_get(client, queue, NULL, &item);
    }
    return status == NQ_OK && nq_task_done(client, &item) == NQ_OK;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    worker->ok = true;
    for (int i = 0; worker->ok && i < ROUNDS; i++) {
        worker->ok = round_trip(worker->client, worker->queue);
    }
    return NULL;
}

int main(void)
{
    struct fake_broker *broker = fake_broker_start();
    if (broker == NULL) {
        return 1;
    }
    fake_broker_set_lease_ms(broker, 30); // a keeper that has something to do
    const char *servers[] = {fake_broker_endpoint(broker)};
    struct nq_client_options options = {.servers = servers, .servers_count = 1};
    struct worker workers[2] = {{.broker = broker, .queue = "a"}, {.broker = broker, .queue = "b"}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        if (nq_client_create(&options, &workers[i].client, NULL) != NQ_OK ||
            pthread_create(&threads[i], NULL, work, &workers[i]) != 0) {
            return 1;
        }
    }
    int failed = 0;
    for (int i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
        failed += workers[i].ok ? 0 : 1;
        if (!workers[i].ok) {
            (void)fprintf(stderr, "%s\n", nq_error_text(workers[i].client));
        }
        nq_client_destroy(&workers[i].client);
    }
    fake_broker_stop(&broker);
    return failed;
}
