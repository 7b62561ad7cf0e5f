#include "tap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "body.h"
#include "disk.h"
#include "host.h"
#include "leases.h"
#include "net.h"
#include "oracle.h"
#include "queues.h"
#include "state.h"
#include "table.h"
#include "wire.h"
#include "world.h"

enum {
    SESSIONS_MAX = 1024,
    LINK_SESSION = 1 << 20,
    NOTICE_US = 300 * 1000,
    NQ_ITEMS_SEEN_MAX = 1024,
    MARGIN_US = 30 * 1000
}; // the broker's time is that of its turn, which gathers for a while

// A request that has come in, perhaps several times.
struct asked {
    struct asked *next; // of all
    enum wire_op op;
    uint32_t came, answered;
    unsigned queue;
    uint64_t asked_at; // of a join
    bool at_most_once, empties;
    bool came_to_full_disk;  // and the broker had had the time to notice
    uint32_t came_with_room; // how often, not answered yet
    uint64_t came_us;        // first
    uint64_t came_ms;        // in the broker's time, which a step of the wall clock moves on when it is started again
    uint64_t first_link;     // its number
    uint64_t queue_id;       // of tokens
    uint64_t *numbers;       // items of a put, seqs of tokens
    size_t count;
    uint64_t epoch;        // of tokens
    uint64_t temporary_id; // of a put or get: its queue, when that was known to be temporary
    uint32_t *deliveries;
    struct leases_answer *answer; // to a get
};

// Where the fresh items of one queue have come to on one link.
struct progress {
    struct progress *next;
    uint64_t last_seq;
};

static struct {
    struct nq_arena *arena;
    struct table requests; // (session, id)
    struct table progress; // (link, queue id)
    struct asked *all;
    struct progress *all_progress;
    uint8_t sessions[SESSIONS_MAX][NQ_SESSION_ID_BYTES];
    unsigned sessions_count;
    uint64_t requests_count, replies_count;
} tap;

// ------------------------------------------------------------------------------------------------------------------- requests

static unsigned session_of(const uint8_t *id)
{
    for (unsigned i = 0; i < tap.sessions_count; i++) {
        if (memcmp(tap.sessions[i], id, NQ_SESSION_ID_BYTES) == 0) {
            return i + 1;
        }
    }
    assert(tap.sessions_count < SESSIONS_MAX);
    memcpy(tap.sessions[tap.sessions_count++], id, NQ_SESSION_ID_BYTES);
    return tap.sessions_count;
}

// Requests on a link without a session are known by the link.
static uint64_t session_key(const struct link *link)
{
    return link->session != 0 ? link->session : LINK_SESSION + link->number;
}

static uint64_t session_no_of(const struct link *link)
{
    return link->session == 0 ? 0 : state_session_no(tap.sessions[link->session - 1]);
}

static unsigned queue_of(const struct nq_bytes *name)
{
    return oracle_queue_index((const char *)name->data, name->len);
}

static void keep_numbers(struct asked *asked, const uint64_t *numbers, size_t count)
{
    asked->numbers = malloc((count + 1) * sizeof(*numbers));
    assert(asked->numbers != NULL);
    if (count > 0) {
        memcpy(asked->numbers, numbers, count * sizeof(*numbers));
    }
    asked->count = count;
}

static void take_put(struct asked *asked, const struct wire_put *put)
{
    bool has_room = !host_disk_is_full(world_now_us() - NOTICE_US);
    uint64_t *ids = nq_arena_alloc(tap.arena, (put->count + 1) * sizeof(*ids));
    for (size_t i = 0; i < put->count; i++) {
        ids[i] = body_id(put->bodies[i].data, put->bodies[i].len);
        world_trace("  puts item %llu", (unsigned long long)ids[i]);
        oracle_put_arrived(ids[i], has_room);
    }
    asked->came_with_room += has_room ? 1 : 0;
    if (asked->came > 0 && (asked->count != put->count || memcmp(asked->numbers, ids, put->count * sizeof(*ids)) != 0)) {
        world_fail("the number of one put is used for another");
    }
    if (asked->came == 0) {
        keep_numbers(asked, ids, put->count);
    }
}

static void take_use(struct asked *asked, const struct nq_bytes *name)
{
    const struct queue_record *record = disk_queue_named((const char *)name->data, name->len);
    asked->temporary_id = record != NULL && record->temporary ? record->queue_id : 0;
    queues_used_by_name(queue_of(name));
}

static void take_get(struct asked *asked, const struct wire_get *get)
{
    asked->at_most_once = get->at_most_once;
    take_use(asked, &get->queue);
    if (get->at_most_once) {
        oracle_at_most_once(queue_of(&get->queue));
    }
}

