// check, compact and backup.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io_hooks.h"
#include "store_disk.h"
#include "store_files.h"
#include "store_lmdb.h"
#include "store_offline.h"
#include "store_rig.h"

static const char marker[] = "the marker in a body";

// Queue 1 with 50 items, one of them marked; queue 2 empty.
static void start_filled(struct store_rig *rig)
{
    struct engine_bytes body = {sizeof(marker), (const uint8_t *)marker};
    rig_start(rig, STORE_LMDB);
    rig_queue(rig, 1, 51, 1, 50);
    rig_queue(rig, 2, 1, 1, 0);
    rig_put(rig, (struct rig_put){1, 1, .count = 49, .body_len = 100});
    rig_add(rig, (struct change){.kind = CHANGE_PUT, .as.put = {.queue_id = 1, .first_seq = 50, .count = 1, .bodies = &body}});
    rig_item(rig, 1, 3, ITEM_READY);
    rig_run(rig, 1, 4, 5);
    rig_stream(rig, 1, 9, 50);
    rig_session(rig, 1);
    rig_commit(rig);
}

// The findings, to be freed.
static char *check(struct store_rig *rig, enum nq_status expected, struct store_check_report *report)
{
    char *text;
    size_t len;
    struct store_error error = {0};
    FILE *findings = tmpfile();
    FILE *out = open_memstream(&text, &len);
    cr_assert(findings != NULL && out != NULL);
    enum nq_status status = store_lmdb_check(rig->dir, findings, report, &error);
    rewind(findings); // the check writes it from a process of its own
    for (int c = fgetc(findings); c != EOF; c = fgetc(findings)) {
        fputc(c, out);
    }
    fclose(findings);
    fclose(out);
    cr_assert_eq(status, expected, "%s: %s%s", nq_status_name(status), error.text, text);
    cr_assert_eq(status == NQ_DAMAGED, report->damaged + report->misplaced > 0);
    return text;
}

Test(lmdb_offline, check_counts_what_a_whole_store_holds)
{
    struct store_rig rig;
    struct store_check_report report;
    start_filled(&rig);
    store_close(&rig.store);
    char *text = check(&rig, NQ_OK, &report);
    cr_assert_str_empty(text);
    cr_assert(report.queues == 2 && report.items == 50 && report.item_records == 1 && report.runs == 1 && report.streams == 1);
    cr_assert_eq(report.sessions, 1);
    cr_assert_gt(report.bytes, 5000);
    free(text);
    rig_end(&rig);
}

Test(lmdb_offline, check_finds_a_flipped_item)
{
    struct store_rig rig;
    struct store_check_report report;
    start_filled(&rig);
    store_close(&rig.store);
    file_flip(rig.dir, marker, sizeof(marker) - 1, 4);
    char *text = check(&rig, NQ_DAMAGED, &report);
    cr_assert(report.damaged == 1 && report.misplaced == 0);
    cr_assert_not_null(strstr(text, "(1, 50)"), "%s", text);
    free(text);
    rig_end(&rig);
}

Test(lmdb_offline, check_finds_a_flipped_record)
{
    struct store_rig rig;
    struct store_check_report report;
    start_filled(&rig);
    store_close(&rig.store);
    file_flip(rig.dir, "queue-2", 7, 1);
    char *text = check(&rig, NQ_DAMAGED, &report);
    cr_assert_eq(report.damaged, 1);
    cr_assert_not_null(strstr(text, "queues (2, 0)"), "%s", text);
    free(text);
    rig_end(&rig);
}

Test(lmdb_offline, check_finds_a_missing_item)
{
    struct store_rig rig;
    struct store_check_report report;
    start_filled(&rig);
    store_close(&rig.store);
    file_remove_item(rig.dir, 1, 20);
    char *text = check(&rig, NQ_DAMAGED, &report);
    cr_assert(report.damaged == 0 && report.misplaced == 1);
    cr_assert_not_null(strstr(text, "queue queue-1: 49 items stored, its record counts 50"), "%s", text);
    free(text);
    rig_end(&rig);
}

