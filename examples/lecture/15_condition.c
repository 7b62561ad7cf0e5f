// What a condition is for, said with a queue: consume waits while there is no item, produce waits while there are three. The bound and the wait
// are the queue's own, so there is no lock, no condition and no loop around it.
#include "lecture.h"

static void consumer(struct nq_client *client, const char *queue, long times)
{
    char text[LECTURE_TEXT_BYTES];
    while (times-- > 0) {
        if (!lecture_get(client, queue, 0, text)) {
            lecture_say("Consumer INFO no items to consume");
            (void)lecture_get(client, queue, NQ_WAIT_FOREVER, text);
        }
        lecture_say("Consumer INFO consumed 1 item");
    }
}

static void producer(struct nq_client *client, const char *queue, long times)
{
    struct nq_put_options at_once = {.wait_ms = 0};
    while (times-- > 0) {
        enum nq_status status = nq_put(client, queue, "1", 1, &at_once, NULL);
        if (status == NQ_FULL) {
            lecture_say("Producer INFO items produced 3. Stopped");
            status = nq_put(client, queue, "1", 1, NULL, NULL);
        }
        lecture_check(client, status);
        struct nq_queue_stats stats;
        lecture_check(client, nq_stat(client, queue, &stats));
        lecture_say("Producer INFO total items %llu", (unsigned long long)stats.ready);
    }
}

int main(void)
{
    const char *queue = lecture_queue_name();
    struct nq_client *client = lecture_client();
    struct nq_queue_options three = {.given = NQ_GIVEN_MAXSIZE, .maxsize = 3};
    lecture_check(client, nq_declare(client, queue, &three, 0, NULL));
    struct role roles[] = {{consumer, queue, 10}, {producer, queue, 10}};
    lecture_processes(roles, 2);
    lecture_check(client, nq_delete(client, queue, NULL));
    nq_client_destroy(&client);
}
