// netqueue: a work queue between threads, processes and hosts. The client library.
//
// Conventions, true of every function here unless it says otherwise
//  - Times are milliseconds; NQ_WAIT_FOREVER waits without end, 0 does not wait. Sizes are bytes.
//  - Strings given are UTF-8 or ASCII, NUL-terminated, borrowed for the call. `T **` takes ownership and sets the pointer to NULL;
//    `const T *` borrows. Every *_destroy and *_close accepts a pointer to NULL.
//  - Every function that talks to the broker returns an enum nq_status. NQ_OK means the thing is done and, where the broker keeps its
//    store on disk, durable. A refusal (NQ_FULL, NQ_EMPTY, ...) means that nothing happened. NQ_OUTCOME_UNKNOWN means exactly that.
//    NQ_UNREACHABLE: no broker answered within the client's `timeout_ms`; a put or task_done that had been sent by then ends
//    in NQ_OUTCOME_UNKNOWN instead. When the broker comes back with lower limits, so does what had been sent and is too large now; what
//    had not been sent is NQ_TOO_LARGE. nq_error_text() has a line for a human about the last failure.
//  - An nq_client and all that was made with it (items, producers, consumers) belong to one thread at a time. Have one client per thread.
//    Nothing here installs signal handlers; a signal that interrupts a wait ends it with NQ_INTERRUPTED only after nq_interrupt().
//  - After fork() a child must not touch its parent's clients, not even to destroy them: it makes its own (fork and exec is fine).
//    task_done, requeue and extend are not ended by nq_interrupt(): the wait after them is.
#ifndef NETQUEUE_H
#define NETQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netqueue_status.h" // enum nq_status and its texts

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NQ_EXPORT __attribute__((visibility("default")))
#else
#define NQ_EXPORT
#endif

#define NQ_WAIT_FOREVER UINT64_MAX
#define NQ_PREFETCH_AUTO (-1)

struct nq_client;
struct nq_item; // an item on lease
struct nq_producer;
struct nq_consumer;

// ------------------------------------------------------------------------------------------------------- client

struct nq_client_options {
    const char *const
        *servers; // endpoints of one broker, tried one at a time; NULL: $NETQUEUE_SERVER (comma-separated), else the default
    size_t servers_count;
    uint64_t timeout_ms; // longest time without the broker; 0: 30 s
    const char *name;    // for people, shown by the broker; NULL: host:program:pid
    uint32_t workers;    // items the application works on at once (counts when it dies); 0: 1
    const char *keys;    // directory with our own keys and the broker's (netqueue keygen): all is encrypted, and no broker
                         // without the other key is talked to; NULL: $NETQUEUE_KEYS, else none; "": none
};

// Make a client. Does not wait for the broker: the first call does.
//
// options  NULL: all defaults
// Errors: NQ_BAD_REQUEST (an endpoint is malformed), NQ_BAD_CONFIG (keys cannot be read, or others may read the secret one),
//         NQ_NO_MEMORY; text in *why when given, valid until this thread calls it again.
NQ_EXPORT enum nq_status nq_client_create(const struct nq_client_options *options, struct nq_client **out, const char **why);

// End the session: what is still leased goes back to its queue, uncounted; requests that wait vanish. Waits at most a second
// for the broker. Destroy its producers and consumers first.
NQ_EXPORT void nq_client_destroy(struct nq_client **client_p);

// One line about the last call on this client that did not return NQ_OK; never NULL; valid until the next call.
NQ_EXPORT const char *nq_error_text(const struct nq_client *client);
// The status of that call; what an nq_start_* function that returned 0 was refused with. NQ_OK: there was none.
NQ_EXPORT enum nq_status nq_error_status(const struct nq_client *client);

// End the wait this client is in, or the next one, with NQ_INTERRUPTED. The only function that may be called from another thread or a
// signal handler. A get or put that is interrupted has had no effect: an item that comes all the same goes back uncounted, or, at most once,
// is handed over with NQ_OK. A purge, delete, shutdown, redrive or backup that was sent and is not answered within a second ends in
// NQ_OUTCOME_UNKNOWN.
NQ_EXPORT void nq_interrupt(struct nq_client *client);

