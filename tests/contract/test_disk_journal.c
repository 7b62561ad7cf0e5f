// The journal's two files are used in turn: one is written over only when the checkpoint of what is in it has ended, however long that
// takes. The checkpoint is held at its first write, until a commit waits for it; a commit that does not wait is seen.
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "io_hooks.h"
#include "store_disk.h"
#include "store_rig.h"

enum {
    JOURNAL_BYTES = 64 * 1024,
    COMMITS = 60,
    COMMITS_OF_ONE_FILE = 16,
    COMMITS_OF_ONE_TURN = 20,
    BODY_BYTES = 3000,
    SECONDS = 5,
    HEADS_BYTES = 8192
};

// The checkpointer's second: as long as it is, without an end, or over at once.
enum second { SECOND_AS_IT_IS, SECOND_ENDLESS, SECOND_OVER };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t committer;
    bool commit_waits; // for a checkpoint
    size_t waits;
    size_t turns;       // starts of a file
    size_t checkpoints; // that have ended: LMDB's head was written
    size_t too_early;   // turns over groups whose checkpoint had not
    enum second second;
    size_t seconds;             // that were over
    bool held;                  // the checkpointer, where a test wants it
    bool arrived;               // it is there
    size_t refused;             // writes to data.mdb
    bool idle;                  // the checkpointer waits for nothing in particular
    size_t end_at_turn;         // the checkpoint that began with it ends before the commit goes on; 0: none
    struct store_error failure; // that was told
} seen = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

// The linker's names, as in tests/support/failing_alloc.c.
int __real_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __real_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock);

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

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    pthread_mutex_lock(&seen.mutex);
    bool is_second = timeout_ms > 0 && seen.second != SECOND_AS_IT_IS;
    seen.idle = timeout_ms < 0;
    pthread_cond_broadcast(&seen.changed);
    if (seen.second == SECOND_OVER) {
        seen.seconds += is_second ? 1 : SECONDS; // without an end: nothing is left to be written
    }
    timeout_ms = !is_second ? timeout_ms : seen.second == SECOND_OVER ? 0 : -1;
    pthread_mutex_unlock(&seen.mutex);
    return __real_poll(fds, count, timeout_ms);
}

static void wait_while_held(void)
{
    pthread_mutex_lock(&seen.mutex);
    seen.arrived = true;
    pthread_cond_broadcast(&seen.changed);
    while (seen.held) {
        __real_pthread_cond_wait(&seen.changed, &seen.mutex);
    }
    pthread_mutex_unlock(&seen.mutex);
}

// With the commit that has begun a checkpoint on its way into the overlay, that checkpoint ends, and its thread goes to sleep.
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    pthread_mutex_lock(&seen.mutex);
    bool is_due = pthread_equal(pthread_self(), seen.committer) && seen.end_at_turn != 0 && seen.turns == seen.end_at_turn;
    if (is_due) {
        seen.end_at_turn = 0;
        seen.held = false;
        pthread_cond_broadcast(&seen.changed);
    }
    while (is_due && !(seen.checkpoints > 0 && seen.idle)) {
        __real_pthread_cond_wait(&seen.changed, &seen.mutex);
    }
    pthread_mutex_unlock(&seen.mutex);
    return __real_pthread_rwlock_wrlock(lock);
}

// The checkpointer has seen that nothing is under way, and now asks whether a commit is.
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    wait_while_held();
    return __real_pthread_mutex_trylock(mutex);
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

static void open_store(struct store_rig *rig)
{
    struct store_error error = {0};
    cr_assert_eq(rig_open_dir(STORE_DISK, rig->dir, 0, &rig->store, &error), NQ_OK, "%s", error.text);
}

static void start(struct store_rig *rig)
{
    *rig = (struct store_rig){.kind = STORE_DISK, .changes = changes_create()};
    rig_make_parent(rig->parent, sizeof(rig->parent));
    snprintf(rig->dir, sizeof(rig->dir), "%s/store", rig->parent);
    rig_make_journals(rig->dir, JOURNAL_BYTES);
    seen.committer = pthread_self();
    open_store(rig);
}

static void commit_from(struct store_rig *rig, uint64_t first, uint64_t last)
{
    for (uint64_t i = first; i <= last; i++) {
        rig_put(rig, (struct rig_put){1, i, .count = 1, .body_len = BODY_BYTES});
        rig_commit(rig);
    }
}

// After a start.
static void assert_stored(struct store_rig *rig, uint64_t last)
{
    open_store(rig);
    cr_assert_eq(store_read_begin(rig->store, NULL), NQ_OK);
    for (uint64_t i = 1; i <= last; i++) {
        struct store_item item;
        cr_assert_eq(store_read(rig->store, 1, i, &item), NQ_OK, "item %lu was accepted and is not there", i);
        cr_assert(rig_is_filled(item.body, 1, i, 'b'));
    }
    store_read_end(rig->store);
    rig_end(rig);
}

Test(disk_journal, a_file_is_written_over_only_when_its_checkpoint_has_ended)
{
    struct store_rig rig;
    const struct io_watcher watcher = {.folder = rig.parent, .pause = hold, .after = note};
    start(&rig);
    io_watch(&watcher);
    commit_from(&rig, 1, COMMITS);
    let_go(false);
    store_close(&rig.store);
    io_watch(NULL);
    cr_expect_geq(seen.turns, 4, "only %zu turns", seen.turns);
    cr_expect_geq(seen.waits, 1, "no commit had to wait");
    cr_expect_eq(seen.too_early, 0, "%zu of %zu turns went over groups that no checkpoint had taken up", seen.too_early,
                 seen.turns);
    assert_stored(&rig, COMMITS);
}

