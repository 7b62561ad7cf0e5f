#include "process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void process_keep_standard_streams(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR); // the lowest number that is free
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

void process_harden(void)
{
    umask(077);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); // an old kernel without it is no reason not to start
}

bool process_drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct had[_LINUX_CAPABILITY_U32S_3] = {{0}};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    // Without CAP_SETPCAP this is refused; then what is left of the set gives nothing to a process that may gain no privileges.
    for (unsigned long each = 0; prctl(PR_CAPBSET_READ, each, 0, 0, 0) >= 0; each++) {
        (void)prctl(PR_CAPBSET_DROP, each, 0, 0, 0);
    }
    if (syscall(SYS_capget, &header, had) != 0) {
        return false;
    }
    bool had_some = (had[0].permitted | had[1].permitted) != 0;
    return syscall(SYS_capset, &header, none) == 0 && had_some;
}

enum { UNREADABLE_COUNT = 2 };
static const int unreadable[UNREADABLE_COUNT] = {SIGBUS, SIGSEGV};
static struct sigaction otherwise[UNREADABLE_COUNT]; // what they did before; written before there are threads
static void (*on_unreadable)(int number);

static void handle_unreadable(int number, siginfo_t *info, void *context)
{
    (void)context;
    on_unreadable(number);
    for (size_t i = 0; i < UNREADABLE_COUNT; i++) {
        sigaction(unreadable[i], &otherwise[i], NULL);
    }
    if (info->si_code <= 0) { // somebody sent it; else it comes again by itself, as what was to be read is read again
        raise(number);
    }
}

// On the stack of the thread: where that is what overflowed, the kernel ends the process with SIGSEGV.
void process_on_unreadable_memory(void (*handler)(int number))
{
    struct sigaction action = {.sa_sigaction = handle_unreadable, .sa_flags = SA_SIGINFO};
    on_unreadable = handler;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < UNREADABLE_COUNT; i++) {
        sigaction(unreadable[i], &action, &otherwise[i]);
    }
}

void process_hide_memory(void)
{
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

uint64_t process_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 0;
    }
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            return (uint64_t)before;
        }
    }
    return (uint64_t)limit.rlim_cur;
}
