// A full disk: a small tmpfs that only this process sees. Needs root; skipped by name elsewhere.
#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "store_offline.h"
#include "store_rig.h"

enum { MEBI = 1024 * 1024, RESERVE_BYTES = 4 * MEBI, ITEM_BYTES = 10000, ITEMS = 10 };

// False: not possible here.
static bool start_on_small_disk(struct store_rig *rig)
{
    char parent[128];
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return false;
    }
    rig_make_parent(parent, sizeof(parent));
    if (mount("tmpfs", parent, "tmpfs", 0, "size=48m") != 0) {
        rmdir(parent);
        return false;
    }
    rig_start_in(rig, STORE_LMDB, parent, RESERVE_BYTES);
    return true;
}

static void end_on_small_disk(struct store_rig *rig)
{
    char parent[sizeof(rig->parent)];
    snprintf(parent, sizeof(parent), "%s", rig->parent);
    rig_end(rig);
    umount2(parent, MNT_DETACH);
    rmdir(parent);
}

static struct store_space space_of(struct store_rig *rig)
{
    struct store_space space;
    cr_assert_eq(store_space(rig->store, &space), NQ_OK);
    return space;
}

static enum nq_status put_more(struct store_rig *rig, uint64_t *next_seq)
{
    struct store_error error = {0};
    rig_put(rig, (struct rig_put){1, *next_seq, .count = ITEMS, .body_len = ITEM_BYTES});
    rig_queue(rig, 1, *next_seq + ITEMS, 1, *next_seq + ITEMS - 1);
    enum nq_status status = rig_try_commit(rig, &error);
    *next_seq += status == NQ_OK ? ITEMS : 0;
    cr_assert(status == NQ_OK || (status == NQ_NO_SPACE && error.status == NQ_NO_SPACE && error.text[0] != '\0'), "%s", error.text);
    return status;
}

static void assert_whole(struct store_rig *rig, uint64_t first_seq, uint64_t next_seq)
{
    struct store_check_report report;
    struct store_error error = {0};
    struct store_item item;
    uint64_t seq = first_seq;
    store_close(&rig->store);
    cr_assert_eq(store_lmdb_check(rig->dir, stderr, &report, &error), NQ_OK, "%s", error.text);
    cr_assert_eq(report.items, next_seq - first_seq);
    rig_reopen(rig);
    cr_assert_eq(store_read_begin(rig->store, NULL), NQ_OK);
    for (; store_read_next(rig->store, 1, seq, UINT64_MAX, &item) == NQ_OK; seq++) {
        cr_assert(item.seq == seq && item.body.len == ITEM_BYTES && rig_is_filled(item.body, 1, seq, 'b'));
    }
    cr_assert_eq(seq, next_seq);
    store_read_end(rig->store);
}

Test(lmdb_full_disk, reserve_is_given_up_then_commits_are_refused_and_the_store_is_whole)
{
    struct store_rig rig;
    uint64_t next_seq = 1;
    if (!start_on_small_disk(&rig)) {
        cr_skip_test("needs root and a private mount");
    }
    cr_assert_not(space_of(&rig).reserve_in_use);
    while (!space_of(&rig).reserve_in_use) {
        cr_assert_eq(put_more(&rig, &next_seq), NQ_OK, "the reserve is given up before anything is refused");
    }
    uint64_t at_reserve = next_seq;
    while (put_more(&rig, &next_seq) == NQ_OK) {
    }
    cr_assert_gt(next_seq, at_reserve, "the reserve is of use");
    cr_assert_gt(next_seq, 2 * MEBI * 10 / ITEM_BYTES);
    cr_assert_eq(put_more(&rig, &next_seq), NQ_NO_SPACE, "and again");
    assert_whole(&rig, 1, next_seq);
    end_on_small_disk(&rig);
}

// What task_dones do while puts are refused: the reserve is there for them, and what they free can be written again.
Test(lmdb_full_disk, removals_use_the_reserve_and_make_room)
{
    struct store_rig rig;
    uint64_t next_seq = 1;
    if (!start_on_small_disk(&rig)) {
        cr_skip_test("needs root and a private mount");
    }
    while (!space_of(&rig).reserve_in_use) {
        cr_assert_eq(put_more(&rig, &next_seq), NQ_OK);
    }
    uint64_t items = next_seq - 1;
    struct store_space full = space_of(&rig);
    for (uint64_t seq = 1; seq < next_seq - ITEMS; seq++) {
        rig_remove(&rig, 1, seq, seq);
        rig_queue(&rig, 1, next_seq, seq + 1, next_seq - 1 - seq);
        rig_commit(&rig);
    }
    struct store_space drained = space_of(&rig);
    cr_assert_lt(drained.used_bytes, full.used_bytes / 4);
    cr_assert_gt(drained.free_bytes, full.free_bytes + full.used_bytes / 2);
    cr_assert_not(drained.reserve_in_use, "as much is free inside");
    assert_whole(&rig, next_seq - ITEMS, next_seq);
    for (uint64_t again = 0; again < items / 2; again += ITEMS) { // and is used
        rig_put(&rig, (struct rig_put){1, next_seq, .count = ITEMS, .body_len = ITEM_BYTES});
        rig_commit(&rig);
        next_seq += ITEMS;
    }
    end_on_small_disk(&rig);
}