Test(lmdb_offline, check_finds_wrong_counts_and_positions)
{
    struct store_rig rig;
    struct store_check_report report;
    start_filled(&rig);
    rig_queue(&rig, 1, 45, 1, 51); // items above the next seq, and one too few
    rig_queue(&rig, 2, 1, 1, 3);   // none stored
    rig_put(&rig, (struct rig_put){9, 1, .count = 2, .body_len = 1});
    rig_commit(&rig);
    store_close(&rig.store);
    char *text = check(&rig, NQ_DAMAGED, &report);
    cr_assert_eq(report.damaged, 0);
    cr_assert_not_null(strstr(text, "queue queue-1: 6 items at or above its next seq 45\n"), "%s", text);
    cr_assert_not_null(strstr(text, "queue queue-1: 50 items stored, its record counts 51\n"), "%s", text);
    cr_assert_not_null(strstr(text, "queue queue-2: 0 items stored, its record counts 3\n"), "%s", text);
    cr_assert_not_null(strstr(text, "items of a queue without a record (9, 1)\n"), "%s", text);
    free(text);
    rig_end(&rig);
}

Test(lmdb_offline, check_survives_broken_pages_and_names_them)
{
    struct store_rig rig;
    struct store_check_report report;
    start_filled(&rig);
    store_close(&rig.store);
    cr_assert_gt(file_break_pages(rig.dir, marker, sizeof(marker) - 1), 0);
    char *text = check(&rig, NQ_DAMAGED, &report);
    cr_assert_geq(report.damaged, 1);
    cr_assert_not_null(strstr(text, "pages"), "%s", text);
    free(text);
    rig_end(&rig);
}

Test(lmdb_offline, check_finds_a_page_with_another_number)
{
    struct store_rig rig;
    struct store_check_report report;
    start_filled(&rig);
    store_close(&rig.store);
    cr_assert_gt(file_renumber_pages(rig.dir, marker, sizeof(marker) - 1), 0);
    char *text = check(&rig, NQ_DAMAGED, &report);
    cr_assert_not_null(strstr(text, "the store's pages: one is not what it should be"), "%s", text);
    free(text);
    rig_end(&rig);
}

// The walk from page to page meets every entry all the same.
Test(lmdb_offline, check_finds_entries_that_their_keys_no_longer_lead_to)
{
    struct store_rig rig;
    struct store_check_report report;
    start_filled(&rig);
    rig_queue(&rig, 3, 2001, 1, 2000);
    rig_put(&rig, (struct rig_put){3, 1, .count = 2000, .body_len = 100});
    rig_commit(&rig);
    store_close(&rig.store);
    cr_assert_gt(file_change_branches(rig.dir), 0);
    char *text = check(&rig, NQ_DAMAGED, &report);
    cr_assert_not_null(strstr(text, "an entry out of its place in table items"), "%s", text);
    cr_assert_eq(report.damaged, 0, "%s", text);
    free(text);
    rig_end(&rig);
}

Test(lmdb_offline, check_and_compact_refuse_what_they_cannot_have)
{
    struct store_rig rig;
    struct store_check_report report;
    struct store_error error = {0};
    uint64_t before;
    uint64_t after;
    start_filled(&rig);
    cr_assert_eq(store_lmdb_check(rig.dir, stderr, &report, &error), NQ_STORAGE_FAILED);
    cr_assert_not_null(strstr(error.text, rig.dir), "in use: %s", error.text);
    cr_assert_eq(store_lmdb_compact(rig.dir, &before, &after, &error), NQ_STORAGE_FAILED);
    cr_assert_not_null(strstr(error.text, rig.dir), "in use: %s", error.text);
    store_close(&rig.store);
    file_set_format(rig.dir, 9);
    cr_assert_eq(store_lmdb_check(rig.dir, stderr, &report, &error), NQ_UNSUPPORTED_VERSION, "%s", error.text);
    cr_assert_eq(store_lmdb_compact(rig.dir, &before, &after, &error), NQ_UNSUPPORTED_VERSION, "%s", error.text);
    cr_assert_eq(store_lmdb_check(rig.parent, stderr, &report, &error), NQ_STORAGE_FAILED);
    cr_assert_not_null(strstr(error.text, "no store"), "%s", error.text);
    rig_end(&rig);
}

