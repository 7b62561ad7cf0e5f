// All rules of netqueue's queues, as a pure function of their commands: no clock, socket, disk, thread or global. Time comes in as
// `now_ms`, what must be stored comes out as `changes`, and engine_next_deadline_ms says when engine_tick must be called.
//
// The same commands give the same state everywhere. A bug asserts; a refusal is an engine_status and has changed nothing;
// ENGINE_NO_MEMORY is fatal by policy (see engine_failed): the caller stops, and what was answered is in the store.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "changes.h"

struct engine;
struct queue; // queue.h shows what may be read
struct session;

enum engine_status {
    ENGINE_OK = 0,
    ENGINE_FULL,
    ENGINE_EMPTY,
    ENGINE_SHUT_DOWN,
    ENGINE_NO_SUCH_QUEUE,
    ENGINE_TOO_LARGE,
    ENGINE_OUT_OF_SEQUENCE,
    ENGINE_STREAM_UNKNOWN,
    ENGINE_LEASE_LOST,
    ENGINE_NOT_LEASED,
    ENGINE_DIFFERENT_OPTIONS,
    ENGINE_LIMIT_REACHED,
    ENGINE_NO_SESSION,
    ENGINE_BAD_DEAD_LETTER,
    ENGINE_NO_MEMORY,
};

struct engine_config {
    uint64_t lease_ms, hold_max_ms; // of queues that name none
    uint64_t dedup_keep_ms;
    uint64_t orphan_ms; // how long a temporary queue found at start is kept for its users to come back
    uint64_t queues_max, sessions_max, streams_max, delayed_max, leases_per_session_max;
    uint64_t moved_bytes_max; // when so much moves in one collect, further leases end behind it; 0: no such limit
    uint64_t hash_seed; // secret: who chooses ids must not know which of them meet in a table; nothing that comes out depends on it
};

// So many items, from the cursor of each queue on, may have been handed out before a crash without that being stored: what two commit
// groups may lease, the one under way and the open one. They come flagged.
#define ENGINE_UNFLUSHED_LEASES_MAX 50000u

// How the engine learns the size of an item that is no longer in memory. EMPTY: the item is missing or damaged, and is set aside.
// NO_MEMORY: it cannot be read now, whatever the reason; the engine has failed then.
struct engine_source {
    void *context;
    enum engine_status (*item)(void *context, uint64_t queue_id, uint64_t seq, uint32_t *bytes, uint64_t *put_bytes);
};

// NULL: out of memory. `epoch` must be higher than at any start before on the same store.
struct engine *engine_create(const struct engine_config *config, const struct engine_source *source, uint64_t epoch,
                             uint64_t now_ms);
void engine_destroy(struct engine **self_p);

// True once a command ended in NO_MEMORY or a change could not be recorded: the state in memory is no longer the state to be stored.
bool engine_failed(const struct engine *self);
uint64_t engine_epoch(const struct engine *self);
uint64_t engine_now_ms(const struct engine *self); // the highest now_ms seen

// ------------------------------------------------------------------------------------------------------- what is to be stored

enum engine_pending { ENGINE_PENDING_NONE, ENGINE_PENDING_LAZY, ENGINE_PENDING_WAITED };

// Where puts, removals and moves are recorded from now on. Borrowed until the next call.
void engine_set_changes(struct engine *self, struct changes *changes);
// Is there anything to store, and does an answer wait for it?
enum engine_pending engine_pending(const struct engine *self);
// Seal: add a record for everything touched since the last call to the changes, and a meta record.
void engine_collect(struct engine *self, uint64_t now_ms, bool clean);
// The changes of the last engine_collect are durable: bodies given with their puts are no longer needed.
void engine_mark_durable(struct engine *self);

// What the items that these changes put will take of memory, once they are stored, at the most: their bytes, and so much for each, as a
// delayed one has records, too.
static inline uint64_t engine_kept_bytes(uint64_t delay_ms)
{
    return delay_ms > 0 ? 1000 : 200;
}
uint64_t engine_put_bytes(const struct engine *self);

