// What netqueue's queues should do, written from the design's rules with plain arrays and scans: nothing here is fast, so that all of
// it can be checked by reading. Copying the struct copies the state, which is how the simulation remembers what was durable.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dispatch.h"
#include "engine.h"

enum {
    MODEL_QUEUES = 48,
    MODEL_ITEMS = 900,
    MODEL_SESSIONS = 64,
    MODEL_STREAMS = 400,
    MODEL_WAITERS = 100,
    MODEL_RUN = 12,   // items of one put
    MODEL_GRANT = 64, // items of one get
    MODEL_ANSWERS = 200,
    MODEL_NAME = 8,
};

enum model_state { MODEL_READY, MODEL_DELAYED, MODEL_LEASED, MODEL_MOVING };

struct model_item {
    bool used;
    uint64_t queue_id, seq;
    uint32_t body;             // a number that tells its bytes
    uint64_t own_bytes, bytes; // without, with the headers that moves added
    enum model_state state;
    uint64_t accepted_ms, due_ms;
    bool put_delayed;
    uint32_t deliveries, failures;
    bool redelivered;
    bool doubt;   // was there when the broker started, after a crash then or before: may be flagged as redelivered
    bool gone;    // purged, expired or dropped while it was on lease
    bool damaged; // cannot be read: whoever comes to it sets it aside
    uint64_t last_session, lease_epoch;
    // on lease
    uint64_t get_id, got_ms, lease_ms, hold_max_ms;
    uint32_t index;
    bool taken, taken_flushed, lease_dirty;
    bool old;           // the lease is from before a restart
    uint64_t order_get; // the age of its get among the session's
    uint64_t move_to;   // MODEL_MOVING: the queue
    bool move_strip;
};

struct model_queue {
    bool used;
    uint64_t id;
    char name[MODEL_NAME], dead_letter[MODEL_NAME];
    uint32_t options_given, max_deliveries;
    uint64_t maxsize, max_bytes, lease_ms, hold_max_ms, ttl_ms;
    bool temporary;
    int state;
    uint64_t next_seq, orphan_at_ms;
    uint64_t puts, gets, dones, redelivered, requeued, failed, expired, purged, dead_lettered, dropped, quarantined;
};

struct model_session {
    bool used;
    uint64_t no, renewed_ms, renewed_flushed;
    uint32_t workers, workers_flushed;
    bool stored, dirty;
    uint64_t uses[MODEL_QUEUES]; // queue ids, for temporary queues
};

struct model_stream {
    bool used;
    uint64_t queue_id, stream, last_number, last_seq, used_ms, session;
};

struct model_put {
    uint64_t session, stream, first_number, delay_ms;
    uint32_t bodies[MODEL_RUN];
    size_t count;
    bool atomic;
};

struct model_waiter {
    bool used;
    enum dispatch_kind kind;
    uint64_t session, request_id, queue_id, deadline_ms;
    struct dispatch_get get;
    struct model_put put;
    uint64_t parked_bytes;
    struct engine_put_result so_far;
};

struct model_grant {
    uint64_t queue_id;
    size_t count;
    uint64_t seqs[MODEL_GRANT];
};

struct model_answer {
    bool used;
    enum dispatch_kind kind;
    uint64_t session, request_id;
    enum dispatch_end end;
    enum engine_status status;
    struct engine_put_result put;
    struct model_grant grant;
    bool again; // a get that was answered before
};

struct model {
    bool has_crashed;
    struct engine_config config;
    struct dispatch_config limits;
    const struct engine *engine; // asked for nothing but the ids of new queues
    uint64_t now_ms, epoch, next_order;
    struct model_queue queues[MODEL_QUEUES];
    struct model_item items[MODEL_ITEMS];
    struct model_session sessions[MODEL_SESSIONS];
    struct model_stream streams[MODEL_STREAMS];
    struct model_waiter waiters[MODEL_WAITERS]; // in the order of arrival
    size_t waiters_count;
    struct model_answer answers[MODEL_ANSWERS]; // that must come now
    size_t answers_count;
};

_Noreturn void model_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// ------------------------------------------------------------------------------------------------------------ bodies by number
size_t body_write(uint32_t body, uint8_t *to);    // at most 64 bytes
size_t headers_write(uint32_t body, uint8_t *to); // likewise

