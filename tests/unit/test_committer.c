// The committer with stores that block until the test lets them go on.
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>

#include "committer.h"

struct slow_store {
    struct store store;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int entered, allowed;
    enum nq_status result;
    const struct changes *seen;
};

static enum nq_status slow_commit(struct store *store, const struct changes *changes, struct store_error *error)
{
    struct slow_store *self = (struct slow_store *)(void *)store;
    pthread_mutex_lock(&self->mutex);
    self->entered++;
    self->seen = changes;
    pthread_cond_broadcast(&self->changed);
    while (self->allowed < self->entered) {
        pthread_cond_wait(&self->changed, &self->mutex);
    }
    pthread_mutex_unlock(&self->mutex);
    if (self->result != NQ_OK) {
        snprintf(error->text, sizeof(error->text), "the disk is gone");
    }
    return self->result;
}

static const struct store_ops blocking = {.name = "slow", .commit_blocks = true, .commit = slow_commit};
static const struct store_ops direct = {.name = "direct", .commit_blocks = false, .commit = slow_commit};

static void let_go(struct slow_store *self)
{
    pthread_mutex_lock(&self->mutex);
    self->allowed++;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
}

static void await_entered(struct slow_store *self, int count)
{
    pthread_mutex_lock(&self->mutex);
    while (self->entered < count) {
        pthread_cond_wait(&self->changed, &self->mutex);
    }
    pthread_mutex_unlock(&self->mutex);
}

static struct slow_store make(const struct store_ops *ops)
{
    return (struct slow_store){.store.ops = ops, .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};
    return poll(&item, 1, timeout_ms) == 1;
}

Test(committer, tells_by_its_descriptor_when_a_commit_has_ended)
{
    struct slow_store store = make(&blocking);
    struct committer *committer = committer_start(&store.store);
    struct changes *changes = changes_create();
    enum nq_status status = NQ_BUSY;
    struct store_error error;
    cr_assert_not_null(committer);
    for (int round = 1; round <= 3; round++) {
        committer_submit(committer, changes, false);
        await_entered(&store, round);
        cr_assert_eq(store.seen, changes);
        cr_assert_not(committer_take(committer, &status, &error), "it has not ended");
        cr_assert_not(is_readable(committer_fd(committer), 0));
        let_go(&store);
        cr_assert(is_readable(committer_fd(committer), 10000));
        cr_assert(committer_take(committer, &status, &error));
        cr_assert_eq(status, NQ_OK);
        cr_assert_not(is_readable(committer_fd(committer), 0));
        cr_assert_not(committer_take(committer, &status, &error), "told once");
    }
    committer_stop(&committer);
    cr_assert_null(committer);
    changes_destroy(&changes);
}

Test(committer, hands_the_failure_over_with_its_text)
{
    struct slow_store store = make(&blocking);
    struct committer *committer = committer_start(&store.store);
    struct changes *changes = changes_create();
    enum nq_status status;
    struct store_error error;
    store.result = NQ_STORAGE_FAILED;
    let_go(&store);
    committer_submit(committer, changes, false);
    committer_wait(committer);
    cr_assert(committer_take(committer, &status, &error));
    cr_assert_eq(status, NQ_STORAGE_FAILED);
    cr_assert_str_eq(error.text, "the disk is gone");
    committer_stop(&committer);
    changes_destroy(&changes);
}

Test(committer, without_a_disk_commits_at_once)
{
    struct slow_store store = make(&direct);
    struct committer *committer = committer_start(&store.store);
    struct changes *changes = changes_create();
    enum nq_status status;
    struct store_error error;
    let_go(&store);
    committer_submit(committer, changes, false);
    cr_assert(committer_take(committer, &status, &error));
    cr_assert_eq(status, NQ_OK);
    committer_stop(&committer);
    committer_stop(&committer);
    changes_destroy(&changes);
}

// The first commits are timed on the thread; once they are known to be quick, an idle caller makes its own.
Test(committer, commits_in_the_callers_thread_when_idle_and_quick)
{
    struct slow_store store = make(&blocking);
    struct committer *committer = committer_start(&store.store);
    struct changes *changes = changes_create();
    enum nq_status status;
    struct store_error error;
    bool here = false;
    for (int i = 0; i < 1000 && !here; i++) {
        let_go(&store);
        here = committer_submit(committer, changes, true);
        committer_wait(committer);
        cr_assert(committer_take(committer, &status, &error));
        cr_assert_not(is_readable(committer_fd(committer), 0));
    }
    cr_assert(here, "commits that take no time are never made at once");
    let_go(&store);
    cr_assert_not(committer_submit(committer, changes, false), "a caller with work to do hands it over");
    committer_wait(committer);
    cr_assert(committer_take(committer, &status, &error));
    committer_stop(&committer);
    changes_destroy(&changes);
}
