#include "crash_disk.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io_hooks.h"

enum { NAME_BYTES = 64, PATH_BYTES = 512, SECTOR_BYTES = 512, NODES_MAX = 512 };

// One recorded call. Files and folders are nodes, by number: a name may come to mean another file.
struct step {
    enum io_kind kind;
    size_t node; // written, resized, synced, created; of a rename or a removal: the folder
    size_t folder;
    char name[NAME_BYTES], to[NAME_BYTES];
    off_t offset;
    size_t len;
    bool durable, grows_only;
    bool failed; // a sync that was made to fail
    uint8_t *data;
};

struct bytes {
    uint8_t *data;
    size_t used, capacity, size; // behind `used` there are zeros up to `size`
};

struct entry {
    char name[NAME_BYTES];
    size_t node;
};

struct names {
    struct entry *entries;
    size_t count;
};

struct node {
    ino_t inode;
    bool is_folder;
    struct bytes durable; // of a file
    struct names names;   // of a folder, durable
    size_t *pending;      // steps that are not durable
    size_t pending_count, pending_capacity;
};

struct crash_disk {
    char folder[PATH_BYTES];
    pthread_t starter; // the thread that commits
    struct io_watcher watcher;
    struct node nodes[NODES_MAX];
    size_t node_count;
    struct step *steps;
    size_t step_count, step_capacity;
    size_t done; // the moment
    struct crash_fault fault;
    size_t fault_calls, faults;
    bool lost;
};

static void must(bool ok, const char *what)
{
    cr_assert(ok, "the model of the disk: %s", what);
}

static void *grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    void *more = realloc(array, *capacity * size);
    must(more != NULL, "out of memory");
    return more;
}

// ----------------------------------------------------------------------------------------------------------------------- bytes

static void bytes_write(struct bytes *self, size_t offset, const uint8_t *data, size_t len)
{
    size_t end = offset + len;
    if (end > self->capacity) {
        size_t capacity = end * 2;
        self->data = realloc(self->data, capacity);
        must(self->data != NULL, "out of memory");
        self->capacity = capacity;
    }
    if (end > self->used) {
        memset(self->data + self->used, 0, end - self->used);
        self->used = end;
    }
    if (len > 0) {
        memcpy(self->data + offset, data, len);
    }
    self->size = end > self->size ? end : self->size;
}

static void bytes_resize(struct bytes *self, size_t size, bool grows_only)
{
    if (size > self->size || !grows_only) {
        self->size = size;
        self->used = self->used < size ? self->used : size;
    }
}

static struct bytes bytes_copy(const struct bytes *from)
{
    struct bytes copy = {.size = from->size};
    bytes_write(&copy, 0, from->data, from->used);
    copy.size = from->size;
    return copy;
}

// ----------------------------------------------------------------------------------------------------------------------- names

