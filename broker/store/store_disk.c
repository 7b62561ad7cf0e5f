#include "store_disk.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "arena.h"
#include "changes_codec.h"
#include "journal.h"
#include "lmdb_internal.h"
#include "overlay.h"

#define JOURNAL_BYTES_MAX (32ull << 20) // of one file
#define JOURNAL_BYTES_MIN (1ull << 20)
#define CHECKPOINT_BYTES (8u << 20) // of memory, after which a checkpoint begins
enum { SPACE_SHARE = 32, FETCH_CHUNK_BYTES = 64 * 1024, CHECKPOINT_AFTER_MS = 1000 };

struct layer {
    struct layer *older;
    struct overlay *overlay;
};

struct disk_store {
    struct store store;
    struct store *lmdb;
    pthread_mutex_t committing; // guards what follows, and who may begin a checkpoint
    struct journal *journal;
    uint8_t *group; // the next group's bytes
    size_t group_capacity;
    bool has_thread;
    pthread_t thread;
    int wake_fd; // an eventfd

    pthread_rwlock_t layers; // read: while looking at what follows; write: while changing it
    struct overlay *active;  // since the last checkpoint began
    struct overlay *frozen;  // being checkpointed; NULL: none
    struct layer *retired;   // in LMDB by now, but not in the snapshot of a read under way; newest first
    bool reading;
    struct nq_arena *fetched; // items copied out of LMDB by the commit under way

    uint64_t unwritten_bytes; // in the overlays, by __atomic_*: LMDB's file will grow by about as many

    pthread_mutex_t mutex; // guards what follows
    pthread_cond_t changed;
    bool work; // `frozen` waits for the thread
    bool stopping;
    uint64_t frozen_last;      // number of its last group
    struct store_error failed; // of a checkpoint; status OK: none
};

static struct disk_store *self_of(const struct store *store)
{
    return (struct disk_store *)(uintptr_t)store; // its first member
}

static enum nq_status fail(struct store_error *error, enum nq_status status, const char *text)
{
    if (error != NULL) {
        error->status = status;
        snprintf(error->text, sizeof(error->text), "%s", text);
    }
    return status;
}

// ----------------------------------------------------------------------------------------------------------------- checkpoint

// Bring LMDB up to date with one overlay and the groups up to `number`.
static enum nq_status write_overlay(struct store *lmdb, const struct overlay *overlay, uint64_t number, struct store_error *error)
{
    struct changes *changes = changes_create();
    enum nq_status status = NQ_NO_MEMORY;
    if (changes != NULL && overlay_emit(overlay, changes) &&
        changes_add(changes, &(struct change){.kind = CHANGE_JOURNALED, .as.journaled = {.number = number}})) {
        status = store_commit(lmdb, changes, error);
    } else {
        fail(error, NQ_NO_MEMORY, "out of memory for a checkpoint");
    }
    changes_destroy(&changes);
    return status;
}

// With the layers locked.
static void note_unwritten(struct disk_store *self)
{
    uint64_t bytes = overlay_bytes(self->active) + (self->frozen == NULL ? 0 : overlay_bytes(self->frozen));
    __atomic_store_n(&self->unwritten_bytes, bytes, __ATOMIC_SEQ_CST);
}

static void free_layers(struct layer *layer)
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
    note_unwritten(self);
    bool reading = self->reading;
    pthread_rwlock_unlock(&self->layers);
    if (!reading) {
        free_layers(layer);
    }
    return true;
}

static void checkpoint(struct disk_store *self)
{
    struct store_error error = {0};
    enum nq_status status = write_overlay(self->lmdb, self->frozen, self->frozen_last, &error);
    if (status == NQ_OK && !retire_frozen(self)) {
        status = fail(&error, NQ_NO_MEMORY, "out of memory for a checkpoint");
    }
    pthread_mutex_lock(&self->mutex);
    self->work = false;
    if (status != NQ_OK) {
        self->failed = error;
        self->failed.status = status;
    }
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
}

// Until no checkpoint is under way. Its failure is everybody's.
static enum nq_status wait_for_checkpoint(struct disk_store *self, struct store_error *error)
{
    pthread_mutex_lock(&self->mutex);
    while (self->work) {
        pthread_cond_wait(&self->changed, &self->mutex);
    }
    enum nq_status status = self->failed.status;
    if (status != NQ_OK) {
        fail(error, status, self->failed.text);
    }
    pthread_mutex_unlock(&self->mutex);
    return status;
}

