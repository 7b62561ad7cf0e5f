// The implementations as each other's model: the same random commits must lead to the same state, also after opening again.
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "store_memory.h"
#include "store_rig.h"

enum { QUEUES = 6, COMMITS = 400, CHANGES_MAX = 12 };

struct model {
    struct store_rig rig; // a store on disk; commits are built here
    struct store *memory;
    uint64_t random;
    uint64_t next_seq[QUEUES];
};

static uint64_t below(struct model *self, uint64_t end) // xorshift64
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return self->random % end;
}

static uint64_t any_seq(struct model *self, uint64_t queue)
{
    return below(self, self->next_seq[queue] + 3);
}

static void put_some(struct model *self, uint64_t queue)
{
    static const size_t sizes[] = {0, 1, 30, 100, 100, 1000, 1990, 2100, 5000, 100000};
    size_t body_len = sizes[below(self, 10)];
    size_t count = 1 + below(self, body_len > 2000 ? 4 : 60);
    rig_put(&self->rig, (struct rig_put){queue, self->next_seq[queue], count, body_len, below(self, 3) * 40, below(self, 99), 5});
    self->next_seq[queue] += count;
}

static void remove_some(struct model *self, uint64_t queue)
{
    uint64_t first = any_seq(self, queue);
    static const uint64_t widths[] = {0, 0, 1, 5, 40, 300, UINT64_MAX / 2};
    rig_remove(&self->rig, queue, first, first + widths[below(self, below(self, 10) == 0 ? 7 : 6)]);
}

static void move_one(struct model *self, uint64_t queue)
{
    static const uint8_t added[] = "some headers";
    uint64_t to = below(self, QUEUES);
    struct change change = {.kind = CHANGE_MOVE,
                            .as.move = {.queue_id = queue,
                                        .seq = any_seq(self, queue),
                                        .to_queue_id = to,
                                        .to_seq = self->next_seq[to],
                                        .add_headers = {below(self, sizeof(added)), added},
                                        .strip_headers = below(self, 2) == 0,
                                        .accepted_ms = below(self, 99),
                                        .put_bytes = below(self, 99)}};
    rig_add(&self->rig, change);
    self->next_seq[to]++;
}

static void write_queue(struct model *self, uint64_t queue)
{
    struct queue_record record = {.queue_id = queue, .name = "a", .name_len = 1, .next_seq = self->next_seq[queue]};
    record.cursor = below(self, record.next_seq + 1);
    record.gone_below = below(self, record.next_seq + 1);
    record.reclaimed_below = below(self, record.gone_below + 1);
    record.ready = below(self, 100);
    rig_add(&self->rig, (struct change){.kind = CHANGE_QUEUE, .as.queue = &record});
}

static void change_something(struct model *self)
{
    uint64_t queue = below(self, QUEUES);
    uint64_t seq = any_seq(self, queue);
    switch (below(self, 16)) {
    case 0:
    case 1:
    case 2:
        put_some(self, queue);
        break;
    case 3:
    case 4:
        remove_some(self, queue);
        break;
    case 5:
    case 6:
        move_one(self, queue);
        break;
    case 7:
        rig_add(&self->rig, (struct change){.kind = CHANGE_QUARANTINE, .as.quarantine = {queue, seq}});
        break;
    case 8:
    case 9:
        write_queue(self, queue);
        break;
    case 10:
        if (seq < self->next_seq[queue]) { // a record is never written before its item is
            rig_item(&self->rig, queue, seq, ITEM_READY + (enum item_state)below(self, 3));
        }
        break;
    case 11:
        rig_add(&self->rig, (struct change){.kind = CHANGE_ITEM_DROP, .as.item_drop = {queue, seq}});
        break;
    case 12:
        rig_run(&self->rig, queue, seq, seq + below(self, 50));
        break;
    case 13:
        rig_add(&self->rig, (struct change){.kind = CHANGE_RUN_DROP, .as.run_drop = {queue, seq}});
        break;
    case 14:
        rig_stream(&self->rig, queue, below(self, 10), seq);
        break;
    default:
        if (below(self, 4) == 0) {
            rig_add(&self->rig, (struct change){.kind = CHANGE_QUEUE_DROP, .as.queue_drop = {queue}});
        } else {
            rig_session(&self->rig, below(self, 20));
        }
    }
}

static void assert_same(struct model *self, uint64_t seed, size_t commit)
{
    char *disk = rig_state(self->rig.store);
    char *memory = rig_state(self->memory);
    size_t line = 0;
    for (size_t i = 0; disk[i] != '\0' && disk[i] == memory[i]; i++) {
        line = disk[i] == '\n' ? i + 1 : line;
    }
    cr_assert(strcmp(disk, memory) == 0, "seed %lu commit %zu:\n%.200s\n--\n%.200s", seed, commit, disk + line, memory + line);
    free(disk);
    free(memory);
}

static void run(enum store_kind kind, uint64_t seed)
{
    static const uint8_t id[16];
    struct model model = {.random = seed * 0x9E3779B97F4A7C15ull, .memory = store_memory_create(0, id)};
    rig_start(&model.rig, kind);
    for (size_t i = 0; i < QUEUES; i++) {
        model.next_seq[i] = 1;
    }
    for (size_t commit = 0; commit < COMMITS; commit++) {
        for (uint64_t i = 1 + below(&model, CHANGES_MAX); i > 0; i--) {
            change_something(&model);
        }
        cr_assert_eq(store_commit(model.memory, model.rig.changes, NULL), NQ_OK);
        rig_commit(&model.rig);
        if (commit % 20 == 19) {
            if (commit % 100 == 99) {
                rig_reopen(&model.rig);
            }
            assert_same(&model, seed, commit);
        }
    }
    store_close(&model.memory);
    rig_end(&model.rig);
}

Test(store_model, lmdb_and_memory_agree_on_random_commits)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        run(STORE_LMDB, seed);
    }
}

Test(store_model, disk_and_memory_agree_on_random_commits)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        run(STORE_DISK, seed);
    }
}
