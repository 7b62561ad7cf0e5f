// Every limit of a request is a status of that request, and the ones beside it are handled.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

static const struct wire_decode_limits limits = {.body_bytes = 100, .headers_bytes = 40};

static struct nq_bytes text(const char *of)
{
    return (struct nq_bytes){.len = strlen(of), .data = (const uint8_t *)of};
}

static struct nq_bytes filled(size_t len)
{
    static uint8_t bytes[1000];
    cr_assert(len <= sizeof bytes);
    return (struct nq_bytes){.len = len, .data = bytes};
}

// Sends the request between two good ones and tells what becomes of it.
static enum nq_status outcome(const struct wire_request *request)
{
    struct wire_request requests[] = {{.id = 1, .op = WIRE_PING}, *request, {.id = 3, .op = WIRE_PING}};
    struct wire_request_frame in = {.version = NQ_PROTOCOL_VERSION, .requests = requests, .count = 3};
    struct nq_arena *arena = nq_arena_create(4096, 0);
    struct wire_packer *packer = wire_prepare_requests(arena, &in);
    cr_assert(packer);
    size_t len = wire_packed_size(packer);
    uint8_t *bytes = malloc(len);
    wire_pack(packer, bytes);
    nq_arena_budget(arena, wire_decode_budget(len));
    struct wire_request_frame out;
    cr_assert_eq(wire_decode_requests(arena, bytes, len, &limits, &out), NQ_OK);
    cr_assert_eq(out.count, 3);
    cr_assert_eq(out.requests[0].refused, NQ_OK);
    cr_assert_eq(out.requests[1].id, request->id);
    cr_assert_eq(out.requests[2].refused, NQ_OK);
    enum nq_status status = out.requests[1].refused;
    cr_assert_eq(status == NQ_OK, out.requests[1].refused_why == NULL, "a refusal says why");
    free(bytes);
    nq_arena_destroy(&arena);
    return status;
}

static struct wire_request put_of(const struct nq_bytes *bodies, const struct nq_bytes *headers, size_t count)
{
    return (struct wire_request){
        .id = 2,
        .op = WIRE_PUT,
        .as.put = {.queue = text("q"), .stream = 1, .first_number = 1, .bodies = bodies, .headers = headers, .count = count},
    };
}

Test(wire_limits, id_0_is_refused)
{
    cr_assert_eq(outcome(&(struct wire_request){.id = 0, .op = WIRE_PING}), NQ_BAD_REQUEST);
    cr_assert_eq(outcome(&(struct wire_request){.id = 2, .op = WIRE_NONE}), NQ_BAD_REQUEST);
}

Test(wire_limits, every_queue_name_is_checked)
{
    static const enum wire_op on_queue[] = {WIRE_JOIN, WIRE_PURGE, WIRE_DELETE, WIRE_SHUTDOWN, WIRE_STAT, WIRE_PEEK, WIRE_REDRIVE};
    static const char *const bad[] = {"", "a b", "/a", "a//b"};
    struct nq_bytes body = filled(1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct wire_request put = put_of(&body, NULL, 1);
        put.as.put.queue = text(bad[i]);
        cr_assert_eq(outcome(&put), NQ_BAD_NAME);
        cr_assert_eq(outcome(&(struct wire_request){.id = 2, .op = WIRE_GET, .as.get.queue = text(bad[i])}), NQ_BAD_NAME);
        cr_assert_eq(outcome(&(struct wire_request){.id = 2, .op = WIRE_DECLARE, .as.declare.queue = text(bad[i])}), NQ_BAD_NAME);
        for (size_t k = 0; k < sizeof on_queue / sizeof on_queue[0]; k++)
            cr_assert_eq(outcome(&(struct wire_request){.id = 2, .op = on_queue[k], .as.on_queue.queue = text(bad[i])}),
                         NQ_BAD_NAME);
    }
    cr_assert_eq(outcome(&(struct wire_request){.id = 2, .op = WIRE_REDRIVE, .as.on_queue = {.queue = text("a"), .to = text("/")}}),
                 NQ_BAD_NAME);
    cr_assert_eq(outcome(&(struct wire_request){.id = 2, .op = WIRE_LIST, .as.list.after = filled(NQ_NAME_BYTES_MAX)}), NQ_OK);
    cr_assert_eq(outcome(&(struct wire_request){.id = 2, .op = WIRE_LIST, .as.list.after = filled(NQ_NAME_BYTES_MAX + 1)}),
                 NQ_BAD_NAME);
}