static size_t names_find(const struct names *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->entries[i].name, name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void names_remove(struct names *self, const char *name)
{
    size_t at = names_find(self, name);
    if (at != SIZE_MAX) {
        self->entries[at] = self->entries[--self->count];
    }
}

static void names_set(struct names *self, const char *name, size_t node)
{
    names_remove(self, name);
    self->entries = realloc(self->entries, (self->count + 1) * sizeof(*self->entries));
    must(self->entries != NULL, "out of memory");
    struct entry *entry = &self->entries[self->count++];
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    entry->node = node;
}

static void names_apply(struct names *self, const struct step *step)
{
    switch (step->kind) {
    case IO_CREATE:
    case IO_MKDIR:
        names_set(self, step->name, step->node);
        break;
    case IO_UNLINK:
        names_remove(self, step->name);
        break;
    case IO_RENAME: {
        size_t at = names_find(self, step->name);
        if (at != SIZE_MAX) {
            size_t node = self->entries[at].node;
            names_remove(self, step->name);
            names_set(self, step->to, node);
        }
        break;
    }
    case IO_WRITE:
    case IO_RESIZE:
    case IO_SYNC:
        break;
    }
}

static struct names names_copy(const struct names *from)
{
    struct names copy = {0};
    for (size_t i = 0; i < from->count; i++) {
        names_set(&copy, from->entries[i].name, from->entries[i].node);
    }
    return copy;
}

// ------------------------------------------------------------------------------------------------------------------- recording

static size_t add_node(struct crash_disk *self, ino_t inode, bool is_folder)
{
    must(self->node_count < NODES_MAX, "too many files");
    self->nodes[self->node_count] = (struct node){.inode = inode, .is_folder = is_folder};
    return self->node_count++;
}

// The newest that has this inode number: they are used again.
static size_t node_of(const struct crash_disk *self, ino_t inode)
{
    for (size_t i = self->node_count; i > 0; i--) {
        if (self->nodes[i - 1].inode == inode) {
            return i - 1;
        }
    }
    must(false, "a file that was never created");
    return 0;
}

static size_t node_of_path(const struct crash_disk *self, const char *path, size_t len)
{
    char copy[PATH_BYTES];
    struct stat status;
    snprintf(copy, sizeof(copy), "%.*s", (int)len, path);
    must(stat(copy, &status) == 0, "stat of a folder");
    return node_of(self, status.st_ino);
}

static void set_folder(const struct crash_disk *self, struct step *step, const struct io_call *call)
{
    const char *slash = strrchr(call->path, '/');
    step->folder = node_of_path(self, call->path, (size_t)(slash - call->path));
    snprintf(step->name, sizeof(step->name), "%s", slash + 1);
    if (call->to != NULL) {
        const char *to_slash = strrchr(call->to, '/');
        must(node_of_path(self, call->to, (size_t)(to_slash - call->to)) == step->folder, "a rename across folders");
        snprintf(step->to, sizeof(step->to), "%s", to_slash + 1);
    }
}

static void set_data(struct step *step, const struct io_call *call)
{
    size_t done = 0;
    step->data = malloc(call->len + 1);
    must(step->data != NULL, "out of memory");
    for (int i = 0; i < call->part_count && done < call->len; i++) {
        size_t len = call->parts[i].iov_len < call->len - done ? call->parts[i].iov_len : call->len - done;
        memcpy(step->data + done, call->parts[i].iov_base, len);
        done += len;
    }
}

// Locks are for the living: what is in them means nothing after a crash.
static bool is_lock(const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    return strcmp(name, "lock.mdb") == 0;
}

static void add_step(struct crash_disk *self, const struct io_call *call, bool failed)
{
    struct stat status = {0};
    struct step step = {.kind = call->kind,
                        .offset = call->offset,
                        .len = call->len,
                        .durable = call->durable,
                        .grows_only = call->grows_only,
                        .failed = failed};
    bool named = call->kind == IO_CREATE || call->kind == IO_MKDIR || call->kind == IO_RENAME || call->kind == IO_UNLINK;
    if (call->fd >= 0) {
        must(fstat(call->fd, &status) == 0, "fstat");
    } else if (call->kind == IO_MKDIR) {
        must(stat(call->path, &status) == 0, "stat");
    }
    if (named) {
        set_folder(self, &step, call);
    }
    if (call->kind == IO_CREATE || call->kind == IO_MKDIR) {
        step.node = add_node(self, status.st_ino, call->kind == IO_MKDIR);
    } else if (!named) {
        step.node = node_of(self, status.st_ino);
    }
    if (call->kind == IO_WRITE) {
        set_data(&step, call);
    }
    self->steps = grow(self->steps, self->step_count, &self->step_capacity, sizeof(*self->steps));
    self->steps[self->step_count] = step;
    __atomic_store_n(&self->step_count, self->step_count + 1, __ATOMIC_SEQ_CST);
}

static int before(void *context, const struct io_call *call)
{
    struct crash_disk *self = context;
    struct crash_fault *fault = &self->fault;
    bool is_sync = call->kind == IO_SYNC || (call->kind == IO_WRITE && call->durable);
    if (fault->at == 0 || is_lock(call->path) || (fault->kind & (is_sync ? CRASH_FAULT_SYNC : CRASH_FAULT_WRITE)) == 0 ||
        call->kind == IO_UNLINK) {
        return 0;
    }
    self->fault_calls++;
    if (self->fault_calls != fault->at && !(fault->sticky && self->fault_calls > fault->at)) {
        return 0;
    }
    self->faults++;
    self->lost |= call->kind == IO_WRITE || call->kind == IO_SYNC;
    if (call->kind == IO_SYNC) {
        add_step(self, call, true);
    }
    return fault->error;
}

static void after(void *context, const struct io_call *call)
{
    if (!is_lock(call->path)) {
        add_step(context, call, false);
    }
}

// Checkpoints are slow: what goes on beside them gets far ahead. By turns, not by time.
static void wait_a_little(void *context, const struct io_call *call)
{
    enum { CALLS_AHEAD = 40, TURNS_MAX = 3000 };
    const struct crash_disk *self = context;
    bool of_checkpoint = strcmp(strrchr(call->path, '/'), "/data.mdb") == 0 && !pthread_equal(pthread_self(), self->starter);
    size_t calls = crash_disk_calls(self);
    for (int i = 0; of_checkpoint && i < TURNS_MAX && crash_disk_calls(self) < calls + CALLS_AHEAD; i++) {
        sched_yield();
    }
}

static void add_existing(struct crash_disk *self, const char *path, size_t folder);

static void add_file(struct crash_disk *self, const char *path, const struct stat *status, size_t node)
{
    struct bytes *bytes = &self->nodes[node].durable;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t buffer[65536];
    ssize_t got;
    must(fd >= 0, path);
    for (size_t at = 0; (got = pread(fd, buffer, sizeof(buffer), (off_t)at)) > 0; at += (size_t)got) {
        bool zeros = buffer[0] == 0 && memcmp(buffer, buffer + 1, (size_t)got - 1) == 0;
        if (!zeros) {
            bytes_write(bytes, at, buffer, (size_t)got);
        }
    }
    bytes->size = (size_t)status->st_size;
    close(fd);
}

static void add_existing(struct crash_disk *self, const char *path, size_t folder)
{
    DIR *dir = opendir(path);
    must(dir != NULL, path);
    for (struct dirent *found = readdir(dir); found != NULL; found = readdir(dir)) {
        char below[PATH_BYTES];
        struct stat status;
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) {
            continue;
        }
        snprintf(below, sizeof(below), "%.250s/%.200s", path, found->d_name);
        must(stat(below, &status) == 0, below);
        size_t node = add_node(self, status.st_ino, S_ISDIR(status.st_mode));
        names_set(&self->nodes[folder].names, found->d_name, node);
        if (S_ISDIR(status.st_mode)) {
            add_existing(self, below, node);
        } else if (!is_lock(below)) {
            add_file(self, below, &status, node);
        }
    }
    closedir(dir);
}

