// The journal: what is acknowledged is read again, a torn end is not, damage in the middle is not passed over.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal.h"

enum { FILE_BYTES = 16 * JOURNAL_BLOCK_BYTES, SALT = 77 };

struct rig {
    char dir[64];
    int dir_fd;
    struct journal *journal;
    struct store_error error;
    uint64_t first, last; // of the groups read at the last start
    size_t count;
};

static enum nq_status visit(void *context, uint64_t number, const void *data, size_t len, struct store_error *error)
{
    struct rig *rig = context;
    char want[32];
    (void)error;
    snprintf(want, sizeof(want), "group %llu", (unsigned long long)number);
    cr_assert(len >= strlen(want) && memcmp(data, want, strlen(want)) == 0, "group %llu has another's content",
              (unsigned long long)number);
    rig->first = rig->count == 0 ? number : rig->first;
    rig->last = number;
    rig->count++;
    return NQ_OK;
}

static enum nq_status start(struct rig *rig, uint64_t above)
{
    rig->count = 0;
    rig->first = rig->last = 0;
    journal_close(&rig->journal);
    return journal_open(rig->dir_fd, FILE_BYTES, true, SALT, above, visit, rig, &rig->journal, &rig->error);
}

static void rig_make(struct rig *rig)
{
    const char *tmp = getenv("TMPDIR");
    *rig = (struct rig){0};
    snprintf(rig->dir, sizeof(rig->dir), "%.40s/journal-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    cr_assert_not_null(mkdtemp(rig->dir));
    rig->dir_fd = open(rig->dir, O_RDONLY | O_DIRECTORY);
    cr_assert_eq(start(rig, 0), NQ_OK);
}

static void rig_end(struct rig *rig)
{
    journal_close(&rig->journal);
    unlinkat(rig->dir_fd, "journal-0", 0);
    unlinkat(rig->dir_fd, "journal-1", 0);
    close(rig->dir_fd);
    rmdir(rig->dir);
}

static void append(struct rig *rig, size_t len)
{
    uint8_t *group = aligned_alloc(JOURNAL_BLOCK_BYTES, journal_group_bytes(len));
    snprintf((char *)group + JOURNAL_HEADER_BYTES, len, "group %llu", (unsigned long long)journal_last(rig->journal) + 1);
    cr_assert(journal_fits(rig->journal, len));
    cr_assert_eq(journal_append(rig->journal, group, len, &rig->error), NQ_OK);
    free(group);
}

// Turn over one bit of a file.
static void damage(struct rig *rig, const char *name, off_t at)
{
    uint8_t byte;
    int fd = openat(rig->dir_fd, name, O_RDWR);
    cr_assert_eq(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

Test(journal, groups_are_read_again_in_order)
{
    struct rig rig;
    rig_make(&rig);
    for (size_t i = 0; i < 5; i++) {
        append(&rig, 100 + i * 2000);
    }
    cr_assert_eq(start(&rig, 0), NQ_OK);
    cr_expect_eq(rig.count, 5);
    cr_expect_eq(rig.first, 1);
    cr_expect_eq(journal_last(rig.journal), 5);
    cr_assert_eq(start(&rig, 3), NQ_OK); // what is applied is not told again
    cr_expect_eq(rig.first, 4);
    cr_expect_eq(rig.count, 2);
    rig_end(&rig);
}

Test(journal, the_two_files_are_used_in_turn)
{
    struct rig rig;
    rig_make(&rig);
    for (size_t round = 0; round < 7; round++) {
        uint64_t applied = journal_last(rig.journal);
        for (size_t i = 0; i < 3 + round % 3; i++) {
            append(&rig, 3000);
        }
        journal_turn(rig.journal);
        append(&rig, 50);
        uint64_t last = journal_last(rig.journal);
        cr_assert_eq(start(&rig, applied), NQ_OK);
        cr_assert_eq(rig.first, applied + 1);
        cr_assert_eq(rig.last, last);
        cr_assert_eq(rig.count, last - applied);
    }
    rig_end(&rig);
}

Test(journal, a_full_file_says_so)
{
    struct rig rig;
    rig_make(&rig);
    for (size_t i = 0; i < 16; i++) {
        append(&rig, 100);
    }
    cr_expect_not(journal_fits(rig.journal, 1));
    cr_expect_eq(journal_len_max(rig.journal), FILE_BYTES - JOURNAL_HEADER_BYTES);
    rig_end(&rig);
}

Test(journal, a_torn_last_group_is_left_out)
{
    for (off_t at = 0; at < 3000; at += 97) {
        struct rig rig;
        rig_make(&rig);
        append(&rig, 3000);
        append(&rig, 3000);
        damage(&rig, "journal-0", JOURNAL_BLOCK_BYTES + at);
        cr_assert_eq(start(&rig, 0), NQ_OK, "at %ld: %s", (long)at, rig.error.text);
        cr_expect_eq(rig.count, 1);
        cr_expect_eq(journal_last(rig.journal), 1);
        rig_end(&rig);
    }
}

Test(journal, damage_in_the_middle_is_refused)
{
    for (off_t at = 0; at < 3000; at += 97) {
        struct rig rig;
        rig_make(&rig);
        for (size_t i = 0; i < 3; i++) {
            append(&rig, 3000);
        }
        damage(&rig, "journal-0", JOURNAL_BLOCK_BYTES + at);
        cr_assert_eq(start(&rig, 0), NQ_DAMAGED, "at %ld", (long)at);
        cr_expect_not_null(strstr(rig.error.text, "damaged in the middle"));
        cr_assert_eq(start(&rig, 3), NQ_OK, "what is applied already does not matter");
        rig_end(&rig);
    }
}

Test(journal, what_is_left_of_an_earlier_use_is_not_read)
{
    struct rig rig;
    rig_make(&rig);
    for (size_t i = 0; i < 10; i++) {
        append(&rig, 100);
    }
    journal_turn(rig.journal);
    append(&rig, 100);
    journal_turn(rig.journal); // 12 goes over 1; 2 to 10 are left behind it
    append(&rig, 100);
    cr_assert_eq(start(&rig, 10), NQ_OK);
    cr_expect_eq(rig.first, 11);
    cr_expect_eq(rig.last, 12);
    rig_end(&rig);
}

Test(journal, a_missing_group_is_damage)
{
    struct rig rig;
    rig_make(&rig);
    append(&rig, 100);
    journal_skip(rig.journal); // it went by another way
    journal_turn(rig.journal);
    append(&rig, 100);
    cr_assert_eq(start(&rig, 0), NQ_DAMAGED);
    cr_assert_eq(start(&rig, 2), NQ_OK);
    cr_expect_eq(rig.first, 3);
    rig_end(&rig);
}

Test(journal, another_stores_journal_is_not_read)
{
    struct rig rig;
    rig_make(&rig);
    append(&rig, 100);
    journal_close(&rig.journal);
    rig.count = 0;
    cr_assert_eq(journal_open(rig.dir_fd, FILE_BYTES, true, SALT + 1, 0, visit, &rig, &rig.journal, &rig.error), NQ_OK);
    cr_expect_eq(rig.count, 0);
    rig_end(&rig);
}
