#include "crash_life.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io_hooks.h"
#include "store_disk.h"
#include "store_memory.h"
#include "store_offline.h"

static const uint8_t id[16] = "a store in peril";
static const char *const choice_names[CRASH_CHOICES] = {"drop", "keep", "some"};

// Small journals (1 MiB), so that they are turned often; a reserve file.
static enum nq_status open_in(const char *parent, struct store **out, struct store_error *error)
{
    char dir[192];
    snprintf(dir, sizeof(dir), "%s/store", parent);
    const struct store_lmdb_options options = {
        .dir = dir, .sync = true, .max_disk_bytes = 1 << 24, .reserve_bytes = 65536, .new_store_id = id};
    return store_disk_open(&options, out, error);
}

// The memory store comes to the state after so many commits; states on the way that are not known yet are kept.
static void replay(struct life *self, size_t commits)
{
    struct store *store = self->rig.store;
    store_close(&self->memory);
    self->memory = store_memory_create(0, id);
    cr_assert_not_null(self->memory);
    random_start(&self->random, &self->rig, self->seed);
    self->rig.store = self->memory;
    for (self->commits = 0;; self->commits++) {
        if (self->states[self->commits] == NULL) {
            self->states[self->commits] = rig_state(self->memory);
        }
        if (self->commits == commits) {
            break;
        }
        random_commit(&self->random);
        rig_commit(&self->rig);
    }
    self->rig.store = store;
}

// Journals that were made small are used as they are: they are turned every few commits, while checkpoints are still under way, and
// some commits are too large for them.
static void make_small_journals(const struct life *self)
{
    char dir[192];
    snprintf(dir, sizeof(dir), "%s/store", self->parent);
    rig_make_journals(dir, 128 * 1024);
}

void life_start(struct life *self, uint64_t seed)
{
    *self = (struct life){.seed = seed, .rig = {.kind = STORE_DISK, .changes = changes_create()}};
    if (access("/dev/shm", W_OK) == 0) { // nothing here needs a real disk
        snprintf(self->base, sizeof(self->base), "/dev/shm/netqueue-crash-XXXXXX");
        cr_assert_not_null(mkdtemp(self->base));
    } else {
        rig_make_parent(self->base, sizeof(self->base));
    }
    snprintf(self->parent, sizeof(self->parent), "%s/now", self->base);
    rig_make_folder(self->parent);
    if (seed % 2 == 0) {
        make_small_journals(self);
    }
    random_start(&self->choices, NULL, seed + 1000003);
    replay(self, 0);
}

void life_end(struct life *self)
{
    crash_disk_destroy(&self->disk);
    store_close(&self->memory);
    for (size_t i = 0; i <= LIFE_COMMITS_MAX; i++) {
        free(self->states[i]);
    }
    changes_destroy(&self->rig.changes);
    rig_remove_tree(self->base);
}

enum nq_status life_open(struct life *self, struct store_error *error)
{
    return open_in(self->parent, &self->rig.store, error);
}

enum nq_status life_commit(struct life *self, struct store_error *error)
{
    cr_assert_lt(self->commits, LIFE_COMMITS_MAX);
    random_commit(&self->random);
    self->submitted_at[self->commits + 1] = crash_disk_calls(self->disk);
    enum nq_status status = rig_try_commit(&self->rig, error);
    self->answered_at[self->commits + 1] = crash_disk_calls(self->disk);
    self->commits += status == NQ_OK ? 1 : 0;
    return status;
}

static void open_again(struct life *self, bool compact)
{
    char dir[192];
    struct store_error error = {0};
    uint64_t before_bytes;
    uint64_t after_bytes;
    snprintf(dir, sizeof(dir), "%s/store", self->parent);
    store_close(&self->rig.store);
    if (compact) {
        cr_assert_eq(store_lmdb_compact(dir, &before_bytes, &after_bytes, &error), NQ_OK, "%s", error.text);
    }
    cr_assert_eq(life_open(self, &error), NQ_OK, "%s", error.text);
}

void life_go_on(struct life *self, size_t commits)
{
    struct store_error error = {0};
    while (self->commits < commits) {
        cr_assert_eq(life_commit(self, &error), NQ_OK, "%s", error.text);
        uint64_t what = random_below(&self->choices, 40);
        if (what < 2) {
            free(rig_load(self->rig.store));                        // a checkpoint
        } else if (what < 5 || self->commits == self->first + 10) { // once in any case, compacted
            open_again(self, what == 2 || what >= 5);
        }
    }
}

void life_record(struct life *self)
{
    crash_disk_destroy(&self->disk);
    self->first = self->commits;
    self->disk = crash_disk_start(self->parent);
}

void life_close(struct life *self)
{
    store_close(&self->rig.store);
    crash_disk_stop(self->disk);
    replay(self, self->commits);
}

void life_allowed(const struct life *self, size_t calls, size_t *least, size_t *most)
{
    *least = *most = self->first;
    for (size_t i = self->first + 1; i <= self->commits; i++) {
        *least = self->answered_at[i] <= calls ? i : *least;
        *most = self->submitted_at[i] <= calls ? i : *most;
    }
    *most = *most < *least ? *least : *most;
}

static void image_of(const struct life *self, char path[160])
{
    snprintf(path, 160, "%s/image", self->base);
}

// Images are on no real disk, where allocating ahead would cost the time of writing as much: this one cannot.
static int refuse_to_allocate(void *context, const struct io_call *call)
{
    (void)context;
    return call->grows_only ? EOPNOTSUPP : 0;
}

size_t life_verify(struct life *self, size_t calls, enum crash_choice choice, uint64_t seed)
{
    char image[160];
    char where[200];
    struct store_error error = {0};
    struct store *store = NULL;
    size_t least;
    size_t most;
    life_allowed(self, calls, &least, &most);
    snprintf(where, sizeof(where), "seed %lu, from commit %zu, cut after %zu calls, %s, choice %lu", (unsigned long)self->seed,
             self->first, calls, choice_names[choice], (unsigned long)seed);
    image_of(self, image);
    const struct io_watcher watcher = {.folder = image, .before = refuse_to_allocate};
    rig_remove_tree(image);
    crash_disk_cut(self->disk, calls);
    crash_disk_leave(self->disk, choice, seed, image);
    self->images++;
    io_watch(&watcher);
    cr_assert_eq(open_in(image, &store, &error), NQ_OK, "%s: %s", where, error.text);
    char *state = rig_state(store);
    store_close(&store);
    io_watch(NULL);
    size_t found = most + 1;
    for (size_t i = least; i <= most; i++) {
        found = strcmp(state, self->states[i]) == 0 ? i : found;
    }
    cr_assert_leq(found, most, "%s: holds none of the states after commits %zu to %zu\n%.600s\n-- expected\n%.600s", where, least,
                  most, state, self->states[least]);
    free(state);
    return found;
}

void life_keep_image(struct life *self, enum crash_choice choice, uint64_t seed)
{
    char kept[160];
    snprintf(kept, sizeof(kept), "%s/kept", self->base);
    rig_remove_tree(kept);
    crash_disk_leave(self->disk, choice, seed, kept);
}

void life_resume(struct life *self, size_t commits)
{
    char kept[160];
    snprintf(kept, sizeof(kept), "%s/kept", self->base);
    rig_remove_tree(self->parent);
    cr_assert_eq(rename(kept, self->parent), 0);
    replay(self, commits);
}
