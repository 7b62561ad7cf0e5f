// netqueue: administration. One table row per command; each command is one function.
#pragma once
#include "netqueue.h"
#include "options.h"

struct admin_options {
    struct cli_common common;
    // declare, update
    uint64_t maxsize, max_bytes, lease_ms, hold_max_ms, max_deliveries, ttl_ms, initial;
    const char *dead_letter;
    bool temporary;
    uint64_t wait_ms; // join
    bool immediate;   // shutdown
    // peek, redrive
    uint64_t count, from_seq;
    const char *to;
    bool null_ended, json;
};

struct admin_command;

// What a command works with.
struct admin {
    const struct admin_command *command;
    const struct admin_options *options;
    const struct cli_arguments *arguments;
    struct nq_client *client;
    const char *queue; // the first word, or NULL
};

typedef enum nq_status admin_run(const struct admin *admin);

struct admin_command {
    struct cli_program program; // its name is "netqueue COMMAND"
    bool takes_queue;
    admin_run *run; // prints its results; the caller reports a failure
};

bool admin_given(const struct admin *admin, const char *option);
const char *admin_command_name(const struct admin_command *command);

admin_run admin_list, admin_stat, admin_peek;
admin_run admin_declare, admin_update, admin_purge, admin_delete, admin_shutdown, admin_join, admin_redrive, admin_ping;

// stats.c: one queue for people, or one JSON object.
void admin_print_stats(const struct admin *admin, const struct nq_queue_stats *stats);
