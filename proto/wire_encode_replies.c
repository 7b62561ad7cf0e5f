// Plain replies -> protobuf-c's structs. Nothing but flags is copied: they borrow the caller's bytes.
#include "wire_internal.h"

static bool fill_hello(struct nq_arena *arena, const struct wire_reply *in, void *out)
{
    const struct wire_hello_reply *hello = &in->as.hello;
    Nq__Wire__HelloReply *message = out;
    message->resume_token = wire_binary(hello->resume_token);
    message->store_id = wire_binary(hello->store_id);
    message->resumed = hello->resumed;
    message->epoch = hello->epoch;
    message->broker_version = wire_binary(hello->broker_version);
    Nq__Wire__Limits *limits = wire_message_new(arena, &nq__wire__limits__descriptor);
    if (!limits)
        return false;
    limits->body_bytes = hello->limits.body_bytes;
    limits->headers_bytes = hello->limits.headers_bytes;
    limits->frame_bytes = hello->limits.frame_bytes;
    limits->items = hello->limits.items;
    limits->requests = hello->limits.requests;
    limits->session_timeout_ms = hello->limits.session_timeout_ms;
    limits->session_grace_ms = hello->limits.session_grace_ms;
    message->limits = limits;
    return true;
}

static bool fill_put(struct nq_arena *arena, const struct wire_reply *in, void *out)
{
    (void)arena;
    Nq__Wire__PutReply *message = out;
    message->accepted = in->as.put.accepted;
    message->last_seq = in->as.put.last_seq;
    message->duplicate = in->as.put.duplicate;
    message->last_number = in->as.put.last_number;
    return true;
}

// protobuf-c's booleans are ints.
static bool fill_flags(struct nq_arena *arena, const bool *in, size_t count, Nq__Wire__GetReply *out)
{
    if (!in)
        return true;
    protobuf_c_boolean *flags = nq_arena_alloc(arena, count * sizeof *flags);
    if (!flags)
        return false;
    for (size_t i = 0; i < count; i++)
        flags[i] = in[i];
    out->n_redelivered = count;
    out->redelivered = flags;
    return true;
}

static bool fill_get(struct nq_arena *arena, const struct wire_reply *in, void *out)
{
    const struct wire_get_reply *get = &in->as.get;
    Nq__Wire__GetReply *message = out;
    message->queue_id = get->queue_id;
    message->epoch = get->epoch;
    message->n_bodies = get->count;
    message->bodies = wire_unconst(get->bodies);
    message->n_headers = get->headers ? get->count : 0;
    message->headers = wire_unconst(get->headers);
    message->n_seqs = get->count;
    message->seqs = wire_unconst(get->seqs);
    message->n_deliveries = get->deliveries ? get->count : 0;
    message->deliveries = wire_unconst(get->deliveries);
    message->n_failures = get->failures ? get->count : 0;
    message->failures = wire_unconst(get->failures);
    message->lease_ms = get->lease_ms;
    message->hold_max_ms = get->hold_max_ms;
    return fill_flags(arena, get->redelivered, get->count, message);
}

static bool fill_tokens(struct nq_arena *arena, const struct wire_reply *in, void *out)
{
    (void)arena;
    Nq__Wire__TokenReply *message = out;
    message->n_statuses = in->as.tokens.statuses ? in->as.tokens.count : 0;
    message->statuses = wire_unconst(in->as.tokens.statuses);
    message->gone = in->as.tokens.gone;
    return true;
}

static bool stats_to_message(struct nq_arena *arena, const struct wire_queue_stats *in, Nq__Wire__QueueStats *out)
{
    out->name = wire_binary(in->name);
    out->queue_id = in->queue_id;
    out->ready = in->ready;
    out->delayed = in->delayed;
    out->leased = in->leased;
    out->unfinished = in->unfinished;
    out->ready_bytes = in->ready_bytes;
    out->next_seq = in->next_seq;
    out->puts = in->puts;
    out->gets = in->gets;
    out->dones = in->dones;
    out->redelivered = in->redelivered;
    out->requeued = in->requeued;
    out->failed = in->failed;
    out->expired = in->expired;
    out->purged = in->purged;
    out->dead_lettered = in->dead_lettered;
    out->dropped = in->dropped;
    out->quarantined = in->quarantined;
    out->state = in->state;
    out->waiting_gets = in->waiting_gets;
    out->waiting_puts = in->waiting_puts;
    out->waiting_joins = in->waiting_joins;
    out->consumers = in->consumers;
    out->options = wire_message_new(arena, &nq__wire__queue_options__descriptor);
    if (!out->options)
        return false;
    wire_options_to_message(&in->options, out->options);
    return true;
}

static bool fill_stat(struct nq_arena *arena, const struct wire_reply *in, void *out)
{
    return stats_to_message(arena, &in->as.stat, out);
}

