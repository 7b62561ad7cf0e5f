// The store on disk: LMDB in a directory of its own.
#pragma once
#include "store.h"

struct store_lmdb_options {
    const char *dir;             // created with mode 0700 when missing; its parent must exist
    bool sync;                   // false: --sync none; what LMDB has is flushed all the same
    bool never_flush;            // not even that, for tests that want to be quick: a power cut may leave nothing
    uint64_t max_disk_bytes;     // 0: no limit of our own
    uint64_t reserve_bytes;      // size of the preallocated reserve file; 0: none
    uint64_t map_bytes_max;      // of the file, which is mapped; 0: as the address space allows
    const uint8_t *new_store_id; // 16 random bytes, used when the store is created
    // 8 random bytes, likewise, or when the store was created without; NULL: some of the id's. They mark the groups of the journal.
    // Clients know the id: by it one could write a body that is taken for a group when it lies in a part of the journal that is used
    // again.
    const uint8_t *new_salt;
    // Of the store with a journal: called at once when a checkpoint has failed, by the thread that writes it. Everybody else learns of
    // it with the next commit. NULL: nobody wants to know.
    void (*on_failure)(const struct store_error *error);
};

// Open or create.
//
// Errors: STORAGE_FAILED       cannot be opened, created or locked; another process has it open; not a netqueue store
//         UNSUPPORTED_VERSION  a format this program does not know
//         NO_MEMORY
enum nq_status store_lmdb_open(const struct store_lmdb_options *options, struct store **out, struct store_error *error);

// Whether the calling thread is inside LMDB. For a signal's handler: SIGSEGV means then that a page is damaged, and else that there is
// a bug.
bool store_lmdb_is_inside(void);

// Copy an open store, as of its last commit, into a new directory from which a broker can start. The copy is another store: its id is
// `new_store_id`. From any thread; what is freed in the store meanwhile is used again only when it has ended.
// Errors: STORAGE_FAILED (also when the directory exists), NO_SPACE. Nothing is left then.
enum nq_status store_lmdb_backup(struct store *store, const char *dir, const uint8_t new_store_id[16], struct store_error *error);
