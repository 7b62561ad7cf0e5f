// netqueue: looking at queues and changing them. One table of commands; each takes the words behind its name.
#pragma once
#include "bench.h"
#include "json.h"
#include "netqueue.h"
#include "options.h"
#include "report.h"

struct admin_options {
    struct cli_common common; // first
    uint64_t maxsize, max_bytes, lease_ms, hold_max_ms, max_deliveries, ttl_ms, initial, wait_ms, count, from;
    const char *dead_letter, *to, *put, *get, *admin;
    bool temporary, immediate, null_ended, json;
    struct bench_options bench;
};

struct admin;

struct admin_command {
    struct cli_program program; // its name is "netqueue NAME"
    const char *name;
    size_t words_min, words_max;
    enum nq_status (*run)(struct admin *admin);
};

// One call of one command.
struct admin {
    const struct admin_command *command;
    struct admin_options options;
    struct cli_arguments arguments;
    const char *queue; // the first word; NULL: none
    struct nq_client *client;
    struct cli_buffer out; // for stdout, printed at the end even if the command fails
    bool reported;         // what went wrong has been said
};

extern const struct admin_command admin_commands[];
extern const size_t admin_commands_count;

// queues.c
enum nq_status admin_list(struct admin *admin);
enum nq_status admin_stat(struct admin *admin);
enum nq_status admin_declare(struct admin *admin);
enum nq_status admin_update(struct admin *admin);
enum nq_status admin_delete(struct admin *admin);
enum nq_status admin_ping(struct admin *admin);
enum nq_status admin_backup(struct admin *admin);
// items.c
enum nq_status admin_purge(struct admin *admin);
enum nq_status admin_peek(struct admin *admin);
enum nq_status admin_redrive(struct admin *admin);
// waits.c
enum nq_status admin_join(struct admin *admin);
enum nq_status admin_shutdown(struct admin *admin);
// bench.c
enum nq_status admin_bench(struct admin *admin);

// keygen.c
enum nq_status admin_keygen(struct admin *admin);

// show.c
void show_stats_json(struct cli_json *json, const struct nq_queue_stats *stats);
void show_stats_text(struct cli_buffer *out, const struct nq_queue_stats *stats);
void show_table(struct cli_buffer *out, const struct nq_queue_stats *stats, size_t count);
// {"queue":..,"NAME":count} or "count WORDS" unless quiet.
void show_count(struct admin *admin, const char *name, uint64_t count, const char *words);
