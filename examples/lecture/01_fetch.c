// Pages are fetched by several workers at once; their results are gathered with the non-blocking form, all gets under way together.
#include <poll.h>
#include <stdio.h>

#include "lecture.h"

#define FETCHERS 3

static void fetch(struct nq_client *client, const char *queue, long number)
{
    (void)number;
    char url[LECTURE_TEXT_BYTES];
    char results[LECTURE_TEXT_BYTES];
    (void)snprintf(results, sizeof results, "%s.results", queue);
    while (lecture_get(client, queue, NQ_WAIT_FOREVER, url)) {
        lecture_say("fetching %s", url);
        lecture_put(client, results, "%s has %ld bytes", url, lecture_fetch(url));
    }
}

// Collects one result for each page that was asked for, as they come.
static void gather(struct nq_client *client, const char *results, int count)
{
    for (int i = 0; i < count; i++) {
        (void)nq_start_get(client, results, 1, NULL, NULL);
    }
    while (count > 0) {
        struct nq_completion completion;
        struct pollfd fd = {.fd = nq_client_fd(client), .events = POLLIN};
        uint64_t wait_ms = nq_client_timeout_ms(client);
        (void)poll(&fd, 1, wait_ms > 1000 ? 1000 : (int)wait_ms);
        (void)nq_client_process(client);
        while (nq_next_completion(client, &completion) == NQ_OK) {
            lecture_check(client, completion.status);
            if (completion.items_count == 1) {
                lecture_say("%.*s", (int)nq_item_len(completion.items[0]), (const char *)nq_item_body(completion.items[0]));
                (void)nq_start_task_done(client, &completion.items[0], NULL);
                nq_free(completion.items);
                count--;
            }
        }
    }
}

int main(int argc, char **argv)
{
    const char *queue = lecture_queue_name();
    char results[LECTURE_TEXT_BYTES];
    (void)snprintf(results, sizeof results, "%s.results", queue);
    struct role fetchers[FETCHERS] = {{fetch, queue, 0}, {fetch, queue, 1}, {fetch, queue, 2}};
    struct nq_client *client = lecture_client();
    for (int i = 1; i < argc; i++) {
        lecture_put(client, queue, "%s", argv[i]);
    }
    lecture_check(client, nq_shutdown(client, queue, false, NULL)); // the fetchers end when it is drained
    lecture_threads(fetchers, FETCHERS);
    gather(client, results, argc - 1);
    lecture_check(client, nq_delete(client, results, NULL));
    nq_client_destroy(&client);
}
