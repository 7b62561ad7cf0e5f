// A power cut after every single call that changes a file, with what was not synced dropped, kept or torn: the store that is found
// holds every commit that was answered, the one under way whole or not at all, and nothing else.
//
// The quick form takes two seeds (even ones have small journals); CRASH_SEEDS=FROM:COUNT takes others (scripts/torture).
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "crash_life.h"
#include "store_disk.h"

enum { GENERATIONS = 2, COMMITS_EACH = 25, SEEDS = 2, SOME_EACH = 1 };

static void seeds_to_run(uint64_t *from, uint64_t *count)
{
    unsigned long first = 1;
    unsigned long many = SEEDS;
    const char *wanted = getenv("CRASH_SEEDS");
    if (wanted != NULL) {
        cr_assert_eq(sscanf(wanted, "%lu:%lu", &first, &many), 2, "CRASH_SEEDS is not FROM:COUNT");
    }
    *from = first;
    *count = many;
}

// Every cut of what was recorded; the store goes on from one of them.
static void cut_everywhere(struct life *life)
{
    size_t calls = crash_disk_calls(life->disk);
    size_t chosen = random_below(&life->choices, calls);
    size_t holds = 0;
    for (size_t cut = 0; cut <= calls; cut++) {
        life_verify(life, cut, CRASH_DROP, 0);
        life_verify(life, cut, CRASH_KEEP, 0);
        for (uint64_t i = 0; i < SOME_EACH; i++) {
            life_verify(life, cut, CRASH_SOME, cut * SOME_EACH + i);
        }
        if (cut == chosen) {
            holds = life_verify(life, cut, CRASH_SOME, 77);
            life_keep_image(life, CRASH_SOME, 77);
        }
    }
    life_resume(life, holds);
}

Test(crash_points, whatever_was_answered_is_there_after_a_power_cut_at_any_moment)
{
    uint64_t from;
    uint64_t count;
    uint64_t images = 0;
    seeds_to_run(&from, &count);
    for (uint64_t seed = from; seed < from + count; seed++) {
        struct life life;
        life_start(&life, seed);
        for (size_t generation = 0; generation < GENERATIONS; generation++) { // later ones begin with a recovery, cut as well
            struct store_error error = {0};
            life_record(&life);
            cr_assert_eq(life_open(&life, &error), NQ_OK, "seed %lu: %s", seed, error.text);
            life_go_on(&life, life.first + COMMITS_EACH);
            life_close(&life);
            cut_everywhere(&life);
        }
        images += life.images;
        life_end(&life);
    }
    fprintf(stderr, "%lu power cuts from seed %lu on, %lu seeds\n", images, from, count);
}

// One start of a store: it commits some items, and is closed. The calls recorded when the last one was answered.
static size_t run_once(const struct crash_disk *disk, struct store_lmdb_options options, uint64_t first, uint64_t last)
{
    options.new_store_id = (const uint8_t *)"0123456789abcdef";
    struct store_rig rig = {.kind = STORE_DISK, .changes = changes_create()};
    struct store_error error = {0};
    cr_assert_eq(store_disk_open(&options, &rig.store, &error), NQ_OK, "%s", error.text);
    for (uint64_t seq = first; seq <= last; seq++) {
        rig_put(&rig, (struct rig_put){1, seq, .count = 1, .body_len = 300});
        rig_commit(&rig);
    }
    size_t calls = crash_disk_calls(disk);
    store_close(&rig.store);
    changes_destroy(&rig.changes);
    return calls;
}

static void assert_all_there(const char *dir, bool sync, uint64_t last, enum crash_choice choice)
{
    const struct store_lmdb_options options = {
        .dir = dir, .sync = sync, .never_flush = true, .new_salt = (const uint8_t *)"another"};
    struct store *store;
    struct store_error error = {0};
    struct store_item item;
    cr_assert_eq(store_disk_open(&options, &store, &error), NQ_OK, "choice %d: %s", (int)choice, error.text);
    cr_assert_eq(store_read_begin(store, &error), NQ_OK);
    for (uint64_t seq = 1; seq <= last; seq++) {
        cr_assert_eq(store_read(store, 1, seq, &item), NQ_OK, "choice %d: item %lu", (int)choice, (unsigned long)seq);
    }
    store_read_end(store);
    store_close(&store);
}

// With syncs the store says that what it answers is durable. That must not stand on what a run without syncs has left, as a version did
// that flushed nothing then.
enum { JOURNAL_BYTES = 128 * 1024 };

// A disk that is recorded, and where what is left of it is made.
struct place {
    char base[128], parent[160], image[160];
    char dir[200], found[200]; // of the store
    struct crash_disk *disk;
};

static void place_start(struct place *self)
{
    rig_make_parent(self->base, sizeof(self->base));
    snprintf(self->parent, sizeof(self->parent), "%s/now", self->base);
    snprintf(self->image, sizeof(self->image), "%s/image", self->base);
    snprintf(self->dir, sizeof(self->dir), "%s/store", self->parent);
    snprintf(self->found, sizeof(self->found), "%s/store", self->image);
    rig_make_folder(self->parent);
    rig_make_journals(self->dir, JOURNAL_BYTES); // small ones are made anew quickly
    self->disk = crash_disk_start(self->parent);
}

static void place_end(struct place *self)
{
    crash_disk_destroy(&self->disk);
    rig_remove_tree(self->base);
}

Test(crash_points, a_store_that_ran_without_syncs_is_durable_once_it_answers_with_them)
{
    enum { WITHOUT = 10, ALL = 12 };
    struct place place;
    place_start(&place);
    run_once(place.disk, (struct store_lmdb_options){.dir = place.dir, .never_flush = true}, 1, WITHOUT);
    size_t answered = run_once(place.disk, (struct store_lmdb_options){.dir = place.dir, .sync = true}, WITHOUT + 1, ALL);
    crash_disk_stop(place.disk);
    crash_disk_cut(place.disk, answered);
    for (enum crash_choice choice = CRASH_DROP; choice < CRASH_CHOICES; choice++) {
        crash_disk_leave(place.disk, choice, 1, place.image);
        assert_all_there(place.found, false, ALL, choice);
        rig_remove_tree(place.image);
    }
    place_end(&place);
}

// Without syncs a power cut takes the last commits, never the store: what checkpoints have brought to LMDB before stays, and is
// found by a start with syncs, too.
Test(crash_points, without_syncs_a_power_cut_takes_the_last_commits_only)
{
    enum { RUNS = 4, EACH = 10 };
    struct place place;
    size_t closed[RUNS];
    place_start(&place);
    for (size_t i = 0; i < RUNS; i++) {
        run_once(place.disk, (struct store_lmdb_options){.dir = place.dir}, i * EACH + 1, (i + 1) * EACH);
        closed[i] = crash_disk_calls(place.disk);
    }
    crash_disk_stop(place.disk);
    size_t kept = 0;
    for (size_t cut = closed[0]; cut <= closed[RUNS - 1]; cut++) {
        kept += kept + 1 < RUNS && cut >= closed[kept + 1] ? 1 : 0;
        crash_disk_cut(place.disk, cut);
        for (enum crash_choice choice = CRASH_DROP; choice < CRASH_CHOICES; choice++) {
            crash_disk_leave(place.disk, choice, cut, place.image);
            assert_all_there(place.found, cut % 2 != 0, (kept + 1) * EACH, choice);
            rig_remove_tree(place.image);
        }
    }
    place_end(&place);
}
