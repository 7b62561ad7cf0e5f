// What the fake broker knows: queues, items, streams, parked gets. Handles frames, collects answers; no socket, no clock.
#pragma once
#include "fake_broker.h"
#include "wire.h"

#define FAKE_QUEUES_MAX 16
#define FAKE_STREAMS_MAX 64
#define FAKE_PARKED_MAX 256
#define FAKE_ANSWERS_MAX 4096
#define FAKE_ITEMS_MAX 20000

struct fake_peer {
    size_t len;
    uint8_t bytes[64];
};

enum fake_state { FAKE_READY, FAKE_LEASED, FAKE_DONE };

struct fake_item {
    struct nq_bytes body, headers; // owned
    enum fake_state state;
    uint32_t delivery, failures;
    uint64_t get_id; // of the lease
};

struct fake_queue {
    char name[NQ_NAME_BYTES_MAX + 1];
    uint64_t id;
    uint64_t maxsize;
    size_t count; // seq n is items[n - 1]
    size_t first_ready;
    struct fake_item *items;
    bool shut_down;
};

struct fake_stream {
    uint64_t number, last;
};

struct fake_parked {
    struct fake_peer peer;
    struct wire_request request;
    struct fake_queue *queue;
    uint64_t deadline_ms;
};

struct fake_answer {
    struct fake_peer peer;
    struct wire_reply reply; // lives in the arena of the turn
};

struct fake_model {
    struct fake_queue queues[FAKE_QUEUES_MAX];
    size_t queues_count;
    struct fake_stream streams[FAKE_STREAMS_MAX];
    size_t streams_count;
    struct fake_parked parked[FAKE_PARKED_MAX]; // gets and joins
    size_t parked_count;
    struct fake_answer *answers;
    size_t answers_count;
    uint8_t store_id[NQ_STORE_ID_BYTES];
    uint64_t epoch, lease_ms;
    uint64_t body_bytes, frame_bytes, session_timeout_ms;
    struct fake_peer known[64]; // connections that have said HELLO
    size_t known_count;
    bool session_known;
    enum nq_status refuse_status;
    int refuse_left;
    struct fake_refusal {
        enum nq_status status;
        int left;
    } refusals[WIRE_BACKUP + 1]; // by operation
    uint32_t version;
    struct fake_counts counts;
};

void fake_model_init(struct fake_model *self);
void fake_model_fini(struct fake_model *self);
void fake_model_frame(struct fake_model *self, struct nq_arena *arena, const struct fake_peer *peer,
                      const struct wire_request_frame *frame, uint64_t now_ms);
void fake_model_time(struct fake_model *self, struct nq_arena *arena, uint64_t now_ms);
struct fake_queue *fake_model_queue(struct fake_model *self, struct nq_bytes name);
void fake_model_forget_sessions(struct fake_model *self);
void fake_model_change_store(struct fake_model *self);
struct fake_counts fake_model_counts(struct fake_model *self, struct nq_bytes queue);
