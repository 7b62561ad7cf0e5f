// What the roles of the soak's load share.
#pragma once
#include <netqueue.h>
#include <signal.h>

#include "account.h"

struct load {
    struct account *account;
    struct worker *worker;
    struct nq_client *client;
    const char *queue;
    uint64_t rate;     // items a second; 0: as many as go
    uint64_t lead_max; // items put and not yet got; 0: no bound
    uint64_t count;    // items, then the end
};

extern volatile sig_atomic_t load_stops; // SIGTERM or SIGINT came: finish what is on its way, then end
uint64_t load_now_ns(void);
// One line on stderr; returns the exit code.
int load_fail(const char *what, const char *why);
int load_fail_by(const struct load *self, const char *what);

int putter_work(struct load *load);
int getter_work(struct load *load);
// Counts, and the percentiles since the last call, as one line of JSON.
int report_sample(struct account *account);
// When queue and workers are at rest: what became of everything. Exit code 0 whatever that is.
int report_judgement(struct account *account);
