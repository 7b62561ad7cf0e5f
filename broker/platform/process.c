#include "process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

void process_harden(void)
{
    umask(077);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); // an old kernel without it is no reason not to start
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
