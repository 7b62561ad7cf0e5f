// A process that is killed with an item in its hands: the item comes back and is somebody else's.
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lecture.h"

static void work(struct nq_client *client, const char *queue, long number)
{
    (void)number;
    char text[LECTURE_TEXT_BYTES];
    char taken[LECTURE_TEXT_BYTES];
    (void)snprintf(taken, sizeof taken, "%s.taken", queue);
    (void)lecture_get_item(client, queue, text);
    lecture_put(client, taken, "taken");
    (void)pause(); // for ever
}

int main(void)
{
    const char *queue = lecture_queue_name();
    char taken[LECTURE_TEXT_BYTES];
    char text[LECTURE_TEXT_BYTES];
    (void)snprintf(taken, sizeof taken, "%s.taken", queue);
    struct role role = {work, queue, 0};
    pid_t pid = lecture_start_process(&role);
    struct nq_client *client = lecture_client();
    lecture_put(client, queue, "the item");
    (void)lecture_get(client, taken, NQ_WAIT_FOREVER, text);
    lecture_say("Process running: %s", kill(pid, 0) == 0 ? "True" : "False");
    int status;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    lecture_say("Process joined: %s", kill(pid, 0) == 0 ? "True" : "False");
    lecture_say("Process exit code: %d", WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
    struct nq_item *item = lecture_get_item(client, queue, text);
    lecture_say("it came back: %s, delivery %u, failures %u", text, nq_item_deliveries(item), nq_item_failures(item));
    lecture_check(client, nq_task_done(client, &item));
    lecture_check(client, nq_delete(client, queue, NULL));
    lecture_check(client, nq_delete(client, taken, NULL));
    nq_client_destroy(&client);
}
