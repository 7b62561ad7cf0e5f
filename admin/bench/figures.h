// What was measured, and its three forms; pure.
#pragma once
#include "bench.h"
#include "histogram.h"

enum figure_latency { LATENCY_PUT, LATENCY_PUT_TO_GET, LATENCY_DONE, LATENCIES };

struct figures {
    double seconds, client_cpu_seconds;
    uint64_t items;  // put and confirmed (mode put), else done and confirmed
    uint64_t missed; // due by the end of a fixed rate's schedule, but not put
    uint64_t errors;
    struct histogram latency[LATENCIES];
};

void figures_add(struct cli_buffer *out, const struct bench_options *options, const struct figures *figures);
