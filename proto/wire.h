// Bytes on the wire <-> plain structs. The only module that knows protobuf-c. Decoding checks sizes, counts, names and ranges,
// so whoever receives a struct from here can rely on the limits of wire_limits.h; it never blocks, logs or keeps anything.
//
// Ownership: decoded structs and everything they point at live in the arena given. Encoding borrows all it is given.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "status.h"
#include "wire_limits.h"

// A borrowed run of bytes. Same layout as protobuf-c's ProtobufCBinaryData, so that arrays of bodies need no conversion.
struct nq_bytes {
    size_t len;
    const uint8_t *data;
};

enum wire_op {
    WIRE_NONE = 0,
    WIRE_HELLO,
    WIRE_PUT,
    WIRE_GET,
    WIRE_TASK_DONE,
    WIRE_EXTEND,
    WIRE_REQUEUE,
    WIRE_JOIN,
    WIRE_DECLARE,
    WIRE_PURGE,
    WIRE_DELETE,
    WIRE_SHUTDOWN,
    WIRE_STAT,
    WIRE_LIST,
    WIRE_PEEK,
    WIRE_REDRIVE,
    WIRE_RENEW,
    WIRE_CANCEL,
    WIRE_PING,
    WIRE_GOODBYE,
    WIRE_BACKUP,
};

// Bits of nq_options.given: which options a declare names.
enum nq_queue_option {
    NQ_OPTION_MAXSIZE = 1u << 0,
    NQ_OPTION_MAX_BYTES = 1u << 1,
    NQ_OPTION_LEASE = 1u << 2,
    NQ_OPTION_HOLD_MAX = 1u << 3,
    NQ_OPTION_MAX_DELIVERIES = 1u << 4,
    NQ_OPTION_DEAD_LETTER = 1u << 5,
    NQ_OPTION_TTL = 1u << 6,
    NQ_OPTION_TEMPORARY = 1u << 7,
};

enum nq_queue_state { NQ_QUEUE_OPEN = 0, NQ_QUEUE_SHUT_DOWN = 1, NQ_QUEUE_SHUT_DOWN_AT_ONCE = 2 };

struct wire_options {
    uint32_t given; // enum nq_queue_option
    uint64_t maxsize;
    uint64_t max_bytes;
    uint64_t lease_ms;
    uint64_t hold_max_ms;
    uint32_t max_deliveries;
    struct nq_bytes dead_letter;
    uint64_t ttl_ms;
    bool temporary;
};

struct wire_hello {
    struct nq_bytes session_id;   // NQ_SESSION_ID_BYTES
    struct nq_bytes resume_token; // empty or NQ_RESUME_TOKEN_BYTES
    const uint64_t *waiting_gets;
    size_t waiting_gets_count;
    const uint64_t *held_gets;
    size_t held_gets_count;
    struct nq_bytes client_name;
};

struct wire_put {
    struct nq_bytes queue;
    uint64_t stream;
    uint64_t first_number;
    const struct nq_bytes *bodies;
    const struct nq_bytes *headers; // NULL, or one per body
    size_t count;
    uint64_t wait_ms;
    uint64_t delay_ms;
    bool atomic;
};

struct wire_get {
    struct nq_bytes queue;
    uint32_t max_items; // never 0 after decoding
    uint64_t max_bytes;
    uint64_t wait_ms;
    uint64_t lease_ms;
    uint64_t hold_max_ms;
    bool at_most_once;
};

// Of task_done, extend and requeue.
struct wire_tokens {
    uint64_t queue_id;
    uint64_t epoch;
    const uint64_t *seqs;
    const uint32_t *deliveries; // NULL (all 1), or one per seq
    size_t count;
    uint64_t lease_ms; // extend
    uint64_t delay_ms; // requeue, as the rest
    bool failed;
    bool dead;
    struct nq_bytes reason;
};

struct wire_declare {
    struct nq_bytes queue;
    struct wire_options options;
    uint64_t initial;
    bool update;
};

// Of join, purge, delete, shutdown, stat, peek, redrive: each uses what it needs.
struct wire_on_queue {
    struct nq_bytes queue;
    uint64_t wait_ms;   // join
    bool immediate;     // shutdown
    uint64_t from_seq;  // peek
    uint64_t max_items; // peek, redrive
    uint64_t max_bytes; // peek
    struct nq_bytes to; // redrive, may be empty
};

struct wire_list {
    struct nq_bytes after;
    uint32_t max;
};

struct wire_renew {
    struct nq_bytes session_id;
    struct nq_bytes resume_token;
};

struct wire_request {
    uint64_t id;
    enum wire_op op;
    // OK, or why the request was refused while decoding (BAD_NAME, TOO_LARGE, BAD_REQUEST): answer that, do not look at `as`.
    enum nq_status refused;
    const char *refused_why; // static text, or NULL
    union {
        struct wire_hello hello;
        struct wire_put put;
        struct wire_get get;
        struct wire_tokens tokens;
        struct wire_declare declare;
        struct wire_on_queue on_queue;
        struct wire_list list;
        struct wire_renew renew;
        uint64_t cancel_id;
        struct nq_bytes backup_name;
    } as;
};

struct wire_request_frame {
    uint32_t version;
    struct wire_request *requests;
    size_t count;
    const uint64_t *taken_gets;
    const uint32_t *taken_counts;
    size_t taken_count;
    uint32_t workers; // never 0 after decoding
};

