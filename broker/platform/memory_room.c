#include "memory_room.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PATH_BYTES = 2048, LINE_BYTES = 1024, USAGE_LINES_MAX = 6 };

// What control groups of version 1 say where there is no limit is a little below 2^63.
static const uint64_t NO_LIMIT = 1ull << 60;

// What a group's files are called, and which lines of memory.stat count what cannot be dropped: a store's files in the page cache can,
// but not when they lie in a tmpfs. Each is a sum over the groups below.
struct naming {
    const char *folder, *limit; // below the root
    const char *usage[USAGE_LINES_MAX];
};
static const struct naming version_1 = {"memory", "memory.limit_in_bytes", {"total_rss ", "total_shmem "}};
static const struct naming version_2 = {
    "", "memory.max", {"anon ", "shmem ", "sock ", "kernel_stack ", "pagetables ", "slab_unreclaimable "}};

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

uint64_t memory_left(struct memory_room room)
{
    return room.limit_bytes == 0 ? UINT64_MAX : room.used_bytes >= room.limit_bytes ? 0 : room.limit_bytes - room.used_bytes;
}

static uint64_t reserve_of(struct memory_room room)
{
    uint64_t share = room.limit_bytes / MEMORY_RESERVE_SHARE;
    return share < MEMORY_RESERVE_BYTES ? share : MEMORY_RESERVE_BYTES;
}

bool memory_is_short(struct memory_room room)
{
    return memory_left(room) < reserve_of(room);
}

static uint64_t lower_limit(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

// a has less left beyond its reserve: compared crosswise, as less than the reserve may be left.
static bool is_short_before(struct memory_room a, struct memory_room b)
{
    return a.limit_bytes != 0 && (b.limit_bytes == 0 || memory_left(a) + reserve_of(b) < memory_left(b) + reserve_of(a));
}

struct memory_room memory_nearer(struct memory_room a, struct memory_room b)
{
    struct memory_room room = is_short_before(a, b) ? a : b;
    room.least_limit_bytes = lower_limit(a.least_limit_bytes, b.least_limit_bytes);
    return room;
}

// False: the file cannot be read.
static bool add_usage(const char *path, const struct naming *naming, uint64_t *bytes)
{
    char line[LINE_BYTES];
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        for (size_t i = 0; i < USAGE_LINES_MAX && naming->usage[i] != NULL; i++) {
            size_t len = strlen(naming->usage[i]);
            *bytes += strncmp(line, naming->usage[i], len) == 0 ? strtoull(line + len, NULL, 10) : 0;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return file != NULL;
}

static struct memory_room look_in(const char *root, const struct naming *naming, const char *group)
{
    char path[PATH_BYTES];
    struct memory_room room = {0};
    snprintf(path, sizeof(path), "%s/%s%s/%s", root, naming->folder, group, naming->limit);
    if (!read_number(path, "", &room.limit_bytes) || room.limit_bytes >= NO_LIMIT) {
        return (struct memory_room){0};
    }
    room.least_limit_bytes = room.limit_bytes;
    snprintf(path, sizeof(path), "%s/%s%s/memory.stat", root, naming->folder, group);
    return add_usage(path, naming, &room.used_bytes) ? room : (struct memory_room){0};
}

// The group's own limit, and those of the groups around it. Inside a container the path may be one of outside, and the group is what is
// mounted.
static struct memory_room look_up_from(const char *root, const struct naming *naming, char *group)
{
    struct memory_room room = look_in(root, naming, strcmp(group, "/") == 0 ? "" : group);
    for (char *slash = strrchr(group, '/'); slash != NULL && group[1] != '\0'; slash = strrchr(group, '/')) {
        slash[slash == group ? 1 : 0] = '\0';
        room = memory_nearer(room, look_in(root, naming, slash == group ? "" : group));
    }
    return room;
}

// Lines are NUMBER:CONTROLLERS:PATH.
struct memory_room memory_look_at_group(const char *groups, const char *root)
{
    char line[LINE_BYTES];
    struct memory_room room = {0};
    FILE *file = fopen(groups, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *memory = strstr(line, ":memory:");
        if (memory != NULL) {
            room = memory_nearer(room, look_up_from(root, &version_1, memory + strlen(":memory:")));
        } else if (strncmp(line, "0::", 3) == 0) {
            room = memory_nearer(room, look_up_from(root, &version_2, line + 3));
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
    return (struct memory_room){taken > idle ? taken - idle : 0, limit.rlim_cur, limit.rlim_cur};
}

struct memory_room memory_look(void)
{
    return memory_nearer(memory_look_at_group("/proc/self/cgroup", "/sys/fs/cgroup"), look_at_address_space());
}

void memory_give_back(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
