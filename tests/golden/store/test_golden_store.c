// Stores written by earlier versions are read by today's code. NQ_GOLDEN_STORE is the folder with one folder a version.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contents.h"
#include "store_offline.h"

static void copy_file(const char *from, const char *to)
{
    struct stat status;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    cr_assert(in >= 0 && out >= 0 && fstat(in, &status) == 0, "%s", from);
    cr_assert_leq(status.st_size, 128 * 1024, "a golden store is small");
    cr_assert_eq(sendfile(out, in, NULL, (size_t)status.st_size), status.st_size);
    close(in);
    close(out);
}

// The golden store of a version, copied to a folder of its own, in a rig.
static void start_golden(struct store_rig *rig, enum store_kind kind, const char *version)
{
    char path[200];
    char golden[400];
    struct store_error error = {0};
    *rig = (struct store_rig){.kind = kind, .changes = changes_create()};
    rig_make_parent(rig->parent, sizeof(rig->parent));
    snprintf(rig->dir, sizeof(rig->dir), "%.120s/store", rig->parent);
    cr_assert_eq(mkdir(rig->dir, 0700), 0);
    snprintf(golden, sizeof(golden), "%s/%s/data.mdb", NQ_GOLDEN_STORE, version);
    snprintf(path, sizeof(path), "%s/data.mdb", rig->dir);
    copy_file(golden, path);
    cr_assert_eq(rig_open_dir(kind, rig->dir, 0, &rig->store, &error), NQ_OK, "%s", error.text);
}

static char *expected_state(void)
{
    struct store_rig rig;
    rig_start(&rig, STORE_MEMORY);
    golden_add(&rig);
    rig_commit(&rig);
    char *state = rig_state(rig.store);
    rig_end(&rig);
    return state;
}

static void compare(enum store_kind kind)
{
    struct store_rig rig;
    uint8_t id[16];
    start_golden(&rig, kind, "v1");
    char *want = expected_state();
    char *got = rig_state(rig.store);
    cr_assert_str_eq(got, want);
    store_id(rig.store, id);
    cr_assert_arr_eq(id, "golden store id", 16);
    free(got);
    free(want);
    rig_end(&rig);
}

Test(golden_store, version_1_is_loaded_as_it_was_written)
{
    compare(STORE_LMDB);
}

Test(golden_store, version_1_is_loaded_behind_a_journal)
{
    compare(STORE_DISK);
}

Test(golden_store, version_1_checks_and_goes_on)
{
    struct store_rig rig;
    struct store_check_report report;
    struct store_error error = {0};
    start_golden(&rig, STORE_LMDB, "v1");
    store_close(&rig.store);
    cr_assert_eq(store_lmdb_check(rig.dir, stderr, &report, &error), NQ_OK, "%s", error.text);
    cr_assert(report.queues == 2 && report.items == 6 && report.item_records == 2 && report.runs == 1);
    cr_assert(report.streams == 1 && report.sessions == 1);
    rig_reopen(&rig);
    rig_put(&rig, (struct rig_put){1, 9, .count = 5, .body_len = 10});
    rig_commit(&rig);
    rig_end(&rig);
}