static struct leases_token token_at(const struct asked *asked, size_t i)
{
    return (struct leases_token){
        .queue_id = asked->queue_id, .seq = asked->numbers[i], .epoch = asked->epoch, .delivery = asked->deliveries[i]};
}

static void take_tokens(struct asked *asked, const struct wire_tokens *tokens)
{
    if (asked->came == 0) {
        asked->queue_id = tokens->queue_id;
        asked->epoch = tokens->epoch;
        keep_numbers(asked, tokens->seqs, tokens->count);
        asked->deliveries = malloc((tokens->count + 1) * sizeof(*asked->deliveries));
        assert(asked->deliveries != NULL);
        for (size_t i = 0; i < tokens->count; i++) {
            asked->deliveries[i] = tokens->deliveries == NULL ? 1 : tokens->deliveries[i];
        }
    }
    for (size_t i = 0; i < asked->count; i++) {
        const struct leases_token token = token_at(asked, i);
        leases_named(&token);
    }
}

static void take_detail(struct asked *asked, const struct wire_request *request)
{
    const struct wire_on_queue *on_queue = &request->as.on_queue;
    switch (request->op) {
    case WIRE_PUT:
        take_use(asked, &request->as.put.queue);
        take_put(asked, &request->as.put);
        break;
    case WIRE_GET:
        take_get(asked, &request->as.get);
        break;
    case WIRE_DECLARE:
        queues_declared(queue_of(&request->as.declare.queue), request->as.declare.initial);
        break;
    case WIRE_TASK_DONE:
    case WIRE_EXTEND:
    case WIRE_REQUEUE:
        take_tokens(asked, &request->as.tokens);
        break;
    case WIRE_JOIN:
        asked->queue = queue_of(&on_queue->queue);
        asked->asked_at = asked->came == 0 ? oracle_moment() : asked->asked_at;
        break;
    case WIRE_SHUTDOWN:
    case WIRE_PURGE:
    case WIRE_DELETE:
        if (request->op == WIRE_DELETE) {
            queues_delete_asked(queue_of(&on_queue->queue));
        }
        if (request->op != WIRE_SHUTDOWN || on_queue->immediate) {
            oracle_queue_emptied(queue_of(&on_queue->queue));
        }
        break;
    default:
        break;
    }
}

// The gets that it names are asked for once more.
static void take_hello(struct link *link, const struct wire_hello *hello)
{
    link->session = session_of(hello->session_id.data);
    leases_hello(link->session);
    for (size_t i = 0; i < hello->waiting_gets_count; i++) {
        struct asked *asked = table_find(&tap.requests, session_key(link), hello->waiting_gets[i]);
        if (asked != NULL) {
            asked->came++;
        }
    }
}

static void take_request(struct link *link, const struct wire_request *request)
{
    if (request->op == WIRE_HELLO) {
        take_hello(link, &request->as.hello);
    }
    struct asked *asked = table_find(&tap.requests, session_key(link), request->id);
    if (asked == NULL) {
        asked = calloc(1, sizeof(*asked));
        assert(asked != NULL);
        asked->op = request->op;
        asked->came_us = world_now_us();
        asked->came_ms = host_broker_ms();
        asked->first_link = link->number;
        asked->came_to_full_disk = host_disk_is_full(world_now_us() - NOTICE_US);
        asked->next = tap.all;
        tap.all = asked;
        table_insert(&tap.requests, session_key(link), request->id, asked);
    }
    if (asked->op != request->op) {
        world_fail("request number %llu is used twice", (unsigned long long)request->id);
    }
    take_detail(asked, request);
    asked->came++;
    tap.requests_count++;
    world_trace("link %llu: request %llu, operation %d", (unsigned long long)link->number, (unsigned long long)request->id,
                (int)request->op);
}

void tap_request(struct link *link, const void *data, size_t len)
{
    static const struct wire_decode_limits limits = {.body_bytes = NQ_BODY_BYTES_DEFAULT,
                                                     .headers_bytes = NQ_HEADERS_BYTES_DEFAULT};
    struct wire_request_frame frame;
    nq_arena_reset(tap.arena);
    if (wire_decode_requests(tap.arena, data, len, &limits, &frame) != NQ_OK) {
        world_fail("a client sends what is no frame");
    }
    for (size_t i = 0; i < frame.count; i++) {
        take_request(link, &frame.requests[i]);
    }
}

// --------------------------------------------------------------------------------------------------------------------- replies

