// Many puts, fast: the producer handle lets go of an item as soon as it is in the window, and gathers what waits into large
// requests. Only the flush says that everything is stored; a failure says from which item on nothing is.
#include <netqueue.h>
#include <stdio.h>

#define ITEMS 20000

static enum nq_status put_all(struct nq_producer *producer)
{
    for (int i = 0; i < ITEMS; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "number %d", i);
        struct nq_body body = {.data = text, .len = (size_t)len};
        enum nq_status status = nq_producer_put(producer, &body); // blocks only while the window is full
        if (status != NQ_OK) {
            return status;
        }
    }
    return nq_producer_flush(producer, 30000);
}

int main(void)
{
    struct nq_client *client = NULL;
    enum nq_status status = nq_client_create(NULL, &client, NULL);
    if (status != NQ_OK) {
        return nq_status_exit_code(status);
    }
    const char *queue = "example.producer_window";
    struct nq_producer *producer = NULL;
    status = nq_producer_open(client, queue, NULL, &producer);
    if (status == NQ_OK) {
        status = put_all(producer);
        const struct nq_producer_failure *failure = nq_producer_failure(producer);
        (void)printf("%llu items stored\n", (unsigned long long)nq_producer_confirmed(producer));
        if (failure->status != NQ_OK) {
            (void)fprintf(stderr, "item %llu and what follows is not: %s\n", (unsigned long long)failure->failed_index,
                          failure->text);
        }
        enum nq_status closed = nq_producer_close(&producer, 5000);
        status = status == NQ_OK ? closed : status;
    }
    if (status == NQ_OK) {
        status = nq_purge(client, queue, NULL); // leave nothing behind
    }
    if (status != NQ_OK) {
        (void)fprintf(stderr, "%s\n", nq_error_text(client));
    }
    nq_client_destroy(&client);
    return nq_status_exit_code(status);
}
