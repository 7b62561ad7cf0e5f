#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crc32c.h"

enum { ZEROS_BYTES = 1024 * 1024 };

static const char magic[4] = {'N', 'Q', 'J', '1'};
static const char unsynced_magic[4] = {'N', 'Q', 'U', '1'}; // of a group that was written without sync
static const char *const file_names[JOURNAL_FILES] = {"journal-0", "journal-1"};

struct journal {
    int fd[JOURNAL_FILES];
    uint64_t file_bytes[JOURNAL_FILES];
    bool sync;
    bool failed;
    bool has_strays; // groups were found that do not follow the last one
    bool is_damaged; // one of them stands on those that are missing
    uint64_t salt;
    uint64_t last; // number of the last group
    int at;        // the file in use
    uint64_t offset;
};

// As written in front of a group: magic, crc32c of the rest and the content, salt, number, length.
struct group_head {
    uint64_t salt, number, len;
    bool synced; // what was answered before it is on the disk; by the magic
};

static enum nq_status fail(struct store_error *error, enum nq_status status, const char *what, int why)
{
    if (error != NULL) {
        error->status = status;
        snprintf(error->text, sizeof(error->text), "the journal: %s%s%s", what, why == 0 ? "" : ": ",
                 why == 0 ? "" : strerror(why));
    }
    return status;
}

size_t journal_group_bytes(size_t len)
{
    size_t bytes = JOURNAL_HEADER_BYTES + len;
    return (bytes + JOURNAL_BLOCK_BYTES - 1) / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
}

static void write_head(uint8_t *group, const struct group_head *head)
{
    memcpy(group, head->synced ? magic : unsynced_magic, 4);
    memcpy(group + 8, &head->salt, 8);
    memcpy(group + 16, &head->number, 8);
    memcpy(group + 24, &head->len, 8);
    uint32_t crc = crc32c(0, group + 8, JOURNAL_HEADER_BYTES - 8 + (size_t)head->len);
    memcpy(group + 4, &crc, 4);
}

static bool is_magic(const void *bytes)
{
    return memcmp(bytes, magic, sizeof(magic)) == 0 || memcmp(bytes, unsynced_magic, sizeof(magic)) == 0;
}

// False: no group of ours begins here, or it is not whole.
static bool read_head(const uint8_t *file, uint64_t file_bytes, uint64_t offset, uint64_t salt, struct group_head *head)
{
    uint32_t crc;
    const uint8_t *group = file + offset;
    if (offset + JOURNAL_HEADER_BYTES > file_bytes || !is_magic(group)) {
        return false;
    }
    head->synced = memcmp(group, magic, 4) == 0;
    memcpy(&crc, group + 4, 4);
    memcpy(&head->salt, group + 8, 8);
    memcpy(&head->number, group + 16, 8);
    memcpy(&head->len, group + 24, 8);
    if (head->salt != salt || head->len > file_bytes - offset - JOURNAL_HEADER_BYTES) {
        return false;
    }
    return crc == crc32c(0, group + 8, JOURNAL_HEADER_BYTES - 8 + (size_t)head->len);
}

// -------------------------------------------------------------------------------------------------------------------- reading

// The groups at the front of one file.
struct stretch {
    const uint8_t *file;
    uint64_t file_bytes;
    uint64_t first, last; // numbers; 0: none
    uint64_t end;         // offset behind the last
};

static void measure(struct stretch *stretch, uint64_t salt)
{
    struct group_head head;
    while (read_head(stretch->file, stretch->file_bytes, stretch->end, salt, &head) &&
           (stretch->first == 0 || head.number == stretch->last + 1)) {
        stretch->first = stretch->first == 0 ? head.number : stretch->first;
        stretch->last = head.number;
        stretch->end += journal_group_bytes((size_t)head.len);
    }
}

// A group behind one that is missing. Written with sync it was acknowledged behind that, so the journal is damaged; else a power cut may
// have taken the other.
static void note_stray(struct journal *self, const struct group_head *head)
{
    self->has_strays = true;
    self->is_damaged = self->is_damaged || (self->sync && head->synced);
}

