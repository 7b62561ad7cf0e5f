#include "samples.h"

#include <stdlib.h>

#define TEXT(text)                                                                                                                 \
    {                                                                                                                              \
        sizeof(text) - 1, (const uint8_t *)(text)                                                                                  \
    }
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define SESSION TEXT("session-id-16-by")
#define TOKEN TEXT("resume-token-of-exactly-32-bytes")
#define STORE TEXT("store-id-16-byte")
#define DURATION_MAX NQ_DURATION_MS_MAX

static const uint64_t waiting[] = {3, 300, 70000};
static const uint64_t held[] = {5, UINT64_MAX};
static const struct nq_bytes bodies[] = {TEXT("first"), TEXT(""), TEXT("\x00\xff third")};
static const struct nq_bytes headers[] = {TEXT("\x0a\x01k\x12\x01v"), TEXT(""),
                                          TEXT("\x0a\x05"
                                               "color\x12\x03red")};
static const uint64_t seqs[] = {1, 128, UINT64_MAX};
static const uint32_t deliveries[] = {1, 2, UINT32_MAX};
static const uint32_t failures[] = {0, 1, 300};
static const bool redelivered[] = {false, true, true};
static const uint32_t statuses[] = {NQ_OK, NQ_LEASE_LOST, NQ_NOT_LEASED};

#define OPTIONS                                                                                                                    \
    {                                                                                                                              \
        .given = 0xFF, .maxsize = 1000, .max_bytes = 1ull << 40, .lease_ms = 60001, .hold_max_ms = 3600002, .max_deliveries = 5,   \
        .dead_letter = TEXT("jobs.dead"), .ttl_ms = DURATION_MAX, .temporary = true                                                \
    }

static const struct sample_request requests[] = {
    {"hello",
     {.id = 1,
      .op = WIRE_HELLO,
      .as.hello = {SESSION, TOKEN, waiting, COUNT_OF(waiting), held, COUNT_OF(held), TEXT("host/program/4711")}}},
    {"hello-new", {.id = 2, .op = WIRE_HELLO, .as.hello = {.session_id = SESSION}}},
    {"put",
     {.id = 3,
      .op = WIRE_PUT,
      .as.put = {TEXT("jobs"), UINT64_MAX, 41, bodies, headers, COUNT_OF(bodies), NQ_WAIT_FOREVER, 1500, true}}},
    {"put-plain",
     {.id = 4,
      .op = WIRE_PUT,
      .as.put = {.queue = TEXT("jobs"), .stream = 7, .first_number = 1, .bodies = bodies, .count = COUNT_OF(bodies)}}},
    {"get", {.id = 5, .op = WIRE_GET, .as.get = {TEXT("jobs"), 100, 65536, 30000, 10000, 20000, true}}},
    {"task-done", {.id = 6, .op = WIRE_TASK_DONE, .as.tokens = {.queue_id = 9, .epoch = 2, .seqs = seqs, .count = COUNT_OF(seqs)}}},
    {"extend",
     {.id = 7,
      .op = WIRE_EXTEND,
      .as.tokens = {.queue_id = 9, .epoch = 2, .seqs = seqs, .deliveries = deliveries, .count = 3, .lease_ms = 5000}}},
    {"requeue",
     {.id = 8,
      .op = WIRE_REQUEUE,
      .as.tokens = {.queue_id = 9,
                    .epoch = 2,
                    .seqs = seqs,
                    .deliveries = deliveries,
                    .count = 3,
                    .delay_ms = 250,
                    .failed = true,
                    .dead = true,
                    .reason = TEXT("no such customer")}}},
    {"join", {.id = 9, .op = WIRE_JOIN, .as.on_queue = {.queue = TEXT("jobs"), .wait_ms = 1}}},
    {"declare", {.id = 10, .op = WIRE_DECLARE, .as.declare = {TEXT("jobs"), OPTIONS, 12, true}}},
    {"purge", {.id = 11, .op = WIRE_PURGE, .as.on_queue = {.queue = TEXT("jobs")}}},
    {"delete", {.id = 12, .op = WIRE_DELETE, .as.on_queue = {.queue = TEXT("jobs")}}},
    {"shutdown", {.id = 13, .op = WIRE_SHUTDOWN, .as.on_queue = {.queue = TEXT("jobs"), .immediate = true}}},
    {"stat", {.id = 14, .op = WIRE_STAT, .as.on_queue = {.queue = TEXT("jobs")}}},
    {"list", {.id = 15, .op = WIRE_LIST, .as.list = {TEXT("jobs"), 20}}},
    {"peek",
     {.id = 16, .op = WIRE_PEEK, .as.on_queue = {.queue = TEXT("jobs"), .from_seq = 17, .max_items = 3, .max_bytes = 4096}}},
    {"redrive", {.id = 17, .op = WIRE_REDRIVE, .as.on_queue = {.queue = TEXT("jobs.dead"), .max_items = 6, .to = TEXT("jobs")}}},
    {"renew", {.id = 18, .op = WIRE_RENEW, .as.renew = {SESSION, TOKEN}}},
    {"cancel", {.id = 19, .op = WIRE_CANCEL, .as.cancel_id = 5}},
    {"ping", {.id = 20, .op = WIRE_PING}},
    {"goodbye", {.id = 21, .op = WIRE_GOODBYE}},
    {"backup", {.id = 22, .op = WIRE_BACKUP, .as.backup_name = TEXT("2026-11-26.evening")}},
};

