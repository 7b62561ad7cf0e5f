// Backups of a store that is in use: they hold what was answered, and one that fails leaves nothing and hurts nobody.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "io_hooks.h"
#include "store_disk.h"
#include "store_rig.h"

enum { CALLS_MAX = 1000, FILES = 3 };

static const char aside[] = ".61207374.unfinished"; // by the id of the rig's store

struct backups {
    struct store_rig rig;
    char parent[160];
    struct store_backup order;
    uint64_t next_seq;
};

static void start(struct backups *self)
{
    *self = (struct backups){.next_seq = 1};
    rig_start(&self->rig, STORE_DISK);
    snprintf(self->parent, sizeof(self->parent), "%s/backups", self->rig.parent);
    rig_make_folder(self->parent);
    self->order = (struct store_backup){.parent = self->parent, .name = "monday", .new_store_id = "another store"};
    rig_queue(&self->rig, 1, 1000, 1, 0);
    rig_commit(&self->rig);
}

static void put(struct backups *self)
{
    rig_put(&self->rig, (struct rig_put){1, self->next_seq++, .count = 1, .body_len = 300});
    rig_commit(&self->rig);
}

static enum nq_status backup(struct backups *self, struct store_error *error)
{
    uint64_t bytes = 0;
    *error = (struct store_error){0};
    enum nq_status status = store_disk_backup(self->rig.store, &self->order, &bytes, error);
    cr_assert_eq(status == NQ_OK, bytes > 0);
    cr_assert_eq(status == NQ_OK, error->text[0] == '\0', "%s", error->text);
    return status;
}

static void path_in(const struct backups *self, const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", self->parent, name);
}

static bool exists(const struct backups *self, const char *name)
{
    char path[256];
    struct stat status;
    path_in(self, name, path);
    return lstat(path, &status) == 0;
}

// The state that a broker would find that starts from the copy.
static char *state_of_copy(const struct backups *self)
{
    char path[256];
    struct store *copy = NULL;
    struct store_error error = {0};
    path_in(self, self->order.name, path);
    cr_assert_eq(rig_open_dir(STORE_DISK, path, 0, &copy, &error), NQ_OK, "%s", error.text);
    uint8_t id[16];
    store_id(copy, id);
    cr_assert_arr_eq(id, self->order.new_store_id, sizeof(id));
    char *state = rig_state(copy);
    store_close(&copy);
    return state;
}

// The copy holds just what the store holds now.
static void check_copy(const struct backups *self)
{
    char *copy = state_of_copy(self);
    char *original = rig_state(self->rig.store);
    cr_assert_str_eq(copy, original);
    free(copy);
    free(original);
}

Test(disk_backup, holds_all_that_was_answered_and_nothing_later)
{
    struct backups backups;
    struct store_error error;
    start(&backups);
    for (int i = 0; i < 20; i++) {
        put(&backups); // no checkpoint is told to take it up
    }
    cr_assert_eq(backup(&backups, &error), NQ_OK, "%s", error.text);
    char *then = rig_state(backups.rig.store);
    put(&backups);
    char *copy = state_of_copy(&backups);
    cr_assert_str_eq(copy, then);
    cr_assert_not(exists(&backups, aside));
    free(copy);
    free(then);
    rig_end(&backups.rig);
}

// The checkpoint that it needs goes on while another thread reads: that one's view stays as it was.
Test(disk_backup, a_read_that_is_open_meanwhile_sees_no_difference)
{
    enum { ITEMS = 200 };
    static struct store_item items[ITEMS];
    struct backups backups;
    struct store_error error;
    struct store_item item;
    start(&backups);
    for (int i = 0; i < ITEMS; i++) {
        put(&backups);
    }
    cr_assert_eq(store_read_begin(backups.rig.store, NULL), NQ_OK);
    for (uint64_t i = 0; i < ITEMS; i++) {
        cr_assert_eq(store_read(backups.rig.store, 1, i + 1, &items[i]), NQ_OK);
    }
    cr_assert_eq(backup(&backups, &error), NQ_OK, "%s", error.text);
    put(&backups);
    backups.order.name = "tuesday"; // and a second checkpoint
    cr_assert_eq(backup(&backups, &error), NQ_OK, "%s", error.text);
    for (uint64_t i = 0; i < ITEMS; i++) {
        cr_assert(rig_is_filled(items[i].body, 1, i + 1, 'b'), "%lu", i + 1);
        cr_assert_eq(store_read(backups.rig.store, 1, i + 1, &item), NQ_OK, "%lu", i + 1);
        cr_assert_eq(store_read_next(backups.rig.store, 1, i + 1, UINT64_MAX, &item), NQ_OK);
        cr_assert_eq(item.seq, i + 1);
    }
    store_read_end(backups.rig.store);
    rig_end(&backups.rig);
}

