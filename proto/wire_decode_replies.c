// Frames of replies, as a client reads them. A frame that contradicts itself is refused whole: it means a broken broker.
#include "wire_internal.h"

static bool is_parallel(size_t count, size_t items)
{
    return count == 0 || count == items;
}

static enum nq_status decode_hello(struct nq_arena *arena, const ProtobufCMessage *message, struct wire_reply *out)
{
    (void)arena;
    const Nq__Wire__HelloReply *in = (const Nq__Wire__HelloReply *)(const void *)message;
    if (in->resume_token.len != NQ_RESUME_TOKEN_BYTES || in->store_id.len != NQ_STORE_ID_BYTES)
        return NQ_BAD_REQUEST;
    out->as.hello = (struct wire_hello_reply){
        .resume_token = wire_bytes(in->resume_token),
        .store_id = wire_bytes(in->store_id),
        .resumed = in->resumed != 0,
        .epoch = in->epoch,
        .broker_version = wire_bytes(in->broker_version),
    };
    if (in->limits)
        out->as.hello.limits = (struct wire_limits){
            .body_bytes = in->limits->body_bytes,
            .headers_bytes = in->limits->headers_bytes,
            .frame_bytes = in->limits->frame_bytes,
            .items = in->limits->items,
            .requests = in->limits->requests,
            .session_timeout_ms = in->limits->session_timeout_ms,
            .session_grace_ms = in->limits->session_grace_ms,
        };
    return NQ_OK;
}

static enum nq_status decode_put(struct nq_arena *arena, const ProtobufCMessage *message, struct wire_reply *out)
{
    (void)arena;
    const Nq__Wire__PutReply *in = (const Nq__Wire__PutReply *)(const void *)message;
    out->as.put = (struct wire_put_reply){
        .accepted = in->accepted,
        .last_seq = in->last_seq,
        .duplicate = in->duplicate != 0,
        .last_number = in->last_number,
    };
    return NQ_OK;
}

// protobuf-c's booleans are ints.
static enum nq_status decode_flags(struct nq_arena *arena, const protobuf_c_boolean *in, size_t count, const bool **out)
{
    if (count == 0)
        return NQ_OK;
    bool *flags = nq_arena_alloc(arena, count * sizeof *flags);
    if (!flags)
        return NQ_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        flags[i] = in[i] != 0;
    *out = flags;
    return NQ_OK;
}

static enum nq_status decode_get(struct nq_arena *arena, const ProtobufCMessage *message, struct wire_reply *out)
{
    const Nq__Wire__GetReply *in = (const Nq__Wire__GetReply *)(const void *)message;
    size_t items = in->n_bodies;
    if (items > NQ_ITEMS_PER_REQUEST_MAX || in->n_seqs != items || !is_parallel(in->n_headers, items) ||
        !is_parallel(in->n_deliveries, items) || !is_parallel(in->n_failures, items) || !is_parallel(in->n_redelivered, items))
        return NQ_BAD_REQUEST;
    out->as.get = (struct wire_get_reply){
        .queue_id = in->queue_id,
        .epoch = in->epoch,
        .count = items,
        .bodies = items ? wire_bytes_array(in->bodies) : NULL,
        .headers = in->n_headers ? wire_bytes_array(in->headers) : NULL,
        .seqs = items ? in->seqs : NULL,
        .deliveries = in->n_deliveries ? in->deliveries : NULL,
        .failures = in->n_failures ? in->failures : NULL,
        .lease_ms = in->lease_ms,
        .hold_max_ms = in->hold_max_ms,
    };
    return decode_flags(arena, in->redelivered, in->n_redelivered, &out->as.get.redelivered);
}

static enum nq_status decode_tokens(struct nq_arena *arena, const ProtobufCMessage *message, struct wire_reply *out)
{
    (void)arena;
    const Nq__Wire__TokenReply *in = (const Nq__Wire__TokenReply *)(const void *)message;
    if (in->n_statuses > NQ_ITEMS_PER_REQUEST_MAX)
        return NQ_BAD_REQUEST;
    out->as.tokens = (struct wire_token_reply){
        .statuses = in->n_statuses ? in->statuses : NULL,
        .count = in->n_statuses,
        .gone = in->gone,
    };
    return NQ_OK;
}

static void stats_from_message(const Nq__Wire__QueueStats *in, struct wire_queue_stats *out)
{
    *out = (struct wire_queue_stats){
        .name = wire_bytes(in->name),
        .queue_id = in->queue_id,
        .ready = in->ready,
        .delayed = in->delayed,
        .leased = in->leased,
        .unfinished = in->unfinished,
        .ready_bytes = in->ready_bytes,
        .next_seq = in->next_seq,
        .puts = in->puts,
        .gets = in->gets,
        .dones = in->dones,
        .redelivered = in->redelivered,
        .requeued = in->requeued,
        .failed = in->failed,
        .expired = in->expired,
        .purged = in->purged,
        .dead_lettered = in->dead_lettered,
        .dropped = in->dropped,
        .quarantined = in->quarantined,
        .state = in->state,
        .waiting_gets = in->waiting_gets,
        .waiting_puts = in->waiting_puts,
        .waiting_joins = in->waiting_joins,
        .consumers = in->consumers,
    };
    if (in->options)
        wire_options_from_message(in->options, &out->options);
}

static enum nq_status decode_stat(struct nq_arena *arena, const ProtobufCMessage *message, struct wire_reply *out)
{
    (void)arena;
    stats_from_message((const Nq__Wire__QueueStats *)(const void *)message, &out->as.stat);
    return NQ_OK;
}