Test(wire_limits, a_backups_name_is_checked)
{
    cr_assert_eq(outcome(&(struct wire_request){.id = 2, .op = WIRE_BACKUP, .as.backup_name = text("monday.2")}), NQ_OK);
    cr_assert_eq(outcome(&(struct wire_request){.id = 2, .op = WIRE_BACKUP, .as.backup_name = text("../monday")}), NQ_BAD_NAME);
}

Test(wire_limits, bodies_and_headers_of_a_put)
{
    struct nq_bytes bodies[] = {filled(100), filled(0)};
    struct wire_request put = put_of(bodies, NULL, 2);
    cr_assert_eq(outcome(&put), NQ_OK);
    bodies[1] = filled(101);
    cr_assert_eq(outcome(&put), NQ_TOO_LARGE);
    bodies[1] = filled(0);

    struct nq_bytes headers[] = {text(""), text("\x0a\x01k\x12\x01v")};
    put.as.put.headers = headers;
    cr_assert_eq(outcome(&put), NQ_OK);
    headers[0] = text("not headers");
    cr_assert_eq(outcome(&put), NQ_BAD_REQUEST);
    headers[0] = text("\x0a\x04nq-x\x12\x01v");
    cr_assert_eq(outcome(&put), NQ_BAD_REQUEST);
    headers[0] = text("\x0a\x02nq\x12\x01v");
    cr_assert_eq(outcome(&put), NQ_OK);
    headers[0] = filled(41);
    cr_assert_eq(outcome(&put), NQ_TOO_LARGE);
}

Test(wire_limits, numbers_of_a_put)
{
    struct nq_bytes body = filled(1);
    struct wire_request put = put_of(&body, NULL, 0);
    cr_assert_eq(outcome(&put), NQ_BAD_REQUEST, "an empty run");
    put = put_of(&body, NULL, 1);
    put.as.put.stream = 0;
    cr_assert_eq(outcome(&put), NQ_BAD_REQUEST);
    put = put_of(&body, NULL, 1);
    put.as.put.first_number = 0;
    cr_assert_eq(outcome(&put), NQ_BAD_REQUEST);
    put.as.put.first_number = UINT64_MAX;
    cr_assert_eq(outcome(&put), NQ_BAD_REQUEST);
    put = put_of(&body, NULL, 1);
    put.as.put.wait_ms = NQ_WAIT_FOREVER;
    cr_assert_eq(outcome(&put), NQ_OK);
    put.as.put.wait_ms = NQ_DURATION_MS_MAX;
    put.as.put.delay_ms = NQ_DURATION_MS_MAX;
    cr_assert_eq(outcome(&put), NQ_OK);
    put.as.put.wait_ms = NQ_DURATION_MS_MAX + 1;
    cr_assert_eq(outcome(&put), NQ_BAD_REQUEST);
    put.as.put.wait_ms = 0;
    put.as.put.delay_ms = NQ_WAIT_FOREVER;
    cr_assert_eq(outcome(&put), NQ_BAD_REQUEST);
}

Test(wire_limits, items_per_request)
{
    static struct nq_bytes bodies[NQ_ITEMS_PER_REQUEST_MAX + 1];
    static uint64_t seqs[NQ_ITEMS_PER_REQUEST_MAX + 1];
    struct wire_request put = put_of(bodies, NULL, NQ_ITEMS_PER_REQUEST_MAX);
    cr_assert_eq(outcome(&put), NQ_OK);
    put.as.put.headers = bodies; // as many empty headers: the most that a request may need to be decoded
    cr_assert_eq(outcome(&put), NQ_OK);
    put.as.put.count++;
    cr_assert_eq(outcome(&put), NQ_TOO_LARGE);
    for (int op = WIRE_TASK_DONE; op <= WIRE_REQUEUE; op++) {
        struct wire_request tokens = {.id = 2, .op = (enum wire_op)op, .as.tokens = {.seqs = seqs}};
        cr_assert_eq(outcome(&tokens), NQ_BAD_REQUEST, "no token");
        tokens.as.tokens.count = NQ_ITEMS_PER_REQUEST_MAX;
        cr_assert_eq(outcome(&tokens), NQ_OK);
        tokens.as.tokens.count++;
        cr_assert_eq(outcome(&tokens), NQ_TOO_LARGE);
    }
}

