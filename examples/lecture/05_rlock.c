// A Box whose add and remove acquire a lock and call what acquires it again. One box of two processes: the total lies in a queue.
#include <stdio.h>
#include <stdlib.h>

#include "lecture.h"

struct box {
    struct nq_client *client;
    struct nq_lock *lock;
    const char *name;
    char total[LECTURE_TEXT_BYTES];
};

static struct box box_open(struct nq_client *client, const char *name)
{
    struct box box = {.client = client, .name = name};
    (void)snprintf(box.total, sizeof box.total, "%s.total", name);
    lecture_check(client, nq_lock_open(client, name, true, &box.lock));
    return box;
}

static void box_execute(struct box *box, long value)
{
    char text[LECTURE_TEXT_BYTES];
    lecture_check(box->client, nq_lock_acquire(box->lock, NQ_WAIT_FOREVER));
    (void)lecture_get(box->client, box->total, NQ_WAIT_FOREVER, text);
    lecture_put(box->client, box->total, "%ld", strtol(text, NULL, 10) + value);
    lecture_check(box->client, nq_lock_release(box->lock));
}

static void box_add(struct box *box, long value)
{
    lecture_check(box->client, nq_lock_acquire(box->lock, NQ_WAIT_FOREVER)); // and once more inside
    box_execute(box, value);
    lecture_check(box->client, nq_lock_release(box->lock));
}

static void adder(struct nq_client *client, const char *name, long items)
{
    struct box box = box_open(client, name);
    lecture_say("%ld items to ADD", items);
    while (items-- > 0) {
        box_add(&box, 1);
        lecture_say("ADDED one item --> %ld items to ADD", items);
    }
    nq_lock_close(&box.lock);
}

static void remover(struct nq_client *client, const char *name, long items)
{
    struct box box = box_open(client, name);
    lecture_say("%ld items to REMOVE", items);
    while (items-- > 0) {
        box_add(&box, -1);
        lecture_say("REMOVED one item --> %ld items to REMOVE", items);
    }
    nq_lock_close(&box.lock);
}

int main(void)
{
    const char *name = lecture_queue_name();
    struct role roles[] = {{adder, name, 8}, {remover, name, 5}};
    struct nq_client *client = lecture_client();
    struct box box = box_open(client, name);
    char text[LECTURE_TEXT_BYTES];
    lecture_put(client, box.total, "0");
    lecture_processes(roles, 2);
    (void)lecture_get(client, box.total, 0, text);
    lecture_say("%s items are in the box", text);
    nq_lock_close(&box.lock);
    lecture_check(client, nq_delete(client, name, NULL));
    lecture_check(client, nq_delete(client, box.total, NULL));
    nq_client_destroy(&client);
}
