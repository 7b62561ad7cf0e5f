// An engine with a dispatch and a memory store, in virtual time: what the front end does around them, without sockets and threads.
#pragma once
#include "changes.h"
#include "dispatch.h"
#include "engine.h"
#include "queue.h"
#include "store.h"

// A commit group: its changes and the memory its bodies live in, which is freed when the group is durable and not before.
struct rig_group {
    struct changes *changes;
    void **memory;
    size_t memory_count, memory_capacity;
};

struct rig {
    struct engine_config config;
    struct dispatch_config limits;
    struct engine *engine;
    struct dispatch *dispatch;
    struct store *store;
    struct rig_group groups[2];
    struct rig_group *open, *flying; // flying: sealed, not durable yet
    uint64_t now_ms, epoch;
    bool is_unreadable; // the store, for the engine
};

void rig_init(struct rig *self); // defaults; change config and limits, then rig_start
void rig_start(struct rig *self);
void rig_fini(struct rig *self);

// Body memory of the open group, filled with `data`.
struct engine_bytes rig_keep(struct rig *self, const void *data, size_t len);

void rig_seal(struct rig *self, bool clean); // the open group becomes the flying one
void rig_land(struct rig *self);             // the flying one is written to the store and durable
void rig_commit(struct rig *self);           // both
// Until nothing is left to be stored or reclaimed.
void rig_settle(struct rig *self);
// Stop and start on the same store. Clean: all is committed first; else the open and the flying group are lost.
void rig_restart(struct rig *self, bool clean);
void rig_restart_stored(
    struct rig *self); // the second half of it: start with what the store holds; commit before anything is given out
void rig_tick(struct rig *self, uint64_t ms); // time passes, and all that is due is done

// Shorthands of the tests; they abort where they cannot fail.
struct engine_bytes rig_text(const char *text); // borrows
uint64_t rig_session(struct rig *self, unsigned number);
struct queue *rig_queue(struct rig *self, const char *name);
struct queue *rig_declare(struct rig *self, const char *name, const struct engine_options *options);
// `count` bodies "name-number", numbered from first_number, into stream 1000 + session_no unless the session is 0.
enum engine_status rig_put(struct rig *self, struct queue *queue, uint64_t session_no, uint64_t first_number, size_t count);
// Fills `grant` (to be cleared) with up to `max` items.
enum engine_status rig_get(struct rig *self, struct queue *queue, uint64_t session_no, uint64_t get_id, uint32_t max,
                           struct engine_grant *grant);
// Get one item and return its seq; 0: none.
uint64_t rig_get_one(struct rig *self, struct queue *queue, uint64_t session_no, uint64_t get_id);
struct engine_token rig_token(const struct rig *self, uint64_t session_no, uint64_t seq, uint32_t delivery);
size_t rig_stored_items(struct rig *self, uint64_t queue_id);     // how many the store holds
void rig_lose(struct rig *self, uint64_t queue_id, uint64_t seq); // the store does not have it any more, and nobody knows