Test(wire_limits, more_than_may_be_asked_for_is_less)
{
    struct wire_request requests[] = {
        {.id = 1, .op = WIRE_GET, .as.get = {.queue = text("q"), .max_items = UINT32_MAX}},
        {.id = 2, .op = WIRE_PEEK, .as.on_queue = {.queue = text("q"), .max_items = UINT64_MAX}},
        {.id = 3, .op = WIRE_LIST, .as.list.max = UINT32_MAX},
    };
    struct wire_request_frame in = {.version = NQ_PROTOCOL_VERSION, .requests = requests, .count = 3};
    struct nq_arena *arena = nq_arena_create(4096, 0);
    struct wire_packer *packer = wire_prepare_requests(arena, &in);
    uint8_t bytes[128];
    cr_assert(wire_packed_size(packer) <= sizeof bytes);
    wire_pack(packer, bytes);
    struct wire_request_frame out;
    cr_assert_eq(wire_decode_requests(arena, bytes, wire_packed_size(packer), &limits, &out), NQ_OK);
    cr_assert_eq(out.requests[0].as.get.max_items, NQ_ITEMS_PER_REQUEST_MAX);
    cr_assert_eq(out.requests[1].as.on_queue.max_items, NQ_ITEMS_PER_REQUEST_MAX);
    cr_assert_eq(out.requests[2].as.list.max, NQ_QUEUES_PER_LIST_MAX);
    nq_arena_destroy(&arena);
}

Test(wire_limits, durations)
{
    const uint64_t longer = NQ_DURATION_MS_MAX + 1;
    static const uint64_t seqs[] = {1};
    struct wire_request get = {.id = 2, .op = WIRE_GET, .as.get = {.queue = text("q"), .lease_ms = NQ_DURATION_MS_MAX}};
    cr_assert_eq(outcome(&get), NQ_OK);
    get.as.get.lease_ms = longer;
    cr_assert_eq(outcome(&get), NQ_BAD_REQUEST);
    get.as.get = (struct wire_get){.queue = text("q"), .hold_max_ms = longer};
    cr_assert_eq(outcome(&get), NQ_BAD_REQUEST);
    get.as.get = (struct wire_get){.queue = text("q"), .wait_ms = longer};
    cr_assert_eq(outcome(&get), NQ_BAD_REQUEST);
    get.as.get = (struct wire_get){.queue = text("q"), .wait_ms = NQ_WAIT_FOREVER};
    cr_assert_eq(outcome(&get), NQ_OK);
    struct wire_request extend = {.id = 2, .op = WIRE_EXTEND, .as.tokens = {.seqs = seqs, .count = 1, .lease_ms = longer}};
    cr_assert_eq(outcome(&extend), NQ_BAD_REQUEST);
    struct wire_request requeue = {.id = 2, .op = WIRE_REQUEUE, .as.tokens = {.seqs = seqs, .count = 1, .delay_ms = longer}};
    cr_assert_eq(outcome(&requeue), NQ_BAD_REQUEST);
    struct wire_request join = {.id = 2, .op = WIRE_JOIN, .as.on_queue = {.queue = text("q"), .wait_ms = longer}};
    cr_assert_eq(outcome(&join), NQ_BAD_REQUEST);
    join.as.on_queue.wait_ms = NQ_WAIT_FOREVER;
    cr_assert_eq(outcome(&join), NQ_OK);
}

