#include "leases.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "host.h"
#include "state.h"
#include "world.h"

struct lease { // the last one that left the broker
    struct oracle_grant grant;
    uint64_t granted_us;
    bool in_hands;           // of a client's application
    bool named;              // by a request since then, or its session has said HELLO: it may be over
    bool carried;            // over a restart: its token of before is good, too
    uint64_t named_us;       // when a token of it came last; 0: never
    uint64_t other_named_us; // the same of another delivery of it
};

enum { TOKEN_WORKS_US = 1000 * 1000 }; // an answer leaves so long after the requests that it was made behind, at most

struct leases_answer {
    size_t count;
    struct oracle_grant grants[];
};

static struct lease leases[ORACLE_ITEMS];
static uint64_t leases_top;

void leases_begin(void)
{
    memset(leases, 0, (leases_top + 1) * sizeof(leases[0]));
    leases_top = 0;
}

static struct lease *lease_of(const struct leases_token *token)
{
    const struct disk_place *place = disk_place_at(token->queue_id, token->seq);
    struct lease *lease = place == NULL ? NULL : &leases[place->id];
    bool here = lease != NULL && lease->grant.queue_id == token->queue_id && lease->grant.seq == token->seq;
    return here ? lease : NULL;
}

static bool is_of(const struct lease *lease, const struct leases_token *token)
{
    return lease->grant.epoch == token->epoch && lease->grant.delivery == token->delivery;
}

static bool runs(const struct oracle_grant *grant)
{
    bool lasts = world_now_us() < grant->lease_ends_us && host_broker_ms() < grant->hold_ends_ms;
    return lasts && grant->epoch == state_epoch() && state_session_lives(grant->session_no);
}

// -------------------------------------------------------------------------------------------------------------------- grants

static bool is_same_get(const struct oracle_grant *a, const struct oracle_grant *b)
{
    return a->session == b->session && a->get_id == b->get_id;
}

static void grant(const struct oracle_grant *grant)
{
    struct lease *lease = &leases[grant->id];
    const struct oracle_grant *before = &lease->grant;
    bool same_place = before->queue_id == grant->queue_id && before->seq == grant->seq;
    if (same_place && before->epoch == grant->epoch && before->delivery > grant->delivery) {
        return; // this answer has waited for the store until its lease was over, and a later one was quicker
    }
    bool again = same_place && is_same_get(before, grant) && before->delivery == grant->delivery && before->epoch == grant->epoch;
    // Its session's own token of before an earlier crash, sent again, gives back what a restart has carried over (PROTOCOL.md, section 6).
    bool given_back = lease->carried && lease->other_named_us >= lease->granted_us;
    if (same_place && !again && lease->in_hands && !given_back && runs(before)) {
        world_fail("item %llu is handed out, and is in somebody's hands on a lease that runs", (unsigned long long)grant->id);
    }
    if (!again) {
        bool carried = same_place && is_same_get(before, grant) && before->delivery == grant->delivery;
        uint64_t other_us = lease->named_us > lease->other_named_us ? lease->named_us : lease->other_named_us; // from now on
        *lease = (struct lease){.carried = carried, .grant = *grant, .granted_us = world_now_us(), .other_named_us = other_us};
    }
    leases_top = grant->id > leases_top ? grant->id : leases_top;
}

static bool is_same(const struct leases_answer *answer, const struct leases_reply *reply)
{
    bool same = answer->count == reply->count;
    for (size_t i = 0; same && i < reply->count; i++) {
        same = answer->grants[i].seq == reply->grants[i].seq && answer->grants[i].delivery == reply->grants[i].delivery;
    }
    return same;
}

// A token of before a crash, sent again, may have finished or given back one of them.
static bool may_be_less(const struct leases_answer *answer)
{
    bool less = false;
    for (size_t i = 0; i < answer->count; i++) {
        const struct lease *lease = &leases[answer->grants[i].id];
        less = less || (lease->other_named_us != 0 && lease->other_named_us + TOKEN_WORKS_US >= lease->granted_us);
    }
    return less;
}

static void check_again(const struct leases_answer *answer, const struct leases_reply *reply)
{
    const struct oracle_grant *first = &answer->grants[0];
    const struct queue_record *queue = disk_queue(first->queue_id);
    // An answer at most once is not kept: asked again, the get takes what is next.
    bool comparable =
        !first->at_most_once && runs(first) && reply->grants[0].session_no == first->session_no && queue != NULL && !queue->deleted;
    if (comparable && !may_be_less(answer) && !is_same(answer, reply)) {
        world_fail("a get is answered again, and otherwise than before: it had %zu items from seq %llu on", answer->count,
                   (unsigned long long)first->seq);
    }
}

void leases_granted(struct leases_answer **answer_p, const struct leases_reply *reply)
{
    if (*answer_p != NULL) {
        check_again(*answer_p, reply);
    }
    for (size_t i = 0; i < reply->count; i++) {
        grant(&reply->grants[i]);
    }
    free(*answer_p);
    *answer_p = malloc(sizeof(**answer_p) + reply->count * sizeof(reply->grants[0]));
    assert(*answer_p != NULL);
    (*answer_p)->count = reply->count;
    memcpy((*answer_p)->grants, reply->grants, reply->count * sizeof(reply->grants[0]));
}

// --------------------------------------------------------------------------------------------------------------- clients' hands

void leases_taken(uint64_t id, const struct leases_token *token)
{
    struct lease *lease = lease_of(token);
    if (lease != NULL && lease == &leases[id] && is_of(lease, token)) {
        lease->in_hands = true;
    }
}

void leases_let_go(uint64_t id)
{
    leases[id].in_hands = false;
}

// --------------------------------------------------------------------------------------------------------------------- tokens

void leases_named(const struct leases_token *token)
{
    struct lease *lease = lease_of(token);
    if (lease != NULL && is_of(lease, token)) {
        lease->named = true;
        lease->named_us = world_now_us();
    } else if (lease != NULL) {
        lease->other_named_us = world_now_us();
    }
}

void leases_hello(uint64_t session)
{
    for (uint64_t id = 1; id <= leases_top; id++) {
        leases[id].named |= leases[id].grant.session == session;
    }
}

void leases_done(const struct leases_token *token, uint64_t came_us, bool exact, enum nq_status status)
{
    const struct lease *lease = lease_of(token);
    if (lease == NULL) {
        return;
    }
    if (status == NQ_NOT_LEASED && is_of(lease, token)) {
        world_fail("item %llu was handed out, and its task_done says that it never was", (unsigned long long)lease->grant.id);
    }
    bool of_before = lease->carried && lease->grant.delivery == token->delivery;
    if (exact && !is_of(lease, token) && !of_before && !lease->named && lease->granted_us < came_us && runs(&lease->grant) &&
        !lease->grant.at_most_once) {
        world_fail("item %llu is done by a token of an earlier delivery, while a later one is on lease",
                   (unsigned long long)lease->grant.id);
    }
}
