// How much memory the process may take and has taken: by its limit of address space, and by those of its control group and the groups
// around that one.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct memory_room {
    uint64_t used_bytes, limit_bytes; // limit 0: none
    uint64_t least_limit_bytes;       // of several limits the lowest, which need not be the one of which least is left
};

// Of limited memory so much is kept free, for what is under way between two looks: groups, frames, answers.
enum { MEMORY_RESERVE_BYTES = 64 * 1024 * 1024, MEMORY_RESERVE_SHARE = 4 }; // or a fourth, whichever is less

uint64_t memory_left(struct memory_room room);                                // UINT64_MAX: any number of bytes
bool memory_is_short(struct memory_room room);                                // less than the reserve is left
struct memory_room memory_nearer(struct memory_room a, struct memory_room b); // the one that is short first
struct memory_room memory_look(void);                                         // of these limits the nearest one

// The limit of the control group that the file `groups` names (as /proc/self/cgroup does), below the mounts at `root`.
struct memory_room memory_look_at_group(const char *groups, const char *root);
// What was freed goes back to the system: the allocator keeps it, and a group counts it as taken.
void memory_give_back(void);
