#include "backup.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum stage { STAGE_IDLE, STAGE_UNDER_WAY, STAGE_ENDED };

struct backup {
    struct backup_config config;
    int event_fd;
    struct store_backup order;
    pthread_mutex_t mutex; // guards what follows
    enum stage stage;
    struct backup_end end;
};

struct backup *backup_create(const struct backup_config *config)
{
    struct backup *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->config = *config;
    pthread_mutex_init(&self->mutex, NULL);
    self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->event_fd < 0) {
        backup_destroy(&self);
    }
    return self;
}

void backup_destroy(struct backup **self_p)
{
    struct backup *self = *self_p;
    *self_p = NULL;
    if (self == NULL || backup_is_under_way(self)) {
        return; // its thread has it
    }
    if (self->event_fd >= 0) {
        close(self->event_fd);
    }
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

static void *run(void *context)
{
    struct backup *self = context;
    struct store_error error = {0};
    uint64_t bytes = 0;
    const uint64_t one = 1;
    enum nq_status status = self->config.run(self->config.store, &self->order, &bytes, &error);
    pthread_mutex_lock(&self->mutex);
    self->end.error = error;
    self->end.error.status = status;
    self->end.bytes = bytes;
    self->stage = STAGE_ENDED;
    ssize_t written = write(self->event_fd, &one, sizeof(one)); // cannot fail before 2^64 - 1 of them
    (void)written;
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

static bool start_thread(struct backup *self)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    bool started = pthread_create(&thread, &attributes, run, self) == 0;
    pthread_attr_destroy(&attributes);
    return started;
}

enum nq_status backup_start(struct backup *self, uint64_t connection, uint64_t request_id, struct nq_bytes name, const char **why)
{
    struct store_backup *order = &self->order;
    *why = NULL;
    if (self->config.run == NULL || self->config.dir == NULL) {
        *why = self->config.run == NULL ? "this broker has no store on disk" : "the broker was started without --backup-dir";
        return NQ_NOT_AUTHORISED;
    }
    pthread_mutex_lock(&self->mutex);
    bool idle = self->stage == STAGE_IDLE;
    pthread_mutex_unlock(&self->mutex);
    if (!idle) {
        *why = "another backup is being made";
        return NQ_BUSY;
    }
    if (!self->config.random(order->new_store_id, sizeof(order->new_store_id))) {
        return NQ_NO_MEMORY;
    }
    self->end = (struct backup_end){.connection = connection, .request_id = request_id};
    snprintf(self->end.name, sizeof(self->end.name), "%.*s", (int)name.len, (const char *)name.data);
    order->parent = self->config.dir;
    order->name = self->end.name;
    self->stage = STAGE_UNDER_WAY; // no thread yet that could look
    if (!start_thread(self)) {
        self->stage = STAGE_IDLE;
        return NQ_NO_MEMORY;
    }
    return NQ_OK;
}

int backup_fd(const struct backup *self)
{
    return self->event_fd;
}

bool backup_take(struct backup *self, struct backup_end *end)
{
    uint64_t count;
    pthread_mutex_lock(&self->mutex);
    bool ended = self->stage == STAGE_ENDED;
    if (ended) {
        *end = self->end;
        self->stage = STAGE_IDLE;
        ssize_t got = read(self->event_fd, &count, sizeof(count)); // make it unreadable again
        (void)got;
    }
    pthread_mutex_unlock(&self->mutex);
    return ended;
}

bool backup_is_under_way(struct backup *self)
{
    pthread_mutex_lock(&self->mutex);
    bool under_way = self->stage == STAGE_UNDER_WAY;
    pthread_mutex_unlock(&self->mutex);
    return under_way;
}
