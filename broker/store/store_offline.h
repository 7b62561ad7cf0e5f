// What can be done to a store on disk while no broker has it open.
#pragma once
#include <stdio.h>

#include "store.h"

struct store_check_report {
    uint64_t queues, items, item_records, runs, streams, sessions;
    uint64_t groups; // of the journal, not applied yet
    uint64_t bytes;
    uint64_t damaged;   // records whose checksum or form is wrong
    uint64_t misplaced; // counts and positions of queues that do not agree with what is stored
};

// Verify every record; name what is wrong on `findings`, one line each.
// Errors: DAMAGED something was found; STORAGE_FAILED cannot be read at all, or in use; UNSUPPORTED_VERSION.
enum nq_status store_lmdb_check(const char *dir, FILE *findings, struct store_check_report *report, struct store_error *error);

// Rewrite the store without its free pages. The old file is replaced only when the new one is complete and synced.
enum nq_status store_lmdb_compact(const char *dir, uint64_t *before_bytes, uint64_t *after_bytes, struct store_error *error);
