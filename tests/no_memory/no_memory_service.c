// Requests from their bytes to the store, and a start on what is stored: when memory is out the broker ends, and no answer it gave
// is wrong. After it, with memory enough, every item whose put was answered OK and that was not finished is there.
#include <stdio.h>
#include <string.h>

#include "no_memory.h"
#include "service_rig.h"
#include "store_memory.h"

enum { FRAMES_MAX = 48, FRAME_BYTES = 512, PUTS = 12, LAST_SEEN = 200 };

static struct {
    uint8_t bytes[FRAME_BYTES];
    size_t len;
    uint64_t id;
    int puts; // number of the item it puts; 0: none
} frames[FRAMES_MAX];
static size_t frame_count;

// Items by number: what the client was told, and what it saw afterwards.
static bool accepted[PUTS + 1], seen[PUTS + 1];

static struct nq_bytes text_bytes(const char *text)
{
    return (struct nq_bytes){strlen(text), (const uint8_t *)text};
}

// ------------------------------------------------------------------------------------------------- frames, made before it starts

static void add_frame(const struct wire_request *request, int puts)
{
    struct nq_arena *arena = nq_arena_create(4096, 0);
    struct wire_request copy = *request;
    copy.id = 100 + frame_count;
    const struct wire_request_frame frame = {.version = NQ_PROTOCOL_VERSION, .requests = &copy, .count = 1, .workers = 1};
    const struct wire_packer *packer = wire_prepare_requests(arena, &frame);
    no_memory_require(packer != NULL && wire_packed_size(packer) <= FRAME_BYTES && frame_count < FRAMES_MAX, "a frame fits");
    frames[frame_count].len = wire_packed_size(packer);
    frames[frame_count].id = copy.id;
    frames[frame_count].puts = puts;
    wire_pack(packer, frames[frame_count++].bytes);
    nq_arena_destroy(&arena);
}

static void add_put(const char *queue, uint64_t stream, uint64_t number, int item, uint64_t wait_ms, uint64_t delay_ms)
{
    char text[8];
    snprintf(text, sizeof(text), "%d", item);
    const struct nq_bytes body = text_bytes(text);
    const struct wire_request put = {.op = WIRE_PUT,
                                     .as.put = {.queue = text_bytes(queue),
                                                .stream = stream,
                                                .first_number = number,
                                                .bodies = &body,
                                                .count = 1,
                                                .wait_ms = wait_ms,
                                                .delay_ms = delay_ms}};
    add_frame(&put, item);
}

static void add_get(const char *queue, uint32_t items, uint64_t wait_ms)
{
    const struct wire_request get = {
        .op = WIRE_GET, .as.get = {.queue = text_bytes(queue), .max_items = items, .wait_ms = wait_ms, .lease_ms = 1000}};
    add_frame(&get, 0);
}

static void add_requeue(uint64_t seq, bool dead)
{
    const struct wire_request requeue = {
        .op = WIRE_REQUEUE,
        .as.tokens = {
            .queue_id = 1, .epoch = 1, .seqs = &seq, .count = 1, .failed = true, .dead = dead, .reason = text_bytes("why")}};
    add_frame(&requeue, 0);
}

static void add_on_queue(enum wire_op op, const char *queue)
{
    const struct wire_request request = {
        .op = op, .as.on_queue = {.queue = text_bytes(queue), .wait_ms = 5000, .max_items = 10, .from_seq = 1}};
    add_frame(&request, 0);
}

// Of everything that allocates a little. The queue "q" has id 1.
static void make_frames(void)
{
    static const uint8_t session_id[NQ_SESSION_ID_BYTES] = {9};
    const struct wire_request hello = {.op = WIRE_HELLO, .as.hello.session_id = {sizeof(session_id), session_id}};
    const struct wire_request declare = {
        .op = WIRE_DECLARE,
        .as.declare = {.queue = text_bytes("q"),
                       .options = {.given = NQ_OPTION_DEAD_LETTER | NQ_OPTION_MAXSIZE | NQ_OPTION_TTL,
                                   .maxsize = 4,
                                   .ttl_ms = 1000000,
                                   .dead_letter = text_bytes("dead")}}};
    const struct wire_request list = {.op = WIRE_LIST, .as.list = {.max = 10}};
    const struct wire_request ping = {.op = WIRE_PING};
    add_frame(&hello, 0);
    add_frame(&declare, 0);
    for (int item = 1; item <= 4; item++) {
        add_put("q", 5, (uint64_t)item, item, 0, 0);
    }
    add_put("q", 5, 5, 5, 60000, 0); // waits for room
    add_get("q", 2, 0);
    add_on_queue(WIRE_PEEK, "q");
    add_requeue(1, true);
    add_requeue(2, false);
    add_get("empty", 5, 50000); // waits, until there is something
    add_put("empty", 6, 1, 6, 0, 0);
    add_put("other", 7, 1, 7, 0, 500);
    add_put("other", 7, 2, 8, 0, 0);
    add_on_queue(WIRE_STAT, "q");
    add_on_queue(WIRE_REDRIVE, "dead");
    add_on_queue(WIRE_JOIN, "other");
    add_frame(&list, 0);
    add_frame(&ping, 0);
}

