// The limit that ZeroMQ and the disk set to windows: the frames that a window of items takes, one flush for them, and no queue at all.
//
// A server's thread has a ROUTER; a putter and a getter (a DEALER and a context each, as two processes would have) each send a request and
// wait for its answer. The putter's request and the getter's answer are BYTES long, the other two short. The server waits for both
// requests, which no real server can know to do, writes BYTES and flushes them once, and answers both.
//
// zmq_turns BYTES SECONDS [DIRECTORY]   prints JSON: turns per second; without a directory nothing is written.
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "clock.h"

enum { SHORT_BYTES = 64, CLIENTS = 2, FILE_BLOCKS = 4096, BLOCK_BYTES = 4096, WAIT_MS = 100 };

struct turns {
    void *router;
    char endpoint[64];
    char *body;
    size_t bytes;
    int file; // -1: nothing is written
    char *block;
    size_t block_bytes;
    atomic_ullong finished;
    atomic_bool stopping;
};

struct client {
    struct turns *turns;
    bool puts;
};

static void *socket_of(void *context, int type)
{
    int wait_ms = WAIT_MS;
    int linger_ms = 0;
    void *socket = zmq_socket(context, type);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &wait_ms, sizeof(wait_ms));
    zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
    return socket;
}

static void *ask(void *argument)
{
    const struct client *client = argument;
    struct turns *turns = client->turns;
    void *context = zmq_ctx_new();
    void *dealer = socket_of(context, ZMQ_DEALER);
    zmq_msg_t answer;
    zmq_msg_init(&answer);
    zmq_connect(dealer, turns->endpoint);
    while (!atomic_load_explicit(&turns->stopping, memory_order_relaxed)) {
        zmq_send(dealer, turns->body, client->puts ? turns->bytes : SHORT_BYTES, 0);
        while (zmq_msg_recv(&answer, dealer, 0) < 0 && !atomic_load_explicit(&turns->stopping, memory_order_relaxed)) {
        }
    }
    zmq_msg_close(&answer);
    zmq_close(dealer);
    zmq_ctx_term(context);
    return NULL;
}

// Takes a request of each client; false when it is time to stop.
static bool take_requests(struct turns *turns, zmq_msg_t *from, bool *puts)
{
    for (int taken = 0; taken < CLIENTS; taken++) {
        while (zmq_msg_recv(&from[taken], turns->router, 0) < 0) {
            if (atomic_load_explicit(&turns->stopping, memory_order_relaxed)) {
                return false;
            }
        }
        zmq_msg_t request;
        zmq_msg_init(&request);
        zmq_msg_recv(&request, turns->router, 0);
        puts[taken] = zmq_msg_size(&request) > SHORT_BYTES;
        zmq_msg_close(&request);
    }
    return true;
}

static void *answer(void *argument)
{
    struct turns *turns = argument;
    zmq_msg_t from[CLIENTS];
    bool puts[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        zmq_msg_init(&from[i]);
    }
    off_t at = 0;
    while (take_requests(turns, from, puts)) {
        if (turns->file >= 0) {
            if (pwrite(turns->file, turns->block, turns->block_bytes, at) < 0 || fdatasync(turns->file) != 0) {
                perror("zmq_turns");
                exit(1);
            }
            at = (at + (off_t)turns->block_bytes) % ((off_t)FILE_BLOCKS * BLOCK_BYTES - (off_t)turns->block_bytes) / BLOCK_BYTES *
                 BLOCK_BYTES;
        }
        for (int i = 0; i < CLIENTS; i++) {
            zmq_msg_send(&from[i], turns->router, ZMQ_SNDMORE);
            zmq_send(turns->router, turns->body, puts[i] ? SHORT_BYTES : turns->bytes, 0);
        }
        atomic_fetch_add_explicit(&turns->finished, 1, memory_order_relaxed);
    }
    for (int i = 0; i < CLIENTS; i++) {
        zmq_msg_close(&from[i]);
    }
    return NULL;
}

// A file as a journal has it: preallocated, written once, past the page cache where the file system can do that. -1: errno.
static int open_file(struct turns *turns, const char *directory)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/zmq_turns.%ld", directory, (long)getpid());
    turns->block_bytes = (turns->bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
    turns->block = aligned_alloc(BLOCK_BYTES, turns->block_bytes);
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_DIRECT, 0600);
    if (file < 0) {
        file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    unlink(path);
    if (file < 0 || turns->block == NULL) {
        return -1;
    }
    memset(turns->block, 'x', turns->block_bytes);
    for (off_t at = 0; at + (off_t)turns->block_bytes <= (off_t)FILE_BLOCKS * BLOCK_BYTES; at += (off_t)turns->block_bytes) {
        if (pwrite(file, turns->block, turns->block_bytes, at) < 0) {
            return -1;
        }
    }
    return fsync(file) == 0 ? file : -1;
}

static double measure(struct turns *turns, double seconds)
{
    struct client clients[CLIENTS] = {{turns, true}, {turns, false}};
    pthread_t threads[CLIENTS + 1];
    pthread_create(&threads[CLIENTS], NULL, answer, turns);
    for (int i = 0; i < CLIENTS; i++) {
        pthread_create(&threads[i], NULL, ask, &clients[i]);
    }
    sleep_seconds(0.2); // until all is connected
    unsigned long long finished = atomic_load(&turns->finished);
    double start = now_seconds();
    sleep_seconds(seconds);
    double rate = (double)(atomic_load(&turns->finished) - finished) / (now_seconds() - start);
    atomic_store(&turns->stopping, true);
    for (int i = 0; i < CLIENTS + 1; i++) {
        pthread_join(threads[i], NULL);
    }
    return rate;
}

int main(int argc, char **argv)
{
    static struct turns turns = {.file = -1};
    if (argc < 3 || argc > 4 || atol(argv[1]) <= SHORT_BYTES || atol(argv[1]) > 1 << 20 || atof(argv[2]) <= 0) {
        fprintf(stderr, "usage: zmq_turns BYTES SECONDS [DIRECTORY]\n");
        return 64;
    }
    turns.bytes = (size_t)atol(argv[1]);
    turns.body = calloc(1, turns.bytes);
    turns.file = argc == 4 ? open_file(&turns, argv[3]) : -1;
    if (argc == 4 && turns.file < 0) {
        perror("zmq_turns");
        return 1;
    }
    void *context = zmq_ctx_new();
    turns.router = socket_of(context, ZMQ_ROUTER);
    size_t endpoint_len = sizeof(turns.endpoint);
    if (zmq_bind(turns.router, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(turns.router, ZMQ_LAST_ENDPOINT, turns.endpoint, &endpoint_len) != 0) {
        fprintf(stderr, "zmq_turns: %s\n", zmq_strerror(zmq_errno()));
        return 1;
    }
    double rate = measure(&turns, atof(argv[2]));
    zmq_close(turns.router);
    zmq_ctx_term(context);
    free(turns.body);
    free(turns.block);
    printf("{\"size\": %zu, \"seconds\": %.6f, \"items_per_s\": %.1f, \"bytes_per_s\": %.1f}\n", turns.bytes, atof(argv[2]), rate,
           rate * (double)turns.bytes);
    return 0;
}
