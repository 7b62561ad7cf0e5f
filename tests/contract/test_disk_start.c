// What a start makes of a store whose last process did not close it. A call of LMDB that fails at a start ends it, or makes no
// difference: what is in the journal is there at the next one.
#include <criterion/criterion.h>
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_disk.h"
#include "store_files.h"
#include "store_rig.h"

enum { ITEMS = 3, CALLS_MAX = 100 };

static _Thread_local struct { // the checkpointer's calls are another thread's
    bool armed;
    size_t at, calls;
    int error;
} fault;

// The linker's names, as in tests/support/failing_alloc.c.
int __real_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn);
int __real_mdb_get(MDB_txn *txn, MDB_dbi db, MDB_val *key, MDB_val *value);
int __wrap_mdb_get(MDB_txn *txn, MDB_dbi db, MDB_val *key, MDB_val *value);

int __real_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op);
int __wrap_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op);

static bool fails(void)
{
    return fault.armed && ++fault.calls == fault.at;
}

int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn)
{
    return fails() ? fault.error : __real_mdb_txn_begin(env, parent, flags, txn);
}

int __wrap_mdb_get(MDB_txn *txn, MDB_dbi db, MDB_val *key, MDB_val *value)
{
    return fails() ? fault.error : __real_mdb_get(txn, db, key, value);
}

int __wrap_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
    return fails() ? fault.error : __real_mdb_cursor_get(cursor, key, value, op);
}

struct place {
    char parent[128], dir[160];
    struct store_lmdb_options options;
};

static void make_place(struct place *self)
{
    rig_make_parent(self->parent, sizeof(self->parent));
    snprintf(self->dir, sizeof(self->dir), "%s/store", self->parent);
    self->options = (struct store_lmdb_options){
        .dir = self->dir, .new_store_id = (const uint8_t *)"0123456789abcdef", .new_salt = (const uint8_t *)"salt-one"};
}

static void arm(size_t at, int code)
{
    fault.at = at;
    fault.error = code;
    fault.calls = 0;
    fault.armed = true;
}

static enum nq_status open_with(const struct place *place, size_t at, int code, struct store **out, struct store_error *error)
{
    arm(at, code);
    enum nq_status status = store_disk_open(&place->options, out, error);
    fault.armed = false;
    return status;
}

static void assert_items(const struct place *place, uint64_t first, uint64_t last, const char *where)
{
    struct store *store;
    struct store_error error = {0};
    cr_assert_eq(store_disk_open(&place->options, &store, &error), NQ_OK, "%s: %s", where, error.text);
    cr_assert_eq(store_read_begin(store, &error), NQ_OK);
    for (uint64_t seq = 1; seq <= last + 20; seq++) {
        struct store_item item;
        enum nq_status expected = seq >= first && seq <= last ? NQ_OK : NQ_EMPTY;
        cr_assert_eq(store_read(store, 1, seq, &item), expected, "%s: item %lu", where, (unsigned long)seq);
    }
    store_read_end(store);
    store_close(&store);
}

// Whether the first group of each of its files has the same salt.
static bool journals_are_alike(const struct place *place)
{
    uint8_t salts[2][8];
    for (int i = 0; i < 2; i++) {
        char path[200];
        snprintf(path, sizeof(path), "%s/journal-%d", place->dir, i);
        FILE *file = fopen(path, "re");
        cr_assert(file != NULL && fseek(file, 8, SEEK_SET) == 0 && fread(salts[i], 8, 1, file) == 1);
        fclose(file);
    }
    return memcmp(salts[0], salts[1], 8) == 0;
}

// True: there was such a call.
static bool start_with_a_fault(size_t at, int code)
{
    char where[80];
    struct place place;
    struct store *store;
    struct store_error error = {0};
    make_place(&place);
    rig_commits_and_die(&place.options, 1, ITEMS);
    place.options.new_salt = (const uint8_t *)"salt-two";
    enum nq_status status = open_with(&place, at, code, &store, &error);
    cr_assert_eq(status == NQ_OK, store != NULL);
    cr_assert(status == NQ_OK || error.text[0] != '\0', "call %zu", at);
    store_close(&store);
    snprintf(where, sizeof(where), "call %zu of the start before failed with %d", at, code);
    assert_items(&place, 1, ITEMS, where);
    rig_remove_tree(place.parent);
    return fault.calls >= at;
}

