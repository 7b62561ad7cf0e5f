// What is known of every item from what clients asked and were told, and from what left the broker; and what must hold of it.
// It knows no rule of the engine: an item that was accepted is there until it is done, and so on.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

enum { ORACLE_QUEUES = 8, ORACLE_ITEMS = 16384 };

struct oracle_queue {
    char name[16];
    bool unbounded_moves; // dead letters come in whatever its bounds
    bool lossy;           // items may vanish by themselves: ttl, failures without a dead-letter queue, at most once
    bool bound_changes;   // its bound may have been lowered below what it holds
};

void oracle_begin(const struct oracle_queue *queues, size_t count);
void oracle_end(void); // nothing more will happen: what was accepted and not done must have been drained

size_t oracle_items(void);
unsigned oracle_queue_index(const char *name, size_t len); // ORACLE_QUEUES: none of ours
bool oracle_may_exceed(const char *name, size_t len);

// What clients do and are told.
uint64_t oracle_put(unsigned client, unsigned queue, bool delayed);     // the number of a new item
void oracle_put_told(uint64_t id, enum nq_status status, uint64_t seq); // seq 0: not told
void oracle_got(uint64_t id, unsigned queue, uint64_t seq);
void oracle_done_asked(uint64_t id);
void oracle_done_told(uint64_t id, enum nq_status status);
void oracle_drained(uint64_t id, unsigned queue, uint64_t seq);

// What goes into the broker and comes out.
void oracle_put_arrived(uint64_t id, bool has_room); // the disk is not full, or only since a moment
void oracle_put_confirmed(uint64_t id);
void oracle_put_hopeless(uint64_t id);        // a request that arrived with room is answered, and not with OK for this item
bool oracle_put_may_be_accepted(uint64_t id); // it has been, or a request that arrived with room may still do so
void oracle_queue_emptied(unsigned queue);    // purged, deleted, shut down at once
void oracle_at_most_once(unsigned queue);     // a get asks for it so
void oracle_done_confirmed(uint64_t queue_id, uint64_t seq, bool exact);
// What is written. Somebody must have asked for it, or a rule of the queue.
struct disk_place;
struct queue_record;
uint64_t oracle_initial(unsigned queue, uint64_t queue_id, uint64_t seq); // the number of an item that a declare has put
void oracle_put_anew(uint64_t id);                                        // into another queue of that name: it is another item
void oracle_left(const struct disk_place *place, const struct queue_record *record);

uint64_t oracle_moment(void); // of what has been confirmed
void oracle_joined(unsigned queue, uint64_t asked_at);

struct oracle_grant {
    uint64_t id, queue_id, seq, epoch, session, get_id;
    uint64_t session_no;
    uint64_t lease_ends_us; // at the earliest
    uint64_t hold_ends_ms;  // the same, in the broker's time
    bool has_headers;
    uint32_t delivery;
    bool redelivered, at_most_once;
    uint64_t *last_fresh_seq; // of the connection, in this queue; NULL: the get was first asked on an earlier one
};
void oracle_granted(const struct oracle_grant *grant);