static bool checkpoint_is_under_way(struct disk_store *self)
{
    pthread_mutex_lock(&self->mutex);
    bool work = self->work;
    pthread_mutex_unlock(&self->mutex);
    return work;
}

static void wake(const struct disk_store *self)
{
    const uint64_t one = 1;
    ssize_t written = write(self->wake_fd, &one, sizeof(one)); // cannot fail before 2^64 - 1 of them
    (void)written;
}

// The active overlay is closed and handed to the thread; the journal goes on in its other file. No checkpoint may be under way.
static enum nq_status begin_checkpoint(struct disk_store *self, struct store_error *error)
{
    struct overlay *fresh = overlay_create();
    if (fresh == NULL) {
        return fail(error, NQ_NO_MEMORY, "out of memory for a checkpoint");
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
    wake(self);
    return NQ_OK;
}

// What lies in memory for a second goes to LMDB: a start has less to read, and space that was freed is free.
static void checkpoint_in_time(struct disk_store *self)
{
    if (pthread_mutex_trylock(&self->committing) != 0) {
        return; // a commit is under way: next time
    }
    if (!overlay_is_empty(self->active)) {
        begin_checkpoint(self, NULL);
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

static void *run(void *context)
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
static enum nq_status checkpoint_all(struct disk_store *self, struct store_error *error)
{
    enum nq_status status = wait_for_checkpoint(self, error);
    if (status == NQ_OK && !overlay_is_empty(self->active)) {
        status = begin_checkpoint(self, error);
        if (status == NQ_OK) {
            status = wait_for_checkpoint(self, error);
        }
    }
    return status;
}

// --------------------------------------------------------------------------------------------------------------------- commit

// An item that a move copies, from the layers below the active overlay.
static enum nq_status find_below(void *context, uint64_t queue_id, uint64_t seq, struct store_item *item)
{
    struct disk_store *self = context;
    enum overlay_found found = self->frozen == NULL ? OVERLAY_NOTHING : overlay_find(self->frozen, queue_id, seq, item);
    if (found != OVERLAY_NOTHING) {
        return found == OVERLAY_ITEM ? NQ_OK : NQ_EMPTY;
    }
    return lmdb_fetch(self->lmdb, queue_id, seq, self->fetched, item);
}

static bool take_in(struct disk_store *self, const struct changes *changes)
{
    const struct overlay_below below = {.context = self, .find = find_below};
    bool was_idle = __atomic_load_n(&self->unwritten_bytes, __ATOMIC_SEQ_CST) == 0;
    pthread_rwlock_wrlock(&self->layers);
    bool ok = overlay_apply(self->active, changes, &below);
    note_unwritten(self);
    pthread_rwlock_unlock(&self->layers);
    nq_arena_reset(self->fetched);
    if (was_idle) {
        wake(self);
    }
    return ok;
}

static bool reserve_group(struct disk_store *self, size_t len)
{
    size_t bytes = journal_group_bytes(len);
    if (bytes > self->group_capacity) {
        uint8_t *group = realloc(self->group, bytes);
        if (group == NULL) {
            return false;
        }
        self->group = group;
        self->group_capacity = bytes;
    }
    return true;
}

// A commit larger than the journal: straight to LMDB, behind everything before it.
static enum nq_status commit_through(struct disk_store *self, const struct changes *changes, struct store_error *error)
{
    enum nq_status status = checkpoint_all(self, error);
    if (status != NQ_OK) {
        return status;
    }
    if (!take_in(self, changes)) {
        return fail(error, NQ_NO_MEMORY, "out of memory");
    }
    journal_skip(self->journal);
    return checkpoint_all(self, error);
}

static enum nq_status make_room(struct disk_store *self, size_t len, struct store_error *error)
{
    bool full = !journal_fits(self->journal, len);
    bool large = overlay_bytes(self->active) >= CHECKPOINT_BYTES;
    if (!full && (!large || checkpoint_is_under_way(self))) {
        return NQ_OK;
    }
    enum nq_status status = wait_for_checkpoint(self, error);
    return status == NQ_OK ? begin_checkpoint(self, error) : status;
}

static enum nq_status commit_group(struct disk_store *self, const struct changes *changes, struct store_error *error)
{
    size_t len = changes_encoded_bytes(changes);
    if (len > journal_len_max(self->journal)) {
        return commit_through(self, changes, error);
    }
    enum nq_status status = make_room(self, len, error);
    if (status != NQ_OK) {
        return status;
    }
    if (!reserve_group(self, len)) {
        return fail(error, NQ_NO_MEMORY, "out of memory for a commit");
    }
    changes_encode(changes, self->group + JOURNAL_HEADER_BYTES);
    status = journal_append(self->journal, self->group, len, error);
    if (status == NQ_OK && !take_in(self, changes)) {
        status = fail(error, NQ_NO_MEMORY, "out of memory");
    }
    return status;
}

static enum nq_status disk_commit(struct store *store, const struct changes *changes, struct store_error *error)
{
    struct disk_store *self = self_of(store);
    pthread_mutex_lock(&self->committing);
    enum nq_status status = commit_group(self, changes, error);
    pthread_mutex_unlock(&self->committing);
    return status;
}

// ----------------------------------------------------------------------------------------------------------------------- read

static enum nq_status disk_read_begin(struct store *store, struct store_error *error)
{
    struct disk_store *self = self_of(store);
    pthread_rwlock_wrlock(&self->layers); // LMDB's snapshot and the layers above it are of one moment
    enum nq_status status = store_read_begin(self->lmdb, error);
    self->reading = status == NQ_OK;
    pthread_rwlock_unlock(&self->layers);
    return status;
}

static void disk_read_end(struct store *store)
{
    struct disk_store *self = self_of(store);
    pthread_rwlock_wrlock(&self->layers);
    bool was_reading = self->reading;
    struct layer *retired = self->retired;
    self->reading = false;
    self->retired = NULL;
    pthread_rwlock_unlock(&self->layers);
    if (was_reading) {
        store_read_end(self->lmdb);
    }
    free_layers(retired);
}

// The layers above LMDB, newest first: the active one, the frozen one, the retired ones. Start with NULL in *retired.
static const struct overlay *layer_at(const struct disk_store *self, size_t index, const struct layer **retired)
{
    if (index == 0) {
        return self->active;
    }
    if (index == 1 && self->frozen != NULL) {
        return self->frozen;
    }
    *retired = *retired == NULL ? self->retired : (*retired)->older;
    return *retired == NULL ? NULL : (*retired)->overlay;
}

// What the first `count` layers say of one item; NOTHING: ask what is below.
static enum overlay_found find_in(const struct disk_store *self, size_t count, uint64_t queue_id, uint64_t seq,
                                  struct store_item *item)
{
    enum overlay_found found = OVERLAY_NOTHING;
    const struct layer *retired = NULL;
    for (size_t i = 0; i < count && found == OVERLAY_NOTHING; i++) {
        const struct overlay *overlay = layer_at(self, i, &retired);
        if (overlay == NULL) {
            break;
        }
        found = overlay_find(overlay, queue_id, seq, item);
    }
    return found;
}

static enum overlay_found find_above(const struct disk_store *self, uint64_t queue_id, uint64_t seq, struct store_item *item)
{
    return find_in(self, SIZE_MAX, queue_id, seq, item);
}

// The first item of LMDB's at or after `seq` that no layer above has removed (one that a layer has, too, is the same item).
static enum nq_status next_in_lmdb(const struct disk_store *self, uint64_t queue_id, uint64_t seq, uint64_t below_seq,
                                   struct store_item *item)
{
    enum nq_status status = store_read_next(self->lmdb, queue_id, seq, below_seq, item);
    struct store_item above;
    while ((status == NQ_OK || status == NQ_DAMAGED) && find_above(self, queue_id, item->seq, &above) == OVERLAY_REMOVED) {
        status = store_read_next(self->lmdb, queue_id, item->seq + 1, below_seq, item);
    }
    return status;
}

// The first item of a layer, at or after `from`, that no newer layer has removed.
static bool next_in_layer(const struct disk_store *self, const struct overlay *overlay, size_t index, uint64_t queue_id,
                          uint64_t from, uint64_t end, uint64_t *seq)
{
    struct store_item item;
    while (overlay_next(overlay, queue_id, from, end, seq)) {
        if (find_in(self, index, queue_id, *seq, &item) != OVERLAY_REMOVED) {
            return true;
        }
        from = *seq + 1;
    }
    return false;
}

static bool next_above(const struct disk_store *self, uint64_t queue_id, uint64_t from, uint64_t end, uint64_t *seq)
{
    bool found = false;
    const struct layer *retired = NULL;
    const struct overlay *overlay = layer_at(self, 0, &retired);
    for (size_t i = 0; overlay != NULL; overlay = layer_at(self, ++i, &retired)) {
        uint64_t candidate;
        if (next_in_layer(self, overlay, i, queue_id, from, end, &candidate)) {
            *seq = candidate;
            end = candidate;
            found = true;
        }
    }
    return found;
}

static enum nq_status read_locked(const struct disk_store *self, uint64_t queue_id, uint64_t seq, uint64_t below_seq, bool or_next,
                                  struct store_item *item)
{
    uint64_t above;
    enum overlay_found found = find_above(self, queue_id, seq, item);
    if (found == OVERLAY_ITEM) {
        return NQ_OK;
    }
    if (!or_next) {
        return found == OVERLAY_REMOVED ? NQ_EMPTY : store_read(self->lmdb, queue_id, seq, item);
    }
    enum nq_status status = next_in_lmdb(self, queue_id, seq, below_seq, item);
    uint64_t end = status == NQ_OK || status == NQ_DAMAGED ? item->seq : below_seq;
    if (next_above(self, queue_id, seq, end, &above)) {
        find_above(self, queue_id, above, item);
        return NQ_OK;
    }
    return status;
}

static enum nq_status disk_read(struct store *store, uint64_t queue_id, uint64_t seq, uint64_t below_seq, bool or_next,
                                struct store_item *item)
{
    struct disk_store *self = self_of(store);
    if (seq >= below_seq) {
        return NQ_EMPTY;
    }
    pthread_rwlock_rdlock(&self->layers);
    enum nq_status status = self->reading ? read_locked(self, queue_id, seq, below_seq, or_next, item) : NQ_EMPTY;
    pthread_rwlock_unlock(&self->layers);
    return status;
}

// --------------------------------------------------------------------------------------------------------------- load, open

static enum nq_status disk_load(struct store *store, const struct store_loader *loader, struct store_error *error)
{
    struct disk_store *self = self_of(store);
    pthread_mutex_lock(&self->committing);
    enum nq_status status = checkpoint_all(self, error);
    pthread_mutex_unlock(&self->committing);
    return status == NQ_OK ? store_load(self->lmdb, loader, error) : status;
}

static enum nq_status disk_space(struct store *store, struct store_space *space)
{
    const struct disk_store *self = self_of(store);
    enum nq_status status = store_space(self->lmdb, space);
    uint64_t unwritten = __atomic_load_n(&self->unwritten_bytes, __ATOMIC_SEQ_CST);
    space->used_bytes += journal_bytes(self->journal) + unwritten;
    space->free_bytes -= unwritten < space->free_bytes ? unwritten : space->free_bytes;
    return status;
}

static void disk_id(const struct store *store, uint8_t id[16])
{
    store_id(self_of(store)->lmdb, id);
}

static void disk_close(struct store **store_p)
{
    struct disk_store *self = self_of(*store_p);
    if (self->has_thread) {
        pthread_mutex_lock(&self->committing);
        checkpoint_all(self, NULL); // so that the next start has nothing to read; should it fail, that start has
        pthread_mutex_unlock(&self->committing);
        pthread_mutex_lock(&self->mutex);
        self->stopping = true;
        pthread_mutex_unlock(&self->mutex);
        wake(self);
        pthread_join(self->thread, NULL);
    }
    journal_close(&self->journal);
    overlay_destroy(&self->active);
    overlay_destroy(&self->frozen);
    free_layers(self->retired);
    nq_arena_destroy(&self->fetched);
    if (self->lmdb != NULL) {
        store_close(&self->lmdb);
    }
    if (self->wake_fd >= 0) {
        close(self->wake_fd);
    }
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->mutex);
    pthread_mutex_destroy(&self->committing);
    pthread_rwlock_destroy(&self->layers);
    free(self->group);
    free(self);
    *store_p = NULL;
}

static const struct store_ops disk_ops = {
    .name = "lmdb",
    .commit_blocks = true,
    .load = disk_load,
    .commit = disk_commit,
    .read_begin = disk_read_begin,
    .read = disk_read,
    .read_end = disk_read_end,
    .space = disk_space,
    .id = disk_id,
    .close = disk_close,
};

static enum nq_status replay(void *context, uint64_t number, const void *data, size_t len, struct store_error *error)
{
    struct disk_store *self = context;
    struct nq_arena *arena = nq_arena_create(FETCH_CHUNK_BYTES, 0);
    struct changes *changes = changes_create();
    enum nq_status status = NQ_OK;
    (void)number;
    if (arena == NULL || changes == NULL) {
        status = fail(error, NQ_NO_MEMORY, "out of memory for the journal");
    } else if (!changes_decode(data, len, arena, changes)) {
        status = fail(error, NQ_DAMAGED, "the journal: a group with a good checksum makes no sense");
    } else if (!take_in(self, changes)) {
        status = fail(error, NQ_NO_MEMORY, "out of memory for the journal");
    }
    changes_destroy(&changes);
    nq_arena_destroy(&arena);
    return status;
}

// Small disks get a small journal.
static uint64_t journal_file_bytes(struct disk_store *self)
{
    struct store_space space;
    uint64_t bytes = JOURNAL_BYTES_MAX;
    if (store_space(self->lmdb, &space) == NQ_OK) {
        uint64_t room = space.limit_bytes > 0 && space.limit_bytes < space.free_bytes ? space.limit_bytes : space.free_bytes;
        bytes = room / SPACE_SHARE < bytes ? room / SPACE_SHARE : bytes;
    }
    bytes = bytes < JOURNAL_BYTES_MIN ? JOURNAL_BYTES_MIN : bytes;
    return bytes / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
}

static enum nq_status open_journal(struct disk_store *self, bool sync, struct store_error *error)
{
    uint8_t id[16];
    uint64_t salt;
    uint64_t applied;
    store_id(self->lmdb, id);
    memcpy(&salt, id, sizeof(salt));
    enum nq_status status = lmdb_journaled(self->lmdb, &applied, error);
    if (status == NQ_OK) {
        status = journal_open(lmdb_of(self->lmdb)->dir_fd, journal_file_bytes(self), sync, salt, applied, replay, self,
                              &self->journal, error);
    }
    if (status == NQ_OK && journal_last(self->journal) > applied) {
        status = write_overlay(self->lmdb, self->active, journal_last(self->journal), error);
        overlay_destroy(&self->active);
        self->active = overlay_create();
    }
    return status == NQ_OK && self->active == NULL ? fail(error, NQ_NO_MEMORY, "out of memory") : status;
}

static enum nq_status open_all(struct disk_store *self, const struct store_lmdb_options *options, struct store_error *error)
{
    self->active = overlay_create();
    self->fetched = nq_arena_create(FETCH_CHUNK_BYTES, 0);
    if (self->active == NULL || self->fetched == NULL || self->wake_fd < 0) {
        return fail(error, NQ_NO_MEMORY, "out of memory or descriptors");
    }
    enum nq_status status = store_lmdb_open(options, &self->lmdb, error);
    if (status == NQ_OK) {
        status = open_journal(self, options->sync, error);
    }
    if (status == NQ_OK) {
        self->has_thread = pthread_create(&self->thread, NULL, run, self) == 0;
        status = self->has_thread ? NQ_OK : fail(error, NQ_NO_MEMORY, "cannot start the thread that writes checkpoints");
    }
    return status;
}

enum nq_status store_disk_open(const struct store_lmdb_options *options, struct store **out, struct store_error *error)
{
    struct disk_store *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return fail(error, NQ_NO_MEMORY, "out of memory");
    }
    self->store.ops = &disk_ops;
    pthread_rwlock_init(&self->layers, NULL);
    pthread_mutex_init(&self->committing, NULL);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->changed, NULL);
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum nq_status status = open_all(self, options, error);
    *out = &self->store;
    if (status != NQ_OK) {
        disk_close(out);
    }
    return status;
}

enum nq_status store_disk_backup(struct store *store, const char *dir, struct store_error *error)
{
    struct disk_store *self = self_of(store);
    pthread_mutex_lock(&self->committing);
    enum nq_status status = checkpoint_all(self, error);
    pthread_mutex_unlock(&self->committing);
    return status == NQ_OK ? store_lmdb_backup(self->lmdb, dir, error) : status;
}
