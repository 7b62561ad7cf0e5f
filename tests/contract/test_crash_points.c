// A power cut after every single call that changes a file, with what was not synced dropped, kept or torn: the store that is found
// holds every commit that was answered, the one under way whole or not at all, and nothing else.
//
// The quick form takes two seeds (even ones have small journals); CRASH_SEEDS=FROM:COUNT takes others (scripts/torture).
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "crash_life.h"

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
