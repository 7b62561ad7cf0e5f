// Threads that are joined one by one run one after the other.
#include "lecture.h"

static void function(struct nq_client *client, const char *queue, long number)
{
    lecture_say("function called by thread %ld", number);
    lecture_put(client, queue, "%ld", number);
}

int main(void)
{
    const char *queue = lecture_queue_name();
    struct nq_client *client = lecture_client();
    char text[LECTURE_TEXT_BYTES];
    for (long number = 0; number < 10; number++) {
        struct role role = {function, queue, number};
        lecture_threads(&role, 1); // started and joined
    }
    while (lecture_get(client, queue, 0, text)) {
        lecture_say("in the order of: %s", text);
    }
    lecture_check(client, nq_delete(client, queue, NULL));
    nq_client_destroy(&client);
}