// "1.2.3"; static.
NQ_EXPORT const char *nq_version(void);

struct nq_broker_info {
    char version[32];
    uint8_t store_id[16];
    uint64_t epoch; // how often the broker has been started on this store
    uint64_t uptime_ms;
    uint32_t queues, sessions;
    uint64_t body_bytes_max, headers_bytes_max;
};

// Ask the broker for a sign of life.
NQ_EXPORT enum nq_status nq_ping(struct nq_client *client, struct nq_broker_info *out);

// -------------------------------------------------------------------------------------------------- put, confirmed

struct nq_header_field {
    const char *name;
    const void *value;
    size_t value_len;
};

struct nq_body {
    const void *data;
    size_t len;
    const struct nq_header_field *headers; // NULL: none
    size_t headers_count;
};

struct nq_put_options {
    uint64_t wait_ms;  // for room
    uint64_t delay_ms; // ready only then
    bool atomic;       // all of a batch or none
    // Puts of one lane into one queue keep their order, so one that waits for room holds up those behind it. Puts that several threads of a
    // program make through one client are no such sequence: give each its own lane, and use a lane again when it is free.
    uint32_t lane;
};

// Put one item. Returns when it is stored.
//
// So that what is sent twice is stored once, a client remembers about 300 bytes of each queue and lane that it puts to: of the 100,000 that
// it used last. Who puts to more in turn than that makes the broker remember each of them anew, up to its limit (a million in a day).
//
// options  NULL: wait for ever, no delay
// seq      [out, may be NULL] its place in the queue
// Errors: NQ_FULL, NQ_SHUT_DOWN, NQ_TOO_LARGE, NQ_NO_SPACE, NQ_BAD_NAME, NQ_LIMIT_REACHED, NQ_OUTCOME_UNKNOWN, NQ_UNREACHABLE
NQ_EXPORT enum nq_status nq_put(struct nq_client *client, const char *queue, const void *body, size_t len,
                                const struct nq_put_options *options, uint64_t *seq);

// Put several, in order. `accepted` [out, may be NULL]: how many, from the front; the status is that of the first that was not.
// Any number: the library cuts them into requests (an atomic batch must fit one).
NQ_EXPORT enum nq_status nq_put_many(struct nq_client *client, const char *queue, const struct nq_body *bodies, size_t count,
                                     const struct nq_put_options *options, size_t *accepted);

// -------------------------------------------------------------------------------------------------- get, confirmed

struct nq_get_options {
    uint64_t wait_ms;
    uint64_t lease_ms;    // 0: the queue's
    uint64_t hold_max_ms; // 0: the queue's
    bool at_most_once;    // done as it leaves the broker: no task_done, lost if this process dies
};

// Get one item on lease. The library renews the lease until the item is finished or hold_max is over.
//
// options  NULL: wait for ever
// Errors: NQ_EMPTY (nothing came within wait_ms), NQ_SHUT_DOWN, NQ_INTERRUPTED, NQ_BAD_NAME, NQ_UNREACHABLE
// Ownership: the caller finishes the item with nq_task_done or nq_requeue, or gives it up with nq_item_destroy.
NQ_EXPORT enum nq_status nq_get(struct nq_client *client, const char *queue, const struct nq_get_options *options,
                                struct nq_item **item);

// Get up to `max` items (at least one, or NQ_EMPTY) into items[0 .. *count).
NQ_EXPORT enum nq_status nq_get_many(struct nq_client *client, const char *queue, size_t max, const struct nq_get_options *options,
                                     struct nq_item **items, size_t *count);

