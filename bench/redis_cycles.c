// Full put -> get -> task_done cycles against a Redis server, one producer thread and one consumer thread, in Redis's own best
// manner: pipelined commands, `window` of them in flight.
//
//   list    LPUSH | LMOVE to a list of items in work | LREM from it      (the reliable queue of Redis's documentation)
//   stream  XADD  | XREADGROUP COUNT window          | XACK + XDEL
//
// redis_cycles SOCKET_OR_PORT list|stream WINDOW SECONDS BYTES   prints cycles per second.
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct job {
    int port;
    bool stream;
    long window;
    double seconds;
    size_t bytes;
    atomic_long put, done;
    atomic_bool stop;
};

static double now_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "redis_cycles: %s\n", what);
    exit(1);
}

static redisContext *connect_to(int port)
{
    redisContext *context = redisConnect("127.0.0.1", port);
    if (context == NULL || context->err != 0) {
        die("cannot connect");
    }
    return context;
}

static redisReply *reply_of(redisContext *context)
{
    void *reply = NULL;
    if (redisGetReply(context, &reply) != REDIS_OK || ((redisReply *)reply)->type == REDIS_REPLY_ERROR) {
        die(reply == NULL ? "connection lost" : ((redisReply *)reply)->str);
    }
    return reply;
}

static void skip_replies(redisContext *context, long count)
{
    for (long i = 0; i < count; i++) {
        freeReplyObject(reply_of(context));
    }
}

static void *produce(void *argument)
{
    struct job *job = argument;
    redisContext *context = connect_to(job->port);
    char *body = malloc(job->bytes);
    memset(body, 'x', job->bytes);
    while (!atomic_load(&job->stop)) {
        if (atomic_load(&job->put) - atomic_load(&job->done) > 10 * job->window + 1000) { // as a bounded queue would
            struct timespec pause = {0, 100000};
            nanosleep(&pause, NULL);
            continue;
        }
        for (long i = 0; i < job->window; i++) {
            redisAppendCommand(context, job->stream ? "XADD q * b %b" : "LPUSH q %b", body, job->bytes);
        }
        skip_replies(context, job->window);
        atomic_fetch_add(&job->put, job->window);
    }
    free(body);
    redisFree(context);
    return NULL;
}

static long consume_list(redisContext *context, long window)
{
    redisReply **items = calloc((size_t)window, sizeof(*items));
    long got = 0;
    for (long i = 0; i < window; i++) {
        redisAppendCommand(context, "LMOVE q work RIGHT LEFT");
    }
    for (long i = 0; i < window; i++) {
        redisReply *reply = reply_of(context);
        if (reply->type == REDIS_REPLY_STRING) {
            items[got++] = reply;
        } else {
            freeReplyObject(reply);
        }
    }
    for (long i = 0; i < got; i++) {
        redisAppendCommand(context, "LREM work -1 %b", items[i]->str, items[i]->len);
    }
    skip_replies(context, got);
    for (long i = 0; i < got; i++) {
        freeReplyObject(items[i]);
    }
    free(items);
    return got;
}

static long consume_stream(redisContext *context, long window)
{
    redisAppendCommand(context, "XREADGROUP GROUP g c COUNT %ld BLOCK 100 STREAMS q >", window);
    redisReply *reply = reply_of(context);
    long got = 0;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0) {
        redisReply *entries = reply->element[0]->element[1];
        got = (long)entries->elements;
        for (long i = 0; i < got; i++) {
            const char *id = entries->element[i]->element[0]->str;
            redisAppendCommand(context, "XACK q g %s", id);
            redisAppendCommand(context, "XDEL q %s", id);
        }
        skip_replies(context, 2 * got);
    }
    freeReplyObject(reply);
    return got;
}

static void *consume(void *argument)
{
    struct job *job = argument;
    redisContext *context = connect_to(job->port);
    while (!atomic_load(&job->stop)) {
        long got = job->stream ? consume_stream(context, job->window) : consume_list(context, job->window);
        atomic_fetch_add(&job->done, got);
    }
    redisFree(context);
    return NULL;
}

static void run_command(int port, const char *command)
{
    redisContext *context = connect_to(port);
    freeReplyObject(redisCommand(context, command));
    redisFree(context);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        die("usage: redis_cycles PORT list|stream WINDOW SECONDS BYTES");
    }
    struct job job = {.port = atoi(argv[1]),
                      .stream = strcmp(argv[2], "stream") == 0,
                      .window = atol(argv[3]),
                      .seconds = atof(argv[4]),
                      .bytes = (size_t)atol(argv[5])};
    run_command(job.port, "DEL q work");
    if (job.stream) {
        run_command(job.port, "XGROUP CREATE q g $ MKSTREAM");
    }
    pthread_t producer;
    pthread_t consumer;
    double start = now_seconds();
    pthread_create(&producer, NULL, produce, &job);
    pthread_create(&consumer, NULL, consume, &job);
    while (now_seconds() - start < job.seconds) {
        struct timespec pause = {0, 10000000};
        nanosleep(&pause, NULL);
    }
    long done = atomic_load(&job.done);
    double took = now_seconds() - start;
    atomic_store(&job.stop, true);
    pthread_join(producer, NULL);
    pthread_join(consumer, NULL);
    printf("%.0f\n", (double)done / took);
    return 0;
}
