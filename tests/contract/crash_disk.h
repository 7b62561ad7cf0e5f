// A disk that remembers: all that is done below a folder is recorded, and what a power cut after any of it could have left is made
// anew elsewhere.
//
// The model is stricter than any file system: a write is durable when its file was synced after it, or at once through a descriptor
// with O_DSYNC (that write alone); a name is durable when its folder was synced after it; names of one folder reach the disk in
// order. Everything else may be there, not there, or there in part, by sectors of 512 bytes.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crash_disk;

enum crash_choice {
    CRASH_DROP, // nothing that was not synced is there
    CRASH_KEEP, // all of it is
    CRASH_SOME, // some of it, chosen by a seed: whole writes, or sectors of them
    CRASH_CHOICES
};

// What is below the folder now is durable; what happens from now on is recorded, until the stop.
struct crash_disk *crash_disk_start(const char *folder);
size_t crash_disk_calls(const struct crash_disk *self); // recorded up to now
void crash_disk_stop(struct crash_disk *self);
void crash_disk_destroy(struct crash_disk **self_p);

// Go to the moment after so many calls; from one call of this function to the next only forward.
void crash_disk_cut(struct crash_disk *self, size_t calls);
// Write what a power cut at this moment leaves to `into`, which does not exist.
void crash_disk_leave(const struct crash_disk *self, enum crash_choice choice, uint64_t seed, const char *into);

// Faults, while recording. Call number `at` and, if `sticky`, every later one of the kind fails with `error`; a sync that fails has
// lost what it should have made durable, also when a later one succeeds.
enum crash_fault_kind { CRASH_FAULT_WRITE = 1, CRASH_FAULT_SYNC = 2, CRASH_FAULT_ANY = 3 };
struct crash_fault {
    enum crash_fault_kind kind;
    size_t at; // counted among calls of the kind, from 1; 0: none
    int error;
    bool sticky;
};
void crash_disk_fault(struct crash_disk *self, const struct crash_fault *fault);
size_t crash_disk_faults(const struct crash_disk *self); // how many calls have failed
bool crash_disk_lost(const struct crash_disk *self);     // a write or a sync was among them, not only a name or room ahead