Test(lmdb_offline, compact_shrinks_a_drained_store_and_keeps_everything)
{
    struct store_rig rig;
    struct store_check_report report;
    struct store_error error = {0};
    uint64_t before = 0;
    uint64_t after = 0;
    start_filled(&rig);
    for (uint64_t i = 0; i < 20; i++) {
        rig_put(&rig, (struct rig_put){3, i * 100 + 1, .count = 100, .body_len = 10000});
        rig_commit(&rig);
    }
    rig_remove(&rig, 3, 1, 2000);
    rig_commit(&rig);
    char *want = rig_state(rig.store);
    store_close(&rig.store);
    cr_assert_eq(store_lmdb_compact(rig.dir, &before, &after, &error), NQ_OK, "%s", error.text);
    cr_assert(before > 20000000 && after < 200000, "%lu -> %lu", before, after);
    cr_assert_eq(file_bytes(rig.dir), after);
    rig_reopen(&rig);
    char *got = rig_state(rig.store);
    cr_assert_str_eq(got, want);
    store_close(&rig.store);
    free(check(&rig, NQ_OK, &report));
    free(got);
    free(want);
    rig_end(&rig);
}

// A broker that is started while the copy is about to be made, by somebody who thinks of the file `lock` as a leftover.
struct starter {
    struct store_rig *rig;
    bool tried;
    enum nq_status status;
    struct store_error error;
};

static void start_broker(void *context, const struct io_call *call)
{
    struct starter *starter = context;
    struct store_rig *rig = starter->rig;
    if (starter->tried || call->kind != IO_CREATE || strstr(call->path, "data.mdb.new") == NULL) {
        return;
    }
    starter->tried = true;
    file_remove(rig->dir, "lock");
    starter->status = rig_open_dir(STORE_LMDB, rig->dir, 0, &rig->store, &starter->error);
}

Test(lmdb_offline, compact_keeps_brokers_out_also_when_the_locks_file_is_removed)
{
    struct store_rig rig;
    struct store_error error = {0};
    uint64_t before;
    uint64_t after;
    start_filled(&rig);
    store_close(&rig.store);
    struct starter starter = {.rig = &rig};
    const struct io_watcher watcher = {.folder = rig.parent, .context = &starter, .pause = start_broker};
    io_watch(&watcher);
    enum nq_status status = store_lmdb_compact(rig.dir, &before, &after, &error);
    io_watch(NULL);
    cr_assert(starter.tried);
    cr_assert_eq(starter.status, NQ_STORAGE_FAILED, "what it accepts goes with the file that the copy replaces");
    cr_assert_not_null(strstr(starter.error.text, "using"), "%s", starter.error.text);
    cr_assert_eq(status, NQ_OK, "%s", error.text);
    rig_reopen(&rig);
    rig_end(&rig);
}

Test(lmdb_offline, backup_of_an_open_store_can_be_opened)
{
    struct store_rig rig;
    struct store *copy = NULL;
    struct store_error error = {0};
    char dir[200];
    static const uint8_t new_id[16] = "another store";
    uint8_t id[16];
    start_filled(&rig);
    snprintf(dir, sizeof(dir), "%s/backup", rig.parent);
    cr_assert_eq(store_lmdb_backup(rig.store, dir, new_id, &error), NQ_OK, "%s", error.text);
    rig_remove(&rig, 1, 1, 10); // later than the backup
    rig_commit(&rig);
    cr_assert_eq(rig_open_dir(STORE_LMDB, dir, 0, &copy, &error), NQ_OK, "%s", error.text);
    char *state = rig_state(copy);
    store_id(copy, id);
    cr_assert_arr_eq(id, new_id, sizeof(id));
    cr_assert_not_null(strstr(state, "\n1:1 accepted"));
    cr_assert_not_null(strstr(state, "\nitem 1:3 "));
    store_close(&copy);
    free(state);
    cr_assert_eq(store_lmdb_backup(rig.store, dir, new_id, &error), NQ_STORAGE_FAILED, "it exists");
    cr_assert_not_null(strstr(error.text, dir));
    rig_end(&rig);
}

