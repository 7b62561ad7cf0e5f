// How much memory the process may take and has taken: by its limit of address space, and by those of its control group and the groups
// around that one.
#pragma once
#include <stdint.h>

struct memory_room {
    uint64_t used_bytes, limit_bytes; // limit 0: none
};

uint64_t memory_left(struct memory_room room); // UINT64_MAX: any number of bytes
struct memory_room memory_look(void);          // of these limits the nearest one

// The limit of the control group that the file `groups` names (as /proc/self/cgroup does), below the mounts at `root`.
struct memory_room memory_look_at_group(const char *groups, const char *root);
// What was freed goes back to the system: the allocator keeps it, and a group counts it as taken.
void memory_give_back(void);
