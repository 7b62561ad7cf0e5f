// The broker's store on disk: a journal in front of LMDB.
//
// A commit is one write and one flush of the journal; its net effect is kept in memory and goes to LMDB in larger, synced commits
// (checkpoints) on a thread of its own. Items that are put and finished between two checkpoints never reach LMDB. LMDB is always
// written with its own flushes, so a power cut finds it whole, as of the last checkpoint; the journal has the rest.
#pragma once
#include "store_lmdb.h"

// As store_lmdb_open, of which it takes the options. Reads the journal and applies it before it returns.
// Errors: as store_lmdb_open; DAMAGED the journal is damaged in the middle.
enum nq_status store_disk_open(const struct store_lmdb_options *options, struct store **out, struct store_error *error);

// Copy an open store into a new folder `name` of `parent`, from which a broker can start; it appears when it is whole and durable. All
// commits that had been answered before the call are in it; commits go on meanwhile. The copy is a store of its own, with this id.
// From any thread, one at a time. `bytes` [out]: of the copy.
//
// Errors: BAD_NAME        it exists already
//         NO_SPACE        where it is written; nothing of it is left, the store itself goes on, as for
//         STORAGE_FAILED  any other failure
struct store_backup {
    const char *parent, *name;
    uint8_t new_store_id[16];
};
enum nq_status store_disk_backup(struct store *store, const struct store_backup *order, uint64_t *bytes, struct store_error *error);
