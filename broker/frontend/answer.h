// Answers that wait until they may leave. Small, because thousands wait for one commit; outbox.c makes wire replies of them.
#pragma once
#include "engine.h"
#include "wire.h"

_Static_assert(sizeof(struct nq_bytes) == sizeof(struct engine_bytes), "arrays of bodies pass from wire to engine as they are");
_Static_assert(offsetof(struct nq_bytes, data) == offsetof(struct engine_bytes, data), "arrays of bodies pass as they are");

enum answer_kind { ANSWER_STATUS, ANSWER_PUT, ANSWER_GET, ANSWER_PEEK, ANSWER_TOKENS, ANSWER_COUNT, ANSWER_WHOLE };

// Items of a get or a peek. Their bodies are looked up when the answer leaves.
struct answer_items {
    uint64_t queue_id;
    struct engine_granted *items; // malloc'd; freed with the answer
    size_t count;
    uint64_t lease_ms, hold_max_ms;
    const struct nq_bytes *bodies, *headers; // at hand already (at most once); NULL: look them up
    bool again;                              // of a get that was answered on this connection before: the items are its client's
};

struct answer {
    struct answer *next;
    uint64_t connection;
    uint64_t id;
    enum nq_status status;
    enum answer_kind kind;
    const char *detail; // static, or NULL
    union {
        struct wire_put_reply put;
        struct answer_items items;
        struct wire_token_reply tokens; // statuses: in the memory of the group
        uint64_t count;
        const struct wire_reply *whole; // likewise
    } as;
};

struct answer_list {
    struct answer *first, *last;
    size_t count;
};

void answer_list_add(struct answer_list *self, struct answer *answer);
// Free what the answers own and forget them; they themselves live in an arena.
void answer_list_clear(struct answer_list *self);
