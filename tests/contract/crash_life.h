// The life of a store from a seed: random commits, checkpoints, openings, compactions, each remembered with the moment at which it was
// begun and answered, and what a store found after a power cut may then hold.
#pragma once
#include <stdbool.h>

#include "crash_disk.h"
#include "store_random.h"

enum { LIFE_COMMITS_MAX = 200 };

struct life {
    uint64_t seed;
    char base[128];   // everything is below it
    char parent[160]; // of the store's folder; recorded
    struct store_rig rig;
    struct store_random random;  // of the commits
    struct store_random choices; // what else happens
    struct store *memory;        // what the store should hold
    struct crash_disk *disk;
    size_t commits;                            // answered OK
    char *states[LIFE_COMMITS_MAX + 1];        // after so many commits
    size_t submitted_at[LIFE_COMMITS_MAX + 1]; // calls recorded when the commit was begun,
    size_t answered_at[LIFE_COMMITS_MAX + 1];  // and when it was answered; of this generation
    size_t first;                              // commits that this generation began with
    uint64_t images;
};

void life_start(struct life *self, uint64_t seed);
void life_end(struct life *self);

enum nq_status life_open(struct life *self, struct store_error *error);
// One random commit. What the store should hold after it is worked out by life_close: here it would give checkpoints time to end.
enum nq_status life_commit(struct life *self, struct store_error *error);
// Commits up to this number, with openings, loads and compactions between them. All must go well.
void life_go_on(struct life *self, size_t commits);
// Begin recording, and end it with the store closed.
void life_record(struct life *self);
void life_close(struct life *self);

// The commits that a store may hold which was found after a cut at this moment: `least` .. `most`.
void life_allowed(const struct life *self, size_t calls, size_t *least, size_t *most);
// Make what a power cut leaves, open it and compare; how many commits it holds.
size_t life_verify(struct life *self, size_t calls, enum crash_choice choice, uint64_t seed);
void life_keep_image(struct life *self, enum crash_choice choice, uint64_t seed); // as of the last life_verify, unopened
// Go on from the image that was kept, which holds so many commits.
void life_resume(struct life *self, size_t commits);