// Whole groups behind the stretch that are later than `last`.
static void find_later(struct journal *self, const struct stretch *stretch, uint64_t last)
{
    struct group_head head;
    for (uint64_t at = stretch->end; at + JOURNAL_HEADER_BYTES <= stretch->file_bytes; at += JOURNAL_BLOCK_BYTES) {
        if (read_head(stretch->file, stretch->file_bytes, at, self->salt, &head) && head.number > last) {
            note_stray(self, &head);
        }
    }
}

static enum nq_status visit_stretch(struct journal *self, const struct stretch *stretch, uint64_t *applied, journal_visit *visit,
                                    void *context, struct store_error *error)
{
    struct group_head head;
    enum nq_status status = NQ_OK;
    for (uint64_t at = 0; status == NQ_OK && at < stretch->end; at += journal_group_bytes((size_t)head.len)) {
        if (!read_head(stretch->file, stretch->file_bytes, at, self->salt, &head)) {
            return fail(error, NQ_DAMAGED, "it changed while it was read", 0);
        }
        if (head.number <= *applied) {
            continue;
        }
        if (head.number != *applied + 1) {
            note_stray(self, &head);
            return self->is_damaged ? fail(error, NQ_DAMAGED, "a group is missing", 0) : NQ_OK;
        }
        status = visit(context, head.number, stretch->file + at + JOURNAL_HEADER_BYTES, (size_t)head.len, error);
        *applied = head.number;
    }
    return status;
}

static enum nq_status read_groups(struct journal *self, struct stretch *stretches, uint64_t above, journal_visit *visit,
                                  void *context, struct store_error *error)
{
    uint64_t applied = above;
    for (int i = 0; i < JOURNAL_FILES; i++) {
        measure(&stretches[i], self->salt);
    }
    int older = stretches[1].first != 0 && (stretches[0].first == 0 || stretches[1].first < stretches[0].first) ? 1 : 0;
    enum nq_status status = visit_stretch(self, &stretches[older], &applied, visit, context, error);
    if (status == NQ_OK) {
        status = visit_stretch(self, &stretches[1 - older], &applied, visit, context, error);
    }
    for (int i = 0; status == NQ_OK && i < JOURNAL_FILES; i++) {
        find_later(self, &stretches[i], applied);
    }
    if (status == NQ_OK && self->is_damaged) {
        status = fail(error, NQ_DAMAGED, "it is damaged in the middle: what follows was acknowledged and cannot be applied", 0);
    }
    self->last = applied;
    return status;
}

// --------------------------------------------------------------------------------------------------------------- open and close

// Blocks that are allocated but were never written cost each flush a second write, of the file system's own journal.
static int write_zeros(int fd, uint64_t bytes)
{
    void *zeros = NULL;
    int rc = posix_memalign(&zeros, JOURNAL_BLOCK_BYTES, ZEROS_BYTES);
    if (rc != 0) {
        return rc;
    }
    memset(zeros, 0, ZEROS_BYTES);
    for (uint64_t at = 0; at < bytes && rc == 0;) {
        size_t piece = bytes - at < ZEROS_BYTES ? (size_t)(bytes - at) : ZEROS_BYTES;
        ssize_t wrote = pwrite(fd, zeros, piece, (off_t)at);
        rc = wrote < 0 && errno != EINTR ? errno : 0;
        at += wrote > 0 ? (uint64_t)wrote : 0;
    }
    free(zeros);
    return rc;
}

// 0 or an error number.
static int make_file(int fd, uint64_t file_bytes, bool sync)
{
    int rc = posix_fallocate(fd, 0, (off_t)file_bytes);
    if (rc != 0 && rc != ENOSPC && ftruncate(fd, (off_t)file_bytes) == 0) {
        rc = 0; // a file system that cannot allocate ahead
    }
    if (rc == 0 && sync) {
        rc = write_zeros(fd, file_bytes);
    }
    if (rc != 0) {
        (void)!ftruncate(fd, 0);
    }
    return rc;
}

