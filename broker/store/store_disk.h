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
