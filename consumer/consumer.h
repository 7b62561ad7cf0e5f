// netqueue-consumer: takes items of one or several queues and prints them or runs a command for each.
//
//   print.c   one queue, no command: the consumer handle, as fast as can be
//   run.c     a command for each item, or several queues: one poll loop per thread
//   peek.c    looks only
#pragma once
#include "netqueue.h"
#include "options.h"
#include "report.h"
#include "signals.h"

struct consumer_options {
    struct cli_common common; // first
    bool null_ended, json, peek, at_most_once, notify, exit_when_empty, round_robin;
    uint64_t jobs, threads, count, max_idle_ms, lease_ms, hold_max_ms, prefetch, requeue_delay_ms, backoff_ms, grace_ms;
    const char *name;

    // Filled in by consumer_options_read.
    const char *const *queues;
    size_t queues_count;
    char *const *command; // NULL: none; ends with NULL
    bool count_given, max_idle_given, prefetch_given;
};

int consumer_options_read(int argc, char **argv, struct consumer_options *options, struct cli_arguments *arguments);

// One thread of the program.
struct worker {
    const struct consumer_options *options;
    struct nq_client *client;
    struct cli_listener listener;
    char name[96];    // in --notify
    uint64_t limit;   // items it may take; UINT64_MAX: any number
    uint64_t stop_ms; // when the grace after a signal is over; 0: no signal yet

    // The outcome.
    enum nq_status status; // what ended it, NQ_OK: nothing bad
    int exit_code;         // instead of the status's; 0: none
    uint64_t taken, failed_commands, lost;
};

void print_run(struct worker *worker); // print.c
void run_run(struct worker *worker);   // run.c
void peek_run(struct worker *worker);  // peek.c

// main.c, for the others: note what ended the worker, with a line for people. The first one counts.
void worker_fail(struct worker *worker, enum nq_status status, const char *text);
void worker_fail_unknown(struct worker *worker); // the end has come before the last answers
// True once a signal has come: finish what runs. Starts the grace.
bool worker_is_stopping(struct worker *worker);
// True with a second signal or when the grace is over: give everything back.
bool worker_must_end(struct worker *worker);
uint64_t worker_grace_left_ms(struct worker *worker); // NQ_WAIT_FOREVER: no signal yet
