// What each request must fulfil, and how it becomes a plain struct. One function and one table row per operation.
#include "name.h"
#include "wire_internal.h"

#define OPTIONS_KNOWN                                                                                                              \
    (NQ_OPTION_MAXSIZE | NQ_OPTION_MAX_BYTES | NQ_OPTION_LEASE | NQ_OPTION_HOLD_MAX | NQ_OPTION_MAX_DELIVERIES |                   \
     NQ_OPTION_DEAD_LETTER | NQ_OPTION_TTL | NQ_OPTION_TEMPORARY)

static enum nq_status refuse(const char **why, enum nq_status status, const char *text)
{
    *why = text;
    return status;
}

static enum nq_status decode_name(ProtobufCBinaryData in, struct nq_bytes *out, const char **why)
{
    if (!nq_name_is_valid(in.data, in.len))
        return refuse(why, NQ_BAD_NAME, "not a queue name");
    *out = wire_bytes(in);
    return NQ_OK;
}

static bool duration_is_valid(uint64_t ms)
{
    return ms <= NQ_DURATION_MS_MAX;
}

static bool wait_is_valid(uint64_t ms)
{
    return ms == NQ_WAIT_FOREVER || duration_is_valid(ms);
}

static uint32_t at_most(uint64_t value, uint32_t max)
{
    return value < max ? (uint32_t)value : max;
}

// -------------------------------------------------------------------------------------------------------- sessions

static enum nq_status decode_hello(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                   struct wire_request *out, const char **why)
{
    (void)limits;
    const Nq__Wire__Hello *in = (const Nq__Wire__Hello *)(const void *)message;
    if (in->session_id.len != NQ_SESSION_ID_BYTES)
        return refuse(why, NQ_BAD_REQUEST, "session_id must have 16 bytes");
    if (in->resume_token.len != 0 && in->resume_token.len != NQ_RESUME_TOKEN_BYTES)
        return refuse(why, NQ_BAD_REQUEST, "resume_token must have 32 bytes or none");
    if (in->client_name.len > NQ_CLIENT_NAME_BYTES_MAX)
        return refuse(why, NQ_BAD_REQUEST, "client_name is too long");
    if (in->n_waiting_gets > NQ_LEASES_PER_SESSION_DEFAULT || in->n_held_gets > NQ_LEASES_PER_SESSION_DEFAULT)
        return refuse(why, NQ_TOO_LARGE, "too many gets named");
    out->as.hello = (struct wire_hello){
        .session_id = wire_bytes(in->session_id),
        .resume_token = wire_bytes(in->resume_token),
        .waiting_gets = in->waiting_gets,
        .waiting_gets_count = in->n_waiting_gets,
        .held_gets = in->held_gets,
        .held_gets_count = in->n_held_gets,
        .client_name = wire_bytes(in->client_name),
    };
    return NQ_OK;
}

static enum nq_status decode_renew(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                   struct wire_request *out, const char **why)
{
    (void)limits;
    const Nq__Wire__Renew *in = (const Nq__Wire__Renew *)(const void *)message;
    if (in->session_id.len != NQ_SESSION_ID_BYTES || in->resume_token.len != NQ_RESUME_TOKEN_BYTES)
        return refuse(why, NQ_BAD_REQUEST, "session_id must have 16 bytes and resume_token 32");
    out->as.renew.session_id = wire_bytes(in->session_id);
    out->as.renew.resume_token = wire_bytes(in->resume_token);
    return NQ_OK;
}

static enum nq_status decode_cancel(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                    struct wire_request *out, const char **why)
{
    (void)limits;
    const Nq__Wire__Cancel *in = (const Nq__Wire__Cancel *)(const void *)message;
    if (in->request_id == 0)
        return refuse(why, NQ_BAD_REQUEST, "request_id must not be 0");
    out->as.cancel_id = in->request_id;
    return NQ_OK;
}

// ping and goodbye
static enum nq_status decode_nothing(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                     struct wire_request *out, const char **why)
{
    (void)message;
    (void)limits;
    (void)out;
    (void)why;
    return NQ_OK;
}

// ----------------------------------------------------------------------------------------------------------- items

static enum nq_status check_items(const Nq__Wire__Put *in, const struct wire_decode_limits *limits, const char **why)
{
    for (size_t i = 0; i < in->n_bodies; i++)
        if (in->bodies[i].len > limits->body_bytes)
            return refuse(why, NQ_TOO_LARGE, "an item is larger than the broker's body limit");
    for (size_t i = 0; i < in->n_headers; i++) {
        size_t count;
        if (in->headers[i].len == 0)
            continue;
        if (in->headers[i].len > limits->headers_bytes)
            return refuse(why, NQ_TOO_LARGE, "an item's headers are larger than the broker's limit");
        if (!wire_headers_are_valid(wire_bytes(in->headers[i]), true, &count))
            return refuse(why, NQ_BAD_REQUEST, "headers are malformed, or a name begins with nq-");
    }
    return NQ_OK;
}

