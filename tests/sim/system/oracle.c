#include "oracle.h"

#include <assert.h>
#include <string.h>

#include "disk.h"
#include "engine.h"
#include "host.h"
#include "world.h"

#define ITEM(fact) ((unsigned long long)((fact)-oracle.facts))

enum { INITIAL_CLIENT = 63, CLIENTS = 64 };
enum fate { FATE_ASKED, FATE_STORED, FATE_REFUSED, FATE_UNKNOWN };

struct fact {
    unsigned client, queue;
    enum fate fate;
    bool delayed;
    bool arrived;    // in the broker
    unsigned hopes;  // requests that arrived while there was room, and have no answer yet
    bool gone;       // may have been purged, expired, dropped
    bool done_asked; // some client has asked that it be done
    bool done_left;  // the broker has said so
    bool done_exact; // and meant this very request
    bool drained;
    uint64_t confirmed_at; // when the broker's OK to its put left; 0: has not
    uint64_t queue_id, seq;
    // the last time it was handed out: from where, and with what token
    uint64_t from_queue_id, from_seq;
    uint64_t epoch, session, get_id;
    uint32_t delivery;
    uint64_t broker_ms;
};

static struct {
    const struct oracle_queue *queues;
    size_t queues_count;
    size_t count; // of facts, which begin at 1
    uint64_t moment;
    bool at_most_once[ORACLE_QUEUES + 1];
    struct fact facts[ORACLE_ITEMS];
} oracle;

void oracle_begin(const struct oracle_queue *queues, size_t count)
{
    memset(oracle.facts, 0, (oracle.count + 1) * sizeof(struct fact));
    oracle.queues = queues;
    oracle.queues_count = count;
    oracle.count = 0;
    oracle.moment = 1;
    memset(oracle.at_most_once, 0, sizeof(oracle.at_most_once));
}

size_t oracle_items(void)
{
    return oracle.count;
}

unsigned oracle_queue_index(const char *name, size_t len)
{
    for (unsigned i = 0; i < oracle.queues_count; i++) {
        if (strlen(oracle.queues[i].name) == len && memcmp(oracle.queues[i].name, name, len) == 0) {
            return i;
        }
    }
    return ORACLE_QUEUES;
}

bool oracle_may_exceed(const char *name, size_t len)
{
    unsigned queue = oracle_queue_index(name, len);
    return queue == ORACLE_QUEUES || oracle.queues[queue].unbounded_moves || oracle.queues[queue].bound_changes;
}

static struct fact *fact_of(uint64_t id, const char *who)
{
    if (id == 0 || id > oracle.count) {
        world_fail("%s: an item that nobody put (%llu)", who, (unsigned long long)id);
    }
    return &oracle.facts[id];
}

// ------------------------------------------------------------------------------------------------------- what clients are told

uint64_t oracle_put(unsigned client, unsigned queue, bool delayed)
{
    uint64_t id = ++oracle.count;
    assert(id < ORACLE_ITEMS);
    oracle.facts[id] = (struct fact){.client = client, .queue = queue, .delayed = delayed};
    world_trace("item %llu is for queue %s", (unsigned long long)id, oracle.queues[queue].name);
    return id;
}

void oracle_put_told(uint64_t id, enum nq_status status, uint64_t seq)
{
    struct fact *fact = fact_of(id, "put");
    const struct disk_place *place = disk_place_of(id);
    if (fact->fate != FATE_ASKED) {
        world_fail("item %llu: two ends of one put", ITEM(fact));
    }
    fact->fate = status == NQ_OK ? FATE_STORED : status == NQ_OUTCOME_UNKNOWN ? FATE_UNKNOWN : FATE_REFUSED;
    world_trace("put of item %llu ends: %s", ITEM(fact), nq_status_name(status));
    if (fact->fate == FATE_STORED && place == NULL) {
        world_fail("item %llu: the put is confirmed, the item is not on the disk", ITEM(fact));
    }
    if (fact->fate == FATE_REFUSED && place != NULL && disk_is_kept(place)) {
        world_fail("item %llu: the put is refused (%s), the item is stored", ITEM(fact), nq_status_name(status));
    }
    if (seq != 0 && place != NULL && fact->seq != 0 && fact->seq != seq) {
        world_fail("item %llu: the put was told seq %llu, the item has %llu", ITEM(fact), (unsigned long long)seq,
                   (unsigned long long)fact->seq);
    }
}

