// The store on disk under churn: mixed sizes, a deep backlog that swings, commits one after the other, a reader at the heads.
//
// churn NEW_FOLDER [ITEMS [HIGH_ITEMS [QUEUES]]]   prints the size of the store over time, and where the time of commits went.
//
// Fails when an item is read that was not put so, or when the file still grows once the backlog has swung some times.
//
// ITEMS are put in all (10,000,000), the backlog swings between HIGH_ITEMS / 20 and HIGH_ITEMS (1,500,000).
#include <dlfcn.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "churn_load.h"
#include "io_meter.h"
#include "store_disk.h"

enum { REPORTS = 20, READ_ITEMS = 100, GROUP_ITEMS_MAX = 4000, RDONLY = 0x20000, SETTLED_SWINGS = 2, SLACK_BYTES = 64 << 20 };

// Times of one kind of step, in nanoseconds.
struct times {
    uint64_t *list;
    size_t count, capacity;
};

struct bench {
    struct store *store;
    struct churn *churn;
    size_t queues;
    char data_path[4096];
    atomic_bool stop;
    sem_t committed; // the reader reads once for each commit
    uint64_t read_items, wrong_items;
    uint64_t settled_bytes; // of the file after the first swings; 0: not yet
    struct times commit, commit_less_own, commit_less_all, read;
};

// A checkpoint is LMDB's only writing transaction: from its begin to the end of its commit.
static struct times checkpoint, checkpoint_less_own; // the checkpointer's until the store is closed
static _Thread_local uint64_t began_ns;
static _Thread_local struct io_totals began_io;

static void note(struct times *times, uint64_t ns)
{
    if (times->count == times->capacity) {
        times->capacity = times->capacity == 0 ? 4096 : times->capacity * 2;
        times->list = realloc(times->list, times->capacity * sizeof(*times->list));
        if (times->list == NULL) {
            abort();
        }
    }
    times->list[times->count++] = ns;
}

// LMDB's own, of which no more is needed here than that they are called.
int mdb_txn_begin(void *env, void *parent, unsigned flags, void **txn);
int mdb_txn_commit(void *txn);

union mdb_call {
    void *data;
    int (*begin)(void *, void *, unsigned, void **);
    int (*commit)(void *);
};

int mdb_txn_begin(void *env, void *parent, unsigned flags, void **txn)
{
    const union mdb_call call = {dlsym(RTLD_NEXT, "mdb_txn_begin")};
    if ((flags & RDONLY) == 0) {
        began_io = io_of_this_thread();
        began_ns = io_now_ns();
    }
    return call.begin(env, parent, flags, txn);
}

