#include "io_meter.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static _Thread_local struct io_totals mine;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; // guards what follows
static struct io_totals all;
static unsigned inside;
static uint64_t busy_since_ns, busy_ns;

uint64_t io_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t enter(void)
{
    uint64_t now = io_now_ns();
    pthread_mutex_lock(&mutex);
    busy_since_ns = inside == 0 ? now : busy_since_ns;
    inside++;
    pthread_mutex_unlock(&mutex);
    return now;
}

static void leave(uint64_t entered_ns, int64_t bytes, uint64_t flushes)
{
    uint64_t now = io_now_ns();
    struct io_totals more = {now - entered_ns, bytes > 0 ? (uint64_t)bytes : 0, flushes};
    struct io_totals *const sums[] = {&mine, &all};
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 2; i++) {
        sums[i]->ns += more.ns;
        sums[i]->bytes += more.bytes;
        sums[i]->flushes += more.flushes;
    }
    inside--;
    busy_ns += inside == 0 ? now - busy_since_ns : 0;
    pthread_mutex_unlock(&mutex);
}

struct io_totals io_of_this_thread(void)
{
    return mine;
}

struct io_totals io_of_all(void)
{
    pthread_mutex_lock(&mutex);
    struct io_totals totals = all;
    pthread_mutex_unlock(&mutex);
    return totals;
}

uint64_t io_busy_ns(void)
{
    uint64_t now = io_now_ns();
    pthread_mutex_lock(&mutex);
    uint64_t busy = busy_ns + (inside > 0 && now > busy_since_ns ? now - busy_since_ns : 0);
    pthread_mutex_unlock(&mutex);
    return busy;
}

// The next definition of a function: the C library's.
static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

#define SEEN_BY_LIBRARIES __attribute__((visibility("default")))

// The calls by way of a union, because C has no cast from a pointer to data to one to a function.
union call {
    void *data;
    ssize_t (*pwrite)(int, const void *, size_t, off_t);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*writev)(int, const struct iovec *, int);
    int (*flush)(int);
    int (*msync)(void *, size_t, int);
    int (*fallocate)(int, int, off_t, off_t);
};

SEEN_BY_LIBRARIES ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    const union call call = {real("pwrite")};
    uint64_t entered = enter();
    ssize_t wrote = call.pwrite(fd, data, len, at);
    leave(entered, wrote, 0);
    return wrote;
}

SEEN_BY_LIBRARIES ssize_t write(int fd, const void *data, size_t len)
{
    const union call call = {real("write")};
    uint64_t entered = enter();
    ssize_t wrote = call.write(fd, data, len);
    leave(entered, wrote, 0);
    return wrote;
}

SEEN_BY_LIBRARIES ssize_t writev(int fd, const struct iovec *parts, int count)
{
    const union call call = {real("writev")};
    uint64_t entered = enter();
    ssize_t wrote = call.writev(fd, parts, count);
    leave(entered, wrote, 0);
    return wrote;
}

SEEN_BY_LIBRARIES int fdatasync(int fd)
{
    const union call call = {real("fdatasync")};
    uint64_t entered = enter();
    int rc = call.flush(fd);
    leave(entered, 0, 1);
    return rc;
}

SEEN_BY_LIBRARIES int fsync(int fd)
{
    const union call call = {real("fsync")};
    uint64_t entered = enter();
    int rc = call.flush(fd);
    leave(entered, 0, 1);
    return rc;
}

SEEN_BY_LIBRARIES int msync(void *at, size_t len, int flags)
{
    const union call call = {real("msync")};
    uint64_t entered = enter();
    int rc = call.msync(at, len, flags);
    leave(entered, 0, 1);
    return rc;
}

SEEN_BY_LIBRARIES int fallocate(int fd, int mode, off_t at, off_t len)
{
    const union call call = {real("fallocate")};
    uint64_t entered = enter();
    int rc = call.fallocate(fd, mode, at, len);
    leave(entered, 0, 0);
    return rc;
}