void oracle_got(uint64_t id, unsigned queue, uint64_t seq)
{
    const struct fact *fact = fact_of(id, "get");
    world_trace("got item %llu (seq %llu)", ITEM(fact), (unsigned long long)seq);
    if (fact->queue != queue && !oracle.queues[queue].unbounded_moves && !oracle.queues[fact->queue].unbounded_moves) {
        world_fail("item %llu comes from another queue than it was put into", ITEM(fact));
    }
}

void oracle_done_asked(uint64_t id)
{
    fact_of(id, "done")->done_asked = true;
}

void oracle_done_told(uint64_t id, enum nq_status status)
{
    const struct fact *fact = fact_of(id, "done");
    const struct disk_place *place = disk_place_of(id);
    world_trace("done of item %llu ends: %s", ITEM(fact), nq_status_name(status));
    if (status == NQ_NOT_LEASED) {
        world_fail("item %llu was got, and its task_done says that it never was on lease", ITEM(fact));
    }
    // Where it was put again, what was done may be what went with the earlier queue.
    if (status == NQ_OK && place != NULL && place == place->first && !place->again && disk_is_live(place)) {
        world_fail("item %llu: the done is confirmed, the item is still on the disk", ITEM(fact));
    }
}

void oracle_drained(uint64_t id, unsigned queue, uint64_t seq)
{
    struct fact *fact = fact_of(id, "drain");
    oracle_got(id, queue, seq);
    if (fact->drained) {
        world_fail("item %llu is there twice", ITEM(fact));
    }
    fact->drained = true;
}

// ------------------------------------------------------------------------------------------ what goes in and out of the broker

void oracle_put_arrived(uint64_t id, bool has_room)
{
    struct fact *fact = fact_of(id, "put");
    fact->arrived = true;
    fact->hopes += has_room ? 1 : 0;
}

void oracle_put_hopeless(uint64_t id)
{
    struct fact *fact = fact_of(id, "put");
    assert(fact->hopes > 0);
    fact->hopes--;
}

bool oracle_put_may_be_accepted(uint64_t id)
{
    const struct fact *fact = fact_of(id, "put");
    return fact->confirmed_at != 0 || fact->hopes > 0;
}

void oracle_put_confirmed(uint64_t id)
{
    struct fact *fact = fact_of(id, "put");
    const struct disk_place *place = disk_place_of(id);
    if (place == NULL) {
        world_fail("item %llu: the answer to its put leaves before the item is durable", ITEM(fact));
    }
    fact->confirmed_at = fact->confirmed_at == 0 ? oracle.moment++ : fact->confirmed_at;
    fact->queue_id = place->first->queue_id; // another one than before when its queue was deleted meanwhile
    fact->seq = place->first->seq;
}

void oracle_queue_emptied(unsigned queue)
{
    for (size_t id = 1; id <= oracle.count; id++) {
        struct fact *fact = &oracle.facts[id];
        const struct disk_place *place = disk_place_of(id);
        const struct queue_record *record = place == NULL ? NULL : disk_queue(place->queue_id);
        bool is_there = record != NULL && oracle_queue_index(record->name, record->name_len) == queue;
        // What was handed out may have moved to the queue's dead letters, or back, without being on the disk there yet.
        bool moves = fact->delivery > 0 && (oracle.queues[queue].unbounded_moves || oracle.queues[fact->queue].unbounded_moves ||
                                            (place != NULL && place != place->first));
        fact->gone |= (fact->queue == queue && fact->arrived) || is_there || moves;
    }
}

void oracle_at_most_once(unsigned queue)
{
    oracle.at_most_once[queue] = true;
}

