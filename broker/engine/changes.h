// What a store must write: the engine's output, in order. Plain data, no behaviour but the growing list.
//
// A store applies a list of changes in one atomic commit. Bodies and headers are borrowed: whoever applied the put keeps them
// alive until the commit has ended.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Same layout as nq_bytes of proto/wire.h (asserted in the front end); the engine depends on nothing of ours.
struct engine_bytes {
    size_t len;
    const uint8_t *data;
};

enum {
    ENGINE_NAME_BYTES_MAX = 128,
    ENGINE_SESSION_ID_BYTES = 16,
    ENGINE_RESUME_TOKEN_BYTES = 32,
};

// Per queue, written once per commit that touched it, whatever its backlog.
struct queue_record {
    uint64_t queue_id;
    uint8_t name_len;
    char name[ENGINE_NAME_BYTES_MAX];
    // options
    uint64_t maxsize, max_bytes, lease_ms, hold_max_ms, ttl_ms;
    uint32_t max_deliveries;
    bool temporary;
    uint8_t dead_letter_len; // 0: none
    char dead_letter[ENGINE_NAME_BYTES_MAX];
    uint32_t options_given; // which options were named; 0 for a queue born by use
    uint8_t state;          // enum queue_state
    bool deleted;           // only its items are left, to be reclaimed
    // positions
    uint64_t next_seq;         // of the next item accepted
    uint64_t cursor;           // lowest seq never leased; every stored item below it is leased, returned or delayed
    uint64_t gone_below;       // items below this that are not leased are gone
    uint64_t reclaimed_below;  // and below this their records are removed
    uint64_t put_bytes;        // of all items ever accepted: the cumulative counter that items carry
    uint64_t cursor_put_bytes; // that counter just before the item at the cursor
    // counts
    uint64_t ready, delayed, leased;
    uint64_t puts, gets, dones, redelivered, requeued, failed, expired, purged, dead_lettered, dropped, quarantined;
};

// An item below the cursor, or a delayed one anywhere, whose state is not told by a lease run.
enum item_state { ITEM_READY = 1, ITEM_DELAYED = 2, ITEM_LEASED = 3 };

struct item_record {
    uint64_t queue_id, seq;
    uint8_t state; // enum item_state
    bool redelivered;
    bool put_delayed;    // delayed since its put (counts towards maxsize), not by a requeue
    uint32_t deliveries; // how often leased so far
    uint32_t failures;
    uint64_t due_ms;     // ITEM_DELAYED; of ITEM_LEASED its place in its get's answer (stores of before have 0)
    uint64_t session_no; // ITEM_LEASED, as the rest
    uint64_t get_id;
    uint64_t got_ms;
    uint64_t lease_ms, hold_max_ms;
    bool taken;
};

// Items of one get that were never leased before: seqs first .. last that are still stored, except those with an item_record.
struct run_record {
    uint64_t queue_id, first_seq, last_seq;
    uint64_t session_no;
    uint64_t get_id;
    uint64_t got_ms;
    uint64_t lease_ms, hold_max_ms;
    uint32_t taken; // how many of the run, from its front, the application has taken
    bool redelivered;
};

struct stream_record {
    uint64_t queue_id, stream;
    uint64_t last_number; // last accepted
    uint64_t last_seq;
    uint64_t used_ms;
};

struct session_record {
    uint64_t session_no;
    uint8_t id[ENGINE_SESSION_ID_BYTES];
    uint8_t token[ENGINE_RESUME_TOKEN_BYTES];
    uint64_t renewed_ms;
    uint32_t workers;
};

struct meta_record {
    uint64_t now_ms; // broker time of the commit
    uint64_t epoch;
    uint64_t next_queue_id;
    uint64_t next_session_no;
    bool clean; // written by a graceful stop, and no item is in doubt since a crash before it
};

enum change_kind {
    CHANGE_PUT = 1,    // append a run of items: first_seq ..
    CHANGE_REMOVE,     // remove the items first_seq .. last_seq; some may not exist; their item_records go too
    CHANGE_MOVE,       // remove one item, append its body to another queue with headers added
    CHANGE_QUARANTINE, // set a damaged item's bytes aside for a human and remove it from its queue
    CHANGE_QUEUE,      // write the record
    CHANGE_QUEUE_DROP, // remove the record and all streams of the queue; its items are removed before
    CHANGE_ITEM,
    CHANGE_ITEM_DROP, // remove the item_record (not the item)
    CHANGE_RUN,
    CHANGE_RUN_DROP,
    CHANGE_STREAM,
    CHANGE_STREAM_DROP,
    CHANGE_SESSION,
    CHANGE_SESSION_DROP,
    CHANGE_META,
    // Between stores only, never from the engine:
    CHANGE_COPY,      // an item as it is stored elsewhere
    CHANGE_JOURNALED, // all groups of the journal up to this number are in
};

struct change {
    enum change_kind kind;
    union {
        struct {
            uint64_t queue_id, first_seq;
            size_t count;
            const struct engine_bytes *bodies;
            const struct engine_bytes *headers; // NULL, or one per body
            uint64_t accepted_ms;
            uint64_t put_bytes; // the queue's cumulative counter just before the first one
        } put;
        struct {
            uint64_t queue_id, first_seq, last_seq;
        } remove;
        struct {
            uint64_t queue_id, seq;
            uint64_t to_queue_id, to_seq;
            struct engine_bytes add_headers; // an encoded HeaderList, appended to the item's own; owned by the changes
            bool strip_headers;              // redrive: leave out the headers that a move added
            uint64_t accepted_ms;
            uint64_t put_bytes;
        } move;
        struct {
            uint64_t queue_id, seq;
        } quarantine;
        struct {
            uint64_t queue_id, seq, accepted_ms, put_bytes;
            struct engine_bytes own_headers, added_headers, body; // borrowed
        } copy;
        struct {
            uint64_t number;
        } journaled;
        const struct queue_record *queue; // owned by the changes, as all records here
        const struct item_record *item;
        const struct run_record *run;
        const struct stream_record *stream;
        const struct session_record *session;
        const struct meta_record *meta;
        struct {
            uint64_t queue_id;
        } queue_drop;
        struct {
            uint64_t queue_id, seq;
        } item_drop;
        struct {
            uint64_t queue_id, first_seq;
        } run_drop;
        struct {
            uint64_t queue_id, stream;
        } stream_drop;
        struct {
            uint64_t session_no;
        } session_drop;
    } as;
};

struct changes; // a growing list, with the memory of its records

struct changes *changes_create(void); // NULL when out of memory
void changes_destroy(struct changes **self_p);
void changes_clear(struct changes *self); // keeps its memory for the next round

size_t changes_count(const struct changes *self);
const struct change *changes_at(const struct changes *self, size_t index);

// Append; the record is copied. A CHANGE_REMOVE that continues the one before it is merged with it. False: out of memory.
bool changes_add(struct changes *self, const struct change *change);
