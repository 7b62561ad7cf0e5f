// What the files of the disk store share.
#pragma once
#include <pthread.h>

#include "arena.h"
#include "journal.h"
#include "lmdb_internal.h"
#include "overlay.h"
#include "store_disk.h"

struct layer {
    struct layer *older;
    struct overlay *overlay;
};

struct disk_store {
    struct store store;
    struct store *lmdb;
    pthread_mutex_t committing; // guards what follows, and who may begin a checkpoint
    struct journal *journal;
    uint8_t *group; // the next group's bytes
    size_t group_capacity;
    bool has_thread;
    pthread_t thread;
    int wake_fd;                                         // an eventfd
    void (*on_failure)(const struct store_error *error); // see store_lmdb_options

    pthread_rwlock_t layers; // read: while looking at what follows; write: while changing it
    struct overlay *active;  // since the last checkpoint began
    struct overlay *frozen;  // being checkpointed; NULL: none
    struct layer *retired;   // in LMDB by now, but not in the snapshot of a read under way; newest first
    bool reading;
    struct nq_arena *fetched; // items copied out of LMDB by the commit under way

    uint64_t unwritten_bytes; // in the overlays, by __atomic_*: LMDB's file will grow by about as many

    pthread_mutex_t mutex; // guards what follows
    pthread_cond_t changed;
    bool work; // `frozen` waits for the thread
    bool stopping;
    uint64_t frozen_last;      // number of its last group
    struct store_error failed; // of a checkpoint, or of a commit half-way; status OK: none
};

struct disk_store *disk_of(const struct store *store);
enum nq_status disk_fail(struct store_error *error, enum nq_status status, const char *text); // fills `error`, returns `status`

// disk_checkpoint.c. The caller holds `committing`, but for the thread itself and while opening.
enum nq_status disk_write_overlay(struct store *lmdb, const struct overlay *overlay, uint64_t number, struct store_error *error);
void disk_note_unwritten(struct disk_store *self); // with the layers locked
void disk_wake(const struct disk_store *self);     // the thread
void *disk_thread(void *context);
enum nq_status disk_refuse_if_failed(struct disk_store *self, struct store_error *error); // once a checkpoint has failed
bool disk_checkpoint_is_under_way(struct disk_store *self);
enum nq_status disk_wait_for_checkpoint(struct disk_store *self, struct store_error *error);
enum nq_status disk_begin_checkpoint(struct disk_store *self, struct store_error *error);
enum nq_status disk_checkpoint_all(struct disk_store *self, struct store_error *error);
void disk_free_layers(struct layer *layer);

// disk_commit.c, disk_read.c
bool disk_take_in(struct disk_store *self, const struct changes *changes); // false: out of memory
enum nq_status disk_commit(struct store *store, const struct changes *changes, struct store_error *error);
enum nq_status disk_read_begin(struct store *store, struct store_error *error);
enum nq_status disk_read(struct store *store, uint64_t queue_id, uint64_t seq, uint64_t below_seq, bool or_next,
                         struct store_item *item);
void disk_read_end(struct store *store);
