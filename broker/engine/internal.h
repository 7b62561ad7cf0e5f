// What the files of the engine share.
#pragma once
#include "engine.h"
#include "item_index.h"
#include "pool.h"
#include "queue.h"
#include "table.h"

enum {
    RECLAIM_SLICE = 4000, // records removed per commit group behind a purge
    TICK_BUDGET = 4000,   // things done in one engine_tick
    AGE_MARKS_PER_TTL = 1024,
    AGE_MARKS_IDLE_MAX = 64, // kept for a queue without a ttl, should it get one
    RECENT_KEPT = 64,        // places of a queue for runs of items that are not durable yet, when there are none
    ATTACHMENTS_KEPT = 64,   // of a session to queues of which it neither holds nor awaits items
};

struct engine {
    struct engine_config config;
    struct engine_source source;
    uint64_t epoch, now_ms;
    uint64_t next_queue_id, next_session_no;
    bool out_of_memory;

    struct table queues_by_id, queues_by_hash;
    struct queue **queues_sorted; // by name (names.c); NULL: to be made anew
    size_t queues_sorted_changes;
    size_t queue_count; // not the deleted ones
    struct item_index items;
    struct table streams; // (queue id, stream) -> struct stream
    struct table sessions_by_no, sessions_by_id;
    struct table attachments; // (session no, queue id) -> struct attachment
    struct table runs_by_get; // (session no, get id) -> struct run, one of that get's
    struct list sessions, streams_by_use;
    struct pool item_pool, run_pool, stream_pool, attachment_pool;

    struct heap deadlines; // runs
    struct heap delayed;   // items, by due
    struct heap expiries;  // queues with a ttl
    struct list orphans;   // temporary queues whose users may come back
    struct list touched, reclaims;
    struct list graveyard;   // delayed items of purged queues, freed in slices
    struct heap *dead_heaps; // returned items of purged queues, likewise
    size_t dead_heaps_count, dead_heaps_capacity;
    bool reclaimed_in_group;
    uint64_t moved_bytes; // in the open group
    uint64_t put_bytes;   // likewise

    struct changes *changes;
    struct list dirty_queues, dirty_items, dirty_runs, dirty_streams, dirty_sessions, sealed_queues;
    bool waited, lazy;
    bool meta_dirty;
};

// engine.c
uint64_t engine_advance(struct engine *self, uint64_t now_ms); // the time that counts
enum engine_status engine_no_memory(struct engine *self);      // latches, returns ENGINE_NO_MEMORY
void engine_record(struct engine *self, const struct change *change);
void engine_wait_for_store(struct engine *self);              // answers wait for what was just changed
void queue_changed(struct engine *self, struct queue *queue); // its record has to be written
void queue_touch(struct engine *self, struct queue *queue);   // and its waiters looked at

// queues.c
struct queue *queue_create(struct engine *self, struct engine_bytes name);
void queue_free(struct engine *self, struct queue *queue);
struct queue *queue_restore_slot(struct engine *self, const struct queue_record *record);

// names.c
void names_add(struct engine *self, struct queue *queue);          // about to be counted in queue_count
void names_remove(struct engine *self, const struct queue *queue); // still counted

// item.c
struct item *item_find(const struct engine *self, const struct queue *queue, uint64_t seq);
struct item *item_create(struct engine *self, struct queue *queue, uint64_t seq, uint32_t bytes); // NULL: out of memory
void item_free(struct engine *self, struct item *item);                                           // it must be in no heap or run
void item_changed(struct engine *self, struct item *item); // its item_record has to be written
void item_forget_record(struct engine *self, struct item *item);
bool item_to_returned(struct engine *self, struct item *item); // false, here and below: out of memory, and it is freed
bool item_to_delayed(struct engine *self, struct item *item, uint64_t due_ms);
void item_leave_state(struct engine *self, struct item *item); // out of returned, delayed or its run
void item_finish(struct engine *self, struct item *item);      // out of its state, removed from the store, freed
// It comes back from a lease: to ready, delayed, its dead-letter queue or nowhere, as the rules say.
void item_return(struct engine *self, struct item *item, bool failed, uint64_t delay_ms);

// run.c
struct run *run_create(struct engine *self, struct attachment *attachment); // NULL: out of memory
void run_add(struct run *run, struct item *item);
void run_drop_item(struct engine *self, struct item *item); // frees the run with its last item
bool run_start(struct engine *self, struct run *run);       // set its deadline
void run_changed(struct engine *self, struct run *run);
void run_free(struct engine *self, struct run *run); // empty
uint64_t run_deadline_ms(const struct run *run);
bool runs_expire(struct engine *self, size_t *budget); // false: out of memory
uint64_t runs_next_deadline_ms(const struct engine *self);

// get.c
// The fresh item at the cursor, moved past delayed and damaged ones. False: none.
bool cursor_item(struct engine *self, struct queue *queue, uint32_t *bytes, uint64_t *put_bytes);

// age.c
bool age_note(struct engine *self, struct queue *queue);
bool age_begin(struct engine *self, struct queue *queue); // a ttl is given: what is of unknown age is as if put now
void age_schedule(struct engine *self, struct queue *queue);
void age_expire(struct engine *self, struct queue *queue);

// recent.c
bool recent_add(struct queue *queue, const struct recent_put *put);
const struct recent_put *recent_find(const struct queue *queue, uint64_t seq);
void recent_drop_durable(struct queue *queue);
// Size of a fresh item, and the cumulative counter just before it. Errors: those of engine_source.
enum engine_status item_size(struct engine *self, const struct queue *queue, uint64_t seq, uint32_t *bytes, uint64_t *put_bytes);

// gone.c
enum gone_kind { GONE_PURGED, GONE_EXPIRED, GONE_DROPPED };
uint64_t queue_drop_all(struct engine *self, struct queue *queue, enum gone_kind kind); // ready and delayed; how many
uint64_t queue_drop_below(struct engine *self, struct queue *queue, uint64_t seq, enum gone_kind kind, uint64_t put_bytes_end);
void queue_count_gone(struct queue *queue, enum gone_kind kind, uint64_t count);
void reclaim_slice(struct engine *self);
bool reclaim_is_due(const struct engine *self);
void queue_reclaim_later(struct engine *self, struct queue *queue);
void bury(struct engine *self, struct item *item); // a delayed item of the graveyard: remove it now

// dead_letter.c
void item_to_dead_letter(struct engine *self, struct item *item, struct engine_bytes reason);
bool dead_letter_closes_cycle(const struct engine *self, struct engine_bytes own, struct engine_bytes dead_letter);
uint64_t append_moved(struct engine *self, struct item *item, struct queue *to, struct engine_bytes add, bool strip,
                      uint32_t bytes);

// session.c
struct session *session_find(const struct engine *self, uint64_t session_no);
struct attachment *session_attach(struct engine *self, struct session *session, struct queue *queue); // NULL: out of memory
void attachment_leases(struct attachment *attachment, int64_t change);
void queue_detach_all(struct engine *self, struct queue *queue);
void session_changed(struct engine *self, struct session *session);

// in_work.c
void session_mark_in_work(struct engine *self, struct session *session); // sets item.in_work of all its leases

// stream.c
struct stream *stream_find(const struct engine *self, const struct queue *queue, uint64_t id);
struct stream *stream_create(struct engine *self, struct queue *queue, uint64_t id);
void stream_use(struct engine *self, struct stream *stream, struct session *session, bool changed);
void stream_free(struct engine *self, struct stream *stream, bool record_drop);
void streams_expire(struct engine *self, size_t *budget);
uint64_t streams_next_deadline_ms(const struct engine *self);