static void check_put(const struct link *link, struct asked *asked, const struct wire_reply *reply)
{
    const struct wire_put_reply *put = &reply->as.put;
    if (reply->status == NQ_NO_SPACE && !host_disk_was_full()) {
        world_fail("a put is refused for want of space, which there is");
    }
    if (put->accepted > asked->count) {
        world_fail("%llu items of a put of %zu are accepted", (unsigned long long)put->accepted, asked->count);
    }
    bool only_told = asked->came_to_full_disk && asked->came == 1; // what was accepted before
    for (size_t i = 0; i < put->accepted; i++) {
        if (only_told && !(put->duplicate && oracle_put_may_be_accepted(asked->numbers[i]))) {
            world_fail("a put that came to a full disk is accepted: item %llu", (unsigned long long)asked->numbers[i]);
        }
        oracle_put_confirmed(asked->numbers[i]);
        if (disk_place_of(asked->numbers[i])->queue_id == asked->temporary_id) {
            queues_user(asked->temporary_id, session_no_of(link));
        }
    }
    for (size_t i = put->accepted; i < asked->count && asked->came_with_room > 0; i++) {
        oracle_put_hopeless(asked->numbers[i]);
    }
    asked->came_with_room -= asked->came_with_room > 0 ? 1 : 0;
}

static uint64_t *progress_of(const struct link *link, uint64_t queue_id)
{
    struct progress *progress = table_find(&tap.progress, link->number, queue_id);
    if (progress == NULL) {
        progress = calloc(1, sizeof(*progress));
        assert(progress != NULL);
        progress->next = tap.all_progress;
        tap.all_progress = progress;
        table_insert(&tap.progress, link->number, queue_id, progress);
    }
    return &progress->last_seq;
}

// Empty ones are initial ones, which are known by where they are.
static uint64_t item_id(const struct wire_get_reply *get, size_t i)
{
    uint64_t id = body_id(get->bodies[i].data, get->bodies[i].len);
    const struct disk_place *place = id != 0 ? NULL : disk_place_at(get->queue_id, get->seqs[i]);
    return place == NULL ? id : place->id;
}

static void check_failures(const struct wire_get_reply *get, size_t i)
{
    uint32_t delivery = get->deliveries == NULL ? 1 : get->deliveries[i];
    uint32_t failures = get->failures == NULL ? 0 : get->failures[i];
    if (failures >= delivery) {
        world_fail("queue %llu, seq %llu: handed out for time %u, it has failed %u times before", (unsigned long long)get->queue_id,
                   (unsigned long long)get->seqs[i], delivery, failures);
    }
}

static void check_get(const struct link *link, struct asked *asked, uint64_t get_id, const struct wire_get_reply *get)
{
    static struct oracle_grant grants[NQ_ITEMS_SEEN_MAX]; // too much for a fiber
    uint64_t lease_ms = get->lease_ms < get->hold_max_ms ? get->lease_ms : get->hold_max_ms;
    uint64_t session_no = session_no_of(link);
    bool in_order =
        asked->first_link == link->number; // sent again, gets are answered in that order, whichever had come first to items
    assert(get->count <= NQ_ITEMS_SEEN_MAX);
    if (get->count == 0) {
        world_fail("an answer to a get without items");
    }
    for (size_t i = 0; i < get->count; i++) {
        check_failures(get, i);
        grants[i] = (struct oracle_grant){.id = item_id(get, i),
                                          .queue_id = get->queue_id,
                                          .seq = get->seqs[i],
                                          .epoch = get->epoch,
                                          .session = session_key(link),
                                          .session_no = session_no,
                                          .get_id = get_id,
                                          .lease_ends_us = asked->came_us + lease_ms * 1000 - MARGIN_US,
                                          .hold_ends_ms = asked->came_ms + get->hold_max_ms - MARGIN_US / 1000,
                                          .delivery = get->deliveries == NULL ? 1 : get->deliveries[i],
                                          .redelivered = get->redelivered != NULL && get->redelivered[i],
                                          .has_headers = get->headers != NULL && get->headers[i].len > 0,
                                          .at_most_once = asked->at_most_once,
                                          .last_fresh_seq = in_order ? progress_of(link, get->queue_id) : NULL};
        oracle_granted(&grants[i]);
    }
    const struct leases_reply reply = {.grants = grants, .count = get->count};
    leases_granted(&asked->answer, &reply);
    if (get->queue_id == asked->temporary_id) {
        queues_user(get->queue_id, session_no);
    }
}

static void check_done(const struct asked *asked, const struct wire_reply *reply)
{
    const struct wire_token_reply *tokens = &reply->as.tokens;
    bool has_list = reply->result == WIRE_TASK_DONE && tokens->statuses != NULL;
    bool exact = reply->result != WIRE_TASK_DONE || tokens->gone == 0;
    for (size_t i = 0; i < asked->count; i++) {
        enum nq_status status = has_list ? (enum nq_status)tokens->statuses[i] : reply->status;
        const struct leases_token token = token_at(asked, i);
        leases_done(&token, asked->came_us, exact && status == NQ_OK, status);
        if (status == NQ_OK) {
            oracle_done_confirmed(asked->queue_id, asked->numbers[i], exact);
        }
    }
}

