// Commits: one write and one flush of the journal, then into the active overlay.
#include <stdlib.h>

#include "changes_codec.h"
#include "disk_internal.h"

// Of memory: after so much a checkpoint begins; with half as much again a commit waits for the one under way, so that none is
// much larger. On top comes as much as the records of queues and streams take, which each checkpoint writes anew.
#define CHECKPOINT_BYTES (8u << 20)

// An item that a move copies, from the layers below the active overlay.
static enum nq_status find_below(void *context, uint64_t queue_id, uint64_t seq, struct store_item *item)
{
    struct disk_store *self = context;
    enum overlay_found found = self->frozen == NULL ? OVERLAY_NOTHING : overlay_find(self->frozen, queue_id, seq, item);
    if (found != OVERLAY_NOTHING) {
        return found == OVERLAY_ITEM ? NQ_OK : NQ_EMPTY;
    }
    nq_arena_reset(self->fetched); // the one before is copied by now
    return lmdb_fetch(self->lmdb, queue_id, seq, self->fetched, item);
}

bool disk_take_in(struct disk_store *self, const struct changes *changes)
{
    const struct overlay_below below = {.context = self, .find = find_below};
    pthread_rwlock_wrlock(&self->layers);
    // Seen with the lock: a checkpoint that ends just now may have left nothing to be written, and its thread gone to sleep.
    bool was_idle = __atomic_load_n(&self->unwritten_bytes, __ATOMIC_SEQ_CST) == 0;
    if (!self->reading) {
        overlay_reuse(self->active);
    }
    bool ok = overlay_apply(self->active, changes, &below);
    disk_note_unwritten(self);
    pthread_rwlock_unlock(&self->layers);
    nq_arena_reset(self->fetched);
    if (was_idle) {
        disk_wake(self);
    }
    return ok;
}

static bool reserve_group(struct disk_store *self, size_t len)
{
    size_t bytes = journal_group_bytes(len);
    if (bytes > self->group_capacity) {
        free(self->group); // what is in it is written already
        self->group = aligned_alloc(JOURNAL_BLOCK_BYTES, bytes);
        self->group_capacity = self->group == NULL ? 0 : bytes;
    }
    return self->group != NULL;
}

// It was taken in half-way: what the overlay has of the group must not go to LMDB, where it would count as all of it.
static enum nq_status give_up(struct disk_store *self, struct store_error *error)
{
    pthread_mutex_lock(&self->mutex);
    self->failed.status = disk_fail(&self->failed, NQ_NO_MEMORY, "out of memory for a commit, or for an item that it moves");
    pthread_mutex_unlock(&self->mutex);
    return disk_refuse_if_failed(self, error);
}

// A commit larger than the journal: straight to LMDB, behind everything before it.
static enum nq_status commit_through(struct disk_store *self, const struct changes *changes, struct store_error *error)
{
    enum nq_status status = disk_checkpoint_all(self, error);
    if (status != NQ_OK) {
        return status;
    }
    if (!disk_take_in(self, changes)) {
        return give_up(self, error);
    }
    journal_skip(self->journal);
    return disk_checkpoint_all(self, error);
}

static enum nq_status make_room(struct disk_store *self, size_t len, struct store_error *error)
{
    bool full = !journal_fits(self->journal, len);
    size_t bytes = overlay_bytes(self->active);
    size_t enough = CHECKPOINT_BYTES + 2 * overlay_steady_bytes(self->active);
    bool may_go_on = bytes < enough || (bytes < enough + enough / 2 && disk_checkpoint_is_under_way(self));
    if (!full && may_go_on) {
        return NQ_OK;
    }
    enum nq_status status = disk_wait_for_checkpoint(self, error);
    return status == NQ_OK ? disk_begin_checkpoint(self, error) : status;
}

static enum nq_status commit_group(struct disk_store *self, const struct changes *changes, struct store_error *error)
{
    enum nq_status status = disk_refuse_if_failed(self, error); // also while the journal could take it
    if (status != NQ_OK) {
        return status;
    }
    if (!reserve_group(self, changes_encoded_bytes_max(changes))) {
        return disk_fail(error, NQ_NO_MEMORY, "out of memory for a commit");
    }
    size_t len = changes_encode(changes, self->group + JOURNAL_HEADER_BYTES);
    if (len > journal_len_max(self->journal)) {
        return commit_through(self, changes, error);
    }
    status = make_room(self, len, error);
    if (status == NQ_OK) {
        status = journal_append(self->journal, self->group, len, error);
    }
    if (status == NQ_OK && !disk_take_in(self, changes)) {
        status = give_up(self, error);
    }
    return status;
}

enum nq_status disk_commit(struct store *store, const struct changes *changes, struct store_error *error)
{
    struct disk_store *self = disk_of(store);
    pthread_mutex_lock(&self->committing);
    enum nq_status status = commit_group(self, changes, error);
    pthread_mutex_unlock(&self->committing);
    return status;
}