// Past the page cache where the file system can: a copy less, and the flush has only the device to wait for.
static int open_direct(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_DIRECT, 0600);
    return fd < 0 && errno == EINVAL ? openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : fd;
}

static enum nq_status open_file(struct journal *self, int dir_fd, int index, uint64_t file_bytes, struct store_error *error)
{
    struct stat file;
    int fd = open_direct(dir_fd, file_names[index]);
    self->fd[index] = fd;
    if (fd < 0 || fstat(fd, &file) != 0) {
        return fail(error, NQ_STORAGE_FAILED, file_names[index], errno);
    }
    if (file.st_size == 0) {
        int rc = make_file(fd, file_bytes, self->sync);
        if (rc != 0) {
            return fail(error, rc == ENOSPC ? NQ_NO_SPACE : NQ_STORAGE_FAILED, file_names[index], rc);
        }
        file.st_size = (off_t)file_bytes;
    }
    self->file_bytes[index] = (uint64_t)file.st_size / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
    return fsync(fd) == 0 ? NQ_OK : fail(error, NQ_STORAGE_FAILED, file_names[index], errno);
}

static enum nq_status map_and_read(struct journal *self, uint64_t above, journal_visit *visit, void *context,
                                   struct store_error *error)
{
    struct stretch stretches[JOURNAL_FILES] = {{0}, {0}};
    enum nq_status status = NQ_OK;
    for (int i = 0; i < JOURNAL_FILES; i++) {
        if (self->fd[i] < 0) {
            continue;
        }
        void *file = mmap(NULL, self->file_bytes[i] == 0 ? 1 : self->file_bytes[i], PROT_READ, MAP_SHARED, self->fd[i], 0);
        if (file == MAP_FAILED) {
            status = fail(error, NQ_STORAGE_FAILED, file_names[i], errno);
            break;
        }
        stretches[i].file = file;
        stretches[i].file_bytes = self->file_bytes[i];
    }
    if (status == NQ_OK) {
        status = read_groups(self, stretches, above, visit, context, error);
    }
    for (int i = 0; i < JOURNAL_FILES; i++) {
        if (stretches[i].file != NULL) {
            munmap((void *)(uintptr_t)stretches[i].file, self->file_bytes[i] == 0 ? 1 : self->file_bytes[i]);
        }
    }
    return status;
}

enum nq_status journal_open(int dir_fd, uint64_t file_bytes, bool sync, uint64_t salt, uint64_t above, journal_visit *visit,
                            void *context, struct journal **out, struct store_error *error)
{
    struct journal *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return fail(error, NQ_NO_MEMORY, "out of memory", 0);
    }
    self->sync = sync;
    self->salt = salt;
    self->fd[0] = self->fd[1] = -1;
    enum nq_status status = NQ_OK;
    for (int i = 0; i < JOURNAL_FILES && status == NQ_OK; i++) {
        status = open_file(self, dir_fd, i, file_bytes, error);
    }
    if (status == NQ_OK) {
        status = map_and_read(self, above, visit, context, error);
    }
    if (status == NQ_OK && fsync(dir_fd) != 0) {
        status = fail(error, NQ_STORAGE_FAILED, "its directory", errno);
    }
    *out = self;
    if (status != NQ_OK) {
        journal_close(out);
    }
    return status;
}

