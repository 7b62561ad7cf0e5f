// What the tests of the stores share: a store of either kind in a directory of its own, commits built from short calls, and the
// whole state of a store as text, so that two states can be compared and a difference can be read.
#pragma once
#include "changes.h"
#include "store_lmdb.h"

enum store_kind { STORE_MEMORY, STORE_LMDB, STORE_DISK, STORE_KINDS };

struct rig_block; // memory that lives until the commit

struct store_rig {
    enum store_kind kind;
    char parent[128]; // temporary; the store is in a folder below
    char dir[160];
    uint64_t reserve_bytes;
    struct store *store;
    struct changes *changes;
    struct rig_block *blocks;
};

enum { RIG_QUEUES = 16 }; // rig_state tells of the items of queues 0 .. RIG_QUEUES - 1

void rig_start(struct store_rig *self, enum store_kind kind); // a new, empty store
void rig_start_in(struct store_rig *self, enum store_kind kind, const char *parent, uint64_t reserve_bytes);
void rig_reopen(struct store_rig *self);           // of a memory store: nothing
void rig_end(struct store_rig *self);              // closes, and removes the directory
void rig_make_parent(char *path, size_t capacity); // a new folder below TMPDIR, else /tmp
void rig_make_folder(const char *path);
void rig_remove_tree(const char *path);
// Open the store in `dir` as it is, without syncs.
enum nq_status rig_open_dir(enum store_kind kind, const char *dir, uint64_t reserve_bytes, struct store **out,
                            struct store_error *error);
// Make the folder of a store of the kind DISK, with journals of this size: they are used as they are.
void rig_make_journals(const char *dir, size_t bytes);
// Commits by a process that ends without closing the store of the kind DISK: of one item of queue 1 each, seq `first` to `last`.
void rig_commits_and_die(const struct store_lmdb_options *options, uint64_t first, uint64_t last);

// Bytes that tell whose they are. `bytes` is filled.
void rig_fill(uint8_t *bytes, size_t len, uint64_t queue_id, uint64_t seq, char part);
bool rig_is_filled(struct engine_bytes bytes, uint64_t queue_id, uint64_t seq, char part);

struct rig_put {
    uint64_t queue_id, first_seq;
    size_t count, body_len, headers_len; // bodies are rig_fill(.., 'b'), headers (if any) rig_fill(.., 'h')
    uint64_t accepted_ms, put_bytes;
};

// Add to the commit that is being built.
void rig_put(struct store_rig *self, struct rig_put put);
void rig_remove(struct store_rig *self, uint64_t queue_id, uint64_t first_seq, uint64_t last_seq);
void rig_add(struct store_rig *self, struct change change);
// A queue whose counts are `stored` ready items, and the record of an item or a run in it; the other fields are set, too.
void rig_queue(struct store_rig *self, uint64_t queue_id, uint64_t next_seq, uint64_t cursor, uint64_t stored);
void rig_item(struct store_rig *self, uint64_t queue_id, uint64_t seq, enum item_state state);
void rig_run(struct store_rig *self, uint64_t queue_id, uint64_t first_seq, uint64_t last_seq);
void rig_stream(struct store_rig *self, uint64_t queue_id, uint64_t stream, uint64_t last_number);
void rig_session(struct store_rig *self, uint64_t session_no);

enum nq_status rig_try_commit(struct store_rig *self, struct store_error *error); // and begin the next one
void rig_commit(struct store_rig *self);                                          // must be OK
void rig_forget(struct store_rig *self);                                          // the commit that is being built

// All that load and read tell, a record a line. To be freed.
char *rig_state(struct store *store);
char *rig_try_state(struct store *store); // NULL: the store could not be read
char *rig_load(struct store *store);
char *rig_items(struct store *store);
bool rig_text_has(const char *text, const char *line); // a whole line
// The seqs that `stored` was called with, as in "1:2 1:3 2:1", from a rig_load. To be freed.
char *rig_stored(struct store *store);
