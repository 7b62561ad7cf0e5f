// What the files of dispatch share: waiters, and the lists they stand in.
#pragma once
#include "dispatch.h"
#include "heap.h"
#include "list.h"
#include "queue.h"
#include "table.h"

// The bodies of parked puts, copied; freed when what was accepted of them is durable.
struct parked {
    struct parked *next;
    struct engine_bytes *bodies, *headers; // into the same block
    uint64_t bytes;
};

struct waiting_session {
    uint64_t session_no;
    struct list waiters;
    uint64_t parked_bytes;
};

// The waiters of one queue; exists only while there are any.
struct queue_waiters {
    struct queue *queue;
    struct list gets, puts, joins; // in the order of arrival
    struct link check_link;        // in dispatch.checks
};

struct waiter {
    enum dispatch_kind kind;
    uint64_t session_no, request_id;
    struct queue_waiters *at;
    struct waiting_session *session;
    struct heap_node deadline; // not in the heap: waits for ever
    struct link in_queue, in_session;
    struct dispatch_get get;                     // DISPATCH_GET
    struct engine_put put;                       // DISPATCH_PUT, what is still to be accepted
    struct waiter *stream_before, *stream_after; // DISPATCH_PUT: those of its stream, in its queue; NULL: none
    struct engine_put_result so_far;
    struct parked *parked;
};

struct dispatch {
    struct engine *engine;
    struct dispatch_config config;
    struct table sessions; // session no -> struct waiting_session
    struct table requests; // (session no, request id) -> struct waiter
    struct table streams;  // (queue id, stream) -> struct waiter, the last one parked of that stream
    struct heap deadlines;
    struct list checks; // queues from which a waiter has gone: those behind it may fit
    uint64_t parked_bytes;
    struct parked *open, *sealed; // no longer waited with, perhaps not durable yet
    struct dispatch_answer *answers;
    size_t answers_count, answers_capacity;
    bool answers_taken;
    bool out_of_memory;
};

// waiter.c
// NULL: out of memory. Whether a limit is reached is asked beforehand (parking_limit).
struct waiter *waiter_park(struct dispatch *self, uint64_t now_ms, struct queue *queue, enum dispatch_kind kind,
                           uint64_t session_no, uint64_t request_id, uint64_t wait_ms);
bool waiter_copy_put(struct dispatch *self, struct waiter *waiter, const struct engine_put *put);
// The limit that stands against parking so many bytes more; NONE: there is room.
enum dispatch_limit parking_limit(const struct dispatch *self, uint64_t session_no, uint64_t bytes, uint64_t elsewhere_of_key);
uint64_t put_bytes(const struct engine_put *put, size_t first);
void waiter_free(struct dispatch *self, struct waiter *waiter);
void parked_free_all(struct parked **list_p);

// dispatch.c
struct dispatch_answer *answer_add(struct dispatch *self, enum dispatch_kind kind, uint64_t session_no, uint64_t request_id);
void waiter_end(struct dispatch *self, struct waiter *waiter, enum dispatch_end end, enum engine_status status); // answer and free

// serve.c
void serve_queue(struct dispatch *self, uint64_t now_ms, struct queue *queue);
void serve_joins(struct dispatch *self, struct queue *queue); // if all is done at this moment