// A store with groups in its journal that no checkpoint has taken up: what kill -9 leaves.
static void start_journaled(struct store_rig *rig, bool sync)
{
    struct store_error error = {0};
    char left[200];
    char command[600];
    struct engine_bytes body = {sizeof(marker), (const uint8_t *)marker};
    rig_start(rig, STORE_DISK);
    store_close(&rig->store);
    const struct store_lmdb_options options = {.dir = rig->dir, .sync = sync};
    cr_assert_eq(store_disk_open(&options, &rig->store, &error), NQ_OK, "%s", error.text);
    rig_queue(rig, 1, 201, 1, 0); // the items come with later groups
    rig_commit(rig);
    free(rig_load(rig->store)); // a checkpoint
    for (uint64_t i = 0; i < 4; i++) {
        rig_put(rig, (struct rig_put){1, 1 + i * 50, .count = 50, .body_len = 100});
        if (i == 1) { // not in the last one
            rig_add(rig,
                    (struct change){.kind = CHANGE_PUT, .as.put = {.queue_id = 2, .first_seq = 1, .count = 1, .bodies = &body}});
        }
        rig_commit(rig);
    }
    snprintf(left, sizeof(left), "%s/left", rig->parent);
    snprintf(command, sizeof(command), "cp -r '%s' '%s' && rm -f '%s'/lock*", rig->dir, left, left);
    cr_assert_eq(system(command), 0);
    store_close(&rig->store);
    snprintf(rig->dir, sizeof(rig->dir), "%.150s", left);
}

// The second of four groups in the journal is flipped. What check says then, to be freed.
static char *check_flipped_group(bool sync, enum nq_status expected)
{
    struct store_rig rig;
    struct store_check_report report;
    start_journaled(&rig, sync);
    free(check(&rig, NQ_OK, &report));
    for (int i = 0; i < 5 && report.groups < 4; i++) { // a slow machine: a checkpoint came between, as one does each second
        rig_end(&rig);
        start_journaled(&rig, sync);
        free(check(&rig, NQ_OK, &report));
    }
    cr_assert_eq(report.groups, 4);
    size_t flipped = file_flip_in(rig.dir, "journal-0", marker, sizeof(marker), 3);
    cr_assert_gt(flipped + file_flip_in(rig.dir, "journal-1", marker, sizeof(marker), 3), 0);
    char *text = check(&rig, expected, &report);
    cr_assert_eq(report.groups, 1);
    rig_end(&rig);
    return text;
}

Test(disk_offline, check_reads_the_groups_of_the_journal_and_finds_one_that_is_damaged)
{
    char *text = check_flipped_group(true, NQ_DAMAGED);
    cr_assert_not_null(strstr(text, "the journal: it is damaged in the middle"), "%s", text);
    free(text);
}

// A power cut may have taken it: what follows was written without syncs.
Test(disk_offline, without_syncs_a_gap_in_the_journal_is_no_damage)
{
    char *text = check_flipped_group(false, NQ_OK);
    cr_assert_str_empty(text);
    free(text);
}

Test(disk_offline, compact_keeps_what_only_the_journal_has)
{
    struct store_rig rig;
    struct store_error error = {0};
    uint64_t before;
    uint64_t after;
    start_journaled(&rig, false);
    cr_assert_eq(store_lmdb_compact(rig.dir, &before, &after, &error), NQ_OK, "%s", error.text);
    cr_assert_eq(rig_open_dir(STORE_DISK, rig.dir, 0, &rig.store, &error), NQ_OK, "%s", error.text);
    cr_assert_eq(store_read_begin(rig.store, NULL), NQ_OK);
    for (uint64_t seq = 1; seq <= 200; seq++) {
        struct store_item item;
        cr_assert_eq(store_read(rig.store, 1, seq, &item), NQ_OK, "%lu", seq);
        cr_assert(rig_is_filled(item.body, 1, seq, 'b'));
    }
    store_read_end(rig.store);
    rig_end(&rig);
}
