// The non-blocking form of requests about whole queues.
#include <stdlib.h>
#include <string.h>

#include "client.h"

static uint64_t start_on_queue(struct nq_client *client, enum wire_op op, const char *queue, bool immediate, void *user)
{
    if (client_check_queue(client, queue) != NQ_OK) {
        return 0;
    }
    struct request *request = request_create(op);
    char *name = request != NULL ? strdup(queue) : NULL;
    if (name == NULL) {
        (void)client_fail(client, NQ_NO_MEMORY, "out of memory");
        free(request);
        return 0;
    }
    request->memory = name;
    request->wire.as.on_queue = (struct wire_on_queue){.queue = bytes_of(name), .immediate = immediate};
    return async_start(client, request, user);
}

uint64_t nq_start_stat(struct nq_client *client, const char *queue, void *user)
{
    return start_on_queue(client, WIRE_STAT, queue, false, user);
}

uint64_t nq_start_purge(struct nq_client *client, const char *queue, void *user)
{
    return start_on_queue(client, WIRE_PURGE, queue, false, user);
}

uint64_t nq_start_delete(struct nq_client *client, const char *queue, void *user)
{
    return start_on_queue(client, WIRE_DELETE, queue, false, user);
}

uint64_t nq_start_shutdown(struct nq_client *client, const char *queue, bool immediate, void *user)
{
    return start_on_queue(client, WIRE_SHUTDOWN, queue, immediate, user);
}

uint64_t nq_start_declare(struct nq_client *client, const char *queue, const struct nq_queue_options *options, uint64_t initial,
                          void *user)
{
    return client_check_queue(client, queue) == NQ_OK
               ? async_start(client, declare_request(client, queue, options, initial, false, true), user)
               : 0;
}

uint64_t nq_start_update(struct nq_client *client, const char *queue, const struct nq_queue_options *options, void *user)
{
    return client_check_queue(client, queue) == NQ_OK
               ? async_start(client, declare_request(client, queue, options, 0, true, true), user)
               : 0;
}
