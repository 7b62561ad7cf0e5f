// What check and a start must see of a damaged store: its pages, its heads, how far the journal is applied, what the journal says.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"
#include "store_disk.h"
#include "store_files.h"
#include "store_offline.h"
#include "store_rig.h"

enum { META_KEY = 0, JOURNALED_KEY = 1 };

// A store that is closed, whole, and has free pages in its file.
static void start_closed(struct store_rig *rig, enum store_kind kind)
{
    rig_start(rig, kind);
    rig_queue(rig, 1, 51, 1, 50);
    rig_put(rig, (struct rig_put){1, 1, .count = 50, .body_len = 500});
    rig_commit(rig);
    for (uint64_t i = 0; i < 3; i++) {
        rig_put(rig, (struct rig_put){2, i * 20 + 1, .count = 20, .body_len = 900});
        rig_commit(rig);
        rig_remove(rig, 2, i * 20 + 1, i * 20 + 20);
        rig_add(rig, (struct change){.kind = CHANGE_META, .as.meta = &(struct meta_record){.now_ms = i, .epoch = 1}});
        rig_commit(rig);
    }
    store_close(&rig->store);
}

static bool check_finds(struct store_rig *rig, const char *what)
{
    char text[4096] = "";
    struct store_error error = {0};
    struct store_check_report report;
    FILE *findings = tmpfile();
    cr_assert_not_null(findings);
    enum nq_status status = store_lmdb_check(rig->dir, findings, &report, &error);
    rewind(findings);
    text[fread(text, 1, sizeof(text) - 1, findings)] = '\0';
    fclose(findings);
    cr_assert_eq(status == NQ_DAMAGED, report.damaged + report.misplaced > 0);
    cr_assert_eq(status, what == NULL ? NQ_OK : NQ_DAMAGED, "%s%s", error.text, text);
    return what == NULL ? text[0] == '\0' : strstr(text, what) != NULL;
}

// ---------------------------------------------------------------------------------------------------------------------- pages

Test(lmdb_check, a_page_that_is_neither_used_nor_free_is_missed)
{
    struct store_rig rig;
    start_closed(&rig, STORE_LMDB);
    cr_assert(check_finds(&rig, NULL));
    file_grow_last_page(rig.dir);
    cr_assert(check_finds(&rig, "are used or free"));
    rig_end(&rig);
}

Test(lmdb_check, a_page_that_is_used_and_free_is_named)
{
    struct store_rig rig;
    start_closed(&rig, STORE_LMDB);
    file_set_free_page(rig.dir, 1, file_root_page(rig.dir));
    cr_assert(check_finds(&rig, "one is used, and free"));
    rig_end(&rig);
}

Test(lmdb_check, a_list_of_free_pages_that_makes_no_sense_is_named)
{
    struct store_rig rig;
    start_closed(&rig, STORE_LMDB);
    uint64_t first = file_set_free_page(rig.dir, 1, 1u << 30);
    cr_assert(check_finds(&rig, "one lies outside of the file"));
    file_set_free_page(rig.dir, 1, first);
    cr_assert(check_finds(&rig, NULL), "it is whole again");
    uint64_t second = file_set_free_page(rig.dir, 2, first);
    cr_assert(check_finds(&rig, "a list of free ones is out of order"));
    file_set_free_page(rig.dir, 2, second);
    file_set_free_page(rig.dir, 0, 1u << 20);
    cr_assert(check_finds(&rig, "a list of free ones is longer than its place"));
    rig_end(&rig);
}

// The older head would be taken for the newer one: the last commit would be gone without a word.
Test(lmdb_check, heads_that_do_not_follow_each_other_are_refused)
{
    struct store_rig rig;
    struct store_error error = {0};
    struct store_check_report report;
    start_closed(&rig, STORE_LMDB);
    file_raise_older_head(rig.dir);
    const struct store_lmdb_options options = {.dir = rig.dir, .sync = true, .new_store_id = (const uint8_t *)"a store to test"};
    cr_assert_eq(store_lmdb_open(&options, &rig.store, &error), NQ_STORAGE_FAILED);
    cr_assert_not_null(strstr(error.text, "do not follow each other"), "%s", error.text);
    error = (struct store_error){0};
    cr_assert_eq(store_lmdb_check(rig.dir, stderr, &report, &error), NQ_STORAGE_FAILED);
    cr_assert_not_null(strstr(error.text, "do not follow each other"), "%s", error.text);
    rig_end(&rig);
}

// --------------------------------------------------------------------------------------------------------------------- counts

