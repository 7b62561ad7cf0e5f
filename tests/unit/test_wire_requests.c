// Every request, every field: what is packed comes back.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "samples.h"

static const struct wire_decode_limits limits = {NQ_BODY_BYTES_DEFAULT, NQ_HEADERS_BYTES_DEFAULT};

static bool same_bytes(struct nq_bytes a, struct nq_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool same_array(const void *a, const void *b, size_t bytes)
{
    return bytes == 0 || (!a && !b) || (a && b && memcmp(a, b, bytes) == 0);
}

static void check_hello(const struct wire_hello *a, const struct wire_hello *b)
{
    cr_assert(same_bytes(a->session_id, b->session_id));
    cr_assert(same_bytes(a->resume_token, b->resume_token));
    cr_assert(same_bytes(a->client_name, b->client_name));
    cr_assert_eq(a->waiting_gets_count, b->waiting_gets_count);
    cr_assert(same_array(a->waiting_gets, b->waiting_gets, a->waiting_gets_count * sizeof(uint64_t)));
    cr_assert_eq(a->held_gets_count, b->held_gets_count);
    cr_assert(same_array(a->held_gets, b->held_gets, a->held_gets_count * sizeof(uint64_t)));
}

static void check_put(const struct wire_put *a, const struct wire_put *b)
{
    cr_assert(same_bytes(a->queue, b->queue));
    cr_assert_eq(a->stream, b->stream);
    cr_assert_eq(a->first_number, b->first_number);
    cr_assert_eq(a->count, b->count);
    cr_assert_eq(!a->headers, !b->headers);
    for (size_t i = 0; i < a->count; i++) {
        cr_assert(same_bytes(a->bodies[i], b->bodies[i]));
        cr_assert(!a->headers || same_bytes(a->headers[i], b->headers[i]));
    }
    cr_assert_eq(a->wait_ms, b->wait_ms);
    cr_assert_eq(a->delay_ms, b->delay_ms);
    cr_assert_eq(a->atomic, b->atomic);
}

static void check_get(const struct wire_get *a, const struct wire_get *b)
{
    cr_assert(same_bytes(a->queue, b->queue));
    cr_assert_eq(a->max_items, b->max_items);
    cr_assert_eq(a->max_bytes, b->max_bytes);
    cr_assert_eq(a->wait_ms, b->wait_ms);
    cr_assert_eq(a->lease_ms, b->lease_ms);
    cr_assert_eq(a->hold_max_ms, b->hold_max_ms);
    cr_assert_eq(a->at_most_once, b->at_most_once);
}

static void check_tokens(const struct wire_tokens *a, const struct wire_tokens *b)
{
    cr_assert_eq(a->queue_id, b->queue_id);
    cr_assert_eq(a->epoch, b->epoch);
    cr_assert_eq(a->count, b->count);
    cr_assert(same_array(a->seqs, b->seqs, a->count * sizeof(uint64_t)));
    cr_assert(same_array(a->deliveries, b->deliveries, a->count * sizeof(uint32_t)));
    cr_assert_eq(a->lease_ms, b->lease_ms);
    cr_assert_eq(a->delay_ms, b->delay_ms);
    cr_assert_eq(a->failed, b->failed);
    cr_assert_eq(a->dead, b->dead);
    cr_assert(same_bytes(a->reason, b->reason));
}

static void check_declare(const struct wire_declare *a, const struct wire_declare *b)
{
    cr_assert(same_bytes(a->queue, b->queue));
    cr_assert_eq(a->initial, b->initial);
    cr_assert_eq(a->update, b->update);
    cr_assert_eq(a->options.given, b->options.given);
    cr_assert_eq(a->options.maxsize, b->options.maxsize);
    cr_assert_eq(a->options.max_bytes, b->options.max_bytes);
    cr_assert_eq(a->options.lease_ms, b->options.lease_ms);
    cr_assert_eq(a->options.hold_max_ms, b->options.hold_max_ms);
    cr_assert_eq(a->options.max_deliveries, b->options.max_deliveries);
    cr_assert(same_bytes(a->options.dead_letter, b->options.dead_letter));
    cr_assert_eq(a->options.ttl_ms, b->options.ttl_ms);
    cr_assert_eq(a->options.temporary, b->options.temporary);
}

static void check_on_queue(const struct wire_on_queue *a, const struct wire_on_queue *b)
{
    cr_assert(same_bytes(a->queue, b->queue));
    cr_assert_eq(a->wait_ms, b->wait_ms);
    cr_assert_eq(a->immediate, b->immediate);
    cr_assert_eq(a->from_seq, b->from_seq);
    cr_assert_eq(a->max_items, b->max_items);
    cr_assert_eq(a->max_bytes, b->max_bytes);
    cr_assert(same_bytes(a->to, b->to));
}

static void check_session_request(const struct wire_request *a, const struct wire_request *b)
{
    if (a->op == WIRE_HELLO) {
        check_hello(&a->as.hello, &b->as.hello);
    } else if (a->op == WIRE_RENEW) {
        cr_assert(same_bytes(a->as.renew.session_id, b->as.renew.session_id));
        cr_assert(same_bytes(a->as.renew.resume_token, b->as.renew.resume_token));
    } else if (a->op == WIRE_CANCEL) {
        cr_assert_eq(a->as.cancel_id, b->as.cancel_id);
    } else if (a->op == WIRE_BACKUP) {
        cr_assert(same_bytes(a->as.backup_name, b->as.backup_name));
    } else {
        cr_assert(a->op == WIRE_PING || a->op == WIRE_GOODBYE);
    }
}

static void check_request(const struct wire_request *a, const struct wire_request *b)
{
    cr_assert_eq(a->id, b->id);
    cr_assert_eq(a->op, b->op);
    cr_assert_eq(b->refused, NQ_OK, "op %d: %s", (int)a->op, b->refused_why);
    switch (a->op) {
    case WIRE_PUT:
        check_put(&a->as.put, &b->as.put);
        break;
    case WIRE_GET:
        check_get(&a->as.get, &b->as.get);
        break;
    case WIRE_TASK_DONE:
    case WIRE_EXTEND:
    case WIRE_REQUEUE:
        check_tokens(&a->as.tokens, &b->as.tokens);
        break;
    case WIRE_DECLARE:
        check_declare(&a->as.declare, &b->as.declare);
        break;
    case WIRE_JOIN:
    case WIRE_PURGE:
    case WIRE_DELETE:
    case WIRE_SHUTDOWN:
    case WIRE_STAT:
    case WIRE_PEEK:
    case WIRE_REDRIVE:
        check_on_queue(&a->as.on_queue, &b->as.on_queue);
        break;
    case WIRE_LIST:
        cr_assert(same_bytes(a->as.list.after, b->as.list.after));
        cr_assert_eq(a->as.list.max, b->as.list.max);
        break;
    default:
        check_session_request(a, b);
    }
}

Test(wire_requests, every_operation_in_one_frame_comes_back)
{
    size_t count;
    const struct sample_request *samples = sample_requests(&count);
    struct wire_request requests[64];
    cr_assert(count < 64);
    for (size_t i = 0; i < count; i++)
        requests[i] = samples[i].request;
    struct wire_request_frame in;
    sample_request_frame(&in, requests, count);

    struct nq_arena *arena = nq_arena_create(4096, 0);
    struct wire_packer *packer = wire_prepare_requests(arena, &in);
    size_t len = wire_packed_size(packer);
    uint8_t *bytes = malloc(len); // of the exact size, so that ASan sees any byte beyond it
    wire_pack(packer, bytes);
    struct wire_request_frame out;
    cr_assert_eq(wire_decode_requests(arena, bytes, len, &limits, &out), NQ_OK);
    free(bytes); // nothing decoded may point into it

    cr_assert_eq(out.version, NQ_PROTOCOL_VERSION);
    cr_assert_eq(out.workers, in.workers);
    cr_assert_eq(out.taken_count, in.taken_count);
    cr_assert(same_array(out.taken_gets, in.taken_gets, in.taken_count * sizeof(uint64_t)));
    cr_assert(same_array(out.taken_counts, in.taken_counts, in.taken_count * sizeof(uint32_t)));
    cr_assert_eq(out.count, count);
    for (size_t i = 0; i < count; i++)
        check_request(&requests[i], &out.requests[i]);
    nq_arena_destroy(&arena);
}

Test(wire_requests, every_operation_has_a_sample)
{
    bool seen[WIRE_BACKUP + 1] = {false};
    size_t count;
    const struct sample_request *samples = sample_requests(&count);
    for (size_t i = 0; i < count; i++)
        seen[samples[i].request.op] = true;
    for (int op = WIRE_HELLO; op <= WIRE_BACKUP; op++)
        cr_assert(seen[op], "op %d", op);
}

// What protobuf leaves out is 0; some zeros mean something else.
Test(wire_requests, defaults_are_filled_in)
{
    struct wire_request requests[] = {
        {.id = 1, .op = WIRE_GET, .as.get.queue = {1, (const uint8_t *)"q"}},
        {.id = 2, .op = WIRE_LIST},
        {.id = 3, .op = WIRE_PEEK, .as.on_queue.queue = {1, (const uint8_t *)"q"}},
        {.id = 4, .op = WIRE_DECLARE, .as.declare.queue = {1, (const uint8_t *)"q"}},
    };
    struct wire_request_frame in = {.version = 1, .requests = requests, .count = 4};
    struct nq_arena *arena = nq_arena_create(4096, 0);
    struct wire_packer *packer = wire_prepare_requests(arena, &in);
    uint8_t bytes[256];
    wire_pack(packer, bytes);
    struct wire_request_frame out;
    cr_assert_eq(wire_decode_requests(arena, bytes, wire_packed_size(packer), &limits, &out), NQ_OK);
    cr_assert_eq(out.workers, 1);
    cr_assert_eq(out.requests[0].as.get.max_items, 1);
    cr_assert_eq(out.requests[1].as.list.max, NQ_QUEUES_PER_LIST_MAX);
    cr_assert_eq(out.requests[2].as.on_queue.max_items, 1);
    cr_assert_eq(out.requests[3].as.declare.options.given, 0);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(out.requests[i].refused, NQ_OK);
    nq_arena_destroy(&arena);
}

// Protobuf allows both ways to write repeated numbers: another language's client may use either.
Test(wire_requests, unpacked_numbers_are_read_too)
{
    static const uint8_t frame[] = {
        0x08, 0x01,                               // version
        0x12, 0x0e,                               // request
        0x08, 0x07,                               //   id 7
        0x2a, 0x0a,                               //   task_done
        0x08, 0x09, 0x10, 0x02,                   //     queue_id 9, epoch 2
        0x18, 0x05, 0x18, 0x06,                   //     seqs 5, 6, one by one
        0x20, 0x01,                               //     one delivery: not parallel
        0x12, 0x10,                               // request
        0x08, 0x08,                               //   id 8
        0x2a, 0x0c,                               //   task_done
        0x18, 0x05, 0x18, 0x06, 0x1a, 0x01, 0x07, //     seqs 5, 6 one by one, 7 packed
        0x22, 0x03, 0x01, 0x02, 0x03,             //     deliveries packed
    };
    struct nq_arena *arena = nq_arena_create(4096, 0);
    struct wire_request_frame out;
    cr_assert_eq(wire_decode_requests(arena, frame, sizeof frame, &limits, &out), NQ_OK);
    cr_assert_eq(out.count, 2);
    cr_assert_eq(out.requests[0].refused, NQ_BAD_REQUEST);
    cr_assert_eq(out.requests[1].refused, NQ_OK);
    cr_assert_eq(out.requests[1].as.tokens.count, 3);
    cr_assert_eq(out.requests[1].as.tokens.seqs[2], 7);
    cr_assert_eq(out.requests[1].as.tokens.deliveries[2], 3);
    nq_arena_destroy(&arena);
}

Test(wire_requests, full_arena_makes_no_packer)
{
    size_t count;
    const struct sample_request *samples = sample_requests(&count);
    for (size_t i = 0; i < count; i++) {
        struct wire_request request = samples[i].request;
        struct wire_request_frame in;
        sample_request_frame(&in, &request, 1);
        bool made = false;
        for (size_t cap = 16; !made; cap += 16) { // every allocation fails once
            struct nq_arena *arena = nq_arena_create(1024, cap);
            made = wire_prepare_requests(arena, &in) != NULL;
            nq_arena_destroy(&arena);
            cr_assert(cap < 4096);
        }
    }
}