struct wire_limits {
    uint64_t body_bytes;
    uint64_t headers_bytes;
    uint64_t frame_bytes;
    uint32_t items;
    uint32_t requests;
    uint64_t session_timeout_ms;
    uint64_t session_grace_ms;
};

struct wire_hello_reply {
    struct nq_bytes resume_token;
    struct nq_bytes store_id;
    bool resumed;
    uint64_t epoch;
    struct wire_limits limits;
    struct nq_bytes broker_version;
};

struct wire_put_reply {
    uint64_t accepted;
    uint64_t last_seq;
    bool duplicate;
    uint64_t last_number;
};

struct wire_get_reply {
    uint64_t queue_id;
    uint64_t epoch;
    size_t count;
    const struct nq_bytes *bodies;
    const struct nq_bytes *headers; // NULL, or one per item
    const uint64_t *seqs;
    const uint32_t *deliveries; // NULL: all 1
    const uint32_t *failures;   // NULL: all 0
    const bool *redelivered;    // NULL: all false
    uint64_t lease_ms;
    uint64_t hold_max_ms;
};

struct wire_token_reply {
    const uint32_t *statuses; // NULL: all as the reply's own
    size_t count;
    uint32_t gone;
};

struct wire_queue_stats {
    struct nq_bytes name;
    uint64_t queue_id;
    struct wire_options options;
    uint64_t ready, delayed, leased, unfinished, ready_bytes, next_seq;
    uint64_t puts, gets, dones, redelivered, requeued, failed, expired, purged, dead_lettered, dropped, quarantined;
    uint32_t state; // enum nq_queue_state
    uint32_t waiting_gets, waiting_puts, waiting_joins, consumers;
};

struct wire_list_reply {
    const struct wire_queue_stats *queues;
    size_t count;
    bool more;
};

struct wire_peek_reply {
    const uint64_t *seqs;
    const struct nq_bytes *bodies;
    const struct nq_bytes *headers; // NULL, or one per item
    size_t count;
};

struct wire_ping_reply {
    struct nq_bytes broker_version;
    struct nq_bytes store_id;
    uint64_t epoch;
    uint64_t uptime_ms;
    uint32_t queues;
    uint32_t sessions;
};

struct wire_reply {
    uint64_t id;
    enum nq_status status;
    struct nq_bytes detail;
    enum wire_op result; // which member of `as` is set: HELLO PUT GET TASK_DONE(tokens) STAT LIST PEEK PURGE(count) PING, or NONE
    union {
        struct wire_hello_reply hello;
        struct wire_put_reply put;
        struct wire_get_reply get;
        struct wire_token_reply tokens;
        struct wire_queue_stats stat;
        struct wire_list_reply list;
        struct wire_peek_reply peek;
        uint64_t count;
        struct wire_ping_reply ping;
    } as;
};

struct wire_reply_frame {
    uint32_t version;
    struct wire_reply *replies;
    size_t count;
    bool probe;
};

// What the receiver allows; wire_decode_requests refuses single requests beyond it.
struct wire_decode_limits {
    uint64_t body_bytes;
    uint64_t headers_bytes;
};

// Decode what a client sent.
//
// Ownership: `*out` lives in `arena`; `data` may be freed afterwards. The arena's budget should be set by the caller with
//            wire_decode_budget(len).
// Errors: BAD_REQUEST          not a frame of this protocol, or more than the counts of wire_limits.h: drop it
//         UNSUPPORTED_VERSION  well-formed, of another version; out->requests hold the ids, for answers
//         NO_MEMORY            the arena's cap was hit (an amplification attempt) or memory is out
// A single bad request does not fail the frame: see wire_request.refused.
enum nq_status wire_decode_requests(struct nq_arena *arena, const void *data, size_t len, const struct wire_decode_limits *limits,
                                    struct wire_request_frame *out);

// Decode what a broker sent. Errors as above.
enum nq_status wire_decode_replies(struct nq_arena *arena, const void *data, size_t len, struct wire_reply_frame *out);

size_t wire_decode_budget(size_t frame_len);

// Encoding is done in two steps, so that the caller can make the buffer of just the right size (a zmq_msg_t): prepare, then pack.
struct wire_packer;

// NULL when the arena is out of memory. The packer lives in the arena and borrows the frame and what it points at.
struct wire_packer *wire_prepare_requests(struct nq_arena *arena, const struct wire_request_frame *frame);
struct wire_packer *wire_prepare_replies(struct nq_arena *arena, const struct wire_reply_frame *frame);
size_t wire_packed_size(const struct wire_packer *packer);
void wire_pack(const struct wire_packer *packer, void *out); // writes wire_packed_size() bytes

// Headers of one item: an encoded HeaderList.
struct nq_header {
    struct nq_bytes name;
    struct nq_bytes value;
};

// Encode into `arena`. An empty list encodes to zero bytes. Errors: NO_MEMORY.
enum nq_status wire_encode_headers(struct nq_arena *arena, const struct nq_header *headers, size_t count, struct nq_bytes *out);

// Errors: BAD_REQUEST, NO_MEMORY.
enum nq_status wire_decode_headers(struct nq_arena *arena, struct nq_bytes encoded, struct nq_header **out, size_t *count);
