// What the files of the LMDB store share. lmdb.h is included nowhere else.
#pragma once
#include <lmdb.h>

#include "arena.h"
#include "record_codec.h"
#include "store_lmdb.h"

#define LMDB_JOURNALED_KEY 1 // in DB_META, beside the meta record's 0

enum { LMDB_PATH_BYTES = 4096 };
enum lmdb_database { DB_META, DB_QUEUES, DB_ITEMS, DB_RECORDS, DB_RUNS, DB_STREAMS, DB_SESSIONS, DB_QUARANTINE, DB_COUNT };

struct lmdb_store {
    struct store store;
    MDB_env *env;
    MDB_dbi db[DB_COUNT];
    int dir_fd, lock_fd, data_fd;
    uint8_t id[16];
    uint64_t max_disk_bytes, reserve_bytes;
    uint64_t map_limit_bytes; // what may be accepted when address space is limited, and with it the map; 0: any number
    uint64_t allocated_bytes; // of data.mdb, ahead of what LMDB uses
    bool can_allocate;
    bool room_refused;   // the file system did not have what the commit under way may take
    bool reserve_in_use; // this and the next: by __atomic_*, both threads look at them
    bool failed;

    // the reading thread's
    MDB_txn *read_txn;
    MDB_cursor *read_cursor;
    bool reading;
    bool cursor_is_valid; // it stands on (cursor_queue_id, cursor_seq)
    uint64_t cursor_queue_id, cursor_seq;
};

struct lmdb_store *lmdb_of(const struct store *store);

// Fill `error` with "what: why" and return `status`. rc: of LMDB or an errno; 0: no why.
enum nq_status lmdb_fail(struct store_error *error, enum nq_status status, const char *what, int rc);
// The status for a return code: NO_SPACE, NO_MEMORY or STORAGE_FAILED.
enum nq_status lmdb_status(int rc);

MDB_val lmdb_key(uint64_t a, uint64_t b, uint8_t buffer[STORE_KEY_BYTES]);
// The record kept in a database; RECORD_KINDS: none.
enum record_kind lmdb_record_kind(enum lmdb_database db);
// STORAGE_FAILED, with `error` filled, once the medium has failed: from then on the store answers nothing else.
enum nq_status lmdb_refuse_if_failed(struct lmdb_store *self, struct store_error *error);

// lmdb_guard.c
extern const struct store_ops lmdb_ops;
// This thread goes into LMDB, or looks at what lies in its pages, until it leaves; may be nested.
void lmdb_enter(void);
void lmdb_leave(void);

// lmdb_open.c
void lmdb_id(const struct store *store, uint8_t id[16]);
void lmdb_close(struct store **store_p);
enum nq_status lmdb_open_env(const char *dir, bool sync, bool read_only, MDB_env **out, struct store_error *error);
void lmdb_path(char path[LMDB_PATH_BYTES], const char *dir, const char *file);
int lmdb_lock(int fd, int *lock_fd);              // takes the descriptor, if there is one; the rest as below
int lmdb_lock_dir(const char *dir, int *lock_fd); // 0; EWOULDBLOCK: another process has it, or an errno
// Whether another process has the store open, whatever has become of its lock's file; if not, we have until the descriptor is closed.
bool lmdb_is_locked(int data_fd);
enum nq_status lmdb_check_file(const char *dir, bool sync, bool *exists, struct store_error *error);
enum nq_status lmdb_open_databases(MDB_env *env, MDB_dbi db[DB_COUNT], uint8_t id[16], struct store_error *error);
// What marks the groups of this store's journal. Not `own`: it has none of its own, and its id stands for it. Errors: STORAGE_FAILED,
// NO_MEMORY; with another salt than its own a journal would look as if it held nothing.
enum nq_status lmdb_salt(MDB_env *env, MDB_dbi meta, const uint8_t id[16], uint64_t *salt, bool *own, struct store_error *error);
extern const char *const lmdb_names[DB_COUNT];

// lmdb_create.c: a data.mdb appears whole or not at all
int lmdb_sync_dir(const char *dir); // 0 or an errno
enum nq_status lmdb_create(const char *dir, const uint8_t id[16], const uint8_t *salt, struct store_error *error);
enum nq_status lmdb_set_salt(struct store *store, const uint8_t salt[8], struct store_error *error);
enum nq_status lmdb_copy(MDB_env *env, const char *dir,
                         struct store_error *error); // without free pages; replaces one that is there
void lmdb_forget_copy(const char *dir); // one that was cut off has left: whoever has the directory's lock knows that none is made

// lmdb_space.c
void lmdb_space_start(struct lmdb_store *self);
void lmdb_make_room(struct lmdb_store *self, uint64_t bytes); // for a commit that writes about as many
bool lmdb_room_is_out(struct lmdb_store *self);               // as that commit has found, perhaps
bool lmdb_give_up_reserve(struct lmdb_store *self);           // true: there was one
enum nq_status lmdb_space(struct store *store, struct store_space *space);

// lmdb_commit.c, lmdb_read.c, lmdb_load.c
enum nq_status lmdb_commit(struct store *store, const struct changes *changes, struct store_error *error);
enum nq_status lmdb_read_begin(struct store *store, struct store_error *error);
enum nq_status lmdb_read(struct store *store, uint64_t queue_id, uint64_t seq, uint64_t below_seq, bool or_next,
                         struct store_item *item);
void lmdb_read_end(struct store *store);
enum nq_status lmdb_load(struct store *store, const struct store_loader *loader, struct store_error *error);

// lmdb_lookup.c: for the journal in front of this store, from any thread
// Number of the last group of the journal that is in; 0: none. Errors: DAMAGED, STORAGE_FAILED.
enum nq_status lmdb_journaled(struct store *store, uint64_t *number, struct store_error *error);
// One item as of the last commit, copied into the arena. EMPTY, DAMAGED, NO_MEMORY, STORAGE_FAILED.
enum nq_status lmdb_fetch(struct store *store, uint64_t queue_id, uint64_t seq, struct nq_arena *arena, struct store_item *item);