static void hold_checkpointer(enum second second)
{
    pthread_mutex_lock(&seen.mutex);
    seen.held = true;
    seen.second = second;
    pthread_mutex_unlock(&seen.mutex);
}

static void wait_until_arrived(void)
{
    pthread_mutex_lock(&seen.mutex);
    while (!seen.arrived) {
        __real_pthread_cond_wait(&seen.changed, &seen.mutex);
    }
    pthread_mutex_unlock(&seen.mutex);
}

// And wait until it has had the time for whatever it would do.
static void let_checkpointer_go(void)
{
    pthread_mutex_lock(&seen.mutex);
    seen.held = false;
    seen.second = SECOND_OVER;
    seen.seconds = 0;
    pthread_cond_broadcast(&seen.changed);
    while (seen.seconds < SECONDS) {
        __real_pthread_cond_wait(&seen.changed, &seen.mutex);
    }
    pthread_mutex_unlock(&seen.mutex);
}

// A commit fills the file just when a second has passed: one of the two begins the checkpoint, and the other lets it be.
Test(disk_journal, a_checkpoint_that_has_begun_is_not_begun_again_because_time_has_passed)
{
    struct store_rig rig;
    hold_checkpointer(SECOND_OVER);
    start(&rig);
    commit_from(&rig, 1, 1);
    wait_until_arrived();
    commit_from(&rig, 2, COMMITS_OF_ONE_TURN);
    let_checkpointer_go();
    store_close(&rig.store);
    assert_stored(&rig, COMMITS_OF_ONE_TURN);
}

static void hold_first_write(void *context, const struct io_call *call)
{
    (void)context;
    if (call->kind == IO_WRITE && is_of(call, "data.mdb")) {
        wait_while_held();
    }
}

static int refuse_first_write(void *context, const struct io_call *call)
{
    (void)context;
    return call->kind == IO_WRITE && is_of(call, "data.mdb") && seen.refused++ == 0 ? ENOSPC : 0;
}

static void let_be(void *context, const struct io_call *call)
{
    (void)context;
    (void)call;
}

// The disk was full for a moment. What was to be checkpointed then is in the journal only: nothing behind it may go to LMDB, which
// would say that all of the journal up to there is in.
Test(disk_journal, after_a_checkpoint_that_failed_none_is_begun)
{
    struct store_rig rig;
    struct store_error error = {0};
    const struct io_watcher watcher = {
        .folder = rig.parent, .pause = hold_first_write, .before = refuse_first_write, .after = let_be};
    hold_checkpointer(SECOND_ENDLESS);
    start(&rig);
    io_watch(&watcher);
    commit_from(&rig, 1, COMMITS_OF_ONE_TURN);
    let_checkpointer_go();
    rig_put(&rig, (struct rig_put){1, COMMITS_OF_ONE_TURN + 1, .count = 1, .body_len = BODY_BYTES});
    cr_expect_eq(rig_try_commit(&rig, &error), NQ_NO_SPACE);
    store_close(&rig.store);
    io_watch(NULL);
    cr_expect_eq(seen.refused, 1, "%zu writes of a checkpoint", seen.refused);
    assert_stored(&rig, COMMITS_OF_ONE_TURN);
}

static void note_failure(const struct store_error *error)
{
    pthread_mutex_lock(&seen.mutex);
    seen.failure = *error;
    pthread_cond_broadcast(&seen.changed);
    pthread_mutex_unlock(&seen.mutex);
}

// The one commit was answered long ago, and no other comes.
Test(disk_journal, a_checkpoint_that_fails_is_told_at_once, .timeout = 60)
{
    struct store_rig rig = {.kind = STORE_DISK, .changes = changes_create()};
    const struct io_watcher watcher = {.folder = rig.parent, .before = refuse_first_write, .after = let_be};
    rig_make_parent(rig.parent, sizeof(rig.parent));
    snprintf(rig.dir, sizeof(rig.dir), "%s/store", rig.parent);
    rig_make_journals(rig.dir, JOURNAL_BYTES);
    const struct store_lmdb_options options = {
        .dir = rig.dir, .new_store_id = (const uint8_t *)"a store to test", .on_failure = note_failure};
    cr_assert_eq(store_disk_open(&options, &rig.store, NULL), NQ_OK);
    io_watch(&watcher);
    commit_from(&rig, 1, 1);
    pthread_mutex_lock(&seen.mutex);
    seen.second = SECOND_OVER;
    while (seen.failure.status == NQ_OK) {
        __real_pthread_cond_wait(&seen.changed, &seen.mutex);
    }
    pthread_mutex_unlock(&seen.mutex);
    cr_expect_eq(seen.failure.status, NQ_NO_SPACE);
    cr_expect_neq(seen.failure.text[0], '\0');
    io_watch(NULL);
    store_close(&rig.store);
    assert_stored(&rig, 1);
}

// Its thread must not sleep while there is something to be written, however the end of a checkpoint and a commit meet.
Test(disk_journal, what_was_committed_as_a_checkpoint_ended_is_seen_by_the_next_one, .timeout = 60)
{
    struct store_rig rig;
    const struct io_watcher watcher = {.folder = rig.parent, .pause = hold_first_write, .after = note};
    hold_checkpointer(SECOND_ENDLESS);
    start(&rig);
    seen.end_at_turn = 2;
    io_watch(&watcher);
    commit_from(&rig, 1, COMMITS_OF_ONE_FILE + 1);
    pthread_mutex_lock(&seen.mutex);
    cr_expect_eq(seen.end_at_turn, 0, "no checkpoint was begun");
    while (seen.idle) {
        __real_pthread_cond_wait(&seen.changed, &seen.mutex);
    }
    pthread_mutex_unlock(&seen.mutex);
    store_close(&rig.store);
    io_watch(NULL);
    assert_stored(&rig, COMMITS_OF_ONE_FILE + 1);
}
