// check and compact: what can be done while no broker has the store open. What check looks for is in check_*.c.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_internal.h"
#include "store_offline.h"

// Shared with the child that walks the store.
struct shared_result {
    struct store_check_report report;
    struct store_error error;
    enum nq_status status;
};

static void check_in_child(const char *dir, FILE *findings, struct shared_result *result)
{
    struct checking checking = {.findings = findings, .report = &result->report};
    result->status = lmdb_open_env(dir, true, true, &checking.env, &result->error);
    if (result->status == NQ_OK) {
        result->status = lmdb_open_databases(checking.env, checking.db, checking.id, &result->error);
    }
    if (result->status == NQ_OK) {
        int rc = check_all(&checking);
        if (rc != 0) {
            result->report.damaged++;
            fprintf(findings, "the store's pages: %s\n", mdb_strerror(rc));
        }
        check_journal(&checking, dir);
        result->status = result->report.damaged + result->report.misplaced > 0 ? NQ_DAMAGED : NQ_OK;
    }
    fflush(findings);
    _exit(0);
}

static enum nq_status walk_in_child(const char *dir, FILE *findings, struct shared_result *result, struct store_error *error)
{
    int wait_status = 0;
    fflush(findings);
    pid_t child = fork();
    if (child < 0) {
        return lmdb_fail(error, NQ_STORAGE_FAILED, "cannot start the check", errno);
    }
    if (child == 0) {
        check_in_child(dir, findings, result);
    }
    while (waitpid(child, &wait_status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0) { // LMDB follows page numbers without doubt
        result->report.damaged++;
        fprintf(findings, "the store's pages are damaged: reading them ended the check (%s %d)\n",
                WIFEXITED(wait_status) ? "exit" : "signal",
                WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : WTERMSIG(wait_status));
        result->status = lmdb_fail(&result->error, NQ_DAMAGED, "the store's pages are damaged", 0);
    }
    if (error != NULL) {
        *error = result->error;
    }
    return result->status;
}

// So that no broker starts meanwhile: the directory's, and the data file's, which holds whatever becomes of the other's file.
struct locks {
    int dir_fd, data_fd; // -1: none
};

static void unlock(const struct locks *locks)
{
    if (locks->data_fd >= 0) {
        close(locks->data_fd);
    }
    if (locks->dir_fd >= 0) {
        close(locks->dir_fd);
    }
}

// 0, or EWOULDBLOCK. One that cannot be opened is told of by whoever reads it.
static int lock_data(const char *dir, int *data_fd)
{
    char path[LMDB_PATH_BYTES];
    lmdb_path(path, dir, "data.mdb");
    *data_fd = open(path, O_RDONLY | O_CLOEXEC);
    return *data_fd >= 0 && lmdb_is_locked(*data_fd) ? EWOULDBLOCK : 0;
}

// Where nothing can be written (a snapshot, a store of somebody else's): a lock that is there can be had all the same, and without one no
// broker starts on a file system that is read-only.
static int lock_to_read(const char *dir, int *lock_fd)
{
    int rc = lmdb_lock_dir(dir, lock_fd);
    if (rc != EROFS && rc != EACCES) {
        return rc;
    }
    char path[LMDB_PATH_BYTES];
    lmdb_path(path, dir, "lock");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && rc == EROFS) {
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return fd < 0 ? rc : lmdb_lock(fd, lock_fd);
}

// Root may look at the store of a broker that is another user, who must be able to use a lock that is made here. Only one that is: what
// stands under that name may be a link to anything.
static void make_lock_for_owner(const char *dir)
{
    char path[LMDB_PATH_BYTES];
    struct stat folder;
    lmdb_path(path, dir, "lock");
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)!(stat(dir, &folder) == 0 && fchown(fd, folder.st_uid, folder.st_gid) == 0); // who may not do that is not root
        close(fd);
    }
}

static enum nq_status lock_for_offline(const char *dir, struct locks *locks, struct store_error *error)
{
    char what[256];
    make_lock_for_owner(dir);
    int rc = lock_to_read(dir, &locks->dir_fd);
    if (rc == 0) {
        rc = lock_data(dir, &locks->data_fd);
    }
    if (rc == 0) {
        return NQ_OK;
    }
    snprintf(what, sizeof(what), rc == EWOULDBLOCK ? "a broker is using %.200s" : "cannot use %.200s", dir);
    return lmdb_fail(error, NQ_STORAGE_FAILED, what, rc == EWOULDBLOCK ? 0 : rc);
}

// Its heads are looked at under the locks: a broker that has the store open writes them. To be unlocked, whatever it returns.
static enum nq_status lock_store(const char *dir, struct locks *locks, struct store_error *error)
{
    char path[LMDB_PATH_BYTES];
    char what[256];
    bool exists;
    *locks = (struct locks){-1, -1};
    lmdb_path(path, dir, "data.mdb");
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        snprintf(what, sizeof(what), "there is no store in %.200s", dir);
        return lmdb_fail(error, NQ_STORAGE_FAILED, what, 0);
    }
    enum nq_status status = lock_for_offline(dir, locks, error);
    return status == NQ_OK ? lmdb_check_file(dir, true, &exists, error) : status;
}

enum nq_status store_lmdb_check(const char *dir, FILE *findings, struct store_check_report *report, struct store_error *error)
{
    struct locks locks;
    *report = (struct store_check_report){0};
    enum nq_status status = lock_store(dir, &locks, error);
    if (status != NQ_OK) {
        unlock(&locks);
        return status;
    }
    struct shared_result *result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (result == MAP_FAILED) {
        status = lmdb_fail(error, NQ_NO_MEMORY, "out of memory", 0);
    } else {
        status = walk_in_child(dir, findings, result, error);
        *report = result->report;
        munmap(result, sizeof(*result));
    }
    unlock(&locks);
    return status;
}

// -------------------------------------------------------------------------------------------------------------------- compact

static uint64_t file_bytes(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

enum nq_status store_lmdb_compact(const char *dir, uint64_t *before_bytes, uint64_t *after_bytes, struct store_error *error)
{
    char path[LMDB_PATH_BYTES];
    MDB_env *env;
    MDB_dbi db[DB_COUNT];
    uint8_t id[16];
    lmdb_path(path, dir, "data.mdb");
    struct locks locks;
    enum nq_status status = lock_store(dir, &locks, error);
    if (status != NQ_OK) {
        unlock(&locks);
        return status;
    }
    *before_bytes = file_bytes(path);
    lmdb_enter();
    status = lmdb_open_env(dir, true, true, &env, error);
    if (status == NQ_OK) {
        status = lmdb_open_databases(env, db, id, error);
        if (status == NQ_OK) {
            status = lmdb_copy(env, dir, error);
        }
        mdb_env_close(env);
    }
    lmdb_leave();
    *after_bytes = file_bytes(path);
    unlock(&locks);
    return status;
}
