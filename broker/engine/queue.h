// The objects of the engine. Start reading here: a queue, its items that have a state of their own, the leases of one get (a run),
// sessions and streams. Callers outside the engine only read.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "changes.h"
#include "engine.h"
#include "heap.h"
#include "list.h"

// When items were accepted, coarsely: those below seq_end at last_ms at the latest.
struct age_mark {
    uint64_t seq_end;
    uint64_t first_ms, last_ms;
    uint64_t put_bytes_end;
};

// A run of items whose put is not durable yet: their bodies are still in the caller's memory.
struct recent_put {
    uint64_t first_seq;
    size_t count;
    const struct engine_bytes *bodies;  // NULL: moved here from another queue, `bytes` says how large
    const struct engine_bytes *headers; // NULL: none
    uint32_t bytes;
    uint64_t put_bytes; // the cumulative counter just before the first
};

struct queue {
    const struct engine *engine;
    struct queue_record record; // what is stored; ready, delayed and leased are filled in by engine_queue_stats

    // Items that are neither fresh (at or above the cursor, never leased, not delayed) nor done have a struct item.
    struct heap returned; // ready again, by seq
    struct heap ahead;    // delayed since their put and not yet passed by the cursor, by seq
    struct list delayed;  // all delayed ones
    struct list runs;     // all leases
    uint64_t leased;      // items
    uint64_t put_delayed; // of the delayed ones: since their put
    uint64_t returned_bytes, ahead_bytes, put_delayed_bytes, delayed_bytes;

    uint64_t redelivered_below; // items below this may have been handed out before the broker crashed
    uint64_t found_below;       // those that were there when it started after that

    struct recent_put *recent; // rising by seq, [recent_first .. recent_end)
    size_t recent_first, recent_end, recent_capacity;
    uint64_t sealed_seq, durable_seq; // next_seq as it was when sealed, when durable

    struct age_mark *ages; // rising, [ages_first .. ages_end)
    size_t ages_first, ages_end, ages_capacity;
    struct heap_node expiry; // in engine.expiries, by when the first age mark's items expire

    struct link *restore_run; // while restoring: where the search for a run goes on

    struct list attachments; // sessions that use it
    uint32_t consumers;      // of those: hold or wait for items
    struct list streams;

    uint64_t buried;       // its items in engine.graveyard and engine.dead_heaps
    uint64_t orphan_at_ms; // temporary, found at start and not used since; else 0
    struct link reclaim_link, dirty_link, sealed_link, touched_link, orphan_link;
    struct queue *next_same_hash;
    uint64_t hash_a, hash_b;
    void *waiters; // of dispatch; NULL or owned by it
};

struct item {
    struct queue *queue;
    uint64_t seq;
    uint32_t bytes; // body and headers
    uint32_t deliveries, failures;
    uint32_t index; // in its get's answer
    enum item_state state;
    bool redelivered;
    bool put_delayed;
    bool covered;    // its lease is told by its run's record
    bool has_record; // an item_record is stored
    bool leased_now; // the last time it was leased was in this epoch, not before a restart
    bool in_work;    // scratch of session_mark_in_work
    uint64_t last_session_no;
    uint64_t due_ms;
    struct run *run;         // ITEM_LEASED
    struct link in_run;      // ITEM_LEASED
    struct heap_node by_seq; // ITEM_READY: queue.returned; ITEM_DELAYED: queue.ahead, unless passed
    struct heap_node by_due; // ITEM_DELAYED: engine.delayed
    struct link in_queue;    // ITEM_DELAYED: queue.delayed; or engine.graveyard
    struct link dirty_link;
};

// The leases of one get, or of one extended item: they end together.
struct run {
    struct queue *queue;
    struct session *session;
    struct attachment *attachment; // of the two
    uint64_t get_id;
    uint64_t got_ms, lease_ms, hold_max_ms;
    uint64_t first_seq, last_seq; // never leased before: covered by a run_record; 0: none
    uint32_t taken;               // items of the answer, from its front, in the application's hands
    bool redelivered;
    bool stored;               // a run_record is in the store
    struct list items;         // in the order of the answer
    struct heap_node deadline; // in engine.deadlines
    struct link in_session, in_queue, dirty_link;
};

struct session {
    uint64_t no;
    uint8_t id[ENGINE_SESSION_ID_BYTES];
    uint8_t token[ENGINE_RESUME_TOKEN_BYTES];
    uint64_t renewed_ms;
    uint32_t workers;
    uint64_t leases;
    uint64_t last_get_id;
    bool stored;
    struct list runs; // oldest first
    struct list attachments;
    struct list streams;
    struct attachment *last_attachment; // the one looked up last
    struct link in_engine, dirty_link;
};

// A session uses a queue.
struct attachment {
    struct session *session;
    struct queue *queue;
    uint64_t leases;
    uint32_t waits;
    uint32_t runs; // that point here
    struct link in_session, in_queue;
};

struct stream {
    struct queue *queue;
    uint64_t id;
    uint64_t last_number, last_seq, used_ms;
    bool stored;
    struct session *session; // that used it last; NULL: none
    struct link in_queue, in_session, by_use, dirty_link;
};

static inline uint64_t queue_fresh(const struct queue *self)
{
    return self->record.next_seq - self->record.cursor - self->ahead.count;
}

static inline uint64_t queue_ready(const struct queue *self)
{
    return queue_fresh(self) + self->returned.count;
}

static inline uint64_t queue_unfinished(const struct queue *self)
{
    return queue_ready(self) + self->delayed.count + self->leased;
}

static inline uint64_t queue_ready_bytes(const struct queue *self)
{
    return self->record.put_bytes - self->record.cursor_put_bytes - self->ahead_bytes + self->returned_bytes;
}

// The record with its counts filled in.
void engine_queue_stats(const struct queue *queue, struct queue_record *out);
static inline uint32_t engine_queue_consumers(const struct queue *queue)
{
    return queue->consumers;
}
static inline uint64_t engine_queue_ready_bytes(const struct queue *queue) // of ready and delayed items
{
    return queue_ready_bytes(queue) + queue->delayed_bytes;
}
