// An event is a queue that is empty when it is set: to wait for it is to join the queue, and all that wait are woken.
#include <stdio.h>
#include <stdlib.h>

#include "lecture.h"

static void event_clear(struct nq_client *client, const char *event)
{
    struct nq_put_options at_once = {.wait_ms = 0};
    enum nq_status status = nq_put(client, event, "", 0, &at_once, NULL);
    lecture_check(client, status == NQ_FULL ? NQ_OK : status); // it has room for one: clear is clear
}

static void event_create(struct nq_client *client, const char *event)
{
    struct nq_queue_options one = {.given = NQ_GIVEN_MAXSIZE, .maxsize = 1};
    lecture_check(client, nq_declare(client, event, &one, 1, NULL));
}

static void event_set(struct nq_client *client, const char *event)
{
    lecture_check(client, nq_purge(client, event, NULL));
}

static void event_wait(struct nq_client *client, const char *event)
{
    lecture_check(client, nq_join(client, event, NQ_WAIT_FOREVER));
}

struct names {
    char items[LECTURE_TEXT_BYTES], taken[LECTURE_TEXT_BYTES];
};

static struct names names_of(const char *event)
{
    struct names names;
    (void)snprintf(names.items, sizeof names.items, "%s.items", event);
    (void)snprintf(names.taken, sizeof names.taken, "%s.taken", event);
    return names;
}

static void consumer(struct nq_client *client, const char *event, long times)
{
    struct names names = names_of(event);
    char text[LECTURE_TEXT_BYTES];
    while (times-- > 0) {
        event_wait(client, event);
        event_clear(client, event);
        (void)lecture_get(client, names.items, NQ_WAIT_FOREVER, text);
        lecture_say("Consumer: item %s popped by consumer", text);
        event_set(client, names.taken);
    }
}

static void producer(struct nq_client *client, const char *event, long times)
{
    struct names names = names_of(event);
    while (times-- > 0) {
        long item = random() % 101;
        lecture_put(client, names.items, "%ld", item);
        lecture_say("Producer: item %ld appended by producer", item);
        lecture_say("Producer: event set by producer");
        event_clear(client, names.taken);
        event_set(client, event);
        event_wait(client, names.taken);
    }
}

int main(void)
{
    const char *event = lecture_queue_name();
    struct names names = names_of(event);
    struct nq_client *client = lecture_client();
    event_create(client, event);
    event_create(client, names.taken);
    struct role roles[] = {{consumer, event, 5}, {producer, event, 5}};
    lecture_processes(roles, 2);
    lecture_check(client, nq_delete(client, event, NULL));
    lecture_check(client, nq_delete(client, names.items, NULL));
    lecture_check(client, nq_delete(client, names.taken, NULL));
    nq_client_destroy(&client);
}