Test(disk_backup, what_is_there_already_is_not_touched)
{
    struct backups backups;
    struct store_error error;
    start(&backups);
    put(&backups);
    cr_assert_eq(backup(&backups, &error), NQ_OK, "%s", error.text);
    char *first = state_of_copy(&backups);
    put(&backups);
    cr_assert_eq(backup(&backups, &error), NQ_BAD_NAME);
    cr_assert_not_null(strstr(error.text, "there already is"), "%s", error.text);
    cr_assert_not_null(strstr(error.text, "/monday"), "%s", error.text);
    char *still = state_of_copy(&backups);
    cr_assert_str_eq(still, first);
    free(first);
    free(still);
    rig_end(&backups.rig);
}

// A broker that was killed while it wrote a backup leaves its beginning; the next one, whatever its name, is not hindered by it.
Test(disk_backup, the_remains_of_one_that_was_cut_off_are_cleared)
{
    static const char *const left[FILES] = {"data.mdb.new", "data.mdb", "lock.mdb"};
    struct backups backups;
    struct store_error error;
    char path[256];
    start(&backups);
    put(&backups);
    path_in(&backups, aside, path);
    rig_make_folder(path);
    for (int i = 0; i < FILES; i++) {
        char file[300];
        snprintf(file, sizeof(file), "%s/%s", path, left[i]);
        FILE *half = fopen(file, "we");
        cr_assert(half != NULL && fputs("the front of a", half) >= 0 && fclose(half) == 0);
    }
    cr_assert_eq(backup(&backups, &error), NQ_OK, "%s", error.text);
    check_copy(&backups);
    rig_end(&backups.rig);
}

// Another broker that writes its backups to the same folder, while ours is at its first sync, or about to take its name.
struct other {
    struct store *store;
    struct store_backup order;
    enum io_kind at;
    bool done;
    enum nq_status status;
    bool left_alone; // what ours had written by then
};

static void let_other_make_one(void *context, const struct io_call *call)
{
    struct other *other = context;
    uint64_t bytes;
    if (other->done || call->kind != other->at || call->path == NULL || strstr(call->path, aside) == NULL) {
        return;
    }
    other->done = true;
    other->status = store_disk_backup(other->store, &other->order, &bytes, NULL);
    other->left_alone = access(call->path, F_OK) == 0;
}

static void share_a_folder(enum io_kind at)
{
    struct backups backups;
    struct store_error error;
    char dir[256];
    start(&backups);
    put(&backups);
    snprintf(dir, sizeof(dir), "%s/other", backups.rig.parent);
    const struct store_lmdb_options options = {.dir = dir, .new_store_id = (const uint8_t *)"the other store!"};
    struct other other = {.at = at, .order = backups.order};
    cr_assert_eq(store_disk_open(&options, &other.store, &error), NQ_OK, "%s", error.text);
    const struct io_watcher watcher = {.folder = backups.parent, .context = &other, .pause = let_other_make_one};
    io_watch(&watcher);
    enum nq_status status = backup(&backups, &error);
    io_watch(NULL);
    cr_assert(other.done && other.left_alone);
    cr_assert_eq(other.status, NQ_OK);
    cr_assert_eq(status, NQ_BAD_NAME, "%s: %s", nq_status_name(status), error.text);
    char *copy = state_of_copy(&backups); // it is whole, and the other's
    char *original = rig_state(other.store);
    cr_assert_str_eq(copy, original);
    cr_assert_not(exists(&backups, aside));
    free(copy);
    free(original);
    store_close(&other.store);
    rig_end(&backups.rig);
}

Test(disk_backup, another_brokers_backup_of_the_same_name_is_left_alone)
{
    share_a_folder(IO_SYNC);
    share_a_folder(IO_RENAME);
}

Test(disk_backup, a_folder_that_is_not_there_is_named)
{
    struct backups backups;
    struct store_error error;
    start(&backups);
    backups.order.parent = "/nowhere/to/be/found";
    cr_assert_eq(backup(&backups, &error), NQ_STORAGE_FAILED);
    cr_assert_not_null(strstr(error.text, "/nowhere/to/be/found"), "%s", error.text);
    put(&backups);
    rig_end(&backups.rig);
}