int mdb_txn_commit(void *txn)
{
    const union mdb_call call = {dlsym(RTLD_NEXT, "mdb_txn_commit")};
    int rc = call.commit(txn);
    if (began_ns != 0) {
        uint64_t took = io_now_ns() - began_ns;
        note(&checkpoint, took);
        note(&checkpoint_less_own, took - (io_of_this_thread().ns - began_io.ns));
        began_ns = 0;
    }
    return rc;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static double ms_at(const struct times *times, double share)
{
    size_t at = (size_t)((double)times->count * share);
    return times->count == 0 ? 0 : (double)times->list[at < times->count ? at : times->count - 1] / 1e6;
}

static void print_times(const char *what, struct times *times)
{
    if (times->count > 0) {
        qsort(times->list, times->count, sizeof(*times->list), compare);
    }
    printf("%-46s %7zu %8.2f %8.2f %8.2f %8.2f %8.2f\n", what, times->count, ms_at(times, 0.5), ms_at(times, 0.9),
           ms_at(times, 0.99), ms_at(times, 0.999), ms_at(times, 1));
    free(times->list);
}

static void *read_heads(void *context)
{
    struct bench *self = context;
    for (uint64_t turn = 0; sem_wait(&self->committed) == 0 && !atomic_load(&self->stop); turn++) {
        uint64_t queue_id = turn % self->queues + 1;
        uint64_t seq;
        uint64_t below_seq;
        struct store_item item;
        uint64_t began = io_now_ns();
        churn_ready(self->churn, queue_id, &seq, &below_seq);
        if (store_read_begin(self->store, NULL) != NQ_OK) {
            break;
        }
        for (size_t i = 0; i < READ_ITEMS && seq < below_seq && store_read(self->store, queue_id, seq, &item) != NQ_EMPTY;
             i++, seq++) {
            self->wrong_items += churn_is_as_put(self->churn, queue_id, &item) ? 0 : 1;
            self->read_items++;
        }
        store_read_end(self->store);
        note(&self->read, io_now_ns() - began);
    }
    return NULL;
}

static bool commit_group(struct bench *self, struct changes *changes)
{
    struct store_error error = {0};
    changes_clear(changes);
    if (!churn_next_group(self->churn, changes)) {
        fprintf(stderr, "churn: out of memory\n");
        return false;
    }
    uint64_t own = io_of_this_thread().ns;
    uint64_t busy = io_busy_ns();
    uint64_t began = io_now_ns();
    enum nq_status status = store_commit(self->store, changes, &error);
    uint64_t took = io_now_ns() - began;
    own = io_of_this_thread().ns - own;
    busy = io_busy_ns() - busy;
    note(&self->commit, took);
    note(&self->commit_less_own, took - own);
    note(&self->commit_less_all, took > busy ? took - busy : 0);
    churn_committed(self->churn);
    sem_post(&self->committed);
    if (status != NQ_OK) {
        fprintf(stderr, "churn: %s\n", error.text);
    }
    return status == NQ_OK;
}

static uint64_t file_bytes(const struct bench *self)
{
    struct stat file = {0};
    return stat(self->data_path, &file) == 0 ? (uint64_t)file.st_blocks * 512 : 0;
}

// A checkpoint that comes late, on a busy machine, has more to write at once: half as much again is no growth with each swing.
static bool has_grown(const struct bench *self, const struct churn_counts *counts)
{
    uint64_t now_bytes = file_bytes(self);
    if (counts->swings <= SETTLED_SWINGS) {
        printf("\ntoo few swings to tell whether the file grows\n");
        return false;
    }
    bool grown = now_bytes > self->settled_bytes / 2 * 3 + SLACK_BYTES;
    printf("\nthe file %s: %.0f MB after %d swings, %.0f MB after %" PRIu64 "\n", grown ? "GROWS" : "has stopped growing",
           (double)self->settled_bytes / 1e6, SETTLED_SWINGS, (double)now_bytes / 1e6, counts->swings);
    return grown;
}

static void report(const struct bench *self, uint64_t began_at_ns)
{
    struct store_space space = {0};
    struct churn_counts counts;
    struct rusage usage;
    churn_counts(self->churn, &counts);
    store_space(self->store, &space);
    getrusage(RUSAGE_SELF, &usage);
    printf("%8.1f %9.2f %9.2f %9.0f %9.0f %9.0f %6" PRIu64 " %8.1f\n", (double)(io_now_ns() - began_at_ns) / 1e9,
           (double)counts.puts / 1e6, (double)counts.backlog_items / 1e6, (double)counts.backlog_bytes / 1e6,
           (double)space.used_bytes / 1e6, (double)file_bytes(self) / 1e6, counts.swings,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    fflush(stdout);
}

static bool run(struct bench *self, uint64_t items)
{
    struct changes *changes = changes_create();
    pthread_t reader;
    struct churn_counts counts = {0};
    uint64_t next_report = 0;
    uint64_t began = io_now_ns();
    bool ok = changes != NULL;
    sem_init(&self->committed, 0, 0);
    pthread_create(&reader, NULL, read_heads, self);
    printf(" seconds  M items   backlog M        MB   used MB   file MB swings    CPU s\n");
    while (ok && counts.puts < items) {
        ok = commit_group(self, changes);
        churn_counts(self->churn, &counts);
        if (counts.swings == SETTLED_SWINGS && self->settled_bytes == 0) {
            self->settled_bytes = file_bytes(self);
        }
        if (counts.puts >= next_report) {
            report(self, began);
            next_report += items / REPORTS;
        }
    }
    double took = (double)(io_now_ns() - began) / 1e9;
    struct io_totals io = io_of_all();
    atomic_store(&self->stop, true);
    sem_post(&self->committed);
    pthread_join(reader, NULL);
    report(self, began);
    printf("\n%.0f items/s, %.0f MB/s put, %.2f bytes written for each byte put, %" PRIu64 " items read, %" PRIu64
           " of them wrong\n",
           (double)counts.puts / took, (double)counts.put_bytes / 1e6 / took, (double)io.bytes / (double)counts.put_bytes,
           self->read_items, self->wrong_items);
    changes_destroy(&changes);
    return !has_grown(self, &counts) && ok && self->wrong_items == 0;
}

static void print_all_times(struct bench *self)
{
    printf("\n%-46s %7s %8s %8s %8s %8s %8s\n", "ms", "count", "p50", "p90", "p99", "p99.9", "max");
    print_times("commit", &self->commit);
    print_times("commit less its own writes and flushes", &self->commit_less_own);
    print_times("commit less any thread's writes and flushes", &self->commit_less_all);
    print_times("checkpoint", &checkpoint);
    print_times("checkpoint less its own writes and flushes", &checkpoint_less_own);
    print_times("read of 100 items at a head", &self->read);
}

int main(int argc, char **argv)
{
    static const uint8_t id[16];
    struct store_error error = {.text = "usage: churn NEW_FOLDER [ITEMS [HIGH_ITEMS [QUEUES]]]"};
    uint64_t items = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000000;
    uint64_t high = argc > 3 ? strtoull(argv[3], NULL, 10) : 1500000;
    struct bench self = {.queues = argc > 4 ? strtoull(argv[4], NULL, 10) : 16};
    const struct store_lmdb_options options = {.dir = argc > 1 ? argv[1] : NULL, .sync = true, .new_store_id = id};
    const struct churn_config config = {.seed = 1,
                                        .queues = self.queues,
                                        .low_items = high / 20,
                                        .high_items = high,
                                        .bytes_max = 1 << 20,
                                        .group_items_max = GROUP_ITEMS_MAX};
    bool valid = argc > 1 && argc < 6 && items >= REPORTS && high > 0 && self.queues > 0;
    self.churn = valid ? churn_create(&config) : NULL;
    if (self.churn == NULL || store_disk_open(&options, &self.store, &error) != NQ_OK) {
        fprintf(stderr, "churn: %s\n", error.text);
        return 1;
    }
    snprintf(self.data_path, sizeof(self.data_path), "%s/data.mdb", argv[1]);
    bool ok = run(&self, items);
    store_close(&self.store);
    print_all_times(&self);
    churn_destroy(&self.churn);
    return ok ? 0 : 1;
}
