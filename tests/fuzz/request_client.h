// The client side of fuzz_request: what was asked and what was answered.
#pragma once
#include "fuzz.h"
#include "service_rig.h"

enum {
    CLIENT_IDS_MAX = 8192,
    CLIENT_CONNECTIONS = 4,
    CLIENT_SESSIONS_MAX = 3,
    CLIENT_QUEUES_MAX = 5,
    CLIENT_STREAMS_MAX = 6,
    CLIENT_DELAYED_MAX = 12,
    CLIENT_LEASES_MAX = 24,
    CLIENT_WAITERS_MAX = 4,
    CLIENT_BODY_MAX = 64,
    CLIENT_HEADERS_MAX = 48,
    CLIENT_PARKED_MAX = 200,
};

// One request id, of whichever connection: answers go where the session is.
struct client_id {
    uint64_t id; // 0: a free place
    uint32_t asked, answered;
    uint32_t at_once; // of the asked: those that do not wait, so that the next commit ends them
};

struct request_client {
    struct service_rig rig;
    struct store *store;
    struct nq_arena *arena; // of the requests being made and the replies being read
    struct client_id ids[CLIENT_IDS_MAX];
    size_t ids_count;
    uint64_t next_id;
    uint64_t vanished; // bit by connection: sending there fails
    // What the last get was answered: tokens worth trying again.
    uint64_t queue_id, epoch, seq;
    uint32_t delivery;
};

void request_client_start(struct request_client *self);
void request_client_step(struct request_client *self, struct fuzz_bytes *input); // request_steps.c
void request_client_check(const struct request_client *self);
void request_client_settle(struct request_client *self); // commit all, and see that what does not wait was answered
void request_client_restart(struct request_client *self, bool crash);
void request_client_end(struct request_client *self);

// A frame as it is: decoded, noted, served.
void request_client_send(struct request_client *self, uint64_t connection, const void *data, size_t len);
void request_client_send_request(struct request_client *self, uint64_t connection, const struct wire_request *request);
