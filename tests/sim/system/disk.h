// The disk: a memory store that says that it blocks, and beside it a plain list of which item is where, learned from what is written
// and from nothing else. What is here survives a crash; what is not, does not.
#pragma once
#include "store.h"

struct disk_place {
    struct disk_place *next; // of all
    uint64_t queue_id, seq;
    uint64_t id; // of the item
    uint64_t accepted_ms;
    uint64_t moved_at; // the moment in which that was durable; 0: it was put there
    bool is_there;
    bool dead;                      // moved there as a dead letter
    bool again;                     // put again when the queue it had been put into was gone
    const struct disk_place *first; // where its put had put it
};

struct store *disk_begin(void);
void disk_end(struct store **store_p);

// Where the item was last seen; NULL: it was never stored.
const struct disk_place *disk_place_of(uint64_t id);
const struct disk_place *disk_place_at(uint64_t queue_id, uint64_t seq); // NULL: nothing was ever there
// Is it still to be done? Not when it is removed, or below the queue's mark, or the queue is deleted.
bool disk_is_live(const struct disk_place *place);
bool disk_is_kept(const struct disk_place *place);        // its queue exists
const struct queue_record *disk_queue(uint64_t queue_id); // NULL: none
const struct queue_record *disk_queue_named(const char *name, size_t len);
