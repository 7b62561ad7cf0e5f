// A table that ten processes change: it lies in a queue as its one item, and a lock makes read, change and write one step.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lecture.h"

#define WORKERS 10

struct table {
    long values[WORKERS];
};

static void state_of(const char *name, char state[LECTURE_TEXT_BYTES])
{
    (void)snprintf(state, LECTURE_TEXT_BYTES, "%s.state", name);
}

static void write_table(struct nq_client *client, const char *state, const struct table *table)
{
    lecture_check(client, nq_put(client, state, table, sizeof *table, NULL, NULL));
}

static struct table take_table(struct nq_client *client, const char *state)
{
    struct table table;
    struct nq_item *item;
    lecture_check(client, nq_get(client, state, NULL, &item));
    memcpy(&table, nq_item_body(item), sizeof table);
    lecture_check(client, nq_task_done(client, &item));
    return table;
}

static void worker(struct nq_client *client, const char *name, long key)
{
    struct nq_lock *lock;
    char state[LECTURE_TEXT_BYTES];
    state_of(name, state);
    lecture_check(client, nq_lock_open(client, name, false, &lock));
    lecture_check(client, nq_lock_acquire(lock, NQ_WAIT_FOREVER));
    struct table table = take_table(client, state);
    table.values[key] = key * 2;
    write_table(client, state, &table);
    lecture_check(client, nq_lock_release(lock));
    nq_lock_close(&lock);
}

int main(void)
{
    const char *name = lecture_queue_name();
    char state[LECTURE_TEXT_BYTES];
    state_of(name, state);
    struct role roles[WORKERS];
    for (long key = 0; key < WORKERS; key++) {
        roles[key] = (struct role){worker, name, key};
    }
    struct nq_client *client = lecture_client();
    write_table(client, state, &(struct table){{0}});
    lecture_processes(roles, WORKERS);
    struct table table = take_table(client, state);
    for (long key = 0; key < WORKERS; key++) {
        lecture_say("key = %ld value = %ld", key, table.values[key]);
    }
    lecture_check(client, nq_delete(client, name, NULL));
    lecture_check(client, nq_delete(client, state, NULL));
    nq_client_destroy(&client);
}
