// Reads: the overlays first, newest first, then LMDB.
#include "disk_internal.h"

enum nq_status disk_read_begin(struct store *store, struct store_error *error)
{
    struct disk_store *self = disk_of(store);
    pthread_rwlock_wrlock(&self->layers); // LMDB's snapshot and the layers above it are of one moment
    enum nq_status status = store_read_begin(self->lmdb, error);
    self->reading = status == NQ_OK;
    pthread_rwlock_unlock(&self->layers);
    return status;
}

void disk_read_end(struct store *store)
{
    struct disk_store *self = disk_of(store);
    pthread_rwlock_wrlock(&self->layers);
    bool was_reading = self->reading;
    struct layer *retired = self->retired;
    self->reading = false;
    self->retired = NULL;
    pthread_rwlock_unlock(&self->layers);
    if (was_reading) {
        store_read_end(self->lmdb);
    }
    disk_free_layers(retired);
}

// The layers above LMDB, newest first: the active one, the frozen one, the retired ones. Start with NULL in *retired.
static const struct overlay *layer_at(const struct disk_store *self, size_t index, const struct layer **retired)
{
    if (index == 0) {
        return self->active;
    }
    if (index == 1 && self->frozen != NULL) {
        return self->frozen;
    }
    *retired = *retired == NULL ? self->retired : (*retired)->older;
    return *retired == NULL ? NULL : (*retired)->overlay;
}

// What the first `count` layers say of one item; NOTHING: ask what is below.
static enum overlay_found find_in(const struct disk_store *self, size_t count, uint64_t queue_id, uint64_t seq,
                                  struct store_item *item)
{
    enum overlay_found found = OVERLAY_NOTHING;
    const struct layer *retired = NULL;
    for (size_t i = 0; i < count && found == OVERLAY_NOTHING; i++) {
        const struct overlay *overlay = layer_at(self, i, &retired);
        if (overlay == NULL) {
            break;
        }
        found = overlay_find(overlay, queue_id, seq, item);
    }
    return found;
}

static enum overlay_found find_above(const struct disk_store *self, uint64_t queue_id, uint64_t seq, struct store_item *item)
{
    return find_in(self, SIZE_MAX, queue_id, seq, item);
}

// The first item of LMDB's at or after `seq` that no layer above has removed (one that a layer has, too, is the same item).
static enum nq_status next_in_lmdb(const struct disk_store *self, uint64_t queue_id, uint64_t seq, uint64_t below_seq,
                                   struct store_item *item)
{
    enum nq_status status = store_read_next(self->lmdb, queue_id, seq, below_seq, item);
    struct store_item above;
    while ((status == NQ_OK || status == NQ_DAMAGED) && find_above(self, queue_id, item->seq, &above) == OVERLAY_REMOVED) {
        status = store_read_next(self->lmdb, queue_id, item->seq + 1, below_seq, item);
    }
    return status;
}

// The first item of a layer, at or after `from`, that no newer layer has removed.
static bool next_in_layer(const struct disk_store *self, const struct overlay *overlay, size_t index, uint64_t queue_id,
                          uint64_t from, uint64_t end, uint64_t *seq)
{
    struct store_item item;
    while (overlay_next(overlay, queue_id, from, end, seq)) {
        if (find_in(self, index, queue_id, *seq, &item) != OVERLAY_REMOVED) {
            return true;
        }
        from = *seq + 1;
    }
    return false;
}

static bool next_above(const struct disk_store *self, uint64_t queue_id, uint64_t from, uint64_t end, uint64_t *seq)
{
    bool found = false;
    const struct layer *retired = NULL;
    const struct overlay *overlay = layer_at(self, 0, &retired);
    for (size_t i = 0; overlay != NULL; overlay = layer_at(self, ++i, &retired)) {
        uint64_t candidate;
        if (next_in_layer(self, overlay, i, queue_id, from, end, &candidate)) {
            *seq = candidate;
            end = candidate;
            found = true;
        }
    }
    return found;
}

static enum nq_status read_locked(const struct disk_store *self, uint64_t queue_id, uint64_t seq, uint64_t below_seq, bool or_next,
                                  struct store_item *item)
{
    uint64_t above;
    enum overlay_found found = find_above(self, queue_id, seq, item);
    if (found == OVERLAY_ITEM) {
        return NQ_OK;
    }
    if (!or_next) {
        return found == OVERLAY_REMOVED ? NQ_EMPTY : store_read(self->lmdb, queue_id, seq, item);
    }
    enum nq_status status = next_in_lmdb(self, queue_id, seq, below_seq, item);
    if (status != NQ_OK && status != NQ_DAMAGED && status != NQ_EMPTY) { // nobody knows which item is next
        return status;
    }
    uint64_t end = status == NQ_OK || status == NQ_DAMAGED ? item->seq : below_seq;
    if (next_above(self, queue_id, seq, end, &above)) {
        find_above(self, queue_id, above, item);
        return NQ_OK;
    }
    return status;
}

enum nq_status disk_read(struct store *store, uint64_t queue_id, uint64_t seq, uint64_t below_seq, bool or_next,
                         struct store_item *item)
{
    struct disk_store *self = disk_of(store);
    if (seq >= below_seq) {
        return NQ_EMPTY;
    }
    pthread_rwlock_rdlock(&self->layers);
    enum nq_status status = self->reading ? read_locked(self, queue_id, seq, below_seq, or_next, item) : NQ_EMPTY;
    pthread_rwlock_unlock(&self->layers);
    return status;
}
