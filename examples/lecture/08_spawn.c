// Six processes, one after the other, each of which counts.
#include "lecture.h"

static void count(struct nq_client *client, const char *queue, long number)
{
    lecture_put(client, queue, "calling count from process %ld", number);
    for (long j = 0; j < number; j++) {
        lecture_put(client, queue, "output from process %ld is: %ld", number, j);
    }
}

int main(void)
{
    const char *queue = lecture_queue_name();
    struct nq_client *client = lecture_client();
    char line[LECTURE_TEXT_BYTES];
    for (long number = 0; number < 6; number++) {
        struct role role = {count, queue, number};
        lecture_join_process(lecture_start_process(&role));
        while (lecture_get(client, queue, 0, line)) {
            lecture_say("%s", line);
        }
    }
    lecture_check(client, nq_delete(client, queue, NULL));
    nq_client_destroy(&client);
}