static enum nq_status decode_list(struct nq_arena *arena, const ProtobufCMessage *message, struct wire_reply *out)
{
    const Nq__Wire__ListReply *in = (const Nq__Wire__ListReply *)(const void *)message;
    struct wire_queue_stats *queues = nq_arena_calloc(arena, in->n_queues, sizeof *queues);
    if (!queues)
        return NQ_NO_MEMORY;
    for (size_t i = 0; i < in->n_queues; i++)
        stats_from_message(in->queues[i], &queues[i]);
    out->as.list = (struct wire_list_reply){.queues = queues, .count = in->n_queues, .more = in->more != 0};
    return NQ_OK;
}

static enum nq_status decode_peek(struct nq_arena *arena, const ProtobufCMessage *message, struct wire_reply *out)
{
    (void)arena;
    const Nq__Wire__PeekReply *in = (const Nq__Wire__PeekReply *)(const void *)message;
    if (in->n_bodies > NQ_ITEMS_PER_REQUEST_MAX || in->n_seqs != in->n_bodies || !is_parallel(in->n_headers, in->n_bodies))
        return NQ_BAD_REQUEST;
    out->as.peek = (struct wire_peek_reply){
        .seqs = in->n_seqs ? in->seqs : NULL,
        .bodies = in->n_bodies ? wire_bytes_array(in->bodies) : NULL,
        .headers = in->n_headers ? wire_bytes_array(in->headers) : NULL,
        .count = in->n_bodies,
    };
    return NQ_OK;
}

static enum nq_status decode_count(struct nq_arena *arena, const ProtobufCMessage *message, struct wire_reply *out)
{
    (void)arena;
    out->as.count = ((const Nq__Wire__CountReply *)(const void *)message)->count;
    return NQ_OK;
}

static enum nq_status decode_ping(struct nq_arena *arena, const ProtobufCMessage *message, struct wire_reply *out)
{
    (void)arena;
    const Nq__Wire__PingReply *in = (const Nq__Wire__PingReply *)(const void *)message;
    out->as.ping = (struct wire_ping_reply){
        .broker_version = wire_bytes(in->broker_version),
        .store_id = wire_bytes(in->store_id),
        .epoch = in->epoch,
        .uptime_ms = in->uptime_ms,
        .queues = in->queues,
        .sessions = in->sessions,
    };
    return NQ_OK;
}

struct result_decoder {
    enum wire_op result;
    enum nq_status (*decode)(struct nq_arena *arena, const ProtobufCMessage *message, struct wire_reply *out);
};

static const struct result_decoder decoders[] = {
    [NQ__WIRE__REPLY__RESULT_HELLO] = {WIRE_HELLO, decode_hello},
    [NQ__WIRE__REPLY__RESULT_PUT] = {WIRE_PUT, decode_put},
    [NQ__WIRE__REPLY__RESULT_GET] = {WIRE_GET, decode_get},
    [NQ__WIRE__REPLY__RESULT_TOKENS] = {WIRE_TASK_DONE, decode_tokens},
    [NQ__WIRE__REPLY__RESULT_STAT] = {WIRE_STAT, decode_stat},
    [NQ__WIRE__REPLY__RESULT_LIST] = {WIRE_LIST, decode_list},
    [NQ__WIRE__REPLY__RESULT_PEEK] = {WIRE_PEEK, decode_peek},
    [NQ__WIRE__REPLY__RESULT_COUNT] = {WIRE_PURGE, decode_count},
    [NQ__WIRE__REPLY__RESULT_PING] = {WIRE_PING, decode_ping},
};

static enum nq_status decode_reply(struct nq_arena *arena, const Nq__Wire__Reply *in, struct wire_reply *out)
{
    out->id = in->id;
    out->status = (enum nq_status)in->status;
    out->detail = wire_bytes(in->detail);
    size_t field = (size_t)in->result_case;
    if (field >= sizeof decoders / sizeof decoders[0] || !decoders[field].decode || !in->hello)
        return NQ_OK; // no result, or one of a later version
    out->result = decoders[field].result;
    return decoders[field].decode(arena, &in->hello->base, out);
}

enum nq_status wire_decode_replies(struct nq_arena *arena, const void *data, size_t len, struct wire_reply_frame *out)
{
    *out = (struct wire_reply_frame){0};
    ProtobufCMessage *message;
    enum nq_status status = wire_unpack(arena, &nq__wire__broker_frame__descriptor, data, len, &message);
    if (status != NQ_OK)
        return status;
    const Nq__Wire__BrokerFrame *frame = (const Nq__Wire__BrokerFrame *)(const void *)message;
    bool known = frame->version == NQ_PROTOCOL_VERSION;
    out->version = frame->version;
    out->probe = frame->probe != 0;
    out->replies = nq_arena_calloc(arena, frame->n_replies, sizeof *out->replies);
    if (!out->replies)
        return NQ_NO_MEMORY;
    out->count = frame->n_replies;
    for (size_t i = 0; i < out->count && known; i++) {
        status = decode_reply(arena, frame->replies[i], &out->replies[i]);
        if (status != NQ_OK)
            return status;
    }
    for (size_t i = 0; i < out->count && !known; i++) {
        out->replies[i].id = frame->replies[i]->id;
        out->replies[i].status = NQ_UNSUPPORTED_VERSION;
    }
    return known ? NQ_OK : NQ_UNSUPPORTED_VERSION;
}