// What has taken its name must have it after a power cut, too.
struct naming {
    const char *parent;
    bool named, synced;
};

static void note_name(void *context, const struct io_call *call)
{
    struct naming *naming = context;
    naming->named = naming->named || call->kind == IO_RENAME;
    naming->synced = naming->synced || (naming->named && call->kind == IO_SYNC && strcmp(call->path, naming->parent) == 0);
}

Test(disk_backup, its_name_is_synced_before_it_is_told)
{
    struct backups backups;
    struct store_error error;
    start(&backups);
    struct naming naming = {.parent = backups.parent};
    const struct io_watcher watcher = {.folder = backups.parent, .context = &naming, .after = note_name};
    io_watch(&watcher);
    enum nq_status status = backup(&backups, &error);
    io_watch(NULL);
    cr_assert_eq(status, NQ_OK, "%s", error.text);
    cr_assert(naming.synced);
    rig_end(&backups.rig);
}

// -------------------------------------------------------------------------------------------------- a medium that fails or is full

static struct {
    bool is_told;
    uint64_t bytes;
} room; // that is said to be left

// The linker's names, as in tests/support/failing_alloc.c.
int __real_statvfs(const char *path, struct statvfs *out);
int __wrap_statvfs(const char *path, struct statvfs *out);

int __wrap_statvfs(const char *path, struct statvfs *out)
{
    int rc = __real_statvfs(path, out);
    if (room.is_told) {
        out->f_frsize = 1;
        out->f_bavail = room.bytes;
    }
    return rc;
}

static int count_call(void *context, const struct io_call *call)
{
    *(size_t *)context += call->kind != IO_UNLINK; // what earlier ones left is cleared
    return 0;
}

// It would fill the disk, perhaps the store's own, before it found out.
Test(disk_backup, a_medium_with_too_little_room_is_told_before_anything_is_written)
{
    size_t calls = 0;
    struct backups backups;
    struct store_error error;
    const struct io_watcher watcher = {.folder = backups.parent, .context = &calls, .before = count_call};
    start(&backups);
    put(&backups);
    room.is_told = true;
    room.bytes = 8192;
    io_watch(&watcher);
    cr_assert_eq(backup(&backups, &error), NQ_NO_SPACE, "%s", error.text);
    io_watch(NULL);
    cr_assert_not_null(strstr(error.text, "/monday"), "%s", error.text);
    cr_assert_eq(calls, (size_t)0);
    room.bytes = 1 << 24;
    cr_assert_eq(backup(&backups, &error), NQ_OK, "%s", error.text);
    check_copy(&backups);
    rig_end(&backups.rig);
}

struct fault {
    size_t at, calls;
    int error;
};

static int fail_one(void *context, const struct io_call *call)
{
    struct fault *fault = context;
    bool counts = call->kind != IO_UNLINK; // clearing up has nobody to tell
    return counts && ++fault->calls == fault->at ? fault->error : 0;
}

// True: the fault came.
static bool back_up_with(struct backups *self, struct fault *fault, enum nq_status expected)
{
    struct store_error error;
    const struct io_watcher watcher = {.folder = self->parent, .context = fault, .before = fail_one};
    io_watch(&watcher);
    enum nq_status status = backup(self, &error);
    io_watch(NULL);
    if (fault->calls < fault->at) {
        cr_assert_eq(status, NQ_OK, "%s", error.text);
        return false;
    }
    cr_assert_eq(status, expected, "call %zu: %s, %s", fault->at, nq_status_name(status), error.text);
    cr_assert_not(exists(self, "monday"), "call %zu", fault->at);
    cr_assert_not(exists(self, aside), "call %zu", fault->at);
    put(self); // the store itself goes on
    return true;
}

static void fail_everywhere(int error, enum nq_status expected)
{
    struct backups backups;
    struct fault fault = {.at = 1, .error = error};
    start(&backups);
    while (back_up_with(&backups, &fault, expected)) {
        fault = (struct fault){.at = fault.at + 1, .error = error};
        cr_assert_lt(fault.at, CALLS_MAX);
    }
    cr_assert_gt(fault.at, 8, "only %zu calls could fail", fault.at);
    check_copy(&backups);
    rig_end(&backups.rig);
}

Test(disk_backup, a_full_medium_at_any_call_leaves_nothing_and_says_so)
{
    fail_everywhere(ENOSPC, NQ_NO_SPACE);
}

Test(disk_backup, a_failing_medium_at_any_call_leaves_nothing_and_says_so)
{
    fail_everywhere(EIO, NQ_STORAGE_FAILED);
}
