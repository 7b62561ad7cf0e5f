// The journal's two files are used in turn: one is written over only when the checkpoint of what is in it has ended, however long that
// takes. The checkpoint is held at its first write, until a commit waits for it; a commit that does not wait is seen.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io_hooks.h"
#include "store_disk.h"
#include "store_rig.h"

enum { JOURNAL_BYTES = 64 * 1024, COMMITS = 60, BODY_BYTES = 3000, HEADS_BYTES = 8192 };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t committer;
    bool commit_waits; // for a checkpoint
    size_t waits;
    size_t turns;       // starts of a file
    size_t checkpoints; // that have ended: LMDB's head was written
    size_t too_early;   // turns over groups whose checkpoint had not
} seen = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

// The linker's names, as in tests/support/failing_alloc.c.
int __real_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);

static void let_go(bool waits)
{
    pthread_mutex_lock(&seen.mutex);
    seen.commit_waits = true;
    seen.waits += waits ? 1 : 0;
    pthread_cond_broadcast(&seen.changed);
    pthread_mutex_unlock(&seen.mutex);
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    if (pthread_equal(pthread_self(), seen.committer)) {
        let_go(true);
    }
    return __real_pthread_cond_wait(cond, mutex);
}

static bool is_of(const struct io_call *call, const char *file)
{
    const char *name = call->path == NULL ? NULL : strrchr(call->path, '/');
    return name != NULL && strncmp(name + 1, file, strlen(file)) == 0;
}

// In the thread that writes the checkpoint, before anything of it is written.
static void hold(void *context, const struct io_call *call)
{
    (void)context;
    if (call->kind != IO_WRITE || !is_of(call, "data.mdb")) {
        return;
    }
    pthread_mutex_lock(&seen.mutex);
    while (!seen.commit_waits) {
        __real_pthread_cond_wait(&seen.changed, &seen.mutex);
    }
    pthread_mutex_unlock(&seen.mutex);
}

static int let_happen(void *context, const struct io_call *call)
{
    (void)context;
    (void)call;
    return 0;
}

static void note(void *context, const struct io_call *call)
{
    (void)context;
    if (call->kind != IO_WRITE) {
        return;
    }
    if (is_of(call, "data.mdb") && call->offset < HEADS_BYTES) {
        pthread_mutex_lock(&seen.mutex);
        seen.checkpoints++;
        seen.commit_waits = false;
        pthread_mutex_unlock(&seen.mutex);
    }
    if (is_of(call, "journal-") && call->offset == 0) {
        seen.turns++;
        if (seen.turns >= 3 && seen.checkpoints + 2 < seen.turns) {
            seen.too_early++;
            let_go(false);
        }
    }
}

static void make_small_journals(const char *dir)
{
    rig_make_folder(dir);
    for (int i = 0; i < 2; i++) {
        char path[256];
        snprintf(path, sizeof(path), "%s/journal-%d", dir, i);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        cr_assert(fd >= 0 && ftruncate(fd, JOURNAL_BYTES) == 0);
        close(fd);
    }
}

Test(disk_journal, a_file_is_written_over_only_when_its_checkpoint_has_ended)
{
    struct store_rig rig = {.kind = STORE_DISK, .changes = changes_create()};
    struct store_error error = {0};
    const struct io_watcher watcher = {.folder = rig.parent, .pause = hold, .before = let_happen, .after = note};
    rig_make_parent(rig.parent, sizeof(rig.parent));
    snprintf(rig.dir, sizeof(rig.dir), "%s/store", rig.parent);
    make_small_journals(rig.dir);
    seen.committer = pthread_self();
    cr_assert_eq(rig_open_dir(STORE_DISK, rig.dir, 0, &rig.store, &error), NQ_OK, "%s", error.text);
    io_watch(&watcher);
    for (uint64_t i = 1; i <= COMMITS; i++) {
        rig_put(&rig, (struct rig_put){1, i, .count = 1, .body_len = BODY_BYTES});
        rig_commit(&rig);
    }
    let_go(false);
    store_close(&rig.store);
    io_watch(NULL);
    cr_expect_geq(seen.turns, 4, "only %zu turns", seen.turns);
    cr_expect_geq(seen.waits, 1, "no commit had to wait");
    cr_expect_eq(seen.too_early, 0, "%zu of %zu turns went over groups that no checkpoint had taken up", seen.too_early,
                 seen.turns);
    cr_assert_eq(rig_open_dir(STORE_DISK, rig.dir, 0, &rig.store, &error), NQ_OK, "%s", error.text);
    cr_assert_eq(store_read_begin(rig.store, NULL), NQ_OK);
    for (uint64_t i = 1; i <= COMMITS; i++) {
        struct store_item item;
        cr_assert_eq(store_read(rig.store, 1, i, &item), NQ_OK, "%lu", i);
        cr_assert(rig_is_filled(item.body, 1, i, 'b'));
    }
    store_read_end(rig.store);
    rig_end(&rig);
}