NQ_EXPORT const void *nq_item_body(const struct nq_item *item); // not terminated; never NULL
NQ_EXPORT size_t nq_item_len(const struct nq_item *item);
// Of several at once, for languages in which a call costs more than what it does.
NQ_EXPORT void nq_items_bodies(struct nq_item *const *items, size_t count, const void **bodies, size_t *lens);
NQ_EXPORT const char *nq_item_queue(const struct nq_item *item);
NQ_EXPORT uint64_t nq_item_seq(const struct nq_item *item);
NQ_EXPORT uint32_t nq_item_deliveries(const struct nq_item *item); // this one included
NQ_EXPORT uint32_t nq_item_failures(const struct nq_item *item);   // counted before this delivery
NQ_EXPORT bool nq_item_redelivered(const struct nq_item *item);    // may have been handed out before
// Rises with every delivery of this item, over crashes and restarts of the broker, too: who holds the item later has the greater number.
// A store that was told it with every change can refuse what a holder sends that was replaced meanwhile.
NQ_EXPORT uint64_t nq_item_fence(const struct nq_item *item);
NQ_EXPORT size_t nq_item_headers_count(const struct nq_item *item);
// The index-th header; `name` is terminated, `value` is terminated too (the byte after value_len is 0).
NQ_EXPORT struct nq_header_field nq_item_header(const struct nq_item *item, size_t index);

// Give an item up without telling the broker at once: it goes back, uncounted, with the next request or when the client ends.
NQ_EXPORT void nq_item_destroy(struct nq_item **item_p);

// ---------------------------------------------------------------------------------------------------- finish items

// The work is done. Takes the item in every case.
// Errors: NQ_LEASE_LOST (another consumer has it now), NQ_NOT_LEASED, NQ_OUTCOME_UNKNOWN, NQ_UNREACHABLE
NQ_EXPORT enum nq_status nq_task_done(struct nq_client *client, struct nq_item **item_p);

// Finish an item and get the next one in one round trip: what a worker does that takes one item at a time.
//
// item_p   [in, out] the item to finish (NULL: none) is taken; then the item got, or NULL
// done     [out] of the item that was finished, as nq_task_done returns it; NQ_OK when there was none
// Returns what nq_get returns. nq_error_text is about the get when that failed, else about the task_done.
NQ_EXPORT enum nq_status nq_next(struct nq_client *client, const char *queue, const struct nq_get_options *options,
                                 struct nq_item **item_p, enum nq_status *done);

// Several, of any queues. `statuses` [out, may be NULL]: one per item. The result is the first status that is not NQ_OK.
NQ_EXPORT enum nq_status nq_task_done_many(struct nq_client *client, struct nq_item **items, size_t count,
                                           enum nq_status *statuses);

struct nq_requeue_options {
    uint64_t delay_ms;
    bool failed;        // counts towards max_deliveries
    bool dead;          // to the dead-letter queue now
    const char *reason; // kept with a dead letter; NULL: none
};

// Put the item back in its old place. options NULL: at once, uncounted. Takes the item in every case. Errors: as nq_task_done, and
// NQ_LIMIT_REACHED (too many delayed items), NQ_BAD_REQUEST (a reason of more than 256 bytes; NQ_TOO_LARGE of more than a request takes):
// then it goes back at once, uncounted.
NQ_EXPORT enum nq_status nq_requeue(struct nq_client *client, struct nq_item **item_p, const struct nq_requeue_options *options);

// Restart the lease and hold_max from now. lease_ms 0: as long as when it was got. Errors: as nq_task_done; the item stays the caller's.
NQ_EXPORT enum nq_status nq_extend(struct nq_client *client, struct nq_item *item, uint64_t lease_ms);

// Wait until every item put into the queue is done. Errors: NQ_TIMED_OUT, NQ_NO_SUCH_QUEUE, NQ_INTERRUPTED, NQ_UNREACHABLE
NQ_EXPORT enum nq_status nq_join(struct nq_client *client, const char *queue, uint64_t wait_ms);

// ---------------------------------------------------------------------------------------------------------- queues

// Bits of nq_queue_options.given.
#define NQ_GIVEN_MAXSIZE (1u << 0)
#define NQ_GIVEN_MAX_BYTES (1u << 1)
#define NQ_GIVEN_LEASE (1u << 2)
#define NQ_GIVEN_HOLD_MAX (1u << 3)
#define NQ_GIVEN_MAX_DELIVERIES (1u << 4)
#define NQ_GIVEN_DEAD_LETTER (1u << 5)
#define NQ_GIVEN_TTL (1u << 6)
#define NQ_GIVEN_TEMPORARY (1u << 7)

