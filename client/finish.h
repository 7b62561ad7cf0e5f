// Tokens of items whose work has ended, gathered by queue: what task_done, requeue and extend are made of.
#pragma once
#include "client.h"

struct token_batch {
    struct token_batch *next;
    uint64_t queue_id;
    uint64_t epoch;
    size_t count, room;
    bool redelivered; // some delivery is not 1
    void (*ended)(struct token_batch *self,
                  const struct outcome *outcome); // for the owner; before the tokens are let go; may be NULL
    void *user;
    uint64_t *seqs;
    uint32_t *deliveries;
    struct answer **answers; // one reference each
};

// Put the item's token into the batch of its queue in *list. Takes the item's reference. False: out of memory.
bool token_gather(struct token_batch **list, struct nq_item *item);
void token_batch_free(struct token_batch *self); // with its references
// A request of the batch; NULL: out of memory, the batch stays the caller's.
struct request *token_request(enum wire_op op, struct token_batch *batch);
enum nq_status token_status(const struct outcome *outcome, const struct request *request, size_t index);
void token_ended(struct request *request, const struct outcome *outcome); // request->ended of token requests

// Uncounted, with the next request.
void finish_give_back(struct nq_item *item);
// Adds requests for what was given up, in front of what is to be sent.
void finish_send_returns(struct nq_client *client);
// The request that puts an item back as asked; NULL: out of memory, the item is untouched.
struct request *requeue_request(struct nq_item *item, const struct nq_requeue_options *options);
// What an EXTEND asks for; the keeper goes by it from now on.
uint64_t extend_ms(struct nq_client *client, const struct nq_item *item, uint64_t lease_ms);
// Whether the item is finished without a word to the broker, and how.
bool finish_is_local(const struct nq_item *item, enum nq_status *status);

// A task_done that somebody waits for.
struct finish_call {
    struct call call;
    struct request *request;
    enum nq_status *statuses; // [out] by place in the batch; NULL: only the first matters
    enum nq_status first;     // [out] that is not NQ_OK
};

// The request that finishes the item. Takes the item's reference in every case; NULL: out of memory.
struct request *done_request(struct nq_item *item);
void finish_begin(struct nq_client *client, struct request *request, struct finish_call *finish); // leaves with what is sent next
void finish_await(struct nq_client *client, struct finish_call *finish);