static enum nq_status declared(struct wire_options options, uint64_t initial)
{
    struct wire_request declare = {
        .id = 2, .op = WIRE_DECLARE, .as.declare = {.queue = text("q"), .options = options, .initial = initial}};
    return outcome(&declare);
}

Test(wire_limits, options)
{
    const uint64_t longer = NQ_DURATION_MS_MAX + 1;
    cr_assert_eq(declared((struct wire_options){0}, NQ_INITIAL_ITEMS_MAX), NQ_OK);
    cr_assert_eq(declared((struct wire_options){0}, NQ_INITIAL_ITEMS_MAX + 1), NQ_TOO_LARGE);
    cr_assert_eq(declared((struct wire_options){.given = 1u << 8}, 0), NQ_BAD_REQUEST, "an option of a later version");
    cr_assert_eq(declared((struct wire_options){.given = NQ_OPTION_LEASE, .lease_ms = 1}, 0), NQ_OK);
    cr_assert_eq(declared((struct wire_options){.given = NQ_OPTION_LEASE}, 0), NQ_BAD_REQUEST);
    cr_assert_eq(declared((struct wire_options){.given = NQ_OPTION_HOLD_MAX}, 0), NQ_BAD_REQUEST);
    cr_assert_eq(declared((struct wire_options){.given = NQ_OPTION_LEASE, .lease_ms = longer}, 0), NQ_BAD_REQUEST);
    cr_assert_eq(declared((struct wire_options){.given = NQ_OPTION_HOLD_MAX, .hold_max_ms = longer}, 0), NQ_BAD_REQUEST);
    cr_assert_eq(declared((struct wire_options){.given = NQ_OPTION_TTL, .ttl_ms = longer}, 0), NQ_BAD_REQUEST);
    cr_assert_eq(declared((struct wire_options){.given = NQ_OPTION_TTL}, 0), NQ_OK);
    cr_assert_eq(declared((struct wire_options){.given = NQ_OPTION_DEAD_LETTER}, 0), NQ_OK, "none");
    cr_assert_eq(declared((struct wire_options){.given = NQ_OPTION_DEAD_LETTER, .dead_letter = text("a b")}, 0), NQ_BAD_NAME);
}

Test(wire_limits, session_fields)
{
    struct wire_request hello = {.id = 2, .op = WIRE_HELLO, .as.hello.session_id = filled(16)};
    cr_assert_eq(outcome(&hello), NQ_OK);
    hello.as.hello.resume_token = filled(32);
    hello.as.hello.client_name = filled(NQ_CLIENT_NAME_BYTES_MAX);
    cr_assert_eq(outcome(&hello), NQ_OK);
    hello.as.hello.client_name = filled(NQ_CLIENT_NAME_BYTES_MAX + 1);
    cr_assert_eq(outcome(&hello), NQ_BAD_REQUEST);
    hello.as.hello = (struct wire_hello){.session_id = filled(15)};
    cr_assert_eq(outcome(&hello), NQ_BAD_REQUEST);
    hello.as.hello = (struct wire_hello){.session_id = filled(16), .resume_token = filled(31)};
    cr_assert_eq(outcome(&hello), NQ_BAD_REQUEST);
    struct wire_request renew = {.id = 2, .op = WIRE_RENEW, .as.renew = {filled(16), filled(32)}};
    cr_assert_eq(outcome(&renew), NQ_OK);
    renew.as.renew.resume_token = filled(0);
    cr_assert_eq(outcome(&renew), NQ_BAD_REQUEST);
    cr_assert_eq(outcome(&(struct wire_request){.id = 2, .op = WIRE_CANCEL}), NQ_BAD_REQUEST);
    static const uint64_t seqs[] = {1};
    struct wire_request requeue = {
        .id = 2, .op = WIRE_REQUEUE, .as.tokens = {.seqs = seqs, .count = 1, .reason = filled(NQ_REASON_BYTES_MAX)}};
    cr_assert_eq(outcome(&requeue), NQ_OK);
    requeue.as.tokens.reason = filled(NQ_REASON_BYTES_MAX + 1);
    cr_assert_eq(outcome(&requeue), NQ_BAD_REQUEST);
}
