#include "memory_room.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PATH_BYTES = 2048, LINE_BYTES = 1024 };

// What control groups of version 1 say where there is no limit is a little below 2^63.
static const uint64_t NO_LIMIT = 1ull << 60;

// What a group's files are called.
struct naming {
    const char *folder, *limit, *usage; // below the root; the line of memory.stat that counts what cannot be dropped
};
static const struct naming version_1 = {"memory", "memory.limit_in_bytes", "rss "};
static const struct naming version_2 = {"", "memory.max", "anon "};

// The number behind `name`, which may be empty, at the beginning of a line.
static bool read_number(const char *path, const char *name, uint64_t *number)
{
    char line[LINE_BYTES];
    size_t len = strlen(name);
    bool found = false;
    FILE *file = fopen(path, "re");
    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        char *end = line;
        if (strncmp(line, name, len) == 0) {
            *number = strtoull(line + len, &end, 10);
        }
        found = end > line + len;
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

static struct memory_room look_in(const char *root, const struct naming *naming, const char *group)
{
    char path[PATH_BYTES];
    struct memory_room room = {0};
    snprintf(path, sizeof(path), "%s/%s%s/%s", root, naming->folder, group, naming->limit);
    if (!read_number(path, "", &room.limit_bytes) || room.limit_bytes >= NO_LIMIT) {
        return (struct memory_room){0};
    }
    snprintf(path, sizeof(path), "%s/%s%s/memory.stat", root, naming->folder, group);
    return read_number(path, naming->usage, &room.used_bytes) ? room : (struct memory_room){0};
}

// Lines are NUMBER:CONTROLLERS:PATH. Inside a container the path may be one of outside, and the group is what is mounted.
struct memory_room memory_look_at_group(const char *groups, const char *root)
{
    char line[LINE_BYTES];
    struct memory_room room = {0};
    FILE *file = fopen(groups, "re");
    while (file != NULL && room.limit_bytes == 0 && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        const char *memory = strstr(line, ":memory:");
        const struct naming *naming = memory != NULL ? &version_1 : strncmp(line, "0::", 3) == 0 ? &version_2 : NULL;
        if (naming != NULL) {
            room = look_in(root, naming, memory != NULL ? memory + strlen(":memory:") : line + 3);
            room = room.limit_bytes == 0 ? look_in(root, naming, "") : room;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return room;
}

// Room that was given back to the allocator is taken again without asking the system.
static struct memory_room look_at_address_space(void)
{
    struct rlimit limit;
    uint64_t pages;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || !read_number("/proc/self/statm", "", &pages)) {
        return (struct memory_room){0};
    }
    uint64_t taken = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t idle = 0;
#ifdef __GLIBC__
    idle = mallinfo2().fordblks;
#endif
    return (struct memory_room){taken > idle ? taken - idle : 0, limit.rlim_cur};
}

static uint64_t left(struct memory_room room)
{
    return room.limit_bytes == 0 ? UINT64_MAX : room.used_bytes >= room.limit_bytes ? 0 : room.limit_bytes - room.used_bytes;
}

struct memory_room memory_look(void)
{
    struct memory_room space = look_at_address_space();
    struct memory_room group = memory_look_at_group("/proc/self/cgroup", "/sys/fs/cgroup");
    return left(group) < left(space) ? group : space;
}
