// Checkpoints: what lies in the overlays goes to LMDB, on a thread of its own.
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "disk_internal.h"

enum { CHECKPOINT_AFTER_MS = 1000 };

// Bring LMDB up to date with one overlay and the groups up to `number`.
enum nq_status disk_write_overlay(struct store *lmdb, const struct overlay *overlay, uint64_t number, struct store_error *error)
{
    struct changes *changes = changes_create();
    enum nq_status status = NQ_NO_MEMORY;
    if (changes != NULL && overlay_emit(overlay, changes) &&
        changes_add(changes, &(struct change){.kind = CHANGE_JOURNALED, .as.journaled = {.number = number}})) {
        status = store_commit(lmdb, changes, error);
    } else {
        disk_fail(error, NQ_NO_MEMORY, "out of memory for a checkpoint");
    }
    changes_destroy(&changes);
    return status;
}

// With the layers locked.
void disk_note_unwritten(struct disk_store *self)
{
    uint64_t bytes = overlay_bytes(self->active) + (self->frozen == NULL ? 0 : overlay_bytes(self->frozen));
    __atomic_store_n(&self->unwritten_bytes, bytes, __ATOMIC_SEQ_CST);
}

void disk_free_layers(struct layer *layer)
{
    while (layer != NULL) {
        struct layer *older = layer->older;
        overlay_destroy(&layer->overlay);
        free(layer);
        layer = older;
    }
}

// LMDB has what was frozen. A read that began before looks at it until it ends.
static bool retire_frozen(struct disk_store *self)
{
    struct layer *layer = malloc(sizeof(*layer));
    if (layer == NULL) {
        return false;
    }
    pthread_rwlock_wrlock(&self->layers);
    *layer = (struct layer){.overlay = self->frozen, .older = self->retired};
    self->retired = self->reading ? layer : NULL;
    self->frozen = NULL;
    disk_note_unwritten(self);
    bool reading = self->reading;
    pthread_rwlock_unlock(&self->layers);
    if (!reading) {
        disk_free_layers(layer);
    }
    return true;
}

static void checkpoint(struct disk_store *self)
{
    struct store_error error = {0};
    enum nq_status status = disk_write_overlay(self->lmdb, self->frozen, self->frozen_last, &error);
    if (status == NQ_OK && !retire_frozen(self)) {
        status = disk_fail(&error, NQ_NO_MEMORY, "out of memory for a checkpoint");
    }
    error.status = status;
    pthread_mutex_lock(&self->mutex);
    self->work = false;
    if (status != NQ_OK) {
        self->failed = error;
    }
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
    if (status != NQ_OK && self->on_failure != NULL) {
        self->on_failure(&error);
    }
}

// With the mutex locked. A checkpoint's failure is everybody's.
static enum nq_status tell_failure(const struct disk_store *self, struct store_error *error)
{
    return self->failed.status == NQ_OK ? NQ_OK : disk_fail(error, self->failed.status, self->failed.text);
}

enum nq_status disk_refuse_if_failed(struct disk_store *self, struct store_error *error)
{
    pthread_mutex_lock(&self->mutex);
    enum nq_status status = tell_failure(self, error);
    pthread_mutex_unlock(&self->mutex);
    return status;
}

// Until no checkpoint is under way.
enum nq_status disk_wait_for_checkpoint(struct disk_store *self, struct store_error *error)
{
    pthread_mutex_lock(&self->mutex);
    while (self->work) {
        pthread_cond_wait(&self->changed, &self->mutex);
    }
    enum nq_status status = tell_failure(self, error);
    pthread_mutex_unlock(&self->mutex);
    return status;
}

bool disk_checkpoint_is_under_way(struct disk_store *self)
{
    pthread_mutex_lock(&self->mutex);
    bool work = self->work;
    pthread_mutex_unlock(&self->mutex);
    return work;
}

void disk_wake(const struct disk_store *self)
{
    const uint64_t one = 1;
    ssize_t written = write(self->wake_fd, &one, sizeof(one)); // cannot fail before 2^64 - 1 of them
    (void)written;
}

// The active overlay is closed and handed to the thread; the journal goes on in its other file. No checkpoint may be under way.
enum nq_status disk_begin_checkpoint(struct disk_store *self, struct store_error *error)
{
    struct overlay *fresh = overlay_create();
    if (fresh == NULL) {
        return disk_fail(error, NQ_NO_MEMORY, "out of memory for a checkpoint");
    }
    pthread_rwlock_wrlock(&self->layers);
    self->frozen = self->active;
    self->active = fresh;
    pthread_rwlock_unlock(&self->layers);
    journal_turn(self->journal);
    pthread_mutex_lock(&self->mutex);
    self->frozen_last = journal_last(self->journal);
    self->work = true;
    pthread_mutex_unlock(&self->mutex);
    disk_wake(self);
    return NQ_OK;
}

// None is under way, and none has failed: what a failed one has not brought to LMDB is in the journal only, and nothing behind it may
// be brought there, which would count as all before it, too.
static bool may_begin(struct disk_store *self)
{
    pthread_mutex_lock(&self->mutex);
    bool may = !self->work && self->failed.status == NQ_OK;
    pthread_mutex_unlock(&self->mutex);
    return may;
}

// What lies in memory for a second goes to LMDB: a start has less to read, and space that was freed is free.
static void checkpoint_in_time(struct disk_store *self)
{
    if (pthread_mutex_trylock(&self->committing) != 0) {
        return; // a commit is under way: next time
    }
    if (may_begin(self) && !overlay_is_empty(self->active)) { // a commit that has just ended may have begun one
        disk_begin_checkpoint(self, NULL);
    }
    pthread_mutex_unlock(&self->committing);
}

// Until there is something to do; asleep while nothing waits to be written. True: what waits has waited for its time.
static bool wait_for_work(const struct disk_store *self)
{
    bool idle = __atomic_load_n(&self->unwritten_bytes, __ATOMIC_SEQ_CST) == 0;
    struct pollfd waiting = {.fd = self->wake_fd, .events = POLLIN};
    uint64_t count;
    if (poll(&waiting, 1, idle ? -1 : CHECKPOINT_AFTER_MS) == 0) {
        return true;
    }
    ssize_t got = read(self->wake_fd, &count, sizeof(count)); // make it unreadable again
    (void)got;
    return false;
}

void *disk_thread(void *context)
{
    struct disk_store *self = context;
    bool stopping = false;
    while (!stopping) {
        bool in_time = wait_for_work(self);
        pthread_mutex_lock(&self->mutex);
        bool work = self->work;
        stopping = self->stopping;
        pthread_mutex_unlock(&self->mutex);
        if (work) {
            checkpoint(self);
        } else if (in_time) {
            checkpoint_in_time(self);
        }
    }
    return NULL;
}

// Everything is in LMDB when it returns OK.
enum nq_status disk_checkpoint_all(struct disk_store *self, struct store_error *error)
{
    enum nq_status status = disk_wait_for_checkpoint(self, error);
    if (status == NQ_OK && !overlay_is_empty(self->active)) {
        status = disk_begin_checkpoint(self, error);
        if (status == NQ_OK) {
            status = disk_wait_for_checkpoint(self, error);
        }
    }
    return status;
}
