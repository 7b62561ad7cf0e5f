#include "signals.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LISTENERS_MAX = 1088 };

// A signal handler can be given nothing: this is the one piece of file-scope state it needs.
static struct slot {
    atomic_int state; // 0 free, 1 being filled, 2 in use
    _Atomic(struct nq_client *) client;
    atomic_int fd;
} slots[LISTENERS_MAX];
static atomic_int slots_used;    // those behind it are free
static atomic_int handlers_busy; // a client must not go away while a handler may hold its address
static atomic_uint signals_seen;

static void wake_all(void)
{
    int saved = errno;
    atomic_fetch_add(&handlers_busy, 1);
    int used = atomic_load(&slots_used);
    for (int i = 0; i < used; i++) {
        if (atomic_load(&slots[i].state) != 2) {
            continue;
        }
        struct nq_client *client = atomic_load(&slots[i].client);
        if (client != NULL) {
            nq_interrupt(client);
        }
        uint64_t one = 1;
        ssize_t written = write(atomic_load(&slots[i].fd), &one, sizeof(one));
        (void)written; // a full eventfd is readable already
    }
    atomic_fetch_sub(&handlers_busy, 1);
    errno = saved;
}

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals_seen, 1);
    wake_all();
}

// Whoever started us may have left us other ways with signals than a program expects: where those of children are ignored, nobody is told
// how they ended; where those that stop us are held back, they do not.
static bool undo_inherited(void)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t stops;
    sigemptyset(&plain.sa_mask);
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    return sigaction(SIGCHLD, &plain, NULL) == 0 && pthread_sigmask(SIG_UNBLOCK, &stops, NULL) == 0;
}

bool cli_signals_install(void)
{
    struct sigaction stop = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&stop.sa_mask);
    sigaddset(&stop.sa_mask, SIGINT);
    sigaddset(&stop.sa_mask, SIGTERM);
    sigemptyset(&ignore.sa_mask);
    return sigaction(SIGINT, &stop, NULL) == 0 && sigaction(SIGTERM, &stop, NULL) == 0 && sigaction(SIGPIPE, &ignore, NULL) == 0 &&
           undo_inherited();
}

unsigned cli_signals_count(void)
{
    return atomic_load(&signals_seen);
}

bool cli_listen(struct cli_listener *listener, struct nq_client *client)
{
    listener->slot = -1;
    listener->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (int i = 0; i < LISTENERS_MAX && listener->fd >= 0; i++) {
        int unused = 0;
        if (!atomic_compare_exchange_strong(&slots[i].state, &unused, 1)) {
            continue;
        }
        atomic_store(&slots[i].client, client);
        atomic_store(&slots[i].fd, listener->fd);
        atomic_store(&slots[i].state, 2);
        int used = atomic_load(&slots_used);
        while (used < i + 1 && !atomic_compare_exchange_weak(&slots_used, &used, i + 1)) {
        }
        listener->slot = i;
        return true;
    }
    cli_unlisten(listener);
    return false;
}

void cli_listener_clear(const struct cli_listener *listener)
{
    uint64_t count;
    ssize_t got = read(listener->fd, &count, sizeof(count));
    (void)got;
}

void cli_unlisten(struct cli_listener *listener)
{
    if (listener->slot >= 0) {
        atomic_store(&slots[listener->slot].state, 1);
        while (atomic_load(&handlers_busy) > 0) {
            sched_yield(); // another thread's handler; ours would have run to its end
        }
        atomic_store(&slots[listener->slot].client, NULL);
        atomic_store(&slots[listener->slot].state, 0);
        listener->slot = -1;
    }
    if (listener->fd >= 0) {
        close(listener->fd);
        listener->fd = -1;
    }
}
