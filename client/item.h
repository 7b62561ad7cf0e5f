// Items and the answers they came in. One block of memory for all items of an answer; bodies point into the received frame.
#pragma once
#include "frame.h"
#include "netqueue.h"
#include "wire.h"

struct nq_client;
struct answer;

struct nq_item {
    struct answer *answer;
    struct nq_bytes body;
    struct nq_header *headers; // names and values terminated; in the frame's arena
    size_t headers_count;
    uint64_t seq;
    uint32_t delivery;
    uint32_t failures;
    bool redelivered;
};

struct answer {
    struct nq_client *client; // NULL: the client is gone
    struct frame *frame;
    struct answer *next, *prev; // all answers of the client
    struct answer *report_next; // of those with items taken since the last frame
    struct answer *buffer_next; // in a consumer handle
    uint64_t get_id;
    uint64_t queue_id;
    uint64_t epoch;
    uint64_t lease_ms;
    uint64_t received_ms;
    size_t refs;    // items not finished, and finished ones whose end is not confirmed
    uint32_t taken; // handed to the application, from the front
    uint32_t count;
    uint32_t cursor;   // the next one a consumer handle hands out
    bool leased;       // the session holds them
    bool to_report;    // in the client's list
    bool wants_no_end; // at_most_once or peek: there is nothing to finish
    bool store_gone;   // the broker has another store: the leases are lost
    char queue[NQ_NAME_BYTES_MAX + 1];
    struct nq_item items[];
};

// The items of a get's or peek's answer. Errors: NO_MEMORY.
enum nq_status answer_create(struct nq_client *client, struct nq_bytes queue, uint64_t get_id, const struct wire_reply *reply,
                             struct frame *frame, bool at_most_once, struct answer **out);
void answer_unref(struct answer *self);
void answer_is_taken(struct answer *self, uint32_t count); // up to there, from the front
void answer_lose(struct answer *self, bool store_gone);    // its leases are over
