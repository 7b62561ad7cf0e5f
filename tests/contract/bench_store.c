// How fast the stores on disk take items in at the tail and out at the head, by the size of a commit. Not a test:
//   bench_store FOLDER [lmdb|disk]      FOLDER: on the disk to measure, synced
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "store_disk.h"
#include "store_lmdb.h"

enum { ITEM_BYTES = 100, BACKLOG = 20000, COMMIT_MAX = 10000 };

static const struct {
    size_t items, commits;
} sizes[] = {{1, 300}, {100, 300}, {1000, 200}, {10000, 50}};

static uint8_t body_bytes[ITEM_BYTES];
static struct engine_bytes bodies[COMMIT_MAX];

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static bool commit(struct store *store, struct changes *changes, uint64_t next_seq, size_t puts, uint64_t head, size_t removes)
{
    struct queue_record queue = {.queue_id = 1, .name = "q", .name_len = 1, .next_seq = next_seq + puts, .cursor = head + removes};
    struct change put = {.kind = CHANGE_PUT, .as.put = {.queue_id = 1, .first_seq = next_seq, .count = puts, .bodies = bodies}};
    struct change remove = {.kind = CHANGE_REMOVE, .as.remove = {1, head, head + removes - 1}};
    struct change record = {.kind = CHANGE_QUEUE, .as.queue = &queue};
    struct store_error error = {0};
    bool ok = changes_add(changes, &put) && (removes == 0 || changes_add(changes, &remove)) && changes_add(changes, &record) &&
              store_commit(store, changes, &error) == NQ_OK;
    changes_clear(changes);
    if (!ok) {
        fprintf(stderr, "commit: %s\n", error.text);
    }
    return ok;
}

static bool measure(struct store *store, struct changes *changes, uint64_t *next_seq, size_t items, size_t commits)
{
    double start = seconds();
    double cpu_start = cpu_seconds();
    for (size_t i = 0; i < commits; i++, *next_seq += items) {
        if (!commit(store, changes, *next_seq, items, *next_seq - BACKLOG, items)) {
            return false;
        }
    }
    double wall = seconds() - start;
    double cpu = cpu_seconds() - cpu_start;
    double count = (double)(items * commits);
    printf("%-6s %6zu items a commit  %10.0f items/s  %7.2f us CPU an item  %8.2f ms a commit\n", store->ops->name, items,
           count / wall, cpu / count * 1e6, wall / (double)commits * 1e3);
    return true;
}

int main(int argc, char **argv)
{
    static const uint8_t id[16];
    struct store_error error = {0};
    struct store *store = NULL;
    struct changes *changes = changes_create();
    bool with_journal = argc > 2 && strcmp(argv[2], "disk") == 0;
    const struct store_lmdb_options options = {.dir = argc > 1 ? argv[1] : NULL, .sync = true, .new_store_id = id};
    enum nq_status status = argc < 2 || changes == NULL ? NQ_BAD_REQUEST
                            : with_journal              ? store_disk_open(&options, &store, &error)
                                                        : store_lmdb_open(&options, &store, &error);
    if (status != NQ_OK) {
        fprintf(stderr, "usage: bench_store NEW_FOLDER [lmdb|disk]\n%s\n", error.text);
        changes_destroy(&changes);
        return 1;
    }
    for (size_t i = 0; i < COMMIT_MAX; i++) {
        bodies[i] = (struct engine_bytes){ITEM_BYTES, body_bytes};
    }
    uint64_t next_seq = 1;
    bool ok = true;
    for (; ok && next_seq <= BACKLOG; next_seq += COMMIT_MAX) {
        ok = commit(store, changes, next_seq, COMMIT_MAX, 1, 0);
    }
    for (size_t i = 0; ok && i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ok = measure(store, changes, &next_seq, sizes[i].items, sizes[i].commits);
    }
    store_close(&store);
    changes_destroy(&changes);
    return ok ? 0 : 1;
}
