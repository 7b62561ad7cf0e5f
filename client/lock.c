// Locks and semaphores, made of queues, leases and the items that a queue is created with.
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define HELD_ROOM_FIRST 4u

struct nq_lock {
    struct nq_client *client;
    struct nq_item *item; // NULL: not held
    uint64_t depth;       // how often it was acquired
    bool reentrant;
    char name[NQ_NAME_BYTES_MAX + 1];
};

struct nq_semaphore {
    struct nq_client *client;
    struct nq_item **held;
    size_t count, room;
    bool lent;
    char name[NQ_NAME_BYTES_MAX + 1];
};

static enum nq_status declare(struct nq_client *client, const char *name, uint64_t initial, char *kept)
{
    static const struct nq_queue_options options = {.given = NQ_GIVEN_HOLD_MAX, .hold_max_ms = NQ_DURATION_MS_MAX};
    enum nq_status status = nq_declare(client, name, &options, initial, NULL);
    if (status == NQ_OK) {
        memcpy(kept, name, strlen(name) + 1); // the broker takes no longer ones
    }
    return status;
}

static enum nq_status take(struct nq_client *client, const char *name, uint64_t wait_ms, struct nq_item **item)
{
    struct nq_get_options options = {.wait_ms = wait_ms};
    enum nq_status status = nq_get(client, name, &options, item);
    return status == NQ_EMPTY ? client_fail(client, NQ_TIMED_OUT, "'%s' was not free in time", name) : status;
}

// ------------------------------------------------------------------------------------------------------------ locks

enum nq_status nq_lock_open(struct nq_client *client, const char *name, bool reentrant, struct nq_lock **out)
{
    *out = NULL;
    struct nq_lock *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return client_fail(client, NQ_NO_MEMORY, "lock: out of memory");
    }
    enum nq_status status = declare(client, name, 1, self->name);
    if (status != NQ_OK) {
        free(self);
        return status;
    }
    self->client = client;
    self->reentrant = reentrant;
    *out = self;
    return NQ_OK;
}

enum nq_status nq_lock_acquire(struct nq_lock *lock, uint64_t wait_ms)
{
    if (lock->item != NULL && !lock->reentrant) {
        return client_fail(lock->client, NQ_BAD_REQUEST, "lock '%s' is held by who wants to acquire it", lock->name);
    }
    enum nq_status status = lock->item != NULL ? NQ_OK : take(lock->client, lock->name, wait_ms, &lock->item);
    if (status == NQ_OK) {
        lock->depth++;
    }
    return status;
}

enum nq_status nq_lock_release(struct nq_lock *lock)
{
    if (lock->item == NULL) {
        return client_fail(lock->client, NQ_NOT_LEASED, "lock '%s' is not held", lock->name);
    }
    return --lock->depth > 0 ? NQ_OK : nq_requeue(lock->client, &lock->item, NULL);
}

uint64_t nq_lock_fence(const struct nq_lock *lock)
{
    return lock->item != NULL ? nq_item_fence(lock->item) : 0;
}

void nq_lock_close(struct nq_lock **lock_p)
{
    if (*lock_p == NULL) {
        return;
    }
    if ((*lock_p)->item != NULL) {
        (void)nq_requeue((*lock_p)->client, &(*lock_p)->item, NULL);
    }
    free(*lock_p);
    *lock_p = NULL;
}

// ------------------------------------------------------------------------------------------------------- semaphores

enum nq_status nq_semaphore_open(struct nq_client *client, const char *name, uint64_t value, struct nq_semaphore **out)
{
    *out = NULL;
    struct nq_semaphore *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return client_fail(client, NQ_NO_MEMORY, "semaphore: out of memory");
    }
    enum nq_status status = declare(client, name, value, self->name);
    if (status != NQ_OK) {
        free(self);
        return status;
    }
    self->client = client;
    self->lent = value > 0;
    *out = self;
    return NQ_OK;
}

static bool make_room(struct nq_semaphore *self)
{
    if (self->count < self->room) {
        return true;
    }
    size_t room = self->room > 0 ? self->room * 2 : HELD_ROOM_FIRST;
    struct nq_item **held = realloc(self->held, room * sizeof(struct nq_item *));
    if (held == NULL) {
        return false;
    }
    self->held = held;
    self->room = room;
    return true;
}

enum nq_status nq_semaphore_acquire(struct nq_semaphore *semaphore, uint64_t wait_ms)
{
    if (!make_room(semaphore)) {
        return client_fail(semaphore->client, NQ_NO_MEMORY, "semaphore: out of memory");
    }
    struct nq_item *item;
    enum nq_status status = take(semaphore->client, semaphore->name, wait_ms, &item);
    if (status != NQ_OK) {
        return status;
    }
    if (!semaphore->lent) {
        return nq_task_done(semaphore->client, &item);
    }
    semaphore->held[semaphore->count++] = item;
    return NQ_OK;
}

enum nq_status nq_semaphore_release(struct nq_semaphore *semaphore)
{
    if (semaphore->count > 0) {
        return nq_requeue(semaphore->client, &semaphore->held[--semaphore->count], NULL);
    }
    return nq_put(semaphore->client, semaphore->name, "", 0, NULL, NULL);
}

void nq_semaphore_close(struct nq_semaphore **semaphore_p)
{
    struct nq_semaphore *self = *semaphore_p;
    if (self == NULL) {
        return;
    }
    *semaphore_p = NULL;
    while (self->count > 0) {
        (void)nq_requeue(self->client, &self->held[--self->count], NULL);
    }
    free(self->held);
    free(self);
}
