// A background process works until the program ends, and ends with it.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "lecture.h"

static void work(struct nq_client *client, const char *queue, long number)
{
    (void)number;
    char text[LECTURE_TEXT_BYTES];
    lecture_say("Starting background process");
    struct nq_item *item;
    while ((item = lecture_get_item(client, queue, text)) != NULL) {
        lecture_say("---> %s", text);
        lecture_check(client, nq_task_done(client, &item));
    }
}

int main(void)
{
    const char *queue = lecture_queue_name();
    struct role role = {work, queue, 0};
    pid_t background = lecture_start_process(&role);
    struct nq_client *client = lecture_client();
    for (int i = 0; i < 5; i++) {
        lecture_put(client, queue, "%d", i);
    }
    lecture_check(client, nq_join(client, queue, NQ_WAIT_FOREVER));
    lecture_say("the program ends, and the background process with it");
    (void)kill(background, SIGTERM);
    (void)waitpid(background, NULL, 0);
    lecture_check(client, nq_delete(client, queue, NULL));
    nq_client_destroy(&client);
}
