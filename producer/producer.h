// netqueue-producer: bodies from arguments, stdin, files or a generator -> items of one queue.
//
//   main thread: input -> chunks -> deal          sender threads: mailbox -> producer handle -> confirmed -> notify
#pragma once
#include "netqueue.h"
#include "options.h"
#include "report.h"

enum { EXIT_INPUT = 64 }; // what was to be put is wrong: a usage error

struct producer_options {
    struct cli_common common; // first
    bool null_ended, whole, json_lines, random, no_wait, join, notify;
    struct cli_list files;
    uint64_t count, size, threads, window, put_timeout_ms, delay_ms, grace_ms;
    double rate; // 0: as fast as can be
    struct cli_list header_texts;
    const char *name;

    // Filled in by producer_options_read.
    const char *queue;
    const char *const *bodies; // of the command line
    size_t bodies_count;
    struct nq_header_field *headers; // -H; the names are in header_names
    size_t headers_count;
    bool count_given, size_given;
};

// CLI_GO_ON, else what to exit with. producer_options_fini is needed in any case.
int producer_options_read(int argc, char **argv, struct producer_options *options, struct cli_arguments *arguments);
void producer_options_fini(struct producer_options *options, struct cli_arguments *arguments);
