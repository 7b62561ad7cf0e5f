// Mixed sizes, a backlog that swings, items finished in and out of order, a reader at the heads: the file stops growing, and what is
// stored stays what was put. The long form is bench/churn.c.
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "churn_load.h"
#include "store_files.h"
#include "store_rig.h"

enum { QUEUES = 5, SETTLED_SWINGS = 3, SWINGS = 10, MEBI = 1 << 20 };

static const struct churn_config config = {
    .seed = 7, .queues = QUEUES, .low_items = 500, .high_items = 20000, .bytes_max = 200000, .group_items_max = 2000};

static uint64_t allocated_bytes(const struct store_rig *rig)
{
    char path[256];
    struct stat file;
    snprintf(path, sizeof(path), "%s/data.mdb", rig->dir);
    cr_assert_eq(stat(path, &file), 0);
    return (uint64_t)file.st_blocks * 512;
}

// The first items that were never leased, at most so many.
static void read_head(const struct store_rig *rig, const struct churn *churn, uint64_t queue_id, uint64_t items_max)
{
    uint64_t first;
    uint64_t below;
    churn_ready(churn, queue_id, &first, &below);
    cr_assert_eq(store_read_begin(rig->store, NULL), NQ_OK);
    for (uint64_t seq = first; seq < below && seq - first < items_max; seq++) {
        struct store_item item;
        cr_assert_eq(store_read(rig->store, queue_id, seq, &item), NQ_OK, "queue %" PRIu64 " seq %" PRIu64, queue_id, seq);
        cr_assert(churn_is_as_put(churn, queue_id, &item), "queue %" PRIu64 " seq %" PRIu64, queue_id, seq);
    }
    store_read_end(rig->store);
}

static void commit_next(struct store_rig *rig, struct churn *churn)
{
    cr_assert(churn_next_group(churn, rig->changes));
    rig_commit(rig);
    churn_committed(churn);
}

Test(store_churn, file_stops_growing_and_items_stay_as_they_were)
{
    struct store_rig rig;
    struct churn *churn = churn_create(&config);
    struct churn_counts counts = {0};
    uint64_t settled_bytes = 0;
    rig_start(&rig, STORE_DISK);
    cr_assert_not_null(churn);
    for (uint64_t group = 0; counts.swings < SWINGS; group++) {
        commit_next(&rig, churn);
        read_head(&rig, churn, group % QUEUES + 1, 20);
        churn_counts(churn, &counts);
        if (counts.swings == SETTLED_SWINGS) {
            settled_bytes = allocated_bytes(&rig);
        }
    }
    cr_expect_gt(counts.puts, 10 * config.high_items, "it put too little to tell");
    // A checkpoint that comes late, on a busy machine, has more to write at once: for that it may take as much again, but not for each swing.
    cr_expect_lt(allocated_bytes(&rig), 2 * settled_bytes + 8 * MEBI, "it grew from %" PRIu64 " to %" PRIu64 " bytes",
                 settled_bytes, allocated_bytes(&rig));
    rig_reopen(&rig);
    for (uint64_t queue_id = 1; queue_id <= QUEUES; queue_id++) {
        read_head(&rig, churn, queue_id, UINT64_MAX);
    }
    store_close(&rig.store);
    cr_expect_eq(file_count_table(rig.dir, "items"), counts.backlog_items, "what is finished is not stored");
    rig_end(&rig);
    churn_destroy(&churn);
}
