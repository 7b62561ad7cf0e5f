// What the broker was told to do: flags over environment over configuration file over defaults, from one table (options.c).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "status.h"
#include "wire_limits.h"

enum { CONFIG_LISTEN_MAX = 16, CONFIG_TEXT_MAX = 4096, CONFIG_OPTIONS_MAX = 48 };

enum config_action { CONFIG_RUN, CONFIG_HELP, CONFIG_VERSION, CONFIG_PRINT, CONFIG_CHECK, CONFIG_COMPACT };
enum config_sync { CONFIG_SYNC_ALWAYS, CONFIG_SYNC_NONE };

// Where a value came from; a higher one wins.
enum config_source { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_FLAG };

struct config {
    enum config_action action;
    const char *action_dir; // of check and compact

    char *listen[CONFIG_LISTEN_MAX];
    size_t listen_count;
    char *data; // NULL: --memory, or neither was given: then data_dir
    bool memory;
    const char *data_dir; // where the store is; NULL with --memory
    bool data_is_default; // neither --data nor --memory was given
    uint32_t sync;        // enum config_sync
    char *file, *endpoint_file, *backup_dir, *keys;
    bool insecure, exit_when_shut_down;
    uint32_t log_level; // 0 error, 1 warning, 2 info, 3 debug
    bool help, version, print;

    uint64_t max_disk, disk_reserve, body_limit, headers_limit, parked_limit, parked_limit_per_key;
    uint64_t max_queues, max_sessions, max_streams, max_delayed, max_leases, max_waiters;
    uint64_t max_sessions_per_key, max_requests_per_key; // of one key, the latter in a second; 0: any number
    uint64_t lease_ms, hold_max_ms, session_grace_ms, session_timeout_ms, dedup_keep_ms;

    uint8_t source[CONFIG_OPTIONS_MAX]; // enum config_source, by option
};

struct config_error {
    enum nq_status status; // BAD_REQUEST: wrong usage (exit 64); BAD_CONFIG: file or environment (exit 78)
    char text[512];
};

// Fill `out`. The environment is that of the process. On an error `out` is as config_fini left it.
// Errors: BAD_REQUEST, BAD_CONFIG, NO_MEMORY; error->text says which option, and why.
enum nq_status config_load(struct config *out, int argc, char *const argv[], struct config_error *error);
void config_fini(struct config *self);

int config_exit_code(enum nq_status status);             // 64 for BAD_REQUEST, 78 for BAD_CONFIG
void config_print_help(FILE *out);                       // fits 80 x 24
void config_print(const struct config *self, FILE *out); // as a configuration file
