// A semaphore that begins at zero: the consumer waits for a permit that the producer gives, ten times.
#include <stdio.h>
#include <stdlib.h>

#include "lecture.h"

static void name_items(const char *name, char items[LECTURE_TEXT_BYTES])
{
    (void)snprintf(items, LECTURE_TEXT_BYTES, "%s.items", name);
}

static void consumer(struct nq_client *client, const char *name, long number)
{
    (void)number;
    struct nq_semaphore *semaphore;
    char items[LECTURE_TEXT_BYTES];
    char text[LECTURE_TEXT_BYTES];
    name_items(name, items);
    lecture_check(client, nq_semaphore_open(client, name, 0, &semaphore));
    for (int i = 0; i < 10; i++) {
        lecture_say("consumer INFO Consumer is waiting");
        lecture_check(client, nq_semaphore_acquire(semaphore, NQ_WAIT_FOREVER));
        (void)lecture_get(client, items, NQ_WAIT_FOREVER, text);
        lecture_say("consumer INFO Consumer notify: item number %s", text);
    }
    nq_semaphore_close(&semaphore);
}

static void producer(struct nq_client *client, const char *name, long number)
{
    (void)number;
    struct nq_semaphore *semaphore;
    char items[LECTURE_TEXT_BYTES];
    name_items(name, items);
    lecture_check(client, nq_semaphore_open(client, name, 0, &semaphore));
    for (int i = 0; i < 10; i++) {
        long item = random() % 1001;
        lecture_say("producer INFO Producer notify: item number %ld", item);
        lecture_put(client, items, "%ld", item);
        lecture_check(client, nq_semaphore_release(semaphore));
    }
    nq_semaphore_close(&semaphore);
}

int main(void)
{
    const char *name = lecture_queue_name();
    struct role roles[] = {{consumer, name, 0}, {producer, name, 0}};
    lecture_processes(roles, 2);
    char items[LECTURE_TEXT_BYTES];
    name_items(name, items);
    struct nq_client *client = lecture_client();
    lecture_check(client, nq_delete(client, name, NULL));
    lecture_check(client, nq_delete(client, items, NULL));
    nq_client_destroy(&client);
}