// A purge leaves what is on lease: it counts until it comes back, and what is gone does not.
Test(lmdb_check, what_is_on_lease_below_the_mark_counts_and_the_rest_does_not)
{
    struct store_rig rig;
    struct queue_record queue = {
        .queue_id = 1, .name = "q", .name_len = 1, .next_seq = 21, .cursor = 21, .gone_below = 21, .leased = 4};
    rig_start(&rig, STORE_LMDB);
    rig_put(&rig, (struct rig_put){1, 1, .count = 20, .body_len = 10});
    rig_run(&rig, 1, 3, 5);              // three of them,
    rig_item(&rig, 1, 9, ITEM_LEASED);   // and one more
    rig_item(&rig, 1, 12, ITEM_DELAYED); // gone, like all others
    rig_add(&rig, (struct change){.kind = CHANGE_QUEUE, .as.queue = &queue});
    rig_commit(&rig);
    store_close(&rig.store);
    cr_assert(check_finds(&rig, NULL));
    file_remove_item(rig.dir, 1, 4);
    cr_assert(check_finds(&rig, "queue q: 3 items stored, its record counts 4"));
    rig_end(&rig);
}

// ------------------------------------------------------------------------------------------------------------ meta and journal

Test(lmdb_check, a_damaged_record_of_the_brokers_own_state_is_named)
{
    struct store_rig rig;
    start_closed(&rig, STORE_LMDB);
    file_flip_meta(rig.dir, META_KEY);
    cr_assert(check_finds(&rig, "damaged record in table meta (0, 0)"));
    rig_end(&rig);
}

// Groups applied twice, or left out, would be worse than no start.
Test(disk_check, a_store_that_does_not_know_how_far_its_journal_is_applied_is_refused)
{
    struct store_rig rig;
    struct store_error error = {0};
    start_closed(&rig, STORE_DISK);
    cr_assert(check_finds(&rig, NULL));
    file_flip_meta(rig.dir, JOURNALED_KEY);
    cr_assert(check_finds(&rig, "damaged record in table meta (1, 0)"));
    cr_assert_eq(rig_open_dir(STORE_DISK, rig.dir, 0, &rig.store, &error), NQ_DAMAGED);
    cr_assert_not_null(strstr(error.text, "how far its journal is applied"), "%s", error.text);
    rig_end(&rig);
}

struct last_group {
    uint64_t number;
};

static enum nq_status note_group(void *context, uint64_t number, const void *data, size_t len, struct store_error *error)
{
    struct last_group *last = context;
    (void)data;
    (void)len;
    (void)error;
    last->number = number;
    return NQ_OK;
}

// A group with a good checksum and a number that follows, of bytes that are no changes: an error of a program, not of the disk.
static uint64_t append_nonsense(const struct store_rig *rig, uint64_t salt, uint64_t applied)
{
    enum { LEN = 100 };
    struct journal *journal = NULL;
    struct last_group last = {applied};
    struct store_error error = {0};
    int dir_fd = open(rig->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(dir_fd, 0);
    cr_assert_eq(journal_open(dir_fd, 1 << 20, false, salt, applied, note_group, &last, &journal, &error), NQ_OK, "%s", error.text);
    uint8_t *group = aligned_alloc(JOURNAL_BLOCK_BYTES, journal_group_bytes(LEN));
    cr_assert_not_null(group);
    memset(group, 0xEE, journal_group_bytes(LEN));
    cr_assert_eq(journal_append(journal, group, LEN, &error), NQ_OK, "%s", error.text);
    uint64_t number = journal_last(journal);
    free(group);
    journal_close(&journal);
    close(dir_fd);
    return number;
}

Test(disk_check, a_group_that_makes_no_sense_is_named_and_not_applied)
{
    struct store_rig rig;
    struct store_error error = {0};
    uint64_t salt;
    uint8_t id[16];
    start_closed(&rig, STORE_DISK);
    cr_assert_eq(rig_open_dir(STORE_DISK, rig.dir, 0, &rig.store, &error), NQ_OK, "%s", error.text);
    store_id(rig.store, id);
    store_close(&rig.store);
    memcpy(&salt, id, sizeof(salt)); // no salt was given
    cr_assert_eq(append_nonsense(&rig, salt, 7), 8, "seven commits were made");
    cr_assert(check_finds(&rig, "the journal: group 8 makes no sense"));
    cr_assert_eq(rig_open_dir(STORE_DISK, rig.dir, 0, &rig.store, &error), NQ_DAMAGED);
    cr_assert_not_null(strstr(error.text, "makes no sense"), "%s", error.text);
    rig_end(&rig);
}
