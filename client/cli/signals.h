// SIGINT and SIGTERM: the first asks to stop, the second to stop at once. SIGPIPE is ignored: a closed pipe is an error of write().
#pragma once
#include "netqueue.h"

bool cli_signals_install(void);
unsigned cli_signals_count(void); // how many have come

// A thread that wants to hear of them: its client's wait ends with NQ_INTERRUPTED and an eventfd becomes readable, with each signal.
struct cli_listener {
    int slot;
    int fd; // for poll; the thread reads it empty with cli_listener_clear
};
bool cli_listen(struct cli_listener *listener, struct nq_client *client); // client may be NULL
void cli_listener_clear(const struct cli_listener *listener);
// Before the client is destroyed. Accepts one that never listened (slot and fd are -1).
void cli_unlisten(struct cli_listener *listener);