enum engine_durability { ENGINE_DURABLE, ENGINE_SEALED, ENGINE_OPEN };
enum engine_durability engine_durability(const struct queue *queue, uint64_t seq);
// Body and headers of an item whose put is not yet marked durable. False: it is in the store, or not in the queue.
bool engine_recent_item(const struct queue *queue, uint64_t seq, struct engine_bytes *body, struct engine_bytes *headers);

// --------------------------------------------------------------------------------------------------------------------- queues

struct engine_options {
    uint32_t given; // bits of enum engine_option
    uint64_t maxsize, max_bytes, lease_ms, hold_max_ms, ttl_ms;
    uint32_t max_deliveries;
    bool temporary;
    struct engine_bytes dead_letter;
};

enum engine_option { // the same bits as nq_queue_option
    ENGINE_OPTION_MAXSIZE = 1u << 0,
    ENGINE_OPTION_MAX_BYTES = 1u << 1,
    ENGINE_OPTION_LEASE = 1u << 2,
    ENGINE_OPTION_HOLD_MAX = 1u << 3,
    ENGINE_OPTION_MAX_DELIVERIES = 1u << 4,
    ENGINE_OPTION_DEAD_LETTER = 1u << 5,
    ENGINE_OPTION_TTL = 1u << 6,
    ENGINE_OPTION_TEMPORARY = 1u << 7,
};

enum queue_state { QUEUE_OPEN = 0, QUEUE_SHUT_DOWN = 1, QUEUE_SHUT_DOWN_AT_ONCE = 2 };

struct queue *engine_queue_find(const struct engine *self, struct engine_bytes name); // NULL: none
struct queue *engine_queue_by_id(const struct engine *self, uint64_t queue_id);       // NULL: none
// True when a queue of this id has existed (and may be deleted since).
bool engine_queue_id_was_used(const struct engine *self, uint64_t queue_id);
// Find, or create as put and get do.
enum engine_status engine_queue_use(struct engine *self, uint64_t now_ms, struct engine_bytes name, struct queue **out);
enum engine_status engine_declare(struct engine *self, uint64_t now_ms, struct engine_bytes name,
                                  const struct engine_options *given, bool update, struct queue **out, bool *created);
uint64_t engine_purge(struct engine *self, uint64_t now_ms, struct queue *queue);  // how many
uint64_t engine_delete(struct engine *self, uint64_t now_ms, struct queue *queue); // how many; `queue` is gone afterwards
uint64_t engine_shutdown(struct engine *self, uint64_t now_ms, struct queue *queue, bool immediate);
size_t engine_queue_count(const struct engine *self);
// All queues in the order of their names: the first whose name is greater than `after`. NULL: none.
struct queue *engine_queue_after(struct engine *self, struct engine_bytes after);
// The lowest ready seq at or above `from`; for peek and redrive, which ask for one after the other. False: none. *looks rises by how many
// items that are none of them had to be looked at.
bool engine_ready_seq(const struct queue *queue, uint64_t from_seq, uint64_t *seq, uint64_t *looks);

// A queue on which waiters may have to be looked at again: items ready, room, unfinished 0, state changed. NULL: no more.
// A deleted one comes with queue->record.deleted set and must not be kept.
struct queue *engine_next_touched(struct engine *self);

// ----------------------------------------------------------------------------------------------------------------------- put

struct engine_put {
    uint64_t session_no;
    uint64_t stream; // 0: none, no protection against duplicates (initial items)
    uint64_t first_number;
    const struct engine_bytes *bodies;  // kept alive by the caller until engine_mark_durable
    const struct engine_bytes *headers; // NULL, or one per body
    size_t count;
    uint64_t delay_ms;
    bool atomic;
    bool behind_waiters; // others wait for room already: accept nothing new
};

