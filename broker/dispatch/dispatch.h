// Who waits for what: parked gets, puts and joins, fairness, deadlines. Pure and volatile: nothing here is stored, and a waiter
// lives no longer than its session. Every request ends in exactly one answer, unless its session ends first.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"

struct dispatch;

struct dispatch_config {
    uint64_t waiters_per_session_max;
    uint64_t waiters_max; // of all sessions; 0: no such limit
    uint64_t parked_bytes_per_session_max;
    uint64_t parked_bytes_per_key_max; // of all sessions of one key; 0: no such limit
    uint64_t parked_bytes_max;
    uint64_t hash_seed; // as the engine's
};

enum dispatch_kind { DISPATCH_PUT = 1, DISPATCH_GET, DISPATCH_JOIN };

// Beyond engine_status: how a wait can end.
enum dispatch_end {
    DISPATCH_END_ENGINE = 0, // `status` says it
    DISPATCH_END_BUSY,       // no room to park it
    DISPATCH_END_TIMED_OUT,  // join only; a put ends FULL, a get EMPTY
    DISPATCH_END_CANCELLED,
    DISPATCH_END_SESSION, // see dispatch_session_cut
};

// Of what there is too much, when a wait ends BUSY.
enum dispatch_limit {
    DISPATCH_LIMIT_NONE = 0,
    DISPATCH_LIMIT_WAITERS,          // the session's requests
    DISPATCH_LIMIT_BYTES_OF_SESSION, // parked bytes
    DISPATCH_LIMIT_BYTES_OF_KEY,
    DISPATCH_LIMIT_BYTES,
    DISPATCH_LIMIT_ALL_WAITERS,
};

struct dispatch_answer {
    uint64_t session_no;
    uint64_t request_id;
    enum dispatch_kind kind;
    enum dispatch_end end;
    enum dispatch_limit limit;
    enum engine_status status;
    struct engine_put_result put;
    struct engine_grant grant; // of a get that ended OK; owned by the answer: engine_grant_clear
    bool at_most_once;
    bool again; // of a get that was answered before: what is still on lease from it
    uint64_t queue_id;
};

struct dispatch *dispatch_create(struct engine *engine, const struct dispatch_config *config); // NULL: out of memory
void dispatch_destroy(struct dispatch **self_p);
bool dispatch_failed(const struct dispatch *self); // out of memory: as engine_failed

struct dispatch_put {
    uint64_t session_no;
    uint64_t request_id;
    struct engine_put put; // bodies: kept alive by the caller as for engine_put; copied when parked
    uint64_t wait_ms;      // UINT64_MAX: for ever
    // What the other sessions of its key have parked (keys are the caller's affair, here they are only added up).
    uint64_t parked_by_key_elsewhere;
};

// A parked put's bodies that become accepted are the dispatch's own memory: dispatch_free_durable after engine_mark_durable.
void dispatch_put(struct dispatch *self, uint64_t now_ms, struct engine_bytes name, const struct dispatch_put *put);

struct dispatch_get {
    uint64_t session_no;
    uint64_t request_id;
    uint32_t max_items;
    uint64_t max_bytes;
    uint64_t lease_ms, hold_max_ms;
    uint64_t wait_ms;
    bool at_most_once;
};

// A get whose request_id this session has parked already is ignored; one that was answered gets what is still on lease from it.
void dispatch_get(struct dispatch *self, uint64_t now_ms, struct engine_bytes name, const struct dispatch_get *get);
void dispatch_join(struct dispatch *self, uint64_t now_ms, uint64_t session_no, uint64_t request_id, struct engine_bytes name,
                   uint64_t wait_ms);
// True: a waiter was found and ends CANCELLED.
bool dispatch_cancel(struct dispatch *self, uint64_t session_no, uint64_t request_id);

// Before engine_session_end: the session's waiters vanish without answers.
void dispatch_session_end(struct dispatch *self, uint64_t session_no);
// It goes on over another connection: its parked puts vanish without answers, because its client sends them again. An end told now
// could cross that second sending, which then would be a new put after all.
void dispatch_session_resume(struct dispatch *self, uint64_t session_no);
// Each of the session's waiters ends with DISPATCH_END_SESSION: its client has to say HELLO and ask again.
void dispatch_session_cut(struct dispatch *self, uint64_t session_no);
bool dispatch_session_waits(const struct dispatch *self, uint64_t session_no);

// Serve waiters of touched queues and end those whose time is over. Call after every batch of commands and when a deadline is due.
void dispatch_run(struct dispatch *self, uint64_t now_ms);
uint64_t dispatch_next_deadline_ms(const struct dispatch *self); // UINT64_MAX: none

// Answers since the last call, in order. The caller owns what they hold; the array is valid until the next call of any function here.
struct dispatch_answer *dispatch_take_answers(struct dispatch *self, size_t *count);

// The open group is sealed / the sealed group is durable: bodies of parked puts accepted in it are freed then.
void dispatch_seal(struct dispatch *self);
void dispatch_free_durable(struct dispatch *self);

struct dispatch_counts {
    uint32_t gets, puts, joins;
};
struct dispatch_counts dispatch_waiting(const struct dispatch *self, const struct queue *queue);
uint64_t dispatch_parked_bytes(const struct dispatch *self);
uint64_t dispatch_session_parked_bytes(const struct dispatch *self, uint64_t session_no);