enum nq_status journal_inspect(int dir_fd, uint64_t salt, uint64_t above, journal_visit *visit, void *context,
                               struct store_error *error)
{
    struct journal self = {.fd = {-1, -1}, .sync = true, .salt = salt};
    enum nq_status status = NQ_OK;
    for (int i = 0; i < JOURNAL_FILES && status == NQ_OK; i++) {
        struct stat file;
        self.fd[i] = openat(dir_fd, file_names[i], O_RDONLY | O_CLOEXEC);
        if (self.fd[i] < 0 && errno == ENOENT) {
            continue;
        }
        if (self.fd[i] < 0 || fstat(self.fd[i], &file) != 0) {
            status = fail(error, NQ_STORAGE_FAILED, file_names[i], errno);
            break;
        }
        self.file_bytes[i] = (uint64_t)file.st_size / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
    }
    if (status == NQ_OK) {
        status = map_and_read(&self, above, visit, context, error);
    }
    for (int i = 0; i < JOURNAL_FILES; i++) {
        if (self.fd[i] >= 0) {
            close(self.fd[i]);
        }
    }
    return status;
}

bool journal_is_used(int dir_fd)
{
    bool used = false;
    for (int i = 0; i < JOURNAL_FILES && !used; i++) {
        char head[sizeof(magic)];
        int fd = openat(dir_fd, file_names[i], O_RDONLY | O_CLOEXEC);
        used = fd >= 0 && pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) && is_magic(head);
        if (fd >= 0) {
            close(fd);
        }
    }
    return used;
}

void journal_close(struct journal **self_p)
{
    struct journal *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (int i = 0; i < JOURNAL_FILES; i++) {
        if (self->fd[i] >= 0) {
            close(self->fd[i]);
        }
    }
    free(self);
    *self_p = NULL;
}

// --------------------------------------------------------------------------------------------------------------------- append

bool journal_has_strays(const struct journal *self)
{
    return self->has_strays;
}

uint64_t journal_last(const struct journal *self)
{
    return self->last;
}

void journal_skip(struct journal *self)
{
    self->last++;
}

bool journal_fits(const struct journal *self, size_t len)
{
    return journal_group_bytes(len) <= self->file_bytes[self->at] - self->offset;
}

size_t journal_len_max(const struct journal *self)
{
    uint64_t least = self->file_bytes[0] < self->file_bytes[1] ? self->file_bytes[0] : self->file_bytes[1];
    return least < JOURNAL_BLOCK_BYTES ? 0 : (size_t)least - JOURNAL_HEADER_BYTES;
}

uint64_t journal_bytes(const struct journal *self)
{
    return self->file_bytes[0] + self->file_bytes[1];
}

void journal_turn(struct journal *self)
{
    self->at = 1 - self->at;
    self->offset = 0;
}

static bool write_all(struct journal *self, const uint8_t *group, size_t bytes)
{
    int fd = self->fd[self->at];
    for (size_t done = 0; done < bytes;) {
        ssize_t wrote = pwrite(fd, group + done, bytes - done, (off_t)(self->offset + done));
        int flags = wrote < 0 && errno == EINVAL ? fcntl(fd, F_GETFL) : 0;
        if ((flags & O_DIRECT) != 0) { // wants blocks larger than ours: through the page cache, then
            (void)fcntl(fd, F_SETFL, flags & ~O_DIRECT);
            continue;
        }
        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

enum nq_status journal_append(struct journal *self, uint8_t *group, size_t len, struct store_error *error)
{
    size_t bytes = journal_group_bytes(len);
    const struct group_head head = {.salt = self->salt, .number = self->last + 1, .len = len, .synced = self->sync};
    if (self->failed) {
        return fail(error, NQ_STORAGE_FAILED, "it has failed before", 0);
    }
    memset(group + JOURNAL_HEADER_BYTES + len, 0, bytes - JOURNAL_HEADER_BYTES - len);
    write_head(group, &head);
    if (!write_all(self, group, bytes)) {
        self->failed = true;
        return fail(error, NQ_STORAGE_FAILED, "cannot write", errno);
    }
    // A page that could not be written may be thought clean from here on: a failed flush is never tried again.
    if (self->sync && fdatasync(self->fd[self->at]) != 0) {
        self->failed = true;
        return fail(error, NQ_STORAGE_FAILED, "cannot flush", errno);
    }
    self->offset += bytes;
    self->last++;
    return NQ_OK;
}
