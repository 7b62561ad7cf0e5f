// Inside of the harness: what load.c, load_options.c and load_report.c share.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "histogram.h"
#include "load.h"

enum latency { LATENCY_PUT, LATENCY_PUT_TO_GET, LATENCY_DONE, LATENCY_COUNT };

struct run {
    const struct peer *peer;
    struct load load;
    uint64_t started_ns;
    atomic_ullong put, done;
    atomic_uint busy; // producers that have not ended
    atomic_bool measuring, stopping;
};

struct worker {
    struct run *run;
    pthread_t thread;
    bool consumes;
    unsigned index;
    void *connection;
    char *body;
    uint64_t put;     // items, ever
    uint64_t *stamps; // of the items on their way; a ring of `window`; 0: it is not timed
    size_t stamps_first, unsettled;
    struct histogram latency[LATENCY_COUNT];
};

struct result {
    double seconds, client_cpu_seconds;
    uint64_t items;
    struct histogram latency[LATENCY_COUNT];
};

// Fill `load` from the command line, or print what is wrong (or --help) and return false with *exit_code set.
bool load_parse(struct load *load, const struct peer *peer, int argc, char **argv, int *exit_code);
void load_print(const struct load *load, const struct result *result);