struct nq_queue_options {
    uint32_t given;     // which of these count
    uint64_t maxsize;   // items ready or put with a delay; 0: no bound
    uint64_t max_bytes; // of their bodies and headers; 0: no bound
    uint64_t lease_ms;
    uint64_t hold_max_ms;
    uint32_t max_deliveries; // failures after which an item leaves for the dead-letter queue; 0: never
    const char *dead_letter; // NULL or "": none
    uint64_t ttl_ms;         // 0: items do not expire
    bool temporary;          // deleted when no session that used it remains
};

struct nq_queue_stats {
    char name[129];
    uint64_t queue_id;
    struct nq_queue_options options; // .dead_letter points at dead_letter below
    char dead_letter[129];
    uint64_t ready, delayed, leased, unfinished, ready_bytes, next_seq;
    uint64_t puts, gets, dones, redelivered, requeued, failed, expired, purged, dead_lettered, dropped, quarantined;
    int state; // 0 open, 1 shut down, 2 shut down at once
    uint32_t waiting_gets, waiting_puts, waiting_joins, consumers;
};

// Create the queue, or see that it exists with these options. `initial`: empty items put as it is created. stats may be NULL.
// Errors: NQ_DIFFERENT_OPTIONS, NQ_BAD_NAME, NQ_BAD_DEAD_LETTER, NQ_BAD_REQUEST, NQ_LIMIT_REACHED
NQ_EXPORT enum nq_status nq_declare(struct nq_client *client, const char *queue, const struct nq_queue_options *options,
                                    uint64_t initial, struct nq_queue_stats *stats);
// Change options of an existing queue. Errors: NQ_NO_SUCH_QUEUE and as nq_declare.
NQ_EXPORT enum nq_status nq_update(struct nq_client *client, const char *queue, const struct nq_queue_options *options,
                                   struct nq_queue_stats *stats);
// Drop all ready and delayed items; `count` [out, may be NULL]. Items on lease can still be finished but not come back.
NQ_EXPORT enum nq_status nq_purge(struct nq_client *client, const char *queue, uint64_t *count);
NQ_EXPORT enum nq_status nq_delete(struct nq_client *client, const char *queue, uint64_t *count);
// No more puts; gets drain. `immediate` drops what is ready or delayed, too. Cannot be taken back.
NQ_EXPORT enum nq_status nq_shutdown(struct nq_client *client, const char *queue, bool immediate, uint64_t *count);
NQ_EXPORT enum nq_status nq_stat(struct nq_client *client, const char *queue, struct nq_queue_stats *out);
// All queues, by name. `*out` is an array of *count that the caller frees with nq_free.
NQ_EXPORT enum nq_status nq_list(struct nq_client *client, struct nq_queue_stats **out, size_t *count);
// Dead letters of `queue` back to the tail of where they came from (or to `to`, unless NULL); stops at the first that does not fit.
// max_items 0: all. Errors: NQ_FULL after *moved moved.
NQ_EXPORT enum nq_status nq_redrive(struct nq_client *client, const char *queue, const char *to, uint64_t max_items,
                                    uint64_t *moved);
// Copy the broker's store, while it works, into a new folder `name` below its --backup-dir, from which a broker can start. All that
// was answered before the call is in it. `bytes` [out, may be NULL]: its size.
// Errors: NQ_BAD_NAME not a name for a folder, or it exists; NQ_NOT_AUTHORISED the broker has no --backup-dir, or no store on disk;
// NQ_NO_SPACE, NQ_STORAGE_FAILED it could not be written, nothing of it stays; NQ_OUTCOME_UNKNOWN the connection was lost meanwhile, or
// it was interrupted
NQ_EXPORT enum nq_status nq_backup(struct nq_client *client, const char *name, uint64_t *bytes);
// Look at up to `max` ready items from seq `from_seq` on, without taking them. They are read-only: finish them with nq_item_destroy.
NQ_EXPORT enum nq_status nq_peek(struct nq_client *client, const char *queue, uint64_t from_seq, size_t max, struct nq_item **items,
                                 size_t *count);