struct engine_put_result {
    size_t accepted;   // from the front, duplicates included
    uint64_t last_seq; // of the last accepted
    bool duplicate;
    uint64_t last_number; // of the stream
};

// The status is that of the first item not accepted: FULL, SHUT_DOWN, TOO_LARGE, OUT_OF_SEQUENCE, STREAM_UNKNOWN, LIMIT_REACHED; OK: all.
enum engine_status engine_put(struct engine *self, uint64_t now_ms, struct queue *queue, const struct engine_put *put,
                              struct engine_put_result *result);
// What of the run was accepted before; nothing changes. OK, OUT_OF_SEQUENCE, STREAM_UNKNOWN.
enum engine_status engine_put_before(const struct engine *self, const struct queue *queue, const struct engine_put *put,
                                     struct engine_put_result *result);
// Last accepted number of a stream; 0: unknown.
uint64_t engine_stream_last(const struct engine *self, const struct queue *queue, uint64_t id);

// ----------------------------------------------------------------------------------------------------------------------- get

struct engine_get {
    uint64_t session_no;
    uint64_t get_id;
    uint32_t max_items;   // at least 1; the engine gives at most ceil(ready / consumers)
    uint64_t max_bytes;   // at least one item comes whatever this says
    uint64_t lease_ms;    // 0: the queue's
    uint64_t hold_max_ms; // 0: the queue's
};

struct engine_granted {
    uint64_t seq;
    uint32_t delivery;
    uint32_t failures;
    bool redelivered;
};

struct engine_grant {
    uint64_t queue_id;
    uint64_t get_id;
    struct engine_granted *items; // malloc'd; engine_grant_clear frees
    size_t count;
    uint64_t highest_seq;
    uint64_t lease_ms, hold_max_ms;
};

// EMPTY, SHUT_DOWN (and nothing ready or delayed), LIMIT_REACHED, NO_SESSION.
enum engine_status engine_get(struct engine *self, uint64_t now_ms, struct queue *queue, const struct engine_get *get,
                              struct engine_grant *out);
void engine_grant_clear(struct engine_grant *grant);
// Takes items and returns them with room for these only, as they may wait for long; NULL: there are none.
struct engine_granted *engine_granted_fit(struct engine_granted *items, size_t count);

// -------------------------------------------------------------------------------------------------------------------- finish

struct engine_token {
    uint64_t session_no;
    uint64_t epoch;
    uint64_t seq;
    uint32_t delivery;
};

// OK (*gone: it was no longer stored), LEASE_LOST, NOT_LEASED.
enum engine_status engine_task_done(struct engine *self, uint64_t now_ms, struct queue *queue, const struct engine_token *token,
                                    bool *gone);
enum engine_status engine_extend(struct engine *self, uint64_t now_ms, struct queue *queue, const struct engine_token *token,
                                 uint64_t lease_ms); // OK, LEASE_LOST, NOT_LEASED

struct engine_requeue {
    uint64_t delay_ms;
    bool failed;
    bool dead;
    struct engine_bytes reason;
};
enum engine_status engine_requeue(struct engine *self, uint64_t now_ms, struct queue *queue, const struct engine_token *token,
                                  const struct engine_requeue *requeue); // OK, LEASE_LOST, NOT_LEASED, LIMIT_REACHED (delayed)

// Move one ready item of a dead-letter queue to the tail of `to` (created by the caller), its count reset, the headers that the
// move into the dead-letter queue added left out. own_bytes: of body and own headers. OK, FULL, SHUT_DOWN, TOO_LARGE, EMPTY (not ready),
// LIMIT_REACHED: more than ENGINE_PASSED_OVER_MAX items would be kept in memory, those that stand in front of it.
#define ENGINE_PASSED_OVER_MAX 100000u
enum engine_status engine_redrive(struct engine *self, uint64_t now_ms, struct queue *from, uint64_t seq, struct queue *to,
                                  uint32_t own_bytes);
