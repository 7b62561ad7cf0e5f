// The consumer handle. Items come in answers, which are handed out one by one; what is done is gathered and travels along with
// whatever is sent next.
#pragma once
#include "client.h"
#include "finish.h"

struct nq_consumer {
    struct nq_client *client;
    struct nq_consumer *next; // of the client
    struct nq_consumer_options options;
    char queue[NQ_NAME_BYTES_MAX + 1];

    struct answer *buffer_first, *buffer_last; // answers with items not handed out
    size_t buffered;
    struct request *get; // the one that is unanswered, or NULL
    bool get_waits;      // it was sent with the caller's wait
    uint32_t get_max;
    bool app_waits; // for an item, right now
    uint64_t last_answer_ms;
    enum nq_status get_status; // how the last one ended
    size_t target;             // items to have ahead
    bool grows;                // target is ours to choose
    bool bounded;              // the queue has a maxsize: nothing ahead
    bool bounded_known;
    struct request *stat; // asks for that; unanswered
    uint64_t received;    // items that came, for max_items

    struct token_batch *dones;
    size_t dones_gathered;
    size_t dones_flying; // requests
    size_t unconfirmed;  // tokens gathered or flying
    uint64_t confirmed;
    uint64_t lost;
    enum nq_status failure;
    char failure_text[256];
    uint32_t since_look;
};

// consumer_get.c
enum nq_status consumer_kept_failure(struct nq_consumer *self);
// The application finishes what comes faster than an answer could: to send and to ask in pieces would only cut the frames small.
bool consumer_uses_up_at_once(const struct nq_consumer *self);
void consumer_stop_get(struct nq_consumer *self);
void consumer_give_back_buffer(struct nq_consumer *self);
void consumer_drop_stat(struct nq_consumer *self);

// consumer_done.c
void consumer_look(struct nq_consumer *self); // now and then: send dones, take in what has arrived