NQ_EXPORT void nq_free(void *memory);

// ------------------------------------------------------------------------------------------------ locks, semaphores
//
// Between all that name them so, on any host. A lock is a queue with one empty item: who has got it holds the lock. Whoever waits longest is
// next. When a holder dies, its session ends and the lock is free; the library renews the lease of one that lives, for up to a year.

struct nq_lock;
struct nq_semaphore;

// The lock of that name, made when there is none. `reentrant`: the client that holds it may acquire it again and must release it as often.
// The client must outlive it. Errors: NQ_BAD_NAME, NQ_DIFFERENT_OPTIONS (a queue of that name is no lock), NQ_UNREACHABLE
NQ_EXPORT enum nq_status nq_lock_open(struct nq_client *client, const char *name, bool reentrant, struct nq_lock **out);
// Errors: NQ_TIMED_OUT, NQ_INTERRUPTED, NQ_BAD_REQUEST (it is held through this handle and not reentrant), NQ_UNREACHABLE
NQ_EXPORT enum nq_status nq_lock_acquire(struct nq_lock *lock, uint64_t wait_ms);
// Errors: NQ_NOT_LEASED (it is not held through this handle), NQ_LEASE_LOST (somebody else has acquired it meanwhile: see nq_lock_fence)
NQ_EXPORT enum nq_status nq_lock_release(struct nq_lock *lock);
// While it is held: a number that rises with each holder; else 0. A holder that stood still for longer than the broker waited does not know that
// it has lost the lock. Where that matters, send the fence along with each change, and let what is changed refuse one that is lower than it has seen.
NQ_EXPORT uint64_t nq_lock_fence(const struct nq_lock *lock);
// Releases it if it is held.
NQ_EXPORT void nq_lock_close(struct nq_lock **lock_p);

// The semaphore of that name; `value` permits when it is made. value > 0: permits are lent, those of a process that dies come back.
// value 0: it is a signal, and a permit that was acquired is used up. Give the same value everywhere.
NQ_EXPORT enum nq_status nq_semaphore_open(struct nq_client *client, const char *name, uint64_t value, struct nq_semaphore **out);
// Errors: NQ_TIMED_OUT, NQ_INTERRUPTED, NQ_UNREACHABLE
NQ_EXPORT enum nq_status nq_semaphore_acquire(struct nq_semaphore *semaphore, uint64_t wait_ms);
// One of the permits acquired through this handle, else one more than there were.
NQ_EXPORT enum nq_status nq_semaphore_release(struct nq_semaphore *semaphore);
// Gives back what is held.
NQ_EXPORT void nq_semaphore_close(struct nq_semaphore **semaphore_p);

// ------------------------------------------------------------------------------------- producer handle: gathered puts
//
// nq_producer_put returns as soon as the item is in a bounded window of unconfirmed ones, and blocks while that is full; what waits
// is gathered into the next request. The first failure is kept: every later call returns it, and nothing more is sent, so the items
// before `failed_index` are stored and none from it on is. That is final when nq_producer_confirmed equals `failed_index`. Requests are
// on their way several at a time and a later one may be answered first, so before that, in a put or after a flush whose time was over,
// an earlier item may still turn out to be the first one that failed; and what is still under way behind it counts as `outcome_unknown`
// until it is answered. When the outcome of the first one is not known, items behind it may be stored: they are among the
// `unknown_count`, too.

struct nq_producer_options {
    size_t window_items;  // unconfirmed at most; 0: 10,000
    size_t window_bytes;  // 0: 16 MiB
    size_t batch_items;   // in one request at most; 0: 1,000
    uint64_t put_wait_ms; // longest time an item may wait for room on a bounded queue; NQ_WAIT_FOREVER by nq_producer_options_init
    uint64_t delay_ms;
};
NQ_EXPORT void nq_producer_options_init(struct nq_producer_options *options);

struct nq_producer_failure {
    enum nq_status status; // NQ_OK: none
    uint64_t failed_index; // of the item, counted from 0 in the order of nq_producer_put
    bool outcome_unknown;  // items from failed_index to failed_index + unknown_count - 1 may be stored or not
    uint64_t unknown_count;
    char text[256];
};

