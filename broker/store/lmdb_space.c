// Room on the disk: allocated ahead, so that a full disk shows before a commit has written anything, with a reserve behind it.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lmdb_internal.h"

#define STEP_BYTES_MIN (8ull << 20)
#define STEP_BYTES_MAX (64ull << 20)
enum { REUSE_MARGIN = 4 }; // so many times what a commit writes must be free inside the file for not allocating more of it
static const char reserve_name[] = "reserve";

static bool reserve_exists(const struct lmdb_store *self)
{
    struct stat status;
    return fstatat(self->dir_fd, reserve_name, &status, 0) == 0 && (uint64_t)status.st_size >= self->reserve_bytes;
}

static bool make_reserve(struct lmdb_store *self)
{
    if (self->reserve_bytes == 0 || reserve_exists(self)) {
        return true;
    }
    int fd = openat(self->dir_fd, reserve_name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool made = fd >= 0 && posix_fallocate(fd, 0, (off_t)self->reserve_bytes) == 0;
    if (fd >= 0) {
        close(fd);
    }
    if (!made) {
        unlinkat(self->dir_fd, reserve_name, 0);
    }
    return made;
}

bool lmdb_give_up_reserve(struct lmdb_store *self)
{
    bool had = self->reserve_bytes > 0 && unlinkat(self->dir_fd, reserve_name, 0) == 0;
    if (had) {
        __atomic_store_n(&self->reserve_in_use, true, __ATOMIC_RELAXED);
    }
    return had;
}

// What of the data file has blocks of the medium: neither a hole in it nor what is allocated behind its end.
static uint64_t allocated_bytes(const struct lmdb_store *self)
{
    struct stat status;
    if (fstat(self->data_fd, &status) != 0) {
        return 0;
    }
    uint64_t size = (uint64_t)status.st_size;
    uint64_t blocks = (uint64_t)status.st_blocks * 512;
    return size < blocks ? size : blocks;
}

void lmdb_space_start(struct lmdb_store *self)
{
    self->allocated_bytes = allocated_bytes(self);
    self->can_allocate = true;
    self->reserve_in_use = !make_reserve(self);
}

struct usage {
    uint64_t live_bytes; // pages that hold something
    uint64_t end_bytes;  // of the last page ever used: behind it nothing was written
};

static uint64_t end_bytes(const struct lmdb_store *self)
{
    MDB_envinfo info;
    MDB_stat stat;
    bool known = mdb_env_info(self->env, &info) == 0 && mdb_env_stat(self->env, &stat) == 0;
    return known ? ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize : 0;
}

// How far the file may still grow within its map, which is small where address space is limited.
static uint64_t left_of_map(const struct lmdb_store *self, uint64_t allocated)
{
    MDB_envinfo info;
    return mdb_env_info(self->env, &info) != 0 ? UINT64_MAX : info.me_mapsize > allocated ? info.me_mapsize - allocated : 0;
}

static enum nq_status look_at_pages(const struct lmdb_store *self, struct usage *usage)
{
    MDB_stat stat;
    MDB_txn *txn;
    uint64_t pages = 2; // LMDB's own
    int rc = mdb_txn_begin(self->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) {
        return lmdb_status(rc);
    }
    for (MDB_dbi db = 0; rc == 0 && db < 2 + DB_COUNT; db++) { // LMDB's two tables and ours
        rc = mdb_stat(txn, db < 2 ? db : self->db[db - 2], &stat);
        pages += rc == 0 ? stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages : 0;
    }
    mdb_txn_abort(txn);
    if (rc == 0) {
        usage->live_bytes = pages * stat.ms_psize;
        usage->end_bytes = end_bytes(self);
    }
    return lmdb_status(rc);
}

static int allocate(struct lmdb_store *self, uint64_t end)
{
    if (fallocate(self->data_fd, 0, (off_t)self->allocated_bytes, (off_t)(end - self->allocated_bytes)) != 0) {
        return errno;
    }
    self->allocated_bytes = end;
    return 0;
}

static bool allocate_ahead(struct lmdb_store *self, uint64_t need)
{
    uint64_t step = need / 8;
    step = step < STEP_BYTES_MIN ? STEP_BYTES_MIN : step > STEP_BYTES_MAX ? STEP_BYTES_MAX : step;
    int rc = allocate(self, need + step);
    if (rc == ENOSPC || rc == EDQUOT) {
        rc = allocate(self, need);
    }
    if ((rc == ENOSPC || rc == EDQUOT) && lmdb_give_up_reserve(self)) {
        rc = allocate(self, need);
    }
    if (rc != 0 && rc != ENOSPC && rc != EDQUOT) {
        self->can_allocate = false; // a file system that cannot
    }
    return rc == 0;
}

// LMDB does not write pages that a commit took and freed again: without this the file could be shorter than what its last page
// says, and look cut short when it is next opened.
static void lengthen(const struct lmdb_store *self, uint64_t end)
{
    struct stat status;
    if (fstat(self->data_fd, &status) == 0 && (uint64_t)status.st_size < end && ftruncate(self->data_fd, (off_t)end) != 0) {
        return; // no harm is done yet
    }
}

void lmdb_make_room(struct lmdb_store *self, uint64_t bytes)
{
    struct usage usage;
    uint64_t need = end_bytes(self) + bytes;
    self->room_refused = false;
    if (need <= self->allocated_bytes) {
        return;
    }
    bool reuses = look_at_pages(self, &usage) == NQ_OK && (usage.end_bytes - usage.live_bytes) / REUSE_MARGIN >= bytes;
    // When nothing can be allocated the commit itself will tell.
    self->room_refused = reuses || !self->can_allocate || !allocate_ahead(self, need);
    if (self->room_refused) {
        lengthen(self, need);
    }
}

// What a commit takes is an estimate: it may have had all that it seemed to need, and met the end of the medium all the same.
bool lmdb_room_is_out(struct lmdb_store *self)
{
    struct stat status;
    if (self->room_refused) {
        return true;
    }
    if (!self->can_allocate || fstat(self->data_fd, &status) != 0) {
        return false;
    }
    uint64_t end = (uint64_t)status.st_size > self->allocated_bytes ? (uint64_t)status.st_size : self->allocated_bytes;
    int rc = allocate(self, end + STEP_BYTES_MIN);
    return rc == ENOSPC || rc == EDQUOT;
}

// What is free inside the file counts as free: it was drained, and is written again before the file grows.
enum nq_status lmdb_space(struct store *store, struct store_space *space)
{
    struct lmdb_store *self = lmdb_of(store);
    struct statvfs fs;
    struct usage usage = {0};
    enum nq_status status = lmdb_refuse_if_failed(self, NULL);
    if (status == NQ_OK) {
        status = look_at_pages(self, &usage);
    }
    if (status != NQ_OK) {
        return status;
    }
    uint64_t allocated = allocated_bytes(self);
    uint64_t inside = allocated > usage.live_bytes ? allocated - usage.live_bytes : 0;
    uint64_t limit = self->max_disk_bytes;
    if (self->map_limit_bytes > 0 && (limit == 0 || self->map_limit_bytes < limit)) {
        limit = self->map_limit_bytes;
    }
    *space = (struct store_space){.used_bytes = usage.live_bytes, .free_bytes = UINT64_MAX, .limit_bytes = limit};
    uint64_t outside = UINT64_MAX;
    uint64_t left = left_of_map(self, allocated);
    if (fstatvfs(self->data_fd, &fs) == 0) {
        outside = (uint64_t)fs.f_bavail * fs.f_frsize;
    }
    left = outside < left ? outside : left;
    space->free_bytes = left == UINT64_MAX ? UINT64_MAX : left + inside;
    bool in_use = __atomic_load_n(&self->reserve_in_use, __ATOMIC_RELAXED);
    if (in_use && outside > 2 * self->reserve_bytes && make_reserve(self)) {
        in_use = false;
        __atomic_store_n(&self->reserve_in_use, false, __ATOMIC_RELAXED);
    }
    space->reserve_in_use = in_use && inside < self->reserve_bytes;
    return NQ_OK;
}