struct crash_disk *crash_disk_start(const char *folder)
{
    struct stat status;
    struct crash_disk *self = calloc(1, sizeof(*self));
    must(self != NULL && stat(folder, &status) == 0, "the folder");
    snprintf(self->folder, sizeof(self->folder), "%s", folder);
    add_existing(self, folder, add_node(self, status.st_ino, true));
    self->watcher =
        (struct io_watcher){.folder = self->folder, .context = self, .before = before, .after = after, .pause = wait_a_little};
    self->starter = pthread_self();
    io_watch(&self->watcher);
    return self;
}

void crash_disk_fault(struct crash_disk *self, const struct crash_fault *fault)
{
    self->fault = *fault;
    self->fault_calls = self->faults = 0;
}

size_t crash_disk_faults(const struct crash_disk *self)
{
    return self->faults;
}

bool crash_disk_lost(const struct crash_disk *self)
{
    return self->lost;
}

size_t crash_disk_calls(const struct crash_disk *self)
{
    return __atomic_load_n(&self->step_count, __ATOMIC_SEQ_CST);
}

void crash_disk_stop(struct crash_disk *self)
{
    (void)self;
    io_watch(NULL);
}

void crash_disk_destroy(struct crash_disk **self_p)
{
    struct crash_disk *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->node_count; i++) {
        free(self->nodes[i].durable.data);
        free(self->nodes[i].names.entries);
        free(self->nodes[i].pending);
    }
    for (size_t i = 0; i < self->step_count; i++) {
        free(self->steps[i].data);
    }
    free(self->steps);
    free(self);
    *self_p = NULL;
}

// ---------------------------------------------------------------------------------------------------------------- a power cut

static uint64_t next_random(uint64_t *state) // splitmix64
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

static void apply_part(struct bytes *bytes, const struct step *step, size_t from, size_t end)
{
    if (from < end) {
        bytes_write(bytes, (size_t)step->offset + from, step->data + from, end - from);
    }
}

static void apply(struct bytes *bytes, const struct step *step)
{
    if (step->kind == IO_WRITE) {
        apply_part(bytes, step, 0, step->len);
    } else {
        bytes_resize(bytes, step->len, step->grows_only);
    }
}