// ---------------------------------------------------------------------------------------------------------------------- look
struct model_queue *model_queue_named(struct model *self, const char *name); // NULL: none
struct model_queue *model_queue_of(struct model *self, uint64_t queue_id);
struct model_item *model_item(struct model *self, uint64_t queue_id, uint64_t seq);
struct model_item *model_lowest_ready(struct model *self, uint64_t queue_id, uint64_t from_seq);
struct model_session *model_session(struct model *self, uint64_t no);
struct model_stream *model_stream(struct model *self, uint64_t queue_id, uint64_t stream);
size_t model_count(const struct model *self, uint64_t queue_id, enum model_state state);
size_t model_unfinished(const struct model *self, uint64_t queue_id);
size_t model_damaged(const struct model *self, uint64_t queue_id); // of those, which the store does not have
size_t model_consumers(const struct model *self, uint64_t queue_id, uint64_t and_session);
size_t model_waiting(const struct model *self, uint64_t queue_id, enum dispatch_kind kind);
size_t model_leases(const struct model *self, uint64_t session);
uint64_t model_ready_bytes(const struct model *self, uint64_t queue_id);

// ------------------------------------------------------------------------------------------------------------------- commands
struct model_queue *model_queue_use(struct model *self, const char *name); // created with the id that the engine gave it
bool model_may_use(struct model *self, const char *name);                  // it exists, or there may be another one
enum engine_status model_declare(struct model *self, const char *name, const struct engine_options *options, bool update);
enum engine_status model_put(struct model *self, struct model_queue *queue, const struct model_put *put, bool behind_waiters,
                             struct engine_put_result *result);
enum engine_status model_get(struct model *self, struct model_queue *queue, const struct dispatch_get *get,
                             struct model_grant *grant);
enum engine_status model_task_done(struct model *self, struct model_queue *queue, const struct engine_token *token, bool *gone);
enum engine_status model_extend(struct model *self, struct model_queue *queue, const struct engine_token *token, uint64_t lease_ms);
enum engine_status model_requeue(struct model *self, struct model_queue *queue, const struct engine_token *token,
                                 const struct engine_requeue *requeue);
enum engine_status model_redrive(struct model *self, struct model_queue *from, uint64_t seq, struct model_queue *to,
                                 uint64_t cursor); // what stands between the two is looked at
void model_quarantine(struct model *self, struct model_item *item);
struct model_item *model_next_whole(struct model *self, const struct model_queue *queue); // NULL: none is ready
// To reach an item of the backlog all in front of it is looked at, up to one that is whole.
void model_look_as_far_as(struct model *self, const struct model_queue *queue, uint64_t cursor, uint64_t seq);
uint64_t model_purge(struct model *self, struct model_queue *queue);
uint64_t model_shutdown(struct model *self, struct model_queue *queue, bool immediate);
uint64_t model_delete(struct model *self, struct model_queue *queue);
void model_session_open(struct model *self, uint64_t no);
void model_session_renew(struct model *self, uint64_t no);
void model_session_taken(struct model *self, uint64_t no, uint64_t get_id, uint32_t count);
void model_session_resume(struct model *self, uint64_t no, const uint64_t *named, size_t count);
void model_session_end(struct model *self, uint64_t no, bool goodbye);
void model_tick(struct model *self); // everything due at now_ms
// An item that moves arrives: the order of several at one moment is the engine's choice.
void model_moved(struct model *self, uint64_t queue_id, uint64_t seq, uint64_t to_queue_id, uint64_t to_seq);

// What the parts share.
struct model_item *model_new_item(struct model *self, struct model_queue *queue, uint32_t body, uint64_t seq);
void model_return(struct model *self, struct model_item *item, bool failed, uint64_t delay_ms);
void model_use(struct model *self, uint64_t session, const struct model_queue *queue);

// -------------------------------------------------------------------------------------------------------------------- waiting
void model_dispatch_put(struct model *self, const char *name, const struct model_put *put, uint64_t request_id, uint64_t wait_ms);
void model_dispatch_get(struct model *self, const char *name, const struct dispatch_get *get);
void model_dispatch_join(struct model *self, const char *name, uint64_t session, uint64_t request_id, uint64_t wait_ms);
bool model_cancel(struct model *self, uint64_t session, uint64_t request_id);
void model_waiters_vanish(struct model *self, uint64_t session);
void model_run(struct model *self);
uint64_t model_parked_bytes(const struct model *self, uint64_t session); // 0: of all

// -------------------------------------------------------------------------------------------------------------------- restart
void model_seal(struct model *self, bool clean);                                     // what is stored of it is as now
void model_restart(struct model *self, bool clean, uint64_t now_ms, uint64_t epoch); // self is what was durable