// options NULL: defaults. The client must outlive the handle.
NQ_EXPORT enum nq_status nq_producer_open(struct nq_client *client, const char *queue, const struct nq_producer_options *options,
                                          struct nq_producer **out);
// The body is copied. NQ_TOO_LARGE and NQ_INTERRUPTED concern this item only: it was not taken, the handle goes on.
// What is gathered leaves when an answer comes in, so a program that pauses between puts calls nq_producer_flush or _work then.
NQ_EXPORT enum nq_status nq_producer_put(struct nq_producer *producer, const struct nq_body *body);
// Return when all that was put is stored, or, after a failure, when the rest of what was on its way has been answered. When wait_ms is
// over first: that failure, which may not be final then, else NQ_TIMED_OUT (it goes on being sent).
NQ_EXPORT enum nq_status nq_producer_flush(struct nq_producer *producer, uint64_t wait_ms);
// Items known to be stored; after a failure, of those in front of `failed_index`.
NQ_EXPORT uint64_t nq_producer_confirmed(const struct nq_producer *producer);
NQ_EXPORT const struct nq_producer_failure *nq_producer_failure(const struct nq_producer *producer);
// Send what has been gathered and take in what has arrived, without waiting. For programs with a loop of their own.
NQ_EXPORT enum nq_status nq_producer_work(struct nq_producer *producer);
// Flush (at most wait_ms) and free. The result is the first failure.
NQ_EXPORT enum nq_status nq_producer_close(struct nq_producer **producer_p, uint64_t wait_ms);

// ------------------------------------------------------------------------- consumer handle: prefetch, gathered task_done

struct nq_consumer_options {
    int prefetch; // items asked for ahead; NQ_PREFETCH_AUTO: grows and shrinks with use, 0 on a queue with maxsize or at_most_once
    uint64_t lease_ms;    // 0: the queue's
    uint64_t hold_max_ms; // 0: the queue's
    uint64_t max_items;   // never ask for more than this in all; 0: no bound
    size_t done_window;   // unconfirmed dones at most; 0: 10,000
    bool at_most_once;    // what was got ahead because `prefetch` asks for it is lost when the handle is closed
};
NQ_EXPORT void nq_consumer_options_init(struct nq_consumer_options *options);

NQ_EXPORT enum nq_status nq_consumer_open(struct nq_client *client, const char *queue, const struct nq_consumer_options *options,
                                          struct nq_consumer **out);
// The next item, in the queue's order. Errors: NQ_EMPTY, NQ_SHUT_DOWN (drained), NQ_INTERRUPTED, NQ_UNREACHABLE, or a kept failure of a done.
NQ_EXPORT enum nq_status nq_consumer_get(struct nq_consumer *consumer, uint64_t wait_ms, struct nq_item **item);
// Takes the item; the broker hears of it with the next request. A failure is kept and returned by later calls, flush and close.
// NQ_LEASE_LOST is kept apart: it is counted (nq_consumer_lost) and does not end the handle.
NQ_EXPORT enum nq_status nq_consumer_done(struct nq_consumer *consumer, struct nq_item **item_p);
NQ_EXPORT enum nq_status nq_consumer_requeue(struct nq_consumer *consumer, struct nq_item **item_p,
                                             const struct nq_requeue_options *options);
NQ_EXPORT enum nq_status nq_consumer_flush(struct nq_consumer *consumer, uint64_t wait_ms); // all dones and requeues confirmed
NQ_EXPORT uint64_t nq_consumer_confirmed(const struct nq_consumer *consumer);               // dones known to be stored
NQ_EXPORT uint64_t nq_consumer_lost(const struct nq_consumer *consumer);                    // dones whose lease was lost
// Send and take in without waiting, for programs with a loop of their own: poll nq_client_fd, then call this.
NQ_EXPORT enum nq_status nq_consumer_work(struct nq_consumer *consumer);
// Flush (at most wait_ms), give back what was prefetched, free. Items the caller still holds stay valid.
NQ_EXPORT enum nq_status nq_consumer_close(struct nq_consumer **consumer_p, uint64_t wait_ms);

