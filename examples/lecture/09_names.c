// Processes with names: the broker sees them, too, and so does whoever reads what they put.
#include <stdio.h>
#include <unistd.h>

#include "lecture.h"

static const char *queue;

static void work(struct nq_client *client, const char *name, long number)
{
    char own[LECTURE_TEXT_BYTES];
    (void)snprintf(own, sizeof own, "Process-%ld", number);
    name = name != NULL ? name : own;
    lecture_put(client, queue, "Starting process name = %s", name);
    lecture_put(client, queue, "Exiting process name = %s", name);
}

int main(void)
{
    queue = lecture_queue_name();
    struct role roles[] = {{work, "work process", 1}, {work, NULL, 2}};
    char line[LECTURE_TEXT_BYTES];
    for (int i = 0; i < 2; i++) {
        lecture_join_process(lecture_start_process(&roles[i]));
    }
    struct nq_client *client = lecture_client();
    while (lecture_get(client, queue, 0, line)) {
        lecture_say("%s", line);
    }
    lecture_check(client, nq_delete(client, queue, NULL));
    nq_client_destroy(&client);
}
