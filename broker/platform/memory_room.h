// How much memory the process may take and has taken: by its limit of address space, and by that of its control group.
#pragma once
#include <stdint.h>

struct memory_room {
    uint64_t used_bytes, limit_bytes; // limit 0: none
};

struct memory_room memory_look(void); // of both limits, the nearer one

// The limit of the control group that the file `groups` names (as /proc/self/cgroup does), below the mounts at `root`.
struct memory_room memory_look_at_group(const char *groups, const char *root);