// -------------------------------------------------------------------------------------------------- non-blocking form
//
// Start a request, go on with other work, collect its completion. Wait by polling nq_client_fd() for reading, at most
// nq_client_timeout_ms() long, then call nq_client_process(), then nq_next_completion() until it returns NQ_EMPTY.

struct nq_completion {
    uint64_t request; // what the nq_start_* function returned
    void *user;
    enum nq_status status;  // not NQ_OK: nq_error_text() says more, until the next call
    size_t accepted;        // put
    uint64_t last_seq;      // put
    struct nq_item **items; // get: taken over by the caller, the array with nq_free, each item as after nq_get
    size_t items_count;
    uint64_t count;               // purge, delete, shutdown
    struct nq_queue_stats *stats; // declare, update, stat: taken over by the caller, freed with nq_free; else NULL
};

// Bodies are copied. 0: refused at once (nq_error_text says why); else the request's number.
NQ_EXPORT uint64_t nq_start_put(struct nq_client *client, const char *queue, const struct nq_body *bodies, size_t count,
                                const struct nq_put_options *options, void *user);
NQ_EXPORT uint64_t nq_start_get(struct nq_client *client, const char *queue, size_t max, const struct nq_get_options *options,
                                void *user);
NQ_EXPORT uint64_t nq_start_task_done(struct nq_client *client, struct nq_item **item_p, void *user);
NQ_EXPORT uint64_t nq_start_requeue(struct nq_client *client, struct nq_item **item_p, const struct nq_requeue_options *options,
                                    void *user);
NQ_EXPORT uint64_t nq_start_join(struct nq_client *client, const char *queue, uint64_t wait_ms, void *user);
// The items (1 to 10,000, all got from one queue) end together; the completion has the first status that is not NQ_OK. Takes the items
// and sets them to NULL, unless 0.
NQ_EXPORT uint64_t nq_start_task_done_many(struct nq_client *client, struct nq_item **items, size_t count, void *user);
// As nq_extend; the item stays the caller's.
NQ_EXPORT uint64_t nq_start_extend(struct nq_client *client, struct nq_item *item, uint64_t lease_ms, void *user);
// As nq_declare, nq_update, nq_stat; the completion has the statistics.
NQ_EXPORT uint64_t nq_start_declare(struct nq_client *client, const char *queue, const struct nq_queue_options *options,
                                    uint64_t initial, void *user);
NQ_EXPORT uint64_t nq_start_update(struct nq_client *client, const char *queue, const struct nq_queue_options *options, void *user);
NQ_EXPORT uint64_t nq_start_stat(struct nq_client *client, const char *queue, void *user);
// As nq_purge, nq_delete, nq_shutdown; the completion has the count.
NQ_EXPORT uint64_t nq_start_purge(struct nq_client *client, const char *queue, void *user);
NQ_EXPORT uint64_t nq_start_delete(struct nq_client *client, const char *queue, void *user);
NQ_EXPORT uint64_t nq_start_shutdown(struct nq_client *client, const char *queue, bool immediate, void *user);
// Ask that a started request end with NQ_CANCELLED; it may still end otherwise. Its completion comes in any case.
NQ_EXPORT enum nq_status nq_cancel(struct nq_client *client, uint64_t request);

NQ_EXPORT int nq_client_fd(const struct nq_client *client);
NQ_EXPORT uint64_t nq_client_timeout_ms(const struct nq_client *client); // until nq_client_process must be called anyway
NQ_EXPORT enum nq_status nq_client_process(struct nq_client *client);    // never waits
NQ_EXPORT enum nq_status nq_next_completion(struct nq_client *client, struct nq_completion *out); // NQ_EMPTY: none
// All three at once, for who has nothing else to do: process, and wait at most wait_ms for the next completion.
// NQ_EMPTY: there was none; nothing has become of the requests. NQ_INTERRUPTED: the same, after nq_interrupt().
NQ_EXPORT enum nq_status nq_wait_completion(struct nq_client *client, uint64_t wait_ms, struct nq_completion *out);

#ifdef __cplusplus
}
#endif
#endif
