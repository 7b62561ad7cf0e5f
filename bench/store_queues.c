// What it costs the store on disk to spread the same items over many queues: cycles of put, lease and done in groups as a busy
// broker makes them, each group's items over as many queues as there are, one commit after the other.
//
// store_queues FOLDER [ITEMS_A_GROUP [SECONDS]]   each number of queues in a new store below FOLDER
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "io_meter.h"
#include "store_disk.h"

enum { ITEM_BYTES = 100, GROUP_ITEMS_MAX = 6000 };

static const size_t queue_counts[] = {1, 1000, 10000};

struct load {
    size_t queues, group_items;
    size_t turn; // the next queue to be used
    struct queue_record *records;
    struct engine_bytes bodies[GROUP_ITEMS_MAX];
};

static uint8_t body_bytes[ITEM_BYTES];

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// One queue's part of a group: finish what it leased the last time, lease what it got then, put more.
static bool add_cycle(struct queue_record *record, size_t items, const struct engine_bytes *bodies, uint64_t now_ms,
                      struct changes *out)
{
    uint64_t id = record->queue_id;
    uint64_t next = record->next_seq;
    bool ok = changes_add(out, &(struct change){.kind = CHANGE_PUT,
                                                .as.put = {.queue_id = id,
                                                           .first_seq = next,
                                                           .count = items,
                                                           .bodies = bodies,
                                                           .accepted_ms = now_ms,
                                                           .put_bytes = record->put_bytes}});
    if (record->reclaimed_below < record->cursor) {
        ok = ok &&
             changes_add(out,
                         &(struct change){.kind = CHANGE_REMOVE, .as.remove = {id, record->reclaimed_below, record->cursor - 1}}) &&
             changes_add(out, &(struct change){.kind = CHANGE_RUN_DROP, .as.run_drop = {id, record->reclaimed_below}});
        record->dones += record->cursor - record->reclaimed_below;
        record->reclaimed_below = record->cursor;
    }
    if (record->cursor < next) {
        struct run_record run = {.queue_id = id,
                                 .first_seq = record->cursor,
                                 .last_seq = next - 1,
                                 .session_no = 1,
                                 .get_id = next,
                                 .got_ms = now_ms,
                                 .lease_ms = 60000,
                                 .hold_max_ms = 3600000};
        ok = ok && changes_add(out, &(struct change){.kind = CHANGE_RUN, .as.run = &run});
        record->gets += next - record->cursor;
        record->cursor = next;
    }
    record->next_seq += items;
    record->puts += items;
    record->put_bytes += items * ITEM_BYTES;
    struct stream_record stream = {
        .queue_id = id, .stream = id * 0x9E3779B97F4A7C15u, .last_number = next, .last_seq = next, .used_ms = now_ms};
    return ok && changes_add(out, &(struct change){.kind = CHANGE_QUEUE, .as.queue = record}) &&
           changes_add(out, &(struct change){.kind = CHANGE_STREAM, .as.stream = &stream});
}

static bool add_group(struct load *self, uint64_t now_ms, struct changes *out)
{
    size_t parts = self->queues < self->group_items ? self->queues : self->group_items;
    size_t left = self->group_items;
    bool ok = true;
    for (size_t i = 0; ok && i < parts; i++) {
        size_t items = left / (parts - i);
        left -= items;
        ok = add_cycle(&self->records[self->turn], items, self->bodies, now_ms, out);
        self->turn = (self->turn + 1) % self->queues;
    }
    return ok;
}

static bool measure(struct load *self, struct store *store, double seconds)
{
    struct changes *changes = changes_create();
    struct store_error error = {0};
    struct io_totals io = io_of_all();
    uint64_t own_bytes = io_of_this_thread().bytes;
    uint64_t began = io_now_ns();
    double cpu = cpu_seconds();
    size_t groups = 0;
    bool ok = changes != NULL;
    while (ok && (double)(io_now_ns() - began) < seconds * 1e9) {
        changes_clear(changes);
        ok = add_group(self, 1000000000000u + groups, changes) && store_commit(store, changes, &error) == NQ_OK;
        groups++;
    }
    double took = (double)(io_now_ns() - began) / 1e9;
    double items = (double)(groups * self->group_items);
    double journal = (double)(io_of_this_thread().bytes - own_bytes) / items;
    double all = (double)(io_of_all().bytes - io.bytes) / items;
    printf("%7zu %12.0f %14.2f %16.0f %18.0f\n", self->queues, items / took, (cpu_seconds() - cpu) / items * 1e6, journal,
           all - journal);
    if (!ok) {
        fprintf(stderr, "store_queues: %s\n", error.text);
    }
    changes_destroy(&changes);
    return ok;
}

static bool measure_with(struct load *self, const char *folder, double seconds)
{
    static const uint8_t id[16];
    char dir[4096];
    struct store *store = NULL;
    struct store_error error = {0};
    snprintf(dir, sizeof(dir), "%s/queues-%zu", folder, self->queues);
    const struct store_lmdb_options options = {.dir = dir, .sync = true, .new_store_id = id};
    self->turn = 0;
    self->records = calloc(self->queues, sizeof(*self->records));
    for (size_t i = 0; self->records != NULL && i < self->queues; i++) {
        self->records[i] = (struct queue_record){.queue_id = i + 1,
                                                 .next_seq = 1,
                                                 .cursor = 1,
                                                 .reclaimed_below = 1,
                                                 .lease_ms = 60000,
                                                 .hold_max_ms = 3600000,
                                                 .state = 1};
        self->records[i].name_len = (uint8_t)snprintf(self->records[i].name, ENGINE_NAME_BYTES_MAX, "bench.queue-%zu", i + 1);
    }
    bool ok = self->records != NULL && store_disk_open(&options, &store, &error) == NQ_OK;
    if (!ok) {
        fprintf(stderr, "store_queues: %s\n", error.text);
    }
    ok = ok && measure(self, store, seconds);
    store_close(&store);
    free(self->records);
    return ok;
}

int main(int argc, char **argv)
{
    static struct load load;
    double seconds = argc > 3 ? strtod(argv[3], NULL) : 3;
    load.group_items = argc > 2 ? strtoull(argv[2], NULL, 10) : 3000;
    if (argc < 2 || load.group_items == 0 || load.group_items > GROUP_ITEMS_MAX) {
        fprintf(stderr, "usage: store_queues FOLDER [ITEMS_A_GROUP [SECONDS]]   (at most %d items a group)\n", GROUP_ITEMS_MAX);
        return 64;
    }
    for (size_t i = 0; i < GROUP_ITEMS_MAX; i++) {
        load.bodies[i] = (struct engine_bytes){ITEM_BYTES, body_bytes};
    }
    printf(" queues     cycles/s  us CPU a cycle   journal B a cycle   checkpoint B a cycle\n");
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof(queue_counts) / sizeof(queue_counts[0]); i++) {
        load.queues = queue_counts[i];
        ok = measure_with(&load, argv[1], seconds);
    }
    return ok ? 0 : 1;
}
