// New data files, for a new store, a compacted one and a backup: written under another name, synced, and only then given theirs, so
// that whenever the process or the machine ends there is a whole file or none.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lmdb_internal.h"

enum { GROWTH_BYTES = 1024 * 1024 };

int lmdb_sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

// The new file, complete and synced, takes the name.
static int install(const char *dir)
{
    char from[LMDB_PATH_BYTES];
    char to[LMDB_PATH_BYTES];
    lmdb_path(from, dir, "data.mdb.new");
    lmdb_path(to, dir, "data.mdb");
    return rename(from, to) != 0 ? errno : lmdb_sync_dir(dir);
}

static int put_text(MDB_txn *txn, MDB_dbi meta, const char *name, const void *data, size_t len)
{
    MDB_val key = {strlen(name), (void *)(uintptr_t)name};
    MDB_val value = {len, (void *)(uintptr_t)data};
    return mdb_put(txn, meta, &key, &value, 0);
}

static int write_tables(MDB_env *env, const uint8_t id[16], const uint8_t *salt)
{
    static const uint8_t version = STORE_FORMAT_VERSION;
    MDB_txn *txn;
    MDB_dbi db[DB_COUNT];
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < DB_COUNT; i++) {
        rc = mdb_dbi_open(txn, lmdb_names[i], MDB_CREATE, &db[i]);
    }
    if (rc == 0) {
        rc = put_text(txn, db[DB_META], "format", &version, sizeof(version));
    }
    if (rc == 0) {
        rc = put_text(txn, db[DB_META], "id", id, 16);
    }
    if (rc == 0 && salt != NULL) {
        rc = put_text(txn, db[DB_META], "salt", salt, 8);
    }
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

// A data file by itself, that nobody else knows of, to write a little into.
static int open_file(const char *path, MDB_env **out)
{
    struct stat file;
    int rc = mdb_env_create(out);
    if (rc != 0) {
        return rc;
    }
    if (stat(path, &file) == 0) { // not as much address space as the store it is a copy of takes: there may not be as much again
        mdb_env_set_mapsize(*out, ((size_t)file.st_size / GROWTH_BYTES + 2) * GROWTH_BYTES);
    }
    mdb_env_set_maxdbs(*out, DB_COUNT);
    rc = mdb_env_open(*out, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600);
    if (rc != 0) {
        mdb_env_close(*out);
    }
    return rc;
}

static int write_new(const char *path, const uint8_t id[16], const uint8_t *salt)
{
    MDB_env *env;
    int rc = open_file(path, &env);
    if (rc == 0) {
        rc = write_tables(env, id, salt);
        mdb_env_close(env);
    }
    return rc;
}

enum nq_status lmdb_create(const char *dir, const uint8_t id[16], const uint8_t *salt, struct store_error *error)
{
    char path[LMDB_PATH_BYTES];
    char what[256];
    lmdb_path(path, dir, "data.mdb.new");
    int rc = unlink(path) != 0 && errno != ENOENT ? errno : 0;
    if (rc == 0) {
        rc = write_new(path, id, salt);
    }
    if (rc == 0) {
        rc = install(dir);
    }
    if (rc == 0) {
        return NQ_OK;
    }
    unlink(path);
    snprintf(what, sizeof(what), "cannot create the store in %.200s", dir);
    return lmdb_fail(error, NQ_STORAGE_FAILED, what, rc);
}

void lmdb_forget_copy(const char *dir)
{
    char path[LMDB_PATH_BYTES];
    lmdb_path(path, dir, "data.mdb.new");
    unlink(path); // mostly there is none
}

// The file that it takes the place of, if there is one, may be another user's: whoever compacts it, the broker must find it its own.
static int take_owner(int fd, const char *dir)
{
    char path[LMDB_PATH_BYTES];
    struct stat old;
    struct stat own;
    lmdb_path(path, dir, "data.mdb");
    if (stat(path, &old) != 0) {
        return errno == ENOENT ? 0 : errno;
    }
    if (fstat(fd, &own) != 0) {
        return errno;
    }
    bool same_owner = own.st_uid == old.st_uid && own.st_gid == old.st_gid;
    if (!same_owner && fchown(fd, old.st_uid, old.st_gid) != 0) {
        return errno;
    }
    return own.st_mode == old.st_mode || fchmod(fd, old.st_mode & 0777) == 0 ? 0 : errno;
}

// A file of our own: what an earlier one has left may be anything by now.
static int open_copy(const char *path, const char *dir, int *fd)
{
    if (unlink(path) != 0 && errno != ENOENT) {
        return errno;
    }
    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return *fd < 0 ? errno : take_owner(*fd, dir);
}

enum nq_status lmdb_copy(MDB_env *env, const char *dir, struct store_error *error)
{
    char path[LMDB_PATH_BYTES];
    char what[256];
    lmdb_path(path, dir, "data.mdb.new");
    int fd = -1;
    int rc = open_copy(path, dir, &fd);
    if (rc == 0) {
        rc = mdb_env_copyfd2(env, fd, MDB_CP_COMPACT);
    }
    if (rc == 0 && fsync(fd) != 0) {
        rc = errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (rc == 0) {
        rc = install(dir);
    }
    if (rc == 0) {
        return NQ_OK;
    }
    unlink(path);
    snprintf(what, sizeof(what), "cannot write the copy of the store in %.180s", dir);
    return lmdb_fail(error, lmdb_status(rc), what, rc);
}

static int write_text(MDB_env *env, const char *name, const void *data, size_t len)
{
    MDB_txn *txn;
    MDB_dbi meta;
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc != 0) {
        return rc;
    }
    rc = mdb_dbi_open(txn, lmdb_names[DB_META], 0, &meta);
    rc = rc == 0 ? put_text(txn, meta, name, data, len) : rc;
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

enum nq_status lmdb_set_salt(struct store *store, const uint8_t salt[8], struct store_error *error)
{
    lmdb_enter();
    int rc = write_text(lmdb_of(store)->env, "salt", salt, 8);
    lmdb_leave();
    return rc == 0 ? NQ_OK : lmdb_fail(error, lmdb_status(rc), "cannot write to the store", rc);
}

// A copy that lives on beside its original must not be taken for it: the tokens and streams of its clients are the other's.
static enum nq_status set_id(const char *dir, const uint8_t id[16], struct store_error *error)
{
    char path[LMDB_PATH_BYTES];
    MDB_env *env;
    lmdb_path(path, dir, "data.mdb");
    int rc = open_file(path, &env);
    if (rc == 0) {
        rc = write_text(env, "id", id, 16);
        mdb_env_close(env);
    }
    return rc == 0 ? NQ_OK : lmdb_fail(error, lmdb_status(rc), path, rc);
}

enum nq_status store_lmdb_backup(struct store *store, const char *dir, const uint8_t new_store_id[16], struct store_error *error)
{
    char what[256];
    char path[LMDB_PATH_BYTES];
    if (mkdir(dir, 0700) != 0) {
        int rc = errno;
        snprintf(what, sizeof(what), "cannot create %.200s", dir);
        return lmdb_fail(error, lmdb_status(rc), what, rc);
    }
    lmdb_enter();
    enum nq_status status = lmdb_copy(lmdb_of(store)->env, dir, error);
    if (status == NQ_OK) {
        status = set_id(dir, new_store_id, error);
    }
    lmdb_leave();
    if (status != NQ_OK) {
        lmdb_path(path, dir, "data.mdb");
        unlink(path);
        rmdir(dir);
    }
    return status;
}
