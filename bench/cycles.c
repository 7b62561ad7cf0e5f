// Full put -> get -> task_done cycles against a netqueue broker, one producer thread and one consumer thread, each in the library's
// manner for its window: 1 is lock-step with confirmed calls, more goes through the handles.
//
// cycles ENDPOINT WINDOW SECONDS BYTES   prints cycles per second (dones that the broker has confirmed).
#include <netqueue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUEUE "bench.cycles"

struct job {
    const char *endpoint;
    size_t window;
    size_t bytes;
    atomic_ulong put, done;
    atomic_bool stop;
};

static double now_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void check(enum nq_status status, struct nq_client *client, const char *what)
{
    if (status != NQ_OK) {
        fprintf(stderr, "cycles: %s: %s: %s\n", what, nq_status_text(status), client == NULL ? "" : nq_error_text(client));
        exit(nq_status_exit_code(status));
    }
}

static struct nq_client *connect_to(const struct job *job)
{
    struct nq_client *client = NULL;
    struct nq_client_options options = {.servers = &job->endpoint, .servers_count = 1, .timeout_ms = 10000};
    check(nq_client_create(&options, &client, NULL), client, "connect");
    return client;
}

static bool too_far_ahead(struct job *job)
{
    if (atomic_load(&job->put) - atomic_load(&job->done) <= 10 * job->window + 1000) { // as a bounded queue would
        return false;
    }
    struct timespec pause = {0, 100000};
    nanosleep(&pause, NULL);
    return true;
}

static void put_windowed(struct job *job, struct nq_client *client, const struct nq_body *body)
{
    struct nq_producer *producer = NULL;
    struct nq_producer_options options;
    nq_producer_options_init(&options);
    options.window_items = job->window;
    options.batch_items = job->window;
    check(nq_producer_open(client, QUEUE, &options, &producer), client, "producer");
    while (!atomic_load(&job->stop)) {
        for (size_t i = 0; i < job->window && !too_far_ahead(job); i++) {
            check(nq_producer_put(producer, body), client, "put");
            atomic_fetch_add(&job->put, 1);
        }
        check(nq_producer_work(producer), client, "work");
    }
    nq_producer_close(&producer, 10000);
}

static void *produce(void *argument)
{
    struct job *job = argument;
    struct nq_client *client = connect_to(job);
    char *data = malloc(job->bytes);
    memset(data, 'x', job->bytes);
    struct nq_body body = {.data = data, .len = job->bytes};
    if (job->window > 1) {
        put_windowed(job, client, &body);
    }
    while (job->window == 1 && !atomic_load(&job->stop)) {
        if (!too_far_ahead(job)) {
            check(nq_put(client, QUEUE, data, job->bytes, NULL, NULL), client, "put");
            atomic_fetch_add(&job->put, 1);
        }
    }
    nq_client_destroy(&client);
    free(data);
    return NULL;
}

static void done_windowed(struct job *job, struct nq_client *client)
{
    struct nq_consumer *consumer = NULL;
    struct nq_consumer_options options;
    nq_consumer_options_init(&options);
    options.prefetch = (int)job->window;
    options.done_window = job->window;
    check(nq_consumer_open(client, QUEUE, &options, &consumer), client, "consumer");
    while (!atomic_load(&job->stop)) {
        struct nq_item *item = NULL;
        enum nq_status status = nq_consumer_get(consumer, 100, &item);
        if (status == NQ_OK) {
            check(nq_consumer_done(consumer, &item), client, "done");
        } else if (status != NQ_EMPTY) {
            check(status, client, "get");
        }
        atomic_store(&job->done, nq_consumer_confirmed(consumer));
    }
    nq_consumer_close(&consumer, 10000);
}

static void *consume(void *argument)
{
    struct job *job = argument;
    struct nq_client *client = connect_to(job);
    if (job->window > 1) {
        done_windowed(job, client);
    }
    struct nq_get_options get = {.wait_ms = 100};
    struct nq_item *item = NULL;
    while (job->window == 1 && !atomic_load(&job->stop)) {
        bool finishes = item != NULL;
        enum nq_status done;
        enum nq_status status = nq_next(client, QUEUE, &get, &item, &done);
        check(done, client, "done");
        if (finishes) {
            atomic_fetch_add(&job->done, 1);
        }
        if (status != NQ_EMPTY) {
            check(status, client, "get");
        }
    }
    nq_item_destroy(&item);
    nq_client_destroy(&client);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: cycles ENDPOINT WINDOW SECONDS BYTES\n");
        return 64;
    }
    struct job job = {.endpoint = argv[1], .window = (size_t)atol(argv[2]), .bytes = (size_t)atol(argv[4])};
    double seconds = atof(argv[3]);
    struct nq_client *client = connect_to(&job);
    check(nq_declare(client, QUEUE, NULL, 0, NULL), client, "declare");
    check(nq_purge(client, QUEUE, NULL), client, "purge");
    pthread_t threads[2];
    double start = now_seconds();
    pthread_create(&threads[0], NULL, produce, &job);
    pthread_create(&threads[1], NULL, consume, &job);
    while (now_seconds() - start < seconds) {
        struct timespec pause = {0, 10000000};
        nanosleep(&pause, NULL);
    }
    unsigned long done = atomic_load(&job.done);
    double took = now_seconds() - start;
    atomic_store(&job.stop, true);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    nq_client_destroy(&client);
    printf("%.0f\n", (double)done / took);
    return 0;
}
