#include <criterion/criterion.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "memory_room.h"
#include "notify.h"
#include "process.h"
#include "random.h"
#include "signals.h"

Test(clock, starts_at_the_wall_clock)
{
    struct clock clock;
    uint64_t before = clock_wall_ms();
    clock_start(&clock, 0);
    cr_assert_geq(clock_now_ms(&clock), before);
    cr_assert_leq(clock_now_ms(&clock), clock_wall_ms() + 1000);
}

// A wall clock set back between two runs must not make stored leases last longer.
Test(clock, never_starts_before_the_last_stored_time)
{
    struct clock clock;
    uint64_t later = clock_wall_ms() + 3600 * 1000;
    clock_start(&clock, later);
    cr_assert_geq(clock_now_ms(&clock), later);
    cr_assert_leq(clock_uptime_ms(&clock), 60 * 1000);
}

Test(random, fills_all_of_it_differently_each_time)
{
    unsigned char a[64] = {0};
    unsigned char b[64] = {0};
    cr_assert(random_fill(a, sizeof(a)));
    cr_assert(random_fill(b, sizeof(b)));
    cr_assert_neq(memcmp(a, b, sizeof(a)), 0);
}

Test(signals, are_read_from_a_descriptor)
{
    cr_assert(signals_block());
    int fd = signals_open();
    cr_assert_geq(fd, 0);
    cr_assert_eq(signals_read(fd), 0);
    kill(getpid(), SIGTERM);
    struct pollfd item = {.fd = fd, .events = POLLIN};
    cr_assert_eq(poll(&item, 1, 5000), 1);
    cr_assert_eq(signals_read(fd), SIGTERM);
    cr_assert_eq(signals_read(fd), 0);
    close(fd);
}

Test(signals, that_mean_nothing_do_not_end_the_process)
{
    cr_assert(signals_block());
    kill(getpid(), SIGPIPE);
    kill(getpid(), SIGHUP);
    kill(getpid(), SIGUSR1);
}

Test(notify, sends_the_state_to_the_service_manager)
{
    char dir[] = "/tmp/nq-notify-XXXXXX";
    cr_assert_not_null(mkdtemp(dir));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", dir);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    notify_service_manager("READY=1");
    char got[32] = "";
    cr_assert_eq(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), 7);
    cr_assert_str_eq(got, "READY=1");
    close(fd);
    unlink(address.sun_path);
    rmdir(dir);
}

Test(notify, does_nothing_where_nobody_asked)
{
    unsetenv("NOTIFY_SOCKET");
    notify_service_manager("READY=1");
}

static volatile sig_atomic_t unreadable;

static void note_unreadable(int number)
{
    unreadable = number;
}

static void end_well(int number)
{
    _exit(number == SIGSEGV ? 3 : 4);
}

static void read_from_nowhere(void)
{
    const volatile char *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)*nowhere;
}

Test(process, is_told_that_memory_cannot_be_read, .exit_code = 3)
{
    process_on_unreadable_memory(end_well);
    read_from_nowhere();
}

Test(process, ends_by_the_signal_when_nobody_makes_more_of_it)
{
    const int numbers[] = {SIGSEGV, SIGBUS, 0}; // raised, and 0: by reading
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            signal(SIGSEGV, SIG_DFL); // not a sanitizer's
            signal(SIGBUS, SIG_DFL);
            process_on_unreadable_memory(note_unreadable);
            if (numbers[i] == 0) {
                read_from_nowhere();
            } else {
                raise(numbers[i]);
            }
            _exit(unreadable == 0 ? 1 : 2);
        }
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == (numbers[i] == 0 ? SIGSEGV : numbers[i]), "%d: %x", numbers[i],
                  (unsigned)status);
    }
}

Test(process, gives_up_privileges_and_keeps_files_to_itself)
{
    process_harden();
    cr_assert_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    cr_assert_eq(umask(0), 077);
    cr_assert_gt(process_raise_descriptors(), 0);
}

// ---------------------------------------------------------------------------------------------------------------------- memory

static char root[64];