// After a sync that failed the kernel takes the pages for clean: what was not durable by itself is lost for good.
static void make_durable(struct crash_disk *self, struct node *node, bool failed)
{
    for (size_t i = 0; i < node->pending_count; i++) {
        const struct step *step = &self->steps[node->pending[i]];
        if (failed && !step->durable) {
            continue;
        }
        if (node->is_folder) {
            names_apply(&node->names, step);
        } else {
            apply(&node->durable, step);
        }
    }
    node->pending_count = 0;
}

static void take_step(struct crash_disk *self, size_t number)
{
    const struct step *step = &self->steps[number];
    bool named = step->kind == IO_CREATE || step->kind == IO_MKDIR || step->kind == IO_RENAME || step->kind == IO_UNLINK;
    struct node *node = &self->nodes[named ? step->folder : step->node];
    if (step->kind == IO_SYNC) {
        make_durable(self, node, step->failed);
    } else {
        node->pending = grow(node->pending, node->pending_count, &node->pending_capacity, sizeof(*node->pending));
        node->pending[node->pending_count++] = number;
    }
}

void crash_disk_cut(struct crash_disk *self, size_t calls)
{
    for (; self->done < calls && self->done < self->step_count; self->done++) {
        take_step(self, self->done);
    }
}

// A write that was under way: its front, its end, or any of its sectors.
static void apply_torn(struct bytes *bytes, const struct step *step, uint64_t *random)
{
    uint64_t how = next_random(random);
    size_t sectors = (step->len + SECTOR_BYTES - 1) / SECTOR_BYTES;
    size_t middle = sectors == 0 ? 0 : (size_t)(how / 8 % sectors) * SECTOR_BYTES;
    middle = middle < step->len ? middle : step->len;
    if (how % 4 == 0) {
        apply_part(bytes, step, 0, middle);
    } else if (how % 4 == 1) {
        apply_part(bytes, step, middle, step->len);
    } else {
        for (size_t at = 0; at < step->len; at += SECTOR_BYTES) {
            size_t end = at + SECTOR_BYTES < step->len ? at + SECTOR_BYTES : step->len;
            apply_part(bytes, step, at, next_random(random) % 2 == 0 ? end : at);
        }
    }
}

static void leave_file(const struct crash_disk *self, size_t number, enum crash_choice choice, uint64_t *random, const char *path)
{
    const struct node *node = &self->nodes[number];
    struct bytes bytes = bytes_copy(&node->durable);
    for (size_t i = 0; i < node->pending_count; i++) {
        const struct step *step = &self->steps[node->pending[i]];
        uint64_t luck = choice == CRASH_SOME ? next_random(random) % 4 : choice == CRASH_KEEP ? 0 : 1;
        if (step->durable || luck == 0) {
            apply(&bytes, step);
        } else if (choice == CRASH_SOME && luck > 1 && step->kind == IO_WRITE) {
            apply_torn(&bytes, step, random);
        }
    }
    const struct step *next = self->done < self->step_count ? &self->steps[self->done] : NULL;
    if (choice == CRASH_SOME && next != NULL && next->kind == IO_WRITE && next->node == number) { // it was under way
        apply_torn(&bytes, next, random);
    }
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    must(fd >= 0 && pwrite(fd, bytes.data, bytes.used, 0) == (ssize_t)bytes.used, path);
    must(ftruncate(fd, (off_t)bytes.size) == 0, path);
    close(fd);
    free(bytes.data);
}

static void leave_folder(const struct crash_disk *self, size_t number, enum crash_choice choice, uint64_t *random, const char *path)
{
    const struct node *node = &self->nodes[number];
    struct names names = names_copy(&node->names);
    size_t kept = choice == CRASH_DROP ? 0 : node->pending_count;
    if (choice == CRASH_SOME) {
        kept = next_random(random) % (node->pending_count + 1);
    }
    for (size_t i = 0; i < kept; i++) {
        names_apply(&names, &self->steps[node->pending[i]]);
    }
    must(mkdir(path, 0700) == 0, path);
    for (size_t i = 0; i < names.count; i++) {
        char below[PATH_BYTES];
        size_t child = names.entries[i].node;
        snprintf(below, sizeof(below), "%.250s/%.200s", path, names.entries[i].name);
        if (self->nodes[child].is_folder) {
            leave_folder(self, child, choice, random, below);
        } else {
            leave_file(self, child, choice, random, below);
        }
    }
    free(names.entries);
}

void crash_disk_leave(const struct crash_disk *self, enum crash_choice choice, uint64_t seed, const char *into)
{
    uint64_t random = seed;
    leave_folder(self, 0, choice, &random, into);
}
