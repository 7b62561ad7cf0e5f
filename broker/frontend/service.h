// What the broker does with decoded requests, without sockets or threads: requests become commands of the engine and the dispatch,
// their outcomes become answers that wait in the commit groups. The files request_*.c hold the operations.
#pragma once
#include "access.h"
#include "backup.h"
#include "dispatch.h"
#include "group.h"
#include "reader.h"
#include "redrive.h"
#include "sessions.h"
#include "space.h"
#include "wire.h"

struct service_config {
    struct wire_limits limits; // as told in HELLO
    bool (*random)(void *out, size_t len);
    uint64_t started_ms;                  // broker time
    const char *(*sender)(void *context); // the key behind the frame that is handled; NULL: none
    void *context;                        // of sender
    uint64_t sessions_per_key_max;
    uint64_t requests_per_key_max; // a second; 0: any number
};

struct service {
    struct service_config config;
    struct engine *engine;
    struct dispatch *dispatch;
    struct store *store;
    struct access *access; // NULL: no keys, anybody may do anything
    struct groups groups;
    struct sessions sessions;
    struct reader *reader; // the engine reads through it, too
    struct space space;
    struct redrives redrives;
    struct backup *backup; // NULL: none can be made
    struct log_limit damage_log;
    uint64_t now_ms; // of the last frame or tick
    bool was_open;   // since the start some queue was (kept by service_is_over)
    bool out_of_memory;
    bool serve_again; // taking answers has changed queues: waiters are looked at once more
};

// One request as a handler sees it.
struct request {
    struct service *service;
    uint64_t now_ms;
    uint64_t connection;
    struct peer *peer;           // NULL: no session (only for operations that need none)
    struct principal *principal; // NULL: without keys, or its key is not authorised
    const struct wire_request *wire;
};

// Handle a frame's requests in order. The frame lives in the memory of the open group.
void service_frame(struct service *self, uint64_t now_ms, uint64_t connection, const struct wire_request_frame *frame);
// A frame beyond what may wait of its connection: refuse its puts BUSY. False: it is not only puts, and nothing was done.
bool service_refuse_puts(struct service *self, uint64_t now_ms, uint64_t connection, const struct wire_request_frame *frame);
// A frame of another version: each request is told so.
void service_refuse_version(struct service *self, uint64_t connection, const struct wire_request_frame *frame);
// Other keys are authorised, or may do other things, from now on: sessions of keys that are not end at once, and waiters of a key whose
// rights are others end, so that its client asks again. The set before is not used any more.
void service_reauthorise(struct service *self, uint64_t now_ms, struct access *access);
// Waiters, deadlines, redrives: after the frames of a turn. True: there is more to do at once.
bool service_tick(struct service *self, uint64_t now_ms);
uint64_t service_next_deadline_ms(const struct service *self); // UINT64_MAX: none
// Nothing is left to do, and nobody left to do it for: what was open since the start is shut down and empty, and there is no session.
bool service_is_over(struct service *self);
// True: the engine's state is no longer what is to be stored, or memory ran out. The process must end.
bool service_failed(const struct service *self);

// An item of an answer that leaves could not be read (see outbox_sink).
// For reader.on_lost: the context is the service.
void service_item_lost(void *service, uint64_t queue_id, uint64_t seq, enum nq_status why);
void service_unreadable(struct service *self, uint64_t now_ms, uint64_t queue_id, uint64_t seq, enum nq_status why);
// The items of a get's answer are not sent, because its connection takes no more now: they go back to their places, uncounted.
void service_unsent(struct service *self, uint64_t now_ms, const struct answer *answer);

// A backup has ended: whoever asked for it is told.
void service_backup_ended(struct service *self, const struct backup_end *end);

// ------------------------------------------------------------------------------------------------------- for the handlers

typedef void request_handler(struct request *request);
request_handler request_hello, request_renew, request_goodbye, request_ping, request_cancel;
request_handler request_put, request_get, request_task_done, request_extend, request_requeue, request_join;
request_handler request_declare, request_purge, request_delete, request_shutdown, request_stat, request_list, request_peek,
    request_redrive, request_backup;

enum nq_status status_of_engine(enum engine_status status);
struct engine_bytes to_engine_bytes(struct nq_bytes bytes);
void refuse_put(struct request *request, enum nq_status status);

// An answer to this request that waits for all that was applied ahead of it. NULL: out of memory (noted).
struct answer *request_answer(struct request *request, enum nq_status status);
void request_refuse(struct request *request, enum nq_status status, const char *why); // why: static text, or NULL
struct answer *request_answer_whole(struct request *request, enum nq_status status, struct wire_reply **whole);
struct answer *service_answer(struct service *self, uint64_t connection, uint64_t request_id, enum nq_status status);
void *service_alloc(struct service *self, enum engine_durability when, size_t count, size_t size); // zeroed; NULL as above
// Fetch what the dispatch has answered.
void service_take_answers(struct service *self, uint64_t now_ms);