static void make_root(void)
{
    snprintf(root, sizeof(root), "/tmp/nq-memory-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static void remove_root(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

// A file below the root, with the folders that lead to it.
static void put_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect_room(uint64_t used, uint64_t limit)
{
    char groups[128];
    snprintf(groups, sizeof(groups), "%s/groups", root);
    struct memory_room room = memory_look_at_group(groups, root);
    cr_assert_eq(room.limit_bytes, limit);
    cr_assert_eq(room.used_bytes, used);
}

TestSuite(memory, .init = make_root, .fini = remove_root);

Test(memory, the_limit_of_a_control_group_is_found)
{
    put_file("groups", "0::/system.slice/netqueue.service\n");
    put_file("system.slice/netqueue.service/memory.max", "1000000\n");
    put_file("system.slice/netqueue.service/memory.stat", "anon_thp 7\nanon 300000\nfile 900000\n");
    expect_room(300000, 1000000);
}

Test(memory, what_cannot_be_dropped_counts)
{
    put_file("groups", "0::/one\n");
    put_file("one/memory.max", "1000000\n");
    put_file("one/memory.stat", "anon 1\nfile 1000\nkernel 9000\nkernel_stack 20\npagetables 300\nsec_pagetables 9\nsock 4000\n"
                                "shmem 50000\nfile_mapped 8\nslab_reclaimable 7\nslab_unreclaimable 600000\nslab 9\n");
    expect_room(654321, 1000000);
}

Test(memory, the_nearest_limit_of_the_groups_around_holds)
{
    put_file("groups", "0::/slice/service/below\n");
    put_file("slice/memory.max", "900\n");
    put_file("slice/memory.stat", "anon 100\n");
    put_file("slice/service/memory.max", "1000\n");
    put_file("slice/service/memory.stat", "anon 300\n");
    put_file("slice/service/below/memory.max", "max\n");
    put_file("slice/service/below/memory.stat", "anon 200\n");
    expect_room(300, 1000);
    put_file("slice/memory.stat", "anon 400\n"); // a neighbour takes more
    expect_room(400, 900);
}

// Of a large limit more is kept free than of a small one, so more may be left of it and it is short all the same.
Test(memory, the_nearest_limit_is_the_one_that_is_short_first)
{
    enum { MEBI = 1024 * 1024 };
    const struct memory_room large = {1000 * MEBI - 60 * MEBI, 1000 * MEBI, 1000 * MEBI};
    const struct memory_room small = {100 * MEBI - 50 * MEBI, 100 * MEBI, 100 * MEBI};
    const struct memory_room none = {0};
    cr_assert(memory_is_short(large) && !memory_is_short(small) && !memory_is_short(none));
    cr_assert_eq(memory_nearer(large, small).limit_bytes, large.limit_bytes);
    cr_assert_eq(memory_nearer(small, large).limit_bytes, large.limit_bytes);
    cr_assert_eq(memory_nearer(small, none).limit_bytes, small.limit_bytes);
    cr_assert_eq(memory_nearer(none, small).limit_bytes, small.limit_bytes);
    cr_assert_eq(memory_nearer(none, none).limit_bytes, 0);
    const struct memory_room over = {large.limit_bytes + MEBI, large.limit_bytes, large.limit_bytes}; // a group's limit was lowered
    const struct memory_room full = {small.limit_bytes, small.limit_bytes, small.limit_bytes};
    cr_assert_eq(memory_nearer(full, over).limit_bytes, over.limit_bytes); // it lacks 64 MiB, the other one 25
}

// What follows from it is the same at each start, however much of which limit is taken by then.
Test(memory, the_lowest_limit_is_known_whichever_is_the_nearest)
{
    put_file("groups", "0::/slice/service\n");
    put_file("slice/memory.max", "4000\n");
    put_file("slice/memory.stat", "anon 3900\n");
    put_file("slice/service/memory.max", "1000\n");
    put_file("slice/service/memory.stat", "anon 300\n");
    expect_room(3900, 4000);
    char groups[128];
    snprintf(groups, sizeof(groups), "%s/groups", root);
    cr_assert_eq(memory_look_at_group(groups, root).least_limit_bytes, 1000);
}

Test(memory, the_older_kind_of_control_group_is_known)
{
    put_file("groups", "9:cpu:/\n4:memory:/group\n0::/\n");
    put_file("memory/group/memory.limit_in_bytes", "2000000\n");
    put_file("memory/group/memory.stat",
             "cache 5\nrss 100000\ntotal_cache 900\ntotal_rss 400000\ntotal_rss_huge 7\ntotal_shmem 1000\n");
    expect_room(401000, 2000000);
}

Test(memory, inside_a_container_the_group_is_what_is_mounted)
{
    put_file("groups", "0::/of/the/host\n");
    put_file("memory.max", "3000000\n");
    put_file("memory.stat", "anon 5\n");
    expect_room(5, 3000000);
}

Test(memory, no_limit_is_none)
{
    expect_room(0, 0);
    put_file("groups", "4:memory:/\n0::/\n");
    expect_room(0, 0);
    put_file("memory/memory.limit_in_bytes", "9223372036854771712\n");
    put_file("memory/memory.stat", "total_rss 1\n");
    put_file("memory.max", "max\n");
    put_file("memory.stat", "anon 1\n");
    expect_room(0, 0);
}

Test(memory, a_limit_of_the_address_space_is_known_and_what_is_mapped_of_it)
{
    enum { MEBI = 1024 * 1024 };
    uint64_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%" SCNu64, &pages), 1);
    fclose(file);
    const struct rlimit limit = {pages * (uint64_t)sysconf(_SC_PAGESIZE) + 16 * MEBI, RLIM_INFINITY}; // nearer than a group's
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    struct memory_room before = memory_look();
    cr_assert_eq(before.limit_bytes, limit.rlim_cur);
    cr_assert(before.used_bytes > 0 && before.used_bytes < limit.rlim_cur);
    cr_assert_neq(mmap(NULL, 8 * MEBI, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MAP_FAILED);
    cr_assert_geq(memory_look().used_bytes, before.used_bytes + 7 * MEBI);
}