static enum nq_status check_run(const Nq__Wire__Put *in, const char **why)
{
    if (in->n_bodies == 0)
        return refuse(why, NQ_BAD_REQUEST, "a put needs at least one item");
    if (in->n_bodies > NQ_ITEMS_PER_REQUEST_MAX)
        return refuse(why, NQ_TOO_LARGE, "too many items in one request");
    if (in->n_headers != 0 && in->n_headers != in->n_bodies)
        return refuse(why, NQ_BAD_REQUEST, "headers must be empty or one per body");
    if (in->stream == 0 || in->first_number == 0 || in->first_number > UINT64_MAX - in->n_bodies)
        return refuse(why, NQ_BAD_REQUEST, "stream and first_number must not be 0");
    if (!wait_is_valid(in->wait_ms) || !duration_is_valid(in->delay_ms))
        return refuse(why, NQ_BAD_REQUEST, "wait_ms or delay_ms is longer than a year");
    return NQ_OK;
}

static enum nq_status decode_put(const ProtobufCMessage *message, const struct wire_decode_limits *limits, struct wire_request *out,
                                 const char **why)
{
    const Nq__Wire__Put *in = (const Nq__Wire__Put *)(const void *)message;
    struct wire_put *put = &out->as.put;
    enum nq_status status = decode_name(in->queue, &put->queue, why);
    if (status == NQ_OK)
        status = check_run(in, why);
    if (status == NQ_OK)
        status = check_items(in, limits, why);
    if (status != NQ_OK)
        return status;
    put->stream = in->stream;
    put->first_number = in->first_number;
    put->bodies = wire_bytes_array(in->bodies);
    put->headers = in->n_headers ? wire_bytes_array(in->headers) : NULL;
    put->count = in->n_bodies;
    put->wait_ms = in->wait_ms;
    put->delay_ms = in->delay_ms;
    put->atomic = in->atomic != 0;
    return NQ_OK;
}

static enum nq_status decode_get(const ProtobufCMessage *message, const struct wire_decode_limits *limits, struct wire_request *out,
                                 const char **why)
{
    (void)limits;
    const Nq__Wire__Get *in = (const Nq__Wire__Get *)(const void *)message;
    struct wire_get *get = &out->as.get;
    enum nq_status status = decode_name(in->queue, &get->queue, why);
    if (status != NQ_OK)
        return status;
    if (!wait_is_valid(in->wait_ms) || !duration_is_valid(in->lease_ms) || !duration_is_valid(in->hold_max_ms))
        return refuse(why, NQ_BAD_REQUEST, "wait_ms, lease_ms or hold_max_ms is longer than a year");
    get->max_items = in->max_items ? at_most(in->max_items, NQ_ITEMS_PER_REQUEST_MAX) : 1;
    get->max_bytes = in->max_bytes;
    get->wait_ms = in->wait_ms;
    get->lease_ms = in->lease_ms;
    get->hold_max_ms = in->hold_max_ms;
    get->at_most_once = in->at_most_once != 0;
    return NQ_OK;
}

// What task_done, extend and requeue have in common; their first four fields are the same, but not one C type.
static enum nq_status check_tokens(const struct wire_tokens *tokens, size_t deliveries_count, const char **why)
{
    if (tokens->count == 0)
        return refuse(why, NQ_BAD_REQUEST, "at least one token is needed");
    if (tokens->count > NQ_ITEMS_PER_REQUEST_MAX)
        return refuse(why, NQ_TOO_LARGE, "too many tokens in one request");
    if (deliveries_count != 0 && deliveries_count != tokens->count)
        return refuse(why, NQ_BAD_REQUEST, "deliveries must be empty or one per seq");
    if (!duration_is_valid(tokens->lease_ms) || !duration_is_valid(tokens->delay_ms))
        return refuse(why, NQ_BAD_REQUEST, "lease_ms or delay_ms is longer than a year");
    return NQ_OK;
}

static enum nq_status decode_task_done(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                       struct wire_request *out, const char **why)
{
    (void)limits;
    const Nq__Wire__TaskDone *in = (const Nq__Wire__TaskDone *)(const void *)message;
    out->as.tokens = (struct wire_tokens){
        .queue_id = in->queue_id,
        .epoch = in->epoch,
        .seqs = in->seqs,
        .deliveries = in->n_deliveries ? in->deliveries : NULL,
        .count = in->n_seqs,
    };
    return check_tokens(&out->as.tokens, in->n_deliveries, why);
}

