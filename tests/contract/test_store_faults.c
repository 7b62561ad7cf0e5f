// EIO and ENOSPC at every write and every sync in turn. The rules: a full disk that shows before anything of a commit was written
// refuses that commit, and the store goes on; anything else ends it: STORAGE_FAILED, from then on to everything. Whatever happened,
// after a power cut all that was answered is there.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crash_life.h"

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