uint64_t oracle_initial(unsigned queue, uint64_t queue_id, uint64_t seq)
{
    if (queue == ORACLE_QUEUES) {
        world_fail("a queue that is none of ours has items of its own");
    }
    uint64_t id = oracle_put(INITIAL_CLIENT, queue, false);
    struct fact *fact = &oracle.facts[id];
    fact->fate = FATE_STORED;
    fact->arrived = true;
    fact->queue_id = queue_id;
    fact->seq = seq;
    return id;
}

void oracle_put_anew(uint64_t id)
{
    struct fact *fact = fact_of(id, "put");
    fact->done_left = fact->done_exact = false;
    fact->delivery = 0;
}

void oracle_left(const struct disk_place *place, const struct queue_record *record)
{
    struct fact *fact = fact_of(place->id, "disk");
    if (fact->done_asked || fact->gone) {
        return;
    }
    if (record == NULL) { // deleted in the group that created it
        fact->gone = true;
        return;
    }
    bool expired = record->ttl_ms > 0 && host_broker_ms() >= place->accepted_ms + record->ttl_ms;
    bool dropped = record->max_deliveries > 0 && record->dead_letter_len == 0 && fact->delivery > 0;
    bool with_queue = record->deleted || record->state == QUEUE_SHUT_DOWN_AT_ONCE;
    if (!expired && !dropped && !with_queue && !oracle.at_most_once[fact->queue]) {
        world_fail("item %llu goes from the disk, and nobody has asked for that", ITEM(fact));
    }
    fact->gone = true;
}

uint64_t oracle_moment(void)
{
    return oracle.moment;
}

void oracle_joined(unsigned queue, uint64_t asked_at)
{
    for (size_t id = 1; id <= oracle.count; id++) {
        const struct fact *fact = &oracle.facts[id];
        if (fact->confirmed_at == 0 || fact->confirmed_at >= asked_at || fact->gone) {
            continue;
        }
        const struct disk_place *place = disk_place_of(id);
        const struct queue_record *record = disk_queue(place->queue_id);
        if (place->moved_at >= asked_at) {
            continue; // it was a dead letter when the join came, and may have come back behind it
        }
        if (disk_is_live(place) && oracle_queue_index(record->name, record->name_len) == queue && fact->queue == queue) {
            world_fail("item %llu was put before a join, which is answered before the item is done, and durably so", ITEM(fact));
        }
    }
}

void oracle_done_confirmed(uint64_t queue_id, uint64_t seq, bool exact)
{
    const struct disk_place *place = disk_place_at(queue_id, seq);
    if (place == NULL) {
        world_fail("a task_done is answered OK for an item that never was (queue %llu, seq %llu)", (unsigned long long)queue_id,
                   (unsigned long long)seq);
    }
    if (disk_is_live(place)) {
        world_fail("item %llu: the answer to its task_done leaves before that is durable", (unsigned long long)place->id);
    }
    if (disk_place_of(place->id) != place) { // it has moved on to another queue
        return;
    }
    struct fact *fact = fact_of(place->id, "done");
    if (exact && fact->done_exact) {
        world_fail("item %llu is done twice", ITEM(fact));
    }
    fact->done_exact |= exact;
    fact->done_left = true;
}

static void check_token(const struct fact *fact, const struct oracle_grant *grant)
{
    bool before = fact->delivery > 0 && fact->from_queue_id == grant->queue_id && fact->from_seq == grant->seq;
    bool same_get = fact->session == grant->session && fact->get_id == grant->get_id;
    if (before && fact->epoch == grant->epoch && fact->delivery == grant->delivery && !same_get) {
        world_fail("item %llu: two leases with one token", ITEM(fact));
    }
    // Of an item put with a delay the time may come twice, with a wall clock set back: then nobody can tell.
    bool told = !fact->delayed || host_broker_born_ms() >= fact->broker_ms;
    if (before && fact->epoch != grant->epoch && !same_get && told && grant->delivery == 1 && !grant->redelivered) {
        world_fail("item %llu was handed out before the crash and is not marked redelivered", ITEM(fact));
    }
}

