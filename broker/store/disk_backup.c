// A copy of a store that is in use: LMDB is brought up to date with the journal, and its snapshot is copied.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "disk_internal.h"

enum { PATH_BYTES = 4096, FILE_BYTES = 16 };

static enum nq_status fail(struct store_error *error, enum nq_status status, const char *what, const char *path, int why)
{
    char text[256];
    snprintf(text, sizeof(text), "%s %.180s%s%.60s", what, path, why == 0 ? "" : ": ", why == 0 ? "" : strerror(why));
    return disk_fail(error, status, text);
}

// All that is committed by now is in LMDB when it returns OK. Commits wait only while the checkpoint is begun, not for its end.
static enum nq_status bring_up_to_date(struct disk_store *self, struct store_error *error)
{
    pthread_mutex_lock(&self->committing);
    enum nq_status status = disk_wait_for_checkpoint(self, error);
    if (status == NQ_OK && !overlay_is_empty(self->active)) {
        status = disk_begin_checkpoint(self, error);
    }
    pthread_mutex_unlock(&self->committing);
    return status == NQ_OK ? disk_wait_for_checkpoint(self, error) : status;
}

// What a backup that was cut off has left.
static void remove_remains(const char *dir)
{
    static const char *const files[] = {"data.mdb.new", "data.mdb", "lock.mdb"};
    char path[PATH_BYTES + FILE_BYTES];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
}

static enum nq_status is_there(struct store_error *error, const char *path)
{
    return fail(error, NQ_BAD_NAME, "there already is", path, 0);
}

// It takes its name, durably. Another broker may have given that to a backup of its own meanwhile.
static enum nq_status install(const char *parent, const char *from, const char *to, struct store_error *error)
{
    if (rename(from, to) != 0) {
        bool taken = errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR;
        return taken ? is_there(error, to) : fail(error, lmdb_status(errno), "cannot write", to, errno);
    }
    int rc = lmdb_sync_dir(parent);
    if (rc == 0) {
        return NQ_OK;
    }
    remove_remains(to);
    return fail(error, lmdb_status(rc), "cannot write", to, rc);
}

// Where it is written: a folder that no other store's backups in the same place are written to, and whatever their names this one's
// are, one after the other, so that what one leaves that is cut off is cleared by the next.
static void path_aside(char path[PATH_BYTES], const struct disk_store *self, const char *parent)
{
    uint8_t id[16];
    store_id(self->lmdb, id);
    snprintf(path, PATH_BYTES, "%s/.%02x%02x%02x%02x.unfinished", parent, id[0], id[1], id[2], id[3]);
}

// Before anything is written: a copy that ends at a full disk has filled it until then, which may be the store's own. About what the
// copy takes must be free, and on the store's own medium the size of its reserve besides.
static enum nq_status look_for_room(const struct disk_store *self, const char *parent, const char *path, struct store_error *error)
{
    struct statvfs medium;
    struct store_space space;
    struct stat there;
    struct stat here;
    char text[256];
    const struct lmdb_store *lmdb = lmdb_of(self->lmdb);
    if (statvfs(parent, &medium) != 0 || stat(parent, &there) != 0 || fstat(lmdb->dir_fd, &here) != 0 ||
        store_space(self->lmdb, &space) != NQ_OK) {
        return NQ_OK; // the copy will tell
    }
    uint64_t room = (uint64_t)medium.f_bavail * medium.f_frsize;
    uint64_t needed = space.used_bytes + (there.st_dev == here.st_dev ? lmdb->reserve_bytes : 0);
    if (room >= needed) {
        return NQ_OK;
    }
    snprintf(text, sizeof(text), "too little room for %.160s: it takes %llu bytes, %llu are free", path, (unsigned long long)needed,
             (unsigned long long)room);
    return disk_fail(error, NQ_NO_SPACE, text);
}

static uint64_t size_of(const char *dir)
{
    char path[PATH_BYTES + FILE_BYTES];
    struct stat status;
    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

enum nq_status store_disk_backup(struct store *store, const struct store_backup *order, uint64_t *bytes, struct store_error *error)
{
    struct disk_store *self = disk_of(store);
    char path[PATH_BYTES];
    char aside[PATH_BYTES];
    struct stat found;
    snprintf(path, sizeof(path), "%s/%s", order->parent, order->name);
    path_aside(aside, self, order->parent);
    if (lstat(path, &found) == 0) {
        return is_there(error, path);
    }
    remove_remains(aside);
    enum nq_status status = bring_up_to_date(self, error);
    if (status == NQ_OK) {
        status = look_for_room(self, order->parent, path, error);
    }
    if (status == NQ_OK) {
        status = store_lmdb_backup(self->lmdb, aside, order->new_store_id, error);
    }
    if (status == NQ_OK) {
        status = install(order->parent, aside, path, error);
    }
    if (status != NQ_OK) {
        remove_remains(aside);
        return status;
    }
    *bytes = size_of(path);
    return NQ_OK;
}