// ------------------------------------------------------------------------------------------------------------------------- answers

static void take_reply(const struct wire_reply *reply)
{
    for (size_t i = 0; i < frame_count; i++) {
        if (frames[i].id == reply->id && frames[i].puts > 0 && reply->status == NQ_OK) {
            accepted[frames[i].puts] = true;
        }
    }
    for (size_t i = 0; reply->id >= LAST_SEEN && reply->result == WIRE_GET && i < reply->as.get.count; i++) {
        int item = 0;
        for (size_t at = 0; at < reply->as.get.bodies[i].len; at++) {
            item = item * 10 + (reply->as.get.bodies[i].data[at] - '0');
        }
        no_memory_require(item >= 1 && item <= PUTS && !seen[item], "an item comes back once, as it was");
        seen[item] = true;
    }
}

static bool on_frame(void *context, uint64_t connection, const struct wire_packer *packer)
{
    (void)context;
    (void)connection;
    failing_alloc_pause(true);
    static uint8_t bytes[65536];
    struct nq_arena *arena = nq_arena_create(65536, 0);
    struct wire_reply_frame frame;
    no_memory_require(wire_packed_size(packer) <= sizeof(bytes), "a reply of moderate size");
    wire_pack(packer, bytes);
    no_memory_require(wire_decode_replies(arena, bytes, wire_packed_size(packer), &frame) == NQ_OK, "a reply can be decoded");
    for (size_t i = 0; i < frame.count; i++) {
        take_reply(&frame.replies[i]);
    }
    nq_arena_destroy(&arena);
    failing_alloc_pause(false);
    return true;
}

static struct service_rig_config config(void)
{
    struct service_rig_config config = service_rig_small();
    config.frame = on_frame;
    return config;
}

// ----------------------------------------------------------------------------------------------------------------------- the runs

static const struct store_ops *memory_ops;
static bool store_may_fail;

// The store stands for a disk here, so it goes on without memory: what it holds must outlive the broker. Its own failures are a run
// of their own, after which there is nothing to look at.
static enum nq_status commit_to_disk(struct store *store, const struct changes *changes, struct store_error *error)
{
    failing_alloc_pause(!store_may_fail);
    enum nq_status status = memory_ops->commit(store, changes, error);
    failing_alloc_pause(false);
    return status;
}

static struct store *create_store(void)
{
    static const uint8_t new_id[NQ_STORE_ID_BYTES] = {1};
    static struct store_ops ops;
    struct store *store = store_memory_create(0, new_id);
    no_memory_require(store != NULL, "a store");
    memory_ops = store->ops;
    ops = *memory_ops;
    ops.commit = commit_to_disk;
    store->ops = &ops;
    memset(accepted, 0, sizeof(accepted));
    memset(seen, 0, sizeof(seen));
    return store;
}

// False: the broker would have ended.
static bool serve(struct service_rig *rig)
{
    for (size_t i = 0; i < frame_count; i++) {
        service_rig_receive(rig, 1, frames[i].bytes, frames[i].len);
        if (!service_rig_end_turn(rig) || (i % 3 == 2 && service_rig_commit(rig, 20) != NQ_OK)) {
            return false;
        }
    }
    for (int i = 0; i < 40; i++) { // leases, delays and waits end
        rig->now_ms += 500;
        if (!service_rig_end_turn(rig) || service_rig_commit(rig, 20) != NQ_OK) {
            return false;
        }
    }
    return true;
}

