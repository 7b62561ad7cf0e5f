// C has no subclasses: what a Process subclass overrides is a function in a structure.
#include <stdio.h>

#include "lecture.h"

struct process {
    void (*run)(struct process *self, struct nq_client *client); // to be "overridden"
    const char *queue;
    long number;
};

static void my_run(struct process *self, struct nq_client *client)
{
    lecture_put(client, self->queue, "called run method by MyProcess-%ld", self->number);
}

static void start(struct nq_client *client, const char *queue, long number)
{
    struct process process = {my_run, queue, number};
    process.run(&process, client);
}

int main(void)
{
    const char *queue = lecture_queue_name();
    char line[LECTURE_TEXT_BYTES];
    for (long number = 1; number <= 5; number++) {
        struct role role = {start, queue, number};
        lecture_join_process(lecture_start_process(&role));
    }
    struct nq_client *client = lecture_client();
    while (lecture_get(client, queue, 0, line)) {
        lecture_say("%s", line);
    }
    lecture_check(client, nq_delete(client, queue, NULL));
    nq_client_destroy(&client);
}
