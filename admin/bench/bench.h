// netqueue bench: a load generator on the public library. What is asked for, and the one way in.
#pragma once
#include "buffer.h"
#include "netqueue.h"
#include "options.h"

enum bench_mode { BENCH_CYCLE, BENCH_PUT, BENCH_GET };

enum {
    BENCH_THREADS_MAX = 500, // producers; consumers as well
    BENCH_QUEUES_MAX = 100000,
    BENCH_WINDOW_MAX = 1000000,
};

struct bench_options {
    enum bench_mode mode;
    const char *queue;
    uint64_t size, window, producers, consumers, queues;
    double rate;          // items a second over all producers; 0: as fast as possible
    uint64_t duration_ms; // of what is measured
    uint64_t warmup_ms;   // before it
    uint64_t count;       // items in all; 0: no bound
    uint64_t fill;        // of mode get: items put beforehand
    bool keep, force;     // leave the queues; run although they hold items
    enum cli_format format;
    bool quiet;
    bool duration_given, warmup_given, producers_given, consumers_given, rate_given;
};
#define BENCH_DEFAULTS                                                                                                             \
    {                                                                                                                              \
        .size = 100, .window = 1000, .producers = 1, .consumers = 1, .queues = 1, .duration_ms = 10000, .warmup_ms = 1000          \
    }

// "[MODE] [QUEUE]" into the options. False: `why` has a line for a human.
bool bench_take_words(struct bench_options *options, const char *const *words, size_t count, char *why, size_t why_size);
// What the mode and the values given make of the rest. False: they do not go together.
bool bench_options_settle(struct bench_options *options, char *why, size_t why_size);
const char *bench_mode_name(enum bench_mode mode);
// "QUEUE", or "QUEUE.3" when there are several.
void bench_queue_name(const struct bench_options *options, uint64_t index, char *out, size_t size);

// Load the broker, add the report to `out`. What goes wrong is said on stderr. `client` asks and cleans up.
enum nq_status bench_execute(const struct bench_options *asked, struct nq_client *client, const struct cli_common *common,
                             struct cli_buffer *out);
