// The implementations as each other's model: the same random commits must lead to the same state, also after opening again.
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "store_memory.h"
#include "store_random.h"

enum { COMMITS = 400 };

struct model {
    struct store_rig rig; // a store on disk; commits are built here
    struct store *memory;
    struct store_random random;
};

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
    struct model model = {.memory = store_memory_create(0, id)};
    rig_start(&model.rig, kind);
    random_start(&model.random, &model.rig, seed);
    for (size_t commit = 0; commit < COMMITS; commit++) {
        random_commit(&model.random);
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
