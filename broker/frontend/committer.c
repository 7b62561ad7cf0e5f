#include "committer.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"

enum { QUICK_US = 500, TYPICAL_SHARE = 8 };

enum stage { STAGE_IDLE, STAGE_SUBMITTED, STAGE_ENDED };

struct committer {
    struct store *store;
    int event_fd;
    bool has_thread;
    pthread_t thread;
    pthread_mutex_t mutex; // guards what follows
    pthread_cond_t changed;
    enum stage stage;
    bool announced; // its end makes the descriptor readable
    bool stopping;
    const struct changes *changes;
    enum nq_status status;
    struct store_error error;
    uint64_t typical_us; // how long commits have taken lately
};

static void announce(struct committer *self)
{
    const uint64_t one = 1;
    ssize_t written = write(self->event_fd, &one, sizeof(one)); // cannot fail before 2^64 - 1 of them
    (void)written;
}

static enum nq_status commit(struct committer *self, const struct changes *changes, struct store_error *error, uint64_t *took_us)
{
    uint64_t began_us = clock_us();
    *error = (struct store_error){0};
    enum nq_status status = store_commit(self->store, changes, error);
    *took_us = clock_us() - began_us;
    return status;
}

static void note_time(struct committer *self, uint64_t took_us)
{
    self->typical_us = (self->typical_us * (TYPICAL_SHARE - 1) + took_us) / TYPICAL_SHARE;
}

static void *run(void *context)
{
    struct committer *self = context;
    pthread_mutex_lock(&self->mutex);
    while (true) {
        while (self->stage != STAGE_SUBMITTED && !self->stopping) {
            pthread_cond_wait(&self->changed, &self->mutex);
        }
        if (self->stage != STAGE_SUBMITTED) {
            break;
        }
        const struct changes *changes = self->changes;
        struct store_error error;
        uint64_t took_us;
        pthread_mutex_unlock(&self->mutex);
        enum nq_status status = commit(self, changes, &error, &took_us);
        pthread_mutex_lock(&self->mutex);
        note_time(self, took_us);
        self->status = status;
        self->error = error;
        self->stage = STAGE_ENDED;
        pthread_cond_broadcast(&self->changed);
        announce(self);
    }
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

struct committer *committer_start(struct store *store)
{
    struct committer *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->store = store;
    self->typical_us = (uint64_t)2 * QUICK_US;
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->changed, NULL);
    self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->event_fd >= 0 && store_commit_blocks(store)) {
        self->has_thread = pthread_create(&self->thread, NULL, run, self) == 0;
    }
    if (self->event_fd < 0 || self->has_thread != store_commit_blocks(store)) {
        committer_stop(&self);
    }
    return self;
}

void committer_stop(struct committer **self_p)
{
    struct committer *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->has_thread) {
        pthread_mutex_lock(&self->mutex);
        self->stopping = true;
        pthread_cond_broadcast(&self->changed);
        pthread_mutex_unlock(&self->mutex);
        pthread_join(self->thread, NULL);
    }
    if (self->event_fd >= 0) {
        close(self->event_fd);
    }
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->mutex);
    free(self);
    *self_p = NULL;
}

int committer_fd(const struct committer *self)
{
    return self->event_fd;
}

bool committer_submit(struct committer *self, const struct changes *changes, bool idle)
{
    pthread_mutex_lock(&self->mutex);
    assert(self->stage == STAGE_IDLE);
    bool here = !self->has_thread || (idle && self->typical_us < QUICK_US);
    if (here) { // the thread sleeps until something is submitted to it
        uint64_t took_us;
        self->status = commit(self, changes, &self->error, &took_us);
        note_time(self, took_us);
        self->stage = STAGE_ENDED;
    } else {
        self->changes = changes;
        self->stage = STAGE_SUBMITTED;
        pthread_cond_broadcast(&self->changed);
    }
    self->announced = !here;
    pthread_mutex_unlock(&self->mutex);
    return here;
}

bool committer_take(struct committer *self, enum nq_status *status, struct store_error *error)
{
    uint64_t count;
    pthread_mutex_lock(&self->mutex);
    bool ended = self->stage == STAGE_ENDED;
    if (ended) {
        *status = self->status;
        *error = self->error;
        self->stage = STAGE_IDLE;
        if (self->announced) {
            ssize_t got = read(self->event_fd, &count, sizeof(count)); // make it unreadable again
            (void)got;
        }
    }
    pthread_mutex_unlock(&self->mutex);
    return ended;
}

uint64_t committer_typical_us(struct committer *self)
{
    pthread_mutex_lock(&self->mutex);
    uint64_t typical_us = self->typical_us;
    pthread_mutex_unlock(&self->mutex);
    return typical_us;
}

void committer_wait(struct committer *self)
{
    pthread_mutex_lock(&self->mutex);
    while (self->stage == STAGE_SUBMITTED) {
        pthread_cond_wait(&self->changed, &self->mutex);
    }
    pthread_mutex_unlock(&self->mutex);
}
