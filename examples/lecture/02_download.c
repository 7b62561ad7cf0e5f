// Threads that download, and a main thread that joins the queue rather than them.
#include <stdio.h>

#include "lecture.h"

static void download(struct nq_client *client, const char *queue, long number)
{
    (void)number;
    char url[LECTURE_TEXT_BYTES];
    struct nq_item *item;
    while ((item = lecture_get_item(client, queue, url)) != NULL) {
        lecture_say("downloaded %s: %ld bytes", url, lecture_fetch(url));
        lecture_check(client, nq_task_done(client, &item));
    }
}

static void hand_out(struct nq_client *client, const char *queue, long number)
{
    (void)number;
    lecture_check(client, nq_shutdown(client, queue, false, NULL)); // nothing more: the others end when it is empty
    lecture_check(client, nq_join(client, queue, NQ_WAIT_FOREVER));
    lecture_say("all downloads are complete");
}

int main(int argc, char **argv)
{
    const char *queue = lecture_queue_name();
    struct nq_client *client = lecture_client();
    for (int i = 1; i < argc; i++) {
        lecture_put(client, queue, "%s", argv[i]);
    }
    struct role roles[] = {{download, queue, 1}, {download, queue, 2}, {download, queue, 3}, {hand_out, queue, 0}};
    lecture_threads(roles, 4);
    lecture_check(client, nq_delete(client, queue, NULL));
    nq_client_destroy(&client);
}