void oracle_granted(const struct oracle_grant *grant)
{
    const struct disk_place *place = disk_place_at(grant->queue_id, grant->seq);
    world_trace("  item %llu, queue %llu seq %llu, epoch %llu delivery %u%s", (unsigned long long)grant->id,
                (unsigned long long)grant->queue_id, (unsigned long long)grant->seq, (unsigned long long)grant->epoch,
                grant->delivery, grant->redelivered ? ", redelivered" : "");
    if (place == NULL || place->id != grant->id) {
        world_fail("item %llu leaves before its own put is durable, or as another one", (unsigned long long)grant->id);
    }
    struct fact *fact = fact_of(grant->id, "a get's answer");
    if (place->dead != grant->has_headers) {
        world_fail("item %llu %s", ITEM(fact),
                   place->dead ? "is a dead letter that does not say so" : "has headers that nobody put");
    }
    // A get at most once has taken it for good before its answer leaves; a task_done that comes then is OK, as the item is gone.
    bool taken = grant->at_most_once && !fact->done_exact;
    if (fact->done_left && !taken && disk_place_of(grant->id) == place) {
        world_fail("item %llu is done, and handed out again", ITEM(fact));
    }
    check_token(fact, grant);
    if (grant->last_fresh_seq != NULL && fact->delivery == 0 && !grant->redelivered && !fact->delayed) {
        if (grant->seq <= *grant->last_fresh_seq) {
            world_fail("item %llu (seq %llu) comes after seq %llu on one connection", ITEM(fact), (unsigned long long)grant->seq,
                       (unsigned long long)*grant->last_fresh_seq);
        }
        *grant->last_fresh_seq = grant->seq;
    }
    fact->from_queue_id = grant->queue_id;
    fact->from_seq = grant->seq;
    fact->epoch = grant->epoch;
    fact->session = grant->session;
    fact->get_id = grant->get_id;
    fact->delivery = grant->delivery;
    fact->broker_ms = host_broker_ms();
    if (grant->at_most_once) {
        fact->done_left = fact->done_asked = true;
    }
}

// ---------------------------------------------------------------------------------------------------------------------- the end

// Each client's puts into one queue got their seqs in the order in which it made them.
static void check_order(void)
{
    for (unsigned queue = 0; queue < oracle.queues_count; queue++) {
        uint64_t last_seq[CLIENTS] = {0};
        uint64_t last_queue_id[CLIENTS] = {0};
        for (size_t id = 1; id <= oracle.count; id++) {
            const struct fact *fact = &oracle.facts[id];
            assert(fact->client < CLIENTS);
            if (fact->queue != queue || fact->fate != FATE_STORED || fact->seq == 0) {
                continue;
            }
            if (fact->queue_id == last_queue_id[fact->client] && fact->seq <= last_seq[fact->client]) {
                world_fail("item %llu (seq %llu) was put after one that has seq %llu", ITEM(fact), (unsigned long long)fact->seq,
                           (unsigned long long)last_seq[fact->client]);
            }
            last_queue_id[fact->client] = fact->queue_id;
            last_seq[fact->client] = fact->seq;
        }
    }
}

void oracle_end(void)
{
    for (size_t id = 1; id <= oracle.count; id++) {
        const struct fact *fact = &oracle.facts[id];
        const struct disk_place *place = disk_place_of(id);
        bool accepted = fact->fate == FATE_STORED || fact->confirmed_at != 0;
        if (fact->fate == FATE_ASKED) {
            world_fail("the put of item %llu never ended", ITEM(fact));
        }
        if (fact->fate == FATE_REFUSED && place != NULL && disk_is_kept(place)) {
            world_fail("item %llu: the put was refused, the item was stored", ITEM(fact));
        }
        if (accepted && !fact->done_asked && !fact->drained && !fact->gone) {
            world_fail("item %llu was accepted and is lost", ITEM(fact));
        }
        if (place != NULL && disk_is_live(place) && !fact->drained) {
            world_fail("item %llu is on the disk and cannot be got", ITEM(fact));
        }
    }
    check_order();
}
