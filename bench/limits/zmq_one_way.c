// The limit that ZeroMQ sets on this machine: frames pushed one way over TCP on loopback, from one thread to another, and nothing else.
//
// zmq_one_way BYTES SECONDS   prints JSON: frames and bytes per second.
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "clock.h"

struct one_way {
    void *push, *pull;
    size_t bytes;
    atomic_ullong received;
    atomic_bool stopping;
};

static void *push(void *argument)
{
    struct one_way *way = argument;
    char *body = malloc(way->bytes);
    memset(body, 'x', way->bytes);
    while (!atomic_load_explicit(&way->stopping, memory_order_relaxed)) {
        zmq_send(way->push, body, way->bytes, 0);
    }
    free(body);
    return NULL;
}

static void *pull(void *argument)
{
    struct one_way *way = argument;
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    while (!atomic_load_explicit(&way->stopping, memory_order_relaxed)) {
        if (zmq_msg_recv(&frame, way->pull, 0) >= 0) {
            atomic_fetch_add_explicit(&way->received, 1, memory_order_relaxed);
        }
    }
    zmq_msg_close(&frame);
    return NULL;
}

static void set_limits(void *socket, size_t bytes)
{
    int frames = bytes > 64u << 10 ? 64 : 100000;
    int wait_ms = 100;
    int linger_ms = 0;
    zmq_setsockopt(socket, ZMQ_SNDHWM, &frames, sizeof(frames));
    zmq_setsockopt(socket, ZMQ_RCVHWM, &frames, sizeof(frames));
    zmq_setsockopt(socket, ZMQ_SNDTIMEO, &wait_ms, sizeof(wait_ms));
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &wait_ms, sizeof(wait_ms));
    zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
}

int main(int argc, char **argv)
{
    static struct one_way way;
    if (argc != 3 || atol(argv[1]) <= 0 || atof(argv[2]) <= 0) {
        fprintf(stderr, "usage: zmq_one_way BYTES SECONDS\n");
        return 64;
    }
    way.bytes = (size_t)atol(argv[1]);
    double seconds = atof(argv[2]);
    void *sender = zmq_ctx_new(); // two, as two processes would have: an I/O thread for each end
    void *receiver = zmq_ctx_new();
    way.push = zmq_socket(sender, ZMQ_PUSH);
    way.pull = zmq_socket(receiver, ZMQ_PULL);
    set_limits(way.push, way.bytes);
    set_limits(way.pull, way.bytes);
    char endpoint[64];
    size_t endpoint_len = sizeof(endpoint);
    if (zmq_bind(way.pull, "tcp://127.0.0.1:*") != 0 || zmq_getsockopt(way.pull, ZMQ_LAST_ENDPOINT, endpoint, &endpoint_len) != 0 ||
        zmq_connect(way.push, endpoint) != 0) {
        fprintf(stderr, "zmq_one_way: %s\n", zmq_strerror(zmq_errno()));
        return 1;
    }
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, push, &way);
    pthread_create(&threads[1], NULL, pull, &way);
    sleep_seconds(0.2); // until all is connected
    unsigned long long received = atomic_load(&way.received);
    double start = now_seconds();
    sleep_seconds(seconds);
    received = atomic_load(&way.received) - received;
    double took = now_seconds() - start;
    atomic_store(&way.stopping, true);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    zmq_close(way.push);
    zmq_close(way.pull);
    zmq_ctx_term(sender);
    zmq_ctx_term(receiver);
    printf("{\"size\": %zu, \"seconds\": %.6f, \"items_per_s\": %.1f, \"bytes_per_s\": %.1f}\n", way.bytes, took,
           (double)received / took, (double)received * (double)way.bytes / took);
    return 0;
}