// All that is left in a queue, whoever held it before.
static void drain(struct service_rig *rig, const char *queue, uint64_t id)
{
    struct nq_arena *arena = nq_arena_create(4096, 0);
    struct wire_request get = {.id = id, .op = WIRE_GET, .as.get = {.queue = text_bytes(queue), .max_items = 100}};
    const struct wire_request_frame frame = {.version = NQ_PROTOCOL_VERSION, .requests = &get, .count = 1, .workers = 1};
    const struct wire_packer *packer = wire_prepare_requests(arena, &frame);
    uint8_t bytes[FRAME_BYTES];
    wire_pack(packer, bytes);
    service_rig_receive(rig, 7, bytes, wire_packed_size(packer));
    no_memory_require(service_rig_end_turn(rig) && service_rig_commit(rig, 20) == NQ_OK, "with memory it goes on");
    nq_arena_destroy(&arena);
}

static void look_afterwards(struct store *store)
{
    static const uint8_t other_id[NQ_SESSION_ID_BYTES] = {8};
    struct service_rig rig;
    struct store_error error;
    const struct service_rig_config plain = config();
    no_memory_require(service_rig_open(&rig, store, &plain, &error) == NQ_OK, "the store can be started on");
    rig.now_ms += 100000; // the session of before ends, its leases and delays with it
    no_memory_require(service_rig_end_turn(&rig) && service_rig_commit(&rig, 20) == NQ_OK, "time passes");
    size_t own = frame_count; // a HELLO of another session, behind the others for a moment
    const struct wire_request hello = {.op = WIRE_HELLO, .as.hello.session_id = {sizeof(other_id), other_id}};
    add_frame(&hello, 0);
    service_rig_receive(&rig, 7, frames[own].bytes, frames[own].len);
    frame_count = own;
    no_memory_require(service_rig_end_turn(&rig) && service_rig_commit(&rig, 20) == NQ_OK, "a session is opened");
    static const char *const queues[] = {"q", "dead", "empty", "other"};
    for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        drain(&rig, queues[i], LAST_SEEN + i); // the same id again would be answered as before
    }
    for (int item = 1; item <= PUTS; item++) {
        no_memory_require(seen[item] || !accepted[item], "an accepted item is there");
    }
    service_rig_close(&rig);
}

static void run_requests(uint64_t nth, uint64_t failures)
{
    struct service_rig rig;
    struct store_error error;
    const struct service_rig_config plain = config();
    struct store *store = create_store();
    no_memory_require(service_rig_open(&rig, store, &plain, &error) == NQ_OK, "a start with memory");
    no_memory_arm(ALLOC_THIS_THREAD, nth, failures);
    bool served = serve(&rig);
    bool failed = no_memory_disarm();
    no_memory_require(served || failed, "it ends only when memory is out");
    no_memory_require(failed || (accepted[1] && accepted[5] && accepted[8]), "all is accepted when it is not");
    service_rig_close(&rig);
    if (!store_may_fail) {
        look_afterwards(store);
    }
    store_close(&store);
}

// A start on a store with a bit of everything.
static void run_start(uint64_t nth, uint64_t failures)
{
    struct service_rig rig;
    struct store_error error;
    const struct service_rig_config plain = config();
    struct store *store = create_store();
    no_memory_require(service_rig_open(&rig, store, &plain, &error) == NQ_OK, "a start with memory");
    for (size_t i = 0; i < frame_count; i++) {
        service_rig_receive(&rig, 1, frames[i].bytes, frames[i].len);
        no_memory_require(service_rig_end_turn(&rig), "it serves");
    }
    no_memory_require(service_rig_commit(&rig, 20) == NQ_OK, "and stores");
    service_rig_close(&rig);
    no_memory_arm(ALLOC_THIS_THREAD, nth, failures);
    enum nq_status status = service_rig_open(&rig, store, &plain, &error);
    bool failed = no_memory_disarm();
    no_memory_require(status == NQ_OK || (failed && status == NQ_NO_MEMORY), "a start ends well, or says that memory is out");
    if (status == NQ_OK) {
        service_rig_close(&rig);
    }
    look_afterwards(store);
    store_close(&store);
}

int main(void)
{
    make_frames();
    no_memory_each("requests", run_requests);
    no_memory_each("a start", run_start);
    store_may_fail = true;
    no_memory_each("requests, and a store that fails, too", run_requests);
    return 0;
}
