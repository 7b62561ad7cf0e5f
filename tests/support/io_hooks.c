#include "io_hooks.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };
#define HOOK __attribute__((visibility("default")))
// The C library's own function of this name.
#define REAL(name) ((__typeof__(&name))real(#name))

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static const struct io_watcher *volatile watching;

void io_watch(const struct io_watcher *watcher)
{
    pthread_mutex_lock(&one_at_a_time);
    watching = watcher;
    pthread_mutex_unlock(&one_at_a_time);
}

typedef void any_function(void);

static any_function *real(const char *name)
{
    any_function *function;
    void *found = dlsym(RTLD_NEXT, name);
    memcpy(&function, &found, sizeof(function)); // POSIX has it so, ISO C has no cast for it
    return function;
}

// ------------------------------------------------------------------------------------------------------------------------ paths

static bool is_watched(const struct io_watcher *watcher, const char *path)
{
    size_t len = strlen(watcher->folder);
    return strncmp(path, watcher->folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static bool path_of_fd(int fd, char path[PATH_BYTES])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, PATH_BYTES - 1);
    path[len < 0 ? 0 : len] = '\0';
    return len > 0 && path[0] == '/';
}

static bool path_at(int dir_fd, const char *name, char path[PATH_BYTES])
{
    char dir[PATH_BYTES] = "";
    if (name[0] != '/' && dir_fd == AT_FDCWD && getcwd(dir, sizeof(dir)) == NULL) {
        return false;
    }
    if (name[0] != '/' && dir_fd != AT_FDCWD && !path_of_fd(dir_fd, dir)) {
        return false;
    }
    int len = snprintf(path, PATH_BYTES, "%s%s%s", dir, name[0] == '/' ? "" : "/", name);
    return len > 0 && len < PATH_BYTES;
}

// ------------------------------------------------------------------------------------------------------------------------ calls

// Between begin and end a call that somebody watches is the only one. 0: it may happen, else its errno. *seen: it is watched.
static int begin(const struct io_call *call, bool *seen)
{
    const struct io_watcher *watcher = watching;
    if (watcher != NULL && watcher->pause != NULL && is_watched(watcher, call->path)) {
        watcher->pause(watcher->context, call);
    }
    pthread_mutex_lock(&one_at_a_time);
    watcher = watching;
    *seen = watcher != NULL && is_watched(watcher, call->path);
    if (!*seen) { // it may wait, for a pipe say
        pthread_mutex_unlock(&one_at_a_time);
        return 0;
    }
    return watching->before == NULL ? 0 : watching->before(watching->context, call);
}

static void end(const struct io_call *call, bool seen, bool ok)
{
    int kept = errno;
    if (seen && ok && watching->after != NULL) {
        watching->after(watching->context, call);
    }
    if (seen) {
        pthread_mutex_unlock(&one_at_a_time);
    }
    errno = kept;
}

static int refuse(bool seen, int error)
{
    end(NULL, seen, false);
    errno = error;
    return -1;
}

typedef ssize_t do_write(int fd, const struct iovec *parts, int count, off_t offset);

static ssize_t write_it(int fd, const struct iovec *parts, int count, off_t offset, do_write *really)
{
    char path[PATH_BYTES];
    bool seen;
    if (watching == NULL || !path_of_fd(fd, path)) {
        return really(fd, parts, count, offset);
    }
    struct io_call call = {.kind = IO_WRITE, .path = path, .fd = fd, .parts = parts, .part_count = count};
    call.offset = offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR);
    call.durable = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
    for (int i = 0; i < count; i++) {
        call.len += parts[i].iov_len;
    }
    int error = begin(&call, &seen);
    if (error != 0) {
        return refuse(seen, error);
    }
    ssize_t wrote = really(fd, parts, count, offset);
    call.len = wrote > 0 ? (size_t)wrote : 0;
    end(&call, seen, wrote > 0);
    return wrote;
}

static ssize_t really_write(int fd, const struct iovec *parts, int count, off_t offset)
{
    (void)offset;
    return count == 1 ? REAL(write)(fd, parts->iov_base, parts->iov_len) : REAL(writev)(fd, parts, count);
}

static ssize_t really_pwrite(int fd, const struct iovec *parts, int count, off_t offset)
{
    return count == 1 ? REAL(pwrite)(fd, parts->iov_base, parts->iov_len, offset) : REAL(pwritev)(fd, parts, count, offset);
}

HOOK ssize_t write(int fd, const void *data, size_t len)
{
    return write_it(fd, &(struct iovec){(void *)(uintptr_t)data, len}, 1, -1, really_write);
}

HOOK ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return write_it(fd, parts, count, -1, really_write);
}

HOOK ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return write_it(fd, &(struct iovec){(void *)(uintptr_t)data, len}, 1, offset, really_pwrite);
}

HOOK ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return write_it(fd, parts, count, offset, really_pwrite);
}

// The other calls on descriptors: `really` returns 0 or an errno.
struct resize {
    int mode;
    off_t offset, len;
};
typedef int do_call(int fd, const struct resize *resize);

static int call_it(int fd, struct io_call *call, const struct resize *resize, do_call *really)
{
    char path[PATH_BYTES];
    bool seen;
    if (watching == NULL || !path_of_fd(fd, path)) {
        return really(fd, resize);
    }
    call->path = path;
    call->fd = fd;
    int error = begin(call, &seen);
    error = error != 0 ? error : really(fd, resize);
    end(call, seen, error == 0);
    return error;
}