static void check_stat(const struct wire_queue_stats *stat)
{
    const struct queue_record *stored = disk_queue(stat->queue_id);
    const char *name = (const char *)stat->name.data;
    int len = (int)stat->name.len;
    uint64_t left = stat->dones + stat->expired + stat->purged + stat->dead_lettered + stat->dropped + stat->quarantined;
    bool gone = stored != NULL && stored->deleted; // in the same group, perhaps: then what it had counted went with it
    if (!gone && (stored == NULL || stored->puts < stat->puts || stored->dones < stat->dones || stored->purged < stat->purged)) {
        world_fail("queue %.*s: statistics leave before what they count is durable", len, name);
    }
    unsigned queue = oracle_queue_index(name, stat->name.len);
    bool redriven = queue != ORACLE_QUEUES && oracle_may_exceed(name, stat->name.len); // items leave it that no counter names
    bool adds_up = redriven ? stat->puts >= left + stat->unfinished : stat->puts == left + stat->unfinished;
    if (stat->unfinished != stat->ready + stat->delayed + stat->leased || !adds_up) {
        world_fail("queue %.*s: %llu put, %llu left it, %llu unfinished (%llu ready, %llu delayed, %llu leased)", len, name,
                   (unsigned long long)stat->puts, (unsigned long long)left, (unsigned long long)stat->unfinished,
                   (unsigned long long)stat->ready, (unsigned long long)stat->delayed, (unsigned long long)stat->leased);
    }
}

static void check_redrive(const struct asked *asked, const struct wire_reply *reply)
{
    if (reply->status == NQ_NO_SPACE && !host_disk_was_full()) {
        world_fail("a redrive stops for want of space, which there is");
    }
    if (asked->came_to_full_disk && host_disk_is_full(asked->came_us - NOTICE_US) && reply->as.count > 0) {
        world_fail("a redrive that came to a full disk moves items");
    }
}

static void check_reply(const struct link *link, struct asked *asked, const struct wire_reply *reply)
{
    if (asked->op == WIRE_PUT && reply->result == WIRE_PUT) {
        check_put(link, asked, reply);
    } else if (asked->op == WIRE_GET && reply->status == NQ_OK && reply->result == WIRE_GET) {
        check_get(link, asked, reply->id, &reply->as.get);
    } else if (asked->op == WIRE_TASK_DONE) {
        check_done(asked, reply);
    } else if (asked->op == WIRE_REDRIVE && reply->result == WIRE_PURGE) {
        check_redrive(asked, reply);
    } else if (asked->op == WIRE_JOIN && reply->status == NQ_OK) {
        oracle_joined(asked->queue, asked->asked_at);
    } else if (reply->result == WIRE_STAT) {
        check_stat(&reply->as.stat);
    }
    for (size_t i = 0; reply->result == WIRE_LIST && i < reply->as.list.count; i++) {
        check_stat(&reply->as.list.queues[i]);
    }
}

void tap_reply(struct link *link, const void *data, size_t len)
{
    struct wire_reply_frame frame;
    nq_arena_reset(tap.arena);
    if (wire_decode_replies(tap.arena, data, len, &frame) != NQ_OK) {
        world_fail("the broker sends what is no frame");
    }
    for (size_t i = 0; i < frame.count; i++) {
        const struct wire_reply *reply = &frame.replies[i];
        struct asked *asked = table_find(&tap.requests, session_key(link), reply->id);
        world_trace("link %llu: answer %llu, %s", (unsigned long long)link->number, (unsigned long long)reply->id,
                    nq_status_name(reply->status));
        if (asked == NULL || asked->answered == asked->came) {
            world_fail("%s answer to request %llu on link %llu", asked == NULL ? "an" : "a second", (unsigned long long)reply->id,
                       (unsigned long long)link->number);
        }
        asked->answered++;
        tap.replies_count++;
        check_reply(link, asked, reply);
    }
}

// ----------------------------------------------------------------------------------------------------------------- life-cycle

uint64_t tap_requests(void)
{
    return tap.requests_count;
}

uint64_t tap_replies(void)
{
    return tap.replies_count;
}

void tap_begin(void)
{
    struct nq_arena *arena = tap.arena != NULL ? tap.arena : nq_arena_create((size_t)256 * 1024, 0);
    assert(arena != NULL);
    memset(&tap, 0, sizeof(tap));
    tap.arena = arena;
}

void tap_end(void)
{
    while (tap.all != NULL) {
        struct asked *asked = tap.all;
        tap.all = asked->next;
        free(asked->numbers);
        free(asked->deliveries);
        free(asked->answer);
        free(asked);
    }
    while (tap.all_progress != NULL) {
        struct progress *progress = tap.all_progress;
        tap.all_progress = progress->next;
        free(progress);
    }
    table_fini(&tap.requests);
    table_fini(&tap.progress);
    nq_arena_destroy(&tap.arena);
}
