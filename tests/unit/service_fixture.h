// A service over the real engine, dispatch and memory store, without sockets and threads: requests go in encoded, replies come out
// decoded, time is a number, and commits end when the test says so.
#pragma once
#include "service_rig.h"

enum { FIXTURE_REPLIES_MAX = 512 };

struct fixture_reply {
    uint64_t connection;
    struct wire_reply reply;
};

struct fixture {
    struct service_rig rig;
    struct nq_arena *arena;   // of the test and of what came out
    uint64_t dead_connection; // sending there fails
    uint64_t lost_connection; // what is sent there does not arrive
    struct fixture_reply replies[FIXTURE_REPLIES_MAX];
    size_t reply_count, frame_count, probe_count;
};

struct fixture *fixture_create(void);
struct fixture *fixture_create_for_two(void);           // with sessions on connections 1 and 2
struct fixture *fixture_create_on(struct store *store); // takes the store
void fixture_destroy(struct fixture *self);
struct store *fixture_destroy_but_store(struct fixture *self); // as a crash

// One frame with these requests, then the end of the turn: answers that wait for nothing come out.
void fixture_send(struct fixture *self, uint64_t connection, const struct wire_request *requests, size_t count);
void fixture_send_frame(struct fixture *self, uint64_t connection, const struct wire_request_frame *frame);
void fixture_tick(struct fixture *self, uint64_t ms); // time passes, then a turn

bool fixture_seal(struct fixture *self);   // true: a commit is on its way
void fixture_land(struct fixture *self);   // the commit has ended
void fixture_commit(struct fixture *self); // both, until nothing is left to store

// The reply to a request, taken out of what has come. NULL: none has.
const struct wire_reply *fixture_take(struct fixture *self, uint64_t connection, uint64_t id);
// Send one request, commit, and take its reply, which must have come.
const struct wire_reply *fixture_call(struct fixture *self, uint64_t connection, const struct wire_request *request);

struct nq_bytes bytes_of(const char *text);
bool bytes_are(struct nq_bytes bytes, const char *text);

// Open a session on a connection; its id is made of the connection's number. Keeps the token in `token` (may be NULL).
void fixture_hello(struct fixture *self, uint64_t connection, uint8_t token[NQ_RESUME_TOKEN_BYTES]);
void session_id_of(uint64_t connection, uint8_t id[NQ_SESSION_ID_BYTES]);

struct wire_request put_request(uint64_t id, const char *queue, uint64_t first_number, const struct nq_bytes *bodies, size_t count);
struct wire_request get_request(uint64_t id, const char *queue, uint32_t max_items, uint64_t wait_ms);
struct wire_request on_queue_request(uint64_t id, enum wire_op op, const char *queue);
struct wire_request tokens_request(uint64_t id, enum wire_op op, const struct wire_reply *got);
// Put one text and take the reply.
enum nq_status fixture_put(struct fixture *self, uint64_t connection, uint64_t id, const char *queue, uint64_t number,
                           const char *text);