static bool fill_list(struct nq_arena *arena, const struct wire_reply *in, void *out)
{
    const struct wire_list_reply *list = &in->as.list;
    Nq__Wire__ListReply *message = out;
    message->queues = nq_arena_calloc(arena, list->count, sizeof(Nq__Wire__QueueStats *));
    if (!message->queues)
        return false;
    message->n_queues = list->count;
    message->more = list->more;
    for (size_t i = 0; i < list->count; i++) {
        message->queues[i] = wire_message_new(arena, &nq__wire__queue_stats__descriptor);
        if (!message->queues[i] || !stats_to_message(arena, &list->queues[i], message->queues[i]))
            return false;
    }
    return true;
}

static bool fill_peek(struct nq_arena *arena, const struct wire_reply *in, void *out)
{
    (void)arena;
    const struct wire_peek_reply *peek = &in->as.peek;
    Nq__Wire__PeekReply *message = out;
    message->n_seqs = peek->count;
    message->seqs = wire_unconst(peek->seqs);
    message->n_bodies = peek->count;
    message->bodies = wire_unconst(peek->bodies);
    message->n_headers = peek->headers ? peek->count : 0;
    message->headers = wire_unconst(peek->headers);
    return true;
}

static bool fill_count(struct nq_arena *arena, const struct wire_reply *in, void *out)
{
    (void)arena;
    ((Nq__Wire__CountReply *)out)->count = in->as.count;
    return true;
}

static bool fill_ping(struct nq_arena *arena, const struct wire_reply *in, void *out)
{
    (void)arena;
    const struct wire_ping_reply *ping = &in->as.ping;
    Nq__Wire__PingReply *message = out;
    message->broker_version = wire_binary(ping->broker_version);
    message->store_id = wire_binary(ping->store_id);
    message->epoch = ping->epoch;
    message->uptime_ms = ping->uptime_ms;
    message->queues = ping->queues;
    message->sessions = ping->sessions;
    return true;
}

struct result_encoder {
    const ProtobufCMessageDescriptor *descriptor;
    uint32_t field;
    bool (*fill)(struct nq_arena *arena, const struct wire_reply *in, void *out);
};

#define TOKENS                                                                                                                     \
    {                                                                                                                              \
        &nq__wire__token_reply__descriptor, NQ__WIRE__REPLY__RESULT_TOKENS, fill_tokens                                            \
    }
#define STAT                                                                                                                       \
    {                                                                                                                              \
        &nq__wire__queue_stats__descriptor, NQ__WIRE__REPLY__RESULT_STAT, fill_stat                                                \
    }
#define COUNT                                                                                                                      \
    {                                                                                                                              \
        &nq__wire__count_reply__descriptor, NQ__WIRE__REPLY__RESULT_COUNT, fill_count                                              \
    }

// A reply may name its result by the request's own operation or by the one that stands for its kind.
static const struct result_encoder encoders[] = {
    [WIRE_HELLO] = {&nq__wire__hello_reply__descriptor, NQ__WIRE__REPLY__RESULT_HELLO, fill_hello},
    [WIRE_PUT] = {&nq__wire__put_reply__descriptor, NQ__WIRE__REPLY__RESULT_PUT, fill_put},
    [WIRE_GET] = {&nq__wire__get_reply__descriptor, NQ__WIRE__REPLY__RESULT_GET, fill_get},
    [WIRE_TASK_DONE] = TOKENS,
    [WIRE_EXTEND] = TOKENS,
    [WIRE_REQUEUE] = TOKENS,
    [WIRE_DECLARE] = STAT,
    [WIRE_STAT] = STAT,
    [WIRE_LIST] = {&nq__wire__list_reply__descriptor, NQ__WIRE__REPLY__RESULT_LIST, fill_list},
    [WIRE_PEEK] = {&nq__wire__peek_reply__descriptor, NQ__WIRE__REPLY__RESULT_PEEK, fill_peek},
    [WIRE_PURGE] = COUNT,
    [WIRE_DELETE] = COUNT,
    [WIRE_SHUTDOWN] = COUNT,
    [WIRE_REDRIVE] = COUNT,
    [WIRE_BACKUP] = COUNT,
    [WIRE_PING] = {&nq__wire__ping_reply__descriptor, NQ__WIRE__REPLY__RESULT_PING, fill_ping},
};

bool wire_reply_message(struct nq_arena *arena, const struct wire_reply *in, ProtobufCMessage **out, uint32_t *field)
{
    *out = NULL;
    *field = 0;
    size_t result = (size_t)in->result;
    if (result >= sizeof encoders / sizeof encoders[0] || !encoders[result].fill)
        return true;
    ProtobufCMessage *message = wire_message_new(arena, encoders[result].descriptor);
    if (!message || !encoders[result].fill(arena, in, message))
        return false;
    *out = message;
    *field = encoders[result].field;
    return true;
}
