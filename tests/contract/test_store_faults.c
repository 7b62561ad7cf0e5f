// EIO and ENOSPC at every write and every sync in turn. The rules: a full disk that shows before anything of a commit was written
// refuses that commit, and the store goes on; anything else ends it: STORAGE_FAILED, from then on to everything. Whatever happened,
// after a power cut all that was answered is there.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crash_life.h"
#include "io_hooks.h"
#include "store_files.h"

enum { COMMITS = 45, FAULTS_MAX = 2000 };

struct outcome {
    size_t failed;  // lives that ended STORAGE_FAILED
    size_t refused; // commits answered NO_SPACE
    size_t unhurt;  // lives in which nothing was noticed
};

// Once the store has failed it must answer nothing else, to commits and to reads.
static void assert_dead(struct life *life, size_t at)
{
    struct store_error error = {0};
    for (int i = 0; i < 3; i++) {
        random_commit(&life->random);
        cr_assert_neq(store_commit(life->rig.store, life->rig.changes, &error), NQ_OK, "fault %zu: it went on after a failure", at);
        rig_forget(&life->rig);
    }
}

// Commits until the store fails or there are enough. A commit that was refused is made again: it may be accepted then.
static enum nq_status commit_all(struct life *life, size_t at, struct outcome *outcome)
{
    enum nq_status status = NQ_OK;
    struct store_error error = {0};
    for (size_t refusals = 0; life->commits < COMMITS && refusals < 20;) {
        struct store_random before = life->random;
        status = life_commit(life, &error);
        if (status == NQ_NO_SPACE) {
            life->random = before;
            refusals++;
            outcome->refused++;
        } else if (status != NQ_OK) {
            cr_assert_eq(status, NQ_STORAGE_FAILED, "fault %zu: %s, %s", at, nq_status_name(status), error.text);
            cr_assert_neq(error.text[0], '\0', "fault %zu: it does not say why", at);
            return status;
        }
    }
    return status;
}

// One life with one fault; false: it was over before the fault came.
static bool live(uint64_t seed, const struct crash_fault *fault, struct outcome *outcome)
{
    struct life life;
    struct store_error error = {0};
    life_start(&life, seed);
    life_record(&life);
    crash_disk_fault(life.disk, fault);
    enum nq_status status = life_open(&life, &error);
    if (status == NQ_OK) {
        status = commit_all(&life, fault->at, outcome);
        char *state = status == NQ_OK ? rig_try_state(life.rig.store) : NULL; // after a checkpoint
        status = status == NQ_OK && state == NULL ? NQ_STORAGE_FAILED : status;
        free(state);
        cr_assert(status != NQ_OK || fault->error != EIO || !crash_disk_lost(life.disk), "fault %zu: it was tried again",
                  fault->at);
        if (status == NQ_STORAGE_FAILED) {
            assert_dead(&life, fault->at);
        }
    } else {
        cr_assert_neq(error.text[0], '\0');
    }
    outcome->failed += status == NQ_STORAGE_FAILED;
    outcome->unhurt += status == NQ_OK;
    life_close(&life);
    bool came = crash_disk_faults(life.disk) > 0;
    size_t calls = crash_disk_calls(life.disk);
    for (enum crash_choice choice = CRASH_DROP; choice < CRASH_CHOICES; choice++) {
        life_verify(&life, calls, choice, seed);
    }
    life_end(&life);
    return came;
}

static struct outcome live_through(struct crash_fault fault)
{
    struct outcome outcome = {0};
    for (fault.at = 1; fault.at < FAULTS_MAX && live(3, &fault, &outcome); fault.at++) {
    }
    cr_assert_gt(fault.at, COMMITS, "only %zu calls could fail", fault.at);
    return outcome;
}

Test(store_faults, a_write_that_fails_ends_the_store_and_loses_nothing)
{
    struct outcome outcome = live_through((struct crash_fault){.kind = CRASH_FAULT_WRITE, .error = EIO});
    cr_assert_gt(outcome.failed, COMMITS, "each write of the journal is one that must not fail");
    cr_assert_eq(outcome.refused, 0);
}

Test(store_faults, a_sync_that_fails_ends_the_store_and_loses_nothing)
{
    struct outcome outcome = live_through((struct crash_fault){.kind = CRASH_FAULT_SYNC, .error = EIO});
    cr_assert_gt(outcome.failed, COMMITS);
    cr_assert_eq(outcome.refused, 0);
}

Test(store_faults, a_disk_that_stays_full_ends_no_store_without_saying_so)
{
    live_through((struct crash_fault){.kind = CRASH_FAULT_WRITE, .error = ENOSPC, .sticky = true});
}

Test(store_faults, a_disk_that_was_full_once_loses_nothing)
{
    live_through((struct crash_fault){.kind = CRASH_FAULT_ANY, .error = ENOSPC});
}

// A medium on which, but for the reserve, no more is left than the store asks for as what a commit needs. A write beyond that is cut
// short, which LMDB takes for an error of the medium.
struct tight {
    size_t room; // how long the data file can become
    bool refused;
};

static bool is_of(const struct io_call *call, const char *file)
{
    const char *name = call->path == NULL ? NULL : strrchr(call->path, '/');
    return name != NULL && strcmp(name + 1, file) == 0;
}

static int leave_no_more(void *context, const struct io_call *call)
{
    struct tight *tight = context;
    if (call->kind == IO_UNLINK && is_of(call, "reserve")) {
        tight->room = SIZE_MAX;
    }
    if (tight->room == SIZE_MAX || !is_of(call, "data.mdb")) {
        return 0;
    }
    if (call->kind == IO_RESIZE && call->grows_only) {
        tight->refused = !tight->refused; // the first time: it asks for what will be needed later, too
        tight->room = tight->refused ? tight->room : call->len;
        return tight->refused ? ENOSPC : 0;
    }
    return call->kind == IO_WRITE && (size_t)call->offset + call->len > tight->room ? EIO : 0;
}

// Where items do not stand behind all others their pages are split in the middle, and hold less than they could.
static void fill_tightly(enum store_kind kind)
{
    enum { ITEMS = 30000 };
    struct store_rig rig;
    char parent[sizeof(rig.parent)];
    rig_make_parent(parent, sizeof(parent));
    rig_start_in(&rig, kind, parent, 1 << 20);
    struct tight tight = {.room = file_bytes(rig.dir)};
    const struct io_watcher watcher = {.folder = rig.dir, .context = &tight, .before = leave_no_more};
    io_watch(&watcher);
    rig_put(&rig, (struct rig_put){9, 1, .count = 1, .body_len = 1});
    rig_commit(&rig);
    free(rig_load(rig.store)); // a checkpoint, where there are some
    rig_put(&rig, (struct rig_put){1, 1, .count = ITEMS, .body_len = 1});
    rig_commit(&rig);
    free(rig_load(rig.store));
    io_watch(NULL);
    cr_assert_eq(tight.room, SIZE_MAX, "it had enough without the reserve");
    rig_end(&rig);
}

Test(store_faults, a_commit_that_takes_more_room_than_was_reckoned_has_the_reserve)
{
    for (enum store_kind kind = STORE_LMDB; kind <= STORE_DISK; kind++) {
        fill_tightly(kind);
    }
}
