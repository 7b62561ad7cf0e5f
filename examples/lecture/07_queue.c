// One producer and three consumers.
#include "lecture.h"

static void producer(struct nq_client *client, const char *queue, long number)
{
    (void)number;
    for (int i = 0; i < 6; i++) {
        lecture_put(client, queue, "%d", i);
        lecture_say("Producer notify: item %d appended to queue by producer", i);
    }
    lecture_check(client, nq_shutdown(client, queue, false, NULL));
    lecture_check(client, nq_join(client, queue, NQ_WAIT_FOREVER));
}

static void consumer(struct nq_client *client, const char *queue, long number)
{
    char text[LECTURE_TEXT_BYTES];
    struct nq_item *item;
    while ((item = lecture_get_item(client, queue, text)) != NULL) {
        lecture_say("Consumer notify: %s popped from queue by consumer %ld", text, number);
        lecture_check(client, nq_task_done(client, &item));
    }
}

int main(void)
{
    const char *queue = lecture_queue_name();
    struct role roles[] = {{producer, queue, 0}, {consumer, queue, 1}, {consumer, queue, 2}, {consumer, queue, 3}};
    lecture_threads(roles, 4);
    struct nq_client *client = lecture_client();
    lecture_check(client, nq_delete(client, queue, NULL));
    nq_client_destroy(&client);
}
