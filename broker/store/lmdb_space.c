// Room on the disk: allocated ahead, so that a full disk shows before a commit has written anything, with a reserve behind it.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lmdb_internal.h"

#define STEP_BYTES_MIN (8ull << 20)
#define STEP_BYTES_MAX (64ull << 20)
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
    __atomic_store_n(&self->reserve_in_use, self->reserve_in_use || had, __ATOMIC_RELAXED);
    return had;
}

void lmdb_space_start(struct lmdb_store *self)
{
    struct stat status;
    self->allocated_bytes = fstat(self->data_fd, &status) == 0 ? (uint64_t)status.st_size : 0;
    self->can_allocate = true;
    self->reserve_in_use = !make_reserve(self);
}

static uint64_t used_bytes(const struct lmdb_store *self)
{
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(self->env, &info) != 0 || mdb_env_stat(self->env, &stat) != 0) {
        return 0;
    }
    return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

static int allocate(struct lmdb_store *self, uint64_t end)
{
    if (fallocate(self->data_fd, 0, (off_t)self->allocated_bytes, (off_t)(end - self->allocated_bytes)) != 0) {
        return errno;
    }
    self->allocated_bytes = end;
    return 0;
}

void lmdb_make_room(struct lmdb_store *self, uint64_t bytes)
{
    uint64_t need = used_bytes(self) + bytes;
    if (!self->can_allocate || need <= self->allocated_bytes) {
        return;
    }
    uint64_t step = need / 8;
    step = step < STEP_BYTES_MIN ? STEP_BYTES_MIN : step > STEP_BYTES_MAX ? STEP_BYTES_MAX : step;
    int rc = allocate(self, need + step);
    if (rc == ENOSPC || rc == EDQUOT) {
        rc = allocate(self, need);
    }
    if ((rc == ENOSPC || rc == EDQUOT) && lmdb_give_up_reserve(self)) {
        rc = allocate(self, need);
    }
    // Still none: free pages inside the file may do; the commit itself will tell.
    if (rc != 0 && rc != ENOSPC && rc != EDQUOT) {
        self->can_allocate = false; // a file system that cannot
    }
}

enum nq_status lmdb_space(struct store *store, struct store_space *space)
{
    struct lmdb_store *self = lmdb_of(store);
    struct statvfs fs;
    *space = (struct store_space){.used_bytes = used_bytes(self), .free_bytes = UINT64_MAX, .limit_bytes = self->max_disk_bytes};
    if (fstatvfs(self->data_fd, &fs) == 0) {
        space->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    }
    bool in_use = __atomic_load_n(&self->reserve_in_use, __ATOMIC_RELAXED);
    if (in_use && space->free_bytes > 2 * self->reserve_bytes && make_reserve(self)) {
        in_use = false;
        __atomic_store_n(&self->reserve_in_use, false, __ATOMIC_RELAXED);
    }
    space->reserve_in_use = in_use;
    return NQ_OK;
}