static enum nq_status decode_extend(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                    struct wire_request *out, const char **why)
{
    (void)limits;
    const Nq__Wire__Extend *in = (const Nq__Wire__Extend *)(const void *)message;
    out->as.tokens = (struct wire_tokens){
        .queue_id = in->queue_id,
        .epoch = in->epoch,
        .seqs = in->seqs,
        .deliveries = in->n_deliveries ? in->deliveries : NULL,
        .count = in->n_seqs,
        .lease_ms = in->lease_ms,
    };
    return check_tokens(&out->as.tokens, in->n_deliveries, why);
}

static enum nq_status decode_requeue(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                     struct wire_request *out, const char **why)
{
    (void)limits;
    const Nq__Wire__Requeue *in = (const Nq__Wire__Requeue *)(const void *)message;
    if (in->reason.len > NQ_REASON_BYTES_MAX)
        return refuse(why, NQ_BAD_REQUEST, "the reason is too long");
    out->as.tokens = (struct wire_tokens){
        .queue_id = in->queue_id,
        .epoch = in->epoch,
        .seqs = in->seqs,
        .deliveries = in->n_deliveries ? in->deliveries : NULL,
        .count = in->n_seqs,
        .delay_ms = in->delay_ms,
        .failed = in->failed != 0,
        .dead = in->dead != 0,
        .reason = wire_bytes(in->reason),
    };
    return check_tokens(&out->as.tokens, in->n_deliveries, why);
}

// ---------------------------------------------------------------------------------------------------------- queues

static enum nq_status decode_join(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                  struct wire_request *out, const char **why)
{
    (void)limits;
    const Nq__Wire__Join *in = (const Nq__Wire__Join *)(const void *)message;
    if (!wait_is_valid(in->wait_ms))
        return refuse(why, NQ_BAD_REQUEST, "wait_ms is longer than a year");
    out->as.on_queue.wait_ms = in->wait_ms;
    return decode_name(in->queue, &out->as.on_queue.queue, why);
}

static enum nq_status check_options(const struct wire_options *options, const char **why)
{
    if (options->given & ~(uint32_t)OPTIONS_KNOWN)
        return refuse(why, NQ_BAD_REQUEST, "an option this broker does not know");
    if (!duration_is_valid(options->lease_ms) || !duration_is_valid(options->hold_max_ms) || !duration_is_valid(options->ttl_ms))
        return refuse(why, NQ_BAD_REQUEST, "lease_ms, hold_max_ms or ttl_ms is longer than a year");
    bool lease_zero = (options->given & NQ_OPTION_LEASE) && options->lease_ms == 0;
    bool hold_zero = (options->given & NQ_OPTION_HOLD_MAX) && options->hold_max_ms == 0;
    if (lease_zero || hold_zero)
        return refuse(why, NQ_BAD_REQUEST, "a lease or hold_max of 0");
    if (options->dead_letter.len > 0 && !nq_name_is_valid(options->dead_letter.data, options->dead_letter.len))
        return refuse(why, NQ_BAD_NAME, "dead_letter is not a queue name");
    return NQ_OK;
}

static enum nq_status decode_declare(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                     struct wire_request *out, const char **why)
{
    (void)limits;
    const Nq__Wire__Declare *in = (const Nq__Wire__Declare *)(const void *)message;
    struct wire_declare *declare = &out->as.declare;
    if (in->initial > NQ_INITIAL_ITEMS_MAX)
        return refuse(why, NQ_TOO_LARGE, "too many initial items");
    if (in->options) {
        if (wire_too_many_unknown(&in->options->base))
            return refuse(why, NQ_BAD_REQUEST, "too many unknown fields");
        wire_options_from_message(in->options, &declare->options);
    }
    declare->initial = in->initial;
    declare->update = in->update != 0;
    enum nq_status status = check_options(&declare->options, why);
    return status == NQ_OK ? decode_name(in->queue, &declare->queue, why) : status;
}

static enum nq_status decode_purge(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                   struct wire_request *out, const char **why)
{
    (void)limits;
    return decode_name(((const Nq__Wire__Purge *)(const void *)message)->queue, &out->as.on_queue.queue, why);
}

static enum nq_status decode_delete(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                    struct wire_request *out, const char **why)
{
    (void)limits;
    return decode_name(((const Nq__Wire__Delete *)(const void *)message)->queue, &out->as.on_queue.queue, why);
}

static enum nq_status decode_shutdown(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                      struct wire_request *out, const char **why)
{
    (void)limits;
    const Nq__Wire__Shutdown *in = (const Nq__Wire__Shutdown *)(const void *)message;
    out->as.on_queue.immediate = in->immediate != 0;
    return decode_name(in->queue, &out->as.on_queue.queue, why);
}

static enum nq_status decode_stat(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                  struct wire_request *out, const char **why)
{
    (void)limits;
    return decode_name(((const Nq__Wire__Stat *)(const void *)message)->queue, &out->as.on_queue.queue, why);
}

