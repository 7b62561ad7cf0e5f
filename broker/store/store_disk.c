#include "store_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "changes_codec.h"
#include "disk_internal.h"

#define JOURNAL_BYTES_MAX (32ull << 20) // of one file
#define JOURNAL_BYTES_MIN (1ull << 20)
enum { SPACE_SHARE = 32, FETCH_CHUNK_BYTES = 64 * 1024 };

struct disk_store *disk_of(const struct store *store)
{
    return (struct disk_store *)(uintptr_t)store; // its first member
}

enum nq_status disk_fail(struct store_error *error, enum nq_status status, const char *text)
{
    if (error != NULL) {
        error->status = status;
        snprintf(error->text, sizeof(error->text), "%s", text);
    }
    return status;
}

static enum nq_status disk_load(struct store *store, const struct store_loader *loader, struct store_error *error)
{
    struct disk_store *self = disk_of(store);
    pthread_mutex_lock(&self->committing);
    enum nq_status status = disk_checkpoint_all(self, error);
    pthread_mutex_unlock(&self->committing);
    return status == NQ_OK ? store_load(self->lmdb, loader, error) : status;
}

static enum nq_status disk_space(struct store *store, struct store_space *space)
{
    const struct disk_store *self = disk_of(store);
    enum nq_status status = store_space(self->lmdb, space);
    uint64_t unwritten = __atomic_load_n(&self->unwritten_bytes, __ATOMIC_SEQ_CST);
    space->used_bytes += journal_bytes(self->journal) + unwritten;
    space->free_bytes -= unwritten < space->free_bytes ? unwritten : space->free_bytes;
    return status;
}

static void disk_id(const struct store *store, uint8_t id[16])
{
    store_id(disk_of(store)->lmdb, id);
}

static void disk_close(struct store **store_p)
{
    struct disk_store *self = disk_of(*store_p);
    if (self->has_thread) {
        pthread_mutex_lock(&self->committing);
        disk_checkpoint_all(self, NULL); // so that the next start has nothing to read; should it fail, that start has
        pthread_mutex_unlock(&self->committing);
        pthread_mutex_lock(&self->mutex);
        self->stopping = true;
        pthread_mutex_unlock(&self->mutex);
        disk_wake(self);
        pthread_join(self->thread, NULL);
    }
    journal_close(&self->journal);
    overlay_destroy(&self->active);
    overlay_destroy(&self->frozen);
    disk_free_layers(self->retired);
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
        status = disk_fail(error, NQ_NO_MEMORY, "out of memory for the journal");
    } else if (!changes_decode(data, len, arena, changes)) {
        status = disk_fail(error, NQ_DAMAGED, "the journal: a group with a good checksum makes no sense");
    } else if (!disk_take_in(self, changes)) {
        status = disk_fail(error, NQ_NO_MEMORY, "out of memory for the journal");
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

// `own_salt` [out]: whether the store has one.
static enum nq_status open_journal(struct disk_store *self, bool sync, bool *own_salt, struct store_error *error)
{
    uint8_t id[16];
    uint64_t applied = 0;
    uint64_t salt = 0;
    struct lmdb_store *lmdb = lmdb_of(self->lmdb);
    store_id(self->lmdb, id);
    enum nq_status status = lmdb_salt(lmdb->env, lmdb->db[DB_META], id, &salt, own_salt, error);
    if (status == NQ_OK) {
        status = lmdb_journaled(self->lmdb, &applied, error);
    }
    if (status == NQ_OK) {
        status = journal_open(lmdb->dir_fd, journal_file_bytes(self), sync, salt, applied, replay, self, &self->journal, error);
    }
    if (status == NQ_OK && journal_last(self->journal) > applied) {
        status = disk_write_overlay(self->lmdb, self->active, journal_last(self->journal), error);
        overlay_destroy(&self->active);
        self->active = overlay_create();
    }
    return status == NQ_OK && self->active == NULL ? disk_fail(error, NQ_NO_MEMORY, "out of memory") : status;
}

// A store of before there was a salt, or whose journal has groups that cannot be applied, gets a new one when all others are applied:
// what is in the journal is strange to it from then on. On a full disk that can wait, but not for groups that would be applied later.
static enum nq_status open_salted_journal(struct disk_store *self, const struct store_lmdb_options *options,
                                          struct store_error *error)
{
    bool own_salt = false;
    enum nq_status status = open_journal(self, options->sync, &own_salt, error);
    bool stays = status == NQ_OK && own_salt && !journal_has_strays(self->journal);
    if (status != NQ_OK || stays || options->new_salt == NULL) {
        return status;
    }
    status = lmdb_set_salt(self->lmdb, options->new_salt, error);
    if (status != NQ_OK) {
        return status == NQ_NO_SPACE && !journal_has_strays(self->journal) ? NQ_OK : status;
    }
    journal_close(&self->journal);
    return open_journal(self, options->sync, &own_salt, error);
}

// A store is begun with its data file, so a journal that was used and no such file is a store that has lost most of what it held. It must
// not look like a new one, whose journal would be written over that one.
static enum nq_status refuse_journal_alone(const char *dir, struct store_error *error)
{
    char text[256];
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool alone = dir_fd >= 0 && faccessat(dir_fd, "data.mdb", F_OK, 0) != 0 && errno == ENOENT && journal_is_used(dir_fd);
    if (dir_fd >= 0) {
        close(dir_fd);
    }
    snprintf(text, sizeof(text),
             "%.100s holds a journal but no data.mdb: put that back, or move journal-0 and journal-1 away to begin anew", dir);
    return alone ? disk_fail(error, NQ_STORAGE_FAILED, text) : NQ_OK;
}

static enum nq_status open_all(struct disk_store *self, const struct store_lmdb_options *options, struct store_error *error)
{
    self->active = overlay_create();
    self->fetched = nq_arena_create(FETCH_CHUNK_BYTES, 0);
    if (self->active == NULL || self->fetched == NULL || self->wake_fd < 0) {
        return disk_fail(error, NQ_NO_MEMORY, "out of memory or descriptors");
    }
    enum nq_status status = refuse_journal_alone(options->dir, error);
    if (status == NQ_OK) {
        status = store_lmdb_open(options, &self->lmdb, error);
    }
    if (status == NQ_OK) {
        status = open_salted_journal(self, options, error);
    }
    if (status == NQ_OK) {
        self->has_thread = pthread_create(&self->thread, NULL, disk_thread, self) == 0;
        status = self->has_thread ? NQ_OK : disk_fail(error, NQ_NO_MEMORY, "cannot start the thread that writes checkpoints");
    }
    return status;
}

enum nq_status store_disk_open(const struct store_lmdb_options *options, struct store **out, struct store_error *error)
{
    struct disk_store *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return disk_fail(error, NQ_NO_MEMORY, "out of memory");
    }
    self->store.ops = &disk_ops;
    self->on_failure = options->on_failure;
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
