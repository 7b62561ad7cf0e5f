// Holds something at a netqueue broker while it is looked at: sessions that wait in a get, or queues.
//
// hold ENDPOINT sessions|queues N   prints "ready", ends when its standard input does.
#include <netqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(enum nq_status status, struct nq_client *client, const char *what)
{
    if (status != NQ_OK) {
        fprintf(stderr, "hold: %s: %s\n", what, client == NULL ? nq_status_text(status) : nq_error_text(client));
        exit(nq_status_exit_code(status));
    }
}

static struct nq_client *connect_to(const char *endpoint)
{
    struct nq_client *client = NULL;
    struct nq_client_options options = {.servers = &endpoint, .servers_count = 1, .timeout_ms = 10000};
    check(nq_client_create(&options, &client, NULL), client, "connect");
    return client;
}

static void open_sessions(const char *endpoint, struct nq_client **clients, size_t count)
{
    const struct nq_get_options get = {.wait_ms = NQ_WAIT_FOREVER};
    for (size_t i = 0; i < count; i++) {
        struct nq_broker_info info;
        clients[i] = connect_to(endpoint);
        check(nq_ping(clients[i], &info), clients[i], "ping");
        if (nq_start_get(clients[i], "bench.hold", 1, &get, NULL) == 0) {
            fprintf(stderr, "hold: get: %s\n", nq_error_text(clients[i]));
            exit(1);
        }
        check(nq_ping(clients[i], &info), clients[i], "ping"); // the get is there, too
    }
}

static void declare_queues(struct nq_client *client, size_t count)
{
    char name[64];
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "bench.hold.%zu", i);
        check(nq_declare(client, name, NULL, 0, NULL), client, "declare");
    }
}

int main(int argc, char **argv)
{
    size_t count = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    if (count == 0 || (strcmp(argv[2], "sessions") != 0 && strcmp(argv[2], "queues") != 0)) {
        fprintf(stderr, "usage: hold ENDPOINT sessions|queues N\n");
        return 64;
    }
    struct nq_client **clients = calloc(count, sizeof(struct nq_client *));
    if (strcmp(argv[2], "sessions") == 0) {
        open_sessions(argv[1], clients, count);
    } else {
        clients[0] = connect_to(argv[1]);
        declare_queues(clients[0], count);
    }
    printf("ready\n");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    for (size_t i = 0; i < count; i++) {
        nq_client_destroy(&clients[i]);
    }
    free((void *)clients);
    return 0;
}
