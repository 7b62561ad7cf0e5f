// Reads items for answers: from memory while their put is not durable, else from one snapshot of the store that is taken when it is
// first needed in a turn and given back at the turn's end, or when a commit has ended.
#pragma once
#include "engine.h"
#include "store.h"

struct reader {
    struct store *store;
    bool open;
    struct store_error error; // status other than OK: the store cannot be read any more
    // Told of an item that the engine asked for and sets aside because it is DAMAGED or not there (EMPTY); NULL: nobody.
    void (*on_lost)(void *context, uint64_t queue_id, uint64_t seq, enum nq_status why);
    void *context;
};

void reader_init(struct reader *self, struct store *store);
void reader_end(struct reader *self);

// Body and headers of an item; valid until reader_end and the end of the group that its put is in. `queue` may be NULL (deleted).
// EMPTY: it is not there (or was moved there by a commit that has not ended). DAMAGED. STORAGE_FAILED, NO_MEMORY: see error.
enum nq_status reader_item(struct reader *self, const struct queue *queue, uint64_t queue_id, uint64_t seq,
                           struct engine_bytes *body, struct engine_bytes *headers);
// The same from the store only, with all it knows.
enum nq_status reader_stored(struct reader *self, uint64_t queue_id, uint64_t seq, struct store_item *item);
// The first stored item at or after seq, below below_seq.
enum nq_status reader_next(struct reader *self, uint64_t queue_id, uint64_t seq, uint64_t below_seq, struct store_item *item);

// For engine_source.item; the context is the reader.
enum engine_status reader_item_size(void *context, uint64_t queue_id, uint64_t seq, uint32_t *bytes, uint64_t *put_bytes);