Test(disk_start, a_call_of_lmdb_that_fails_hides_no_group_of_the_journal)
{
    static const int codes[] = {ENOMEM, MDB_READERS_FULL, MDB_CORRUPTED};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        size_t at = 1;
        while (start_with_a_fault(at, codes[i])) {
            cr_assert_lt(++at, (size_t)CALLS_MAX);
        }
        cr_assert_gt(at, (size_t)6, "only %zu calls could fail", at);
    }
}

// What power cuts do without syncs: LMDB's file is as it was at first, the journal's first file is gone, its second is not.
static void lose_the_middle(struct place *place, bool sync)
{
    enum { JOURNAL_BYTES = 64 * 1024, GROUPS = 20 };
    struct store *store;
    make_place(place);
    place->options.sync = sync;
    rig_make_journals(place->dir, JOURNAL_BYTES);
    cr_assert_eq(store_disk_open(&place->options, &store, NULL), NQ_OK);
    store_close(&store);
    file_copy(place->dir, "data.mdb", "data.mdb.then");
    rig_commits_and_die(&place->options, 1, GROUPS); // a group is a block: the last of them are in the second file
    file_rename(place->dir, "data.mdb.then", "data.mdb");
    file_zero(place->dir, "journal-0");
    place->options.new_salt = (const uint8_t *)"salt-two";
}

Test(disk_start, without_syncs_a_gap_in_the_journal_is_its_end)
{
    for (int sync = 0; sync < 2; sync++) { // of the start that finds it: who has lost something may well want syncs from then on
        struct place place;
        lose_the_middle(&place, false);
        place.options.sync = sync != 0;
        assert_items(&place, 1, 0, "behind the gap");
        rig_commits_and_die(&place.options, 30, 30);
        assert_items(&place, 30, 30, "what was put since");
        rig_remove_tree(place.parent);
    }
}

Test(disk_start, with_syncs_a_gap_in_the_journal_is_damage)
{
    struct place place;
    struct store *store;
    struct store_error error = {0};
    lose_the_middle(&place, true);
    cr_assert_eq(store_disk_open(&place.options, &store, &error), NQ_DAMAGED);
    cr_assert_not_null(strstr(error.text, "missing"), "%s", error.text);
    rig_remove_tree(place.parent);
}

// Else they are applied when as many groups have been written as were lost.
Test(disk_start, groups_behind_a_gap_are_strange_before_others_are_written)
{
    bool came = true;
    for (size_t at = 1; came; at++) {
        struct place place;
        struct store_error error = {0};
        struct store_rig rig = {.kind = STORE_DISK, .changes = changes_create()};
        lose_the_middle(&place, false);
        enum nq_status status = open_with(&place, at, ENOSPC, &rig.store, &error);
        came = fault.calls >= at;
        if (status == NQ_OK) {
            rig_put(&rig, (struct rig_put){1, 30, .count = 1, .body_len = 3});
            rig_commit(&rig);
            cr_assert(!journals_are_alike(&place), "call %zu had no space, and the old groups are groups still", at);
        }
        store_close(&rig.store);
        changes_destroy(&rig.changes);
        rig_remove_tree(place.parent);
    }
}

Test(disk_start, an_item_behind_one_that_cannot_be_read_is_not_taken_for_the_next)
{
    struct store_rig rig;
    struct store_item item;
    rig_start(&rig, STORE_DISK);
    rig_put(&rig, (struct rig_put){1, 1, .count = 1, .body_len = 3});
    rig_commit(&rig);
    rig_reopen(&rig); // that one is in LMDB, the other is not
    rig_put(&rig, (struct rig_put){1, 2, .count = 1, .body_len = 3});
    rig_commit(&rig);
    cr_assert_eq(store_read_begin(rig.store, NULL), NQ_OK);
    arm(1, MDB_CORRUPTED);
    enum nq_status status = store_read_next(rig.store, 1, 1, UINT64_MAX, &item);
    fault.armed = false;
    cr_assert_eq(status, NQ_STORAGE_FAILED, "%s", nq_status_name(status));
    store_read_end(rig.store);
    rig_end(&rig);
}