static int answer(int error)
{
    errno = error != 0 ? error : errno;
    return error != 0 ? -1 : 0;
}

static int really_fsync(int fd, const struct resize *resize)
{
    (void)resize;
    return REAL(fsync)(fd) == 0 ? 0 : errno;
}

static int really_fdatasync(int fd, const struct resize *resize)
{
    (void)resize;
    return REAL(fdatasync)(fd) == 0 ? 0 : errno;
}

static int really_ftruncate(int fd, const struct resize *resize)
{
    return REAL(ftruncate)(fd, resize->len) == 0 ? 0 : errno;
}

static int really_fallocate(int fd, const struct resize *resize)
{
    return REAL(fallocate)(fd, resize->mode, resize->offset, resize->len) == 0 ? 0 : errno;
}

static int really_posix_fallocate(int fd, const struct resize *resize)
{
    return REAL(posix_fallocate)(fd, resize->offset, resize->len);
}

HOOK int fsync(int fd)
{
    return answer(call_it(fd, &(struct io_call){.kind = IO_SYNC}, NULL, really_fsync));
}

HOOK int fdatasync(int fd)
{
    return answer(call_it(fd, &(struct io_call){.kind = IO_SYNC}, NULL, really_fdatasync));
}

HOOK int ftruncate(int fd, off_t len)
{
    struct io_call call = {.kind = IO_RESIZE, .len = (size_t)len};
    return answer(call_it(fd, &call, &(struct resize){.len = len}, really_ftruncate));
}

HOOK int fallocate(int fd, int mode, off_t offset, off_t len)
{
    struct io_call call = {.kind = IO_RESIZE, .grows_only = true, .len = mode == 0 ? (size_t)(offset + len) : 0};
    return answer(call_it(fd, &call, &(struct resize){mode, offset, len}, really_fallocate));
}

HOOK int posix_fallocate(int fd, off_t offset, off_t len)
{
    struct io_call call = {.kind = IO_RESIZE, .grows_only = true, .len = (size_t)(offset + len)};
    return call_it(fd, &call, &(struct resize){0, offset, len}, really_posix_fallocate);
}

// ------------------------------------------------------------------------------------------------------------------------ names

static int open_it(int dir_fd, const char *name, int flags, mode_t mode)
{
    char path[PATH_BYTES];
    struct stat status;
    bool seen;
    bool changes = watching != NULL && (flags & (O_CREAT | O_TRUNC)) != 0 && path_at(dir_fd, name, path);
    if (!changes) {
        return REAL(openat)(dir_fd, name, flags, mode);
    }
    bool exists = fstatat(dir_fd, name, &status, 0) == 0;
    struct io_call call = {.kind = exists ? IO_RESIZE : IO_CREATE, .path = path, .fd = -1};
    if (exists && (flags & O_TRUNC) == 0) {
        return REAL(openat)(dir_fd, name, flags, mode);
    }
    int error = begin(&call, &seen);
    if (error != 0) {
        return refuse(seen, error);
    }
    call.fd = REAL(openat)(dir_fd, name, flags, mode);
    end(&call, seen, call.fd >= 0);
    return call.fd;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

HOOK int open(const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_it(AT_FDCWD, name, flags, mode);
}

HOOK int openat(int dir_fd, const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_it(dir_fd, name, flags, mode);
}

HOOK int rename(const char *from, const char *to)
{
    char from_path[PATH_BYTES];
    char to_path[PATH_BYTES];
    bool seen;
    if (watching == NULL || !path_at(AT_FDCWD, from, from_path) || !path_at(AT_FDCWD, to, to_path)) {
        return REAL(rename)(from, to);
    }
    const struct io_call call = {.kind = IO_RENAME, .path = from_path, .to = to_path, .fd = -1};
    int error = begin(&call, &seen);
    if (error != 0) {
        return refuse(seen, error);
    }
    int answered = REAL(rename)(from, to);
    end(&call, seen, answered == 0);
    return answered;
}

static int remove_it(int dir_fd, const char *name, int flags)
{
    char path[PATH_BYTES];
    bool seen;
    if (watching == NULL || !path_at(dir_fd, name, path)) {
        return REAL(unlinkat)(dir_fd, name, flags);
    }
    const struct io_call call = {.kind = IO_UNLINK, .path = path, .fd = -1};
    int error = begin(&call, &seen);
    if (error != 0) {
        return refuse(seen, error);
    }
    int answered = REAL(unlinkat)(dir_fd, name, flags);
    end(&call, seen, answered == 0);
    return answered;
}

HOOK int unlink(const char *name)
{
    return remove_it(AT_FDCWD, name, 0);
}

HOOK int unlinkat(int dir_fd, const char *name, int flags)
{
    return remove_it(dir_fd, name, flags);
}

HOOK int rmdir(const char *name)
{
    return remove_it(AT_FDCWD, name, AT_REMOVEDIR);
}

HOOK int mkdir(const char *name, mode_t mode)
{
    char path[PATH_BYTES];
    bool seen;
    if (watching == NULL || !path_at(AT_FDCWD, name, path)) {
        return REAL(mkdir)(name, mode);
    }
    const struct io_call call = {.kind = IO_MKDIR, .path = path, .fd = -1};
    int error = begin(&call, &seen);
    if (error != 0) {
        return refuse(seen, error);
    }
    int answered = REAL(mkdir)(name, mode);
    end(&call, seen, answered == 0);
    return answered;
}