#define STATS                                                                                                                      \
    {                                                                                                                              \
        .name = TEXT("jobs"), .queue_id = 9, .options = OPTIONS, .ready = 101, .delayed = 102, .leased = 103, .unfinished = 306,   \
        .ready_bytes = 105, .next_seq = 106, .puts = 107, .gets = 108, .dones = 109, .redelivered = 110, .requeued = 111,          \
        .failed = 112, .expired = 113, .purged = 114, .dead_lettered = 115, .dropped = 116, .quarantined = 117,                    \
        .state = NQ_QUEUE_SHUT_DOWN, .waiting_gets = 118, .waiting_puts = 119, .waiting_joins = 120, .consumers = 121              \
    }

static const struct wire_queue_stats queues[] = {STATS, {.name = TEXT("other"), .queue_id = 10, .next_seq = 1}};

static const struct sample_reply replies[] = {
    {"hello",
     {.id = 1,
      .result = WIRE_HELLO,
      .as.hello = {TOKEN,
                   STORE,
                   true,
                   3,
                   {1048576, 4096, 8388608, NQ_ITEMS_PER_REQUEST_MAX, NQ_REQUESTS_PER_FRAME_MAX, 15000, 2000},
                   TEXT("0.1.0")}}},
    {"put", {.id = 3, .status = NQ_FULL, .detail = TEXT("the queue is full"), .result = WIRE_PUT, .as.put = {2, 42, true, 43}}},
    {"get",
     {.id = 5,
      .result = WIRE_GET,
      .as.get = {9, 2, COUNT_OF(bodies), bodies, headers, seqs, deliveries, failures, redelivered, 60000, 3600000}}},
    {"get-plain", {.id = 5, .result = WIRE_GET, .as.get = {.queue_id = 9, .epoch = 2, .count = 3, .bodies = bodies, .seqs = seqs}}},
    {"tokens", {.id = 6, .status = NQ_LEASE_LOST, .result = WIRE_TASK_DONE, .as.tokens = {statuses, COUNT_OF(statuses), 1}}},
    {"stat", {.id = 14, .result = WIRE_STAT, .as.stat = STATS}},
    {"list", {.id = 15, .result = WIRE_LIST, .as.list = {queues, COUNT_OF(queues), true}}},
    {"peek", {.id = 16, .result = WIRE_PEEK, .as.peek = {seqs, bodies, headers, COUNT_OF(bodies)}}},
    {"count", {.id = 17, .status = NQ_FULL, .result = WIRE_PURGE, .as.count = 6}},
    {"ping", {.id = 20, .result = WIRE_PING, .as.ping = {TEXT("0.1.0"), STORE, 3, 86400000, 12, 34}}},
    {"no-result", {.id = 21, .status = NQ_NO_SESSION, .detail = TEXT("say hello first")}},
};

const struct sample_request *sample_requests(size_t *count)
{
    *count = COUNT_OF(requests);
    return requests;
}

const struct sample_reply *sample_replies(size_t *count)
{
    *count = COUNT_OF(replies);
    return replies;
}

void sample_request_frame(struct wire_request_frame *out, struct wire_request *of, size_t count)
{
    static const uint64_t taken_gets[] = {5, 1000};
    static const uint32_t taken_counts[] = {2, 10000};
    *out = (struct wire_request_frame){
        .version = NQ_PROTOCOL_VERSION,
        .requests = of,
        .count = count,
        .taken_gets = taken_gets,
        .taken_counts = taken_counts,
        .taken_count = COUNT_OF(taken_gets),
        .workers = 4,
    };
}

void sample_reply_frame(struct wire_reply_frame *out, struct wire_reply *of, size_t count)
{
    *out = (struct wire_reply_frame){.version = NQ_PROTOCOL_VERSION, .replies = of, .count = count, .probe = true};
}

static void *pack(const struct wire_packer *packer, size_t *len)
{
    if (!packer)
        return NULL;
    *len = wire_packed_size(packer);
    void *bytes = malloc(*len);
    if (bytes)
        wire_pack(packer, bytes);
    return bytes;
}

void *sample_request_encode(const struct sample_request *sample, size_t *len)
{
    struct nq_arena *arena = nq_arena_create(4096, 0);
    if (!arena)
        return NULL;
    struct wire_request request = sample->request;
    struct wire_request_frame frame;
    sample_request_frame(&frame, &request, 1);
    void *bytes = pack(wire_prepare_requests(arena, &frame), len);
    nq_arena_destroy(&arena);
    return bytes;
}

void *sample_reply_encode(const struct sample_reply *sample, size_t *len)
{
    struct nq_arena *arena = nq_arena_create(4096, 0);
    if (!arena)
        return NULL;
    struct wire_reply reply = sample->reply;
    struct wire_reply_frame frame;
    sample_reply_frame(&frame, &reply, 1);
    void *bytes = pack(wire_prepare_replies(arena, &frame), len);
    nq_arena_destroy(&arena);
    return bytes;
}