static enum nq_status decode_list(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                  struct wire_request *out, const char **why)
{
    (void)limits;
    const Nq__Wire__List *in = (const Nq__Wire__List *)(const void *)message;
    if (in->after.len > NQ_NAME_BYTES_MAX)
        return refuse(why, NQ_BAD_NAME, "after is longer than any queue name");
    out->as.list.after = wire_bytes(in->after);
    out->as.list.max = in->max ? at_most(in->max, NQ_QUEUES_PER_LIST_MAX) : NQ_QUEUES_PER_LIST_MAX;
    return NQ_OK;
}

static enum nq_status decode_peek(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                  struct wire_request *out, const char **why)
{
    (void)limits;
    const Nq__Wire__Peek *in = (const Nq__Wire__Peek *)(const void *)message;
    out->as.on_queue.from_seq = in->from_seq;
    out->as.on_queue.max_items = in->max_items ? at_most(in->max_items, NQ_ITEMS_PER_REQUEST_MAX) : 1;
    out->as.on_queue.max_bytes = in->max_bytes;
    return decode_name(in->queue, &out->as.on_queue.queue, why);
}

static enum nq_status decode_redrive(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                     struct wire_request *out, const char **why)
{
    (void)limits;
    const Nq__Wire__Redrive *in = (const Nq__Wire__Redrive *)(const void *)message;
    out->as.on_queue.max_items = in->max_items;
    if (in->to.len > 0 && decode_name(in->to, &out->as.on_queue.to, why) != NQ_OK)
        return NQ_BAD_NAME;
    return decode_name(in->queue, &out->as.on_queue.queue, why);
}

static enum nq_status decode_backup(const ProtobufCMessage *message, const struct wire_decode_limits *limits,
                                    struct wire_request *out, const char **why)
{
    (void)limits;
    const Nq__Wire__Backup *in = (const Nq__Wire__Backup *)(const void *)message;
    if (!nq_backup_name_is_valid(in->name.data, in->name.len))
        return refuse(why, NQ_BAD_NAME,
                      "a backup's name is 1 to 64 letters, digits, '.', '_' and '-', beginning with none of these");
    out->as.backup_name = wire_bytes(in->name);
    return NQ_OK;
}

static const struct wire_op_decoder decoders[] = {
    [WIRE_HELLO] = {&nq__wire__hello__descriptor, decode_hello},
    [WIRE_PUT] = {&nq__wire__put__descriptor, decode_put},
    [WIRE_GET] = {&nq__wire__get__descriptor, decode_get},
    [WIRE_TASK_DONE] = {&nq__wire__task_done__descriptor, decode_task_done},
    [WIRE_EXTEND] = {&nq__wire__extend__descriptor, decode_extend},
    [WIRE_REQUEUE] = {&nq__wire__requeue__descriptor, decode_requeue},
    [WIRE_JOIN] = {&nq__wire__join__descriptor, decode_join},
    [WIRE_DECLARE] = {&nq__wire__declare__descriptor, decode_declare},
    [WIRE_PURGE] = {&nq__wire__purge__descriptor, decode_purge},
    [WIRE_DELETE] = {&nq__wire__delete__descriptor, decode_delete},
    [WIRE_SHUTDOWN] = {&nq__wire__shutdown__descriptor, decode_shutdown},
    [WIRE_STAT] = {&nq__wire__stat__descriptor, decode_stat},
    [WIRE_LIST] = {&nq__wire__list__descriptor, decode_list},
    [WIRE_PEEK] = {&nq__wire__peek__descriptor, decode_peek},
    [WIRE_REDRIVE] = {&nq__wire__redrive__descriptor, decode_redrive},
    [WIRE_RENEW] = {&nq__wire__renew__descriptor, decode_renew},
    [WIRE_CANCEL] = {&nq__wire__cancel__descriptor, decode_cancel},
    [WIRE_PING] = {&nq__wire__ping__descriptor, decode_nothing},
    [WIRE_GOODBYE] = {&nq__wire__goodbye__descriptor, decode_nothing},
    [WIRE_BACKUP] = {&nq__wire__backup__descriptor, decode_backup},
};
// The first and the last; what lies between is checked by the round trip of every operation.
_Static_assert(NQ__WIRE__REQUEST__OP_HELLO == WIRE_HELLO + WIRE_OP_FIELD_OFFSET, "enum wire_op follows the oneof");
_Static_assert(NQ__WIRE__REQUEST__OP_BACKUP == WIRE_BACKUP + WIRE_OP_FIELD_OFFSET, "enum wire_op follows the oneof");

const struct wire_op_decoder *wire_op_decoder_of(enum wire_op op)
{
    if ((size_t)op >= sizeof decoders / sizeof decoders[0] || !decoders[op].decode)
        return NULL;
    return &decoders[op];
}