// An item on lease was found damaged while it was read: set it aside, as if it had never been got.
void engine_quarantine(struct engine *self, uint64_t now_ms, struct queue *queue, uint64_t seq);

// ------------------------------------------------------------------------------------------------------------------ sessions

enum engine_status engine_session_open(struct engine *self, uint64_t now_ms, const uint8_t id[ENGINE_SESSION_ID_BYTES],
                                       const uint8_t token[ENGINE_RESUME_TOKEN_BYTES], uint64_t *session_no);
// 0: none of this id.
uint64_t engine_session_find(const struct engine *self, const uint8_t id[ENGINE_SESSION_ID_BYTES]);
const uint8_t *engine_session_token(const struct engine *self, uint64_t session_no);
const uint8_t *engine_session_id(const struct engine *self, uint64_t session_no);
size_t engine_session_count(const struct engine *self);
size_t engine_session_leases(const struct engine *self, uint64_t session_no);
void engine_session_renew(struct engine *self, uint64_t now_ms, uint64_t session_no);
void engine_session_workers(struct engine *self, uint64_t session_no, uint32_t workers);
// The first `count` items of the answer to get_id are in the application's hands. Returns what that has cost: at most the leases of the get.
size_t engine_session_taken(struct engine *self, uint64_t session_no, uint64_t get_id, uint32_t count);
// Is anything still on lease from that get?
bool engine_session_has_get(const struct engine *self, uint64_t session_no, uint64_t get_id);
// Items of answered gets that are in neither list go back, uncounted.
void engine_session_resume(struct engine *self, uint64_t now_ms, uint64_t session_no, const uint64_t *waiting, size_t waiting_count,
                           const uint64_t *held, size_t held_count);
// What is still on lease from a get of this session. EMPTY: nothing.
enum engine_status engine_session_grant(struct engine *self, uint64_t session_no, uint64_t get_id, struct engine_grant *out);
// goodbye: leases return uncounted and the session's streams are forgotten; else items in work count as failed.
void engine_session_end(struct engine *self, uint64_t now_ms, uint64_t session_no, bool goodbye);
// The session waits for items of this queue (+1) or no longer does (-1): it counts as one of its consumers.
void engine_session_waits(struct engine *self, uint64_t session_no, struct queue *queue, int change);
// Visit all sessions (after a restore).
void engine_sessions_each(struct engine *self, void *context, void (*visit)(void *context, uint64_t session_no));

// ---------------------------------------------------------------------------------------------------------------------- time

// Of the items that the changes since the last collect move from one queue to another. The store copies them, all at once.
uint64_t engine_moved_bytes(const struct engine *self);

// UINT64_MAX: none.
uint64_t engine_next_deadline_ms(const struct engine *self);
// Do what is due: leases, delays, time to live, idle streams, orphaned temporary queues, and a slice of reclaiming. True: more is due.
bool engine_tick(struct engine *self, uint64_t now_ms);

// ------------------------------------------------------------------------------------------------------------------- restore
// Called in the order of store_loader; then engine_restore_done. False: out of memory.

bool engine_restore_meta(struct engine *self, const struct meta_record *record);
bool engine_restore_queue(struct engine *self, const struct queue_record *record);
bool engine_restore_session(struct engine *self, const struct session_record *record);
bool engine_restore_item(struct engine *self, const struct item_record *record);
bool engine_restore_run(struct engine *self, const struct run_record *record);
bool engine_restore_stream(struct engine *self, const struct stream_record *record);
bool engine_restore_stored(struct engine *self, uint64_t queue_id, uint64_t seq, uint32_t item_bytes);
// Age marks of a queue with a ttl, sampled from the store by the caller: items below seq_end were accepted at last_ms at the latest.
bool engine_restore_age(struct engine *self, uint64_t queue_id, uint64_t seq_end, uint64_t last_ms, uint64_t put_bytes_end);
bool engine_restore_done(struct engine *self, bool clean);
