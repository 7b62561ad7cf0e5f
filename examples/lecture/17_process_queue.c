// A process that fills a queue, and one that empties it.
#include <stdlib.h>

#include "lecture.h"

static uint64_t size_of(struct nq_client *client, const char *queue)
{
    struct nq_queue_stats stats;
    lecture_check(client, nq_stat(client, queue, &stats));
    return stats.ready;
}

static void producer(struct nq_client *client, const char *queue, long times)
{
    while (times-- > 0) {
        long item = random() % 257;
        lecture_put(client, queue, "%ld", item);
        lecture_say("Process Producer: item %ld appended to queue", item);
        lecture_say("The size of queue is %llu", (unsigned long long)size_of(client, queue));
    }
}

static void consumer(struct nq_client *client, const char *queue, long times)
{
    (void)times;
    char text[LECTURE_TEXT_BYTES];
    while (size_of(client, queue) > 0) {
        (void)lecture_get(client, queue, NQ_WAIT_FOREVER, text);
        lecture_say("Process Consumer: item %s popped from queue", text);
    }
    lecture_say("the queue is empty");
}

int main(void)
{
    const char *queue = lecture_queue_name();
    struct role roles[] = {{producer, queue, 10}, {consumer, queue, 0}};
    lecture_join_process(lecture_start_process(&roles[0]));
    lecture_join_process(lecture_start_process(&roles[1]));
    struct nq_client *client = lecture_client();
    lecture_check(client, nq_delete(client, queue, NULL));
    nq_client_destroy(&client);
}
