// Plain requests -> protobuf-c's structs. Nothing is copied: they borrow the caller's bytes.
#include "wire_internal.h"

typedef bool fill_function(struct nq_arena *arena, const struct wire_request *in, void *out);

static bool fill_hello(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    const struct wire_hello *hello = &in->as.hello;
    Nq__Wire__Hello *message = out;
    message->session_id = wire_binary(hello->session_id);
    message->resume_token = wire_binary(hello->resume_token);
    message->n_waiting_gets = hello->waiting_gets_count;
    message->waiting_gets = wire_unconst(hello->waiting_gets);
    message->n_held_gets = hello->held_gets_count;
    message->held_gets = wire_unconst(hello->held_gets);
    message->client_name = wire_binary(hello->client_name);
    return true;
}

static bool fill_put(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    const struct wire_put *put = &in->as.put;
    Nq__Wire__Put *message = out;
    message->queue = wire_binary(put->queue);
    message->stream = put->stream;
    message->first_number = put->first_number;
    message->n_bodies = put->count;
    message->bodies = wire_unconst(put->bodies);
    message->n_headers = put->headers ? put->count : 0;
    message->headers = wire_unconst(put->headers);
    message->wait_ms = put->wait_ms;
    message->delay_ms = put->delay_ms;
    message->atomic = put->atomic;
    return true;
}

static bool fill_get(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    const struct wire_get *get = &in->as.get;
    Nq__Wire__Get *message = out;
    message->queue = wire_binary(get->queue);
    message->max_items = get->max_items;
    message->max_bytes = get->max_bytes;
    message->wait_ms = get->wait_ms;
    message->lease_ms = get->lease_ms;
    message->hold_max_ms = get->hold_max_ms;
    message->at_most_once = get->at_most_once;
    return true;
}

static bool fill_task_done(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    const struct wire_tokens *tokens = &in->as.tokens;
    Nq__Wire__TaskDone *message = out;
    message->queue_id = tokens->queue_id;
    message->epoch = tokens->epoch;
    message->n_seqs = tokens->count;
    message->seqs = wire_unconst(tokens->seqs);
    message->n_deliveries = tokens->deliveries ? tokens->count : 0;
    message->deliveries = wire_unconst(tokens->deliveries);
    return true;
}

static bool fill_extend(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    const struct wire_tokens *tokens = &in->as.tokens;
    Nq__Wire__Extend *message = out;
    message->queue_id = tokens->queue_id;
    message->epoch = tokens->epoch;
    message->n_seqs = tokens->count;
    message->seqs = wire_unconst(tokens->seqs);
    message->n_deliveries = tokens->deliveries ? tokens->count : 0;
    message->deliveries = wire_unconst(tokens->deliveries);
    message->lease_ms = tokens->lease_ms;
    return true;
}

static bool fill_requeue(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    const struct wire_tokens *tokens = &in->as.tokens;
    Nq__Wire__Requeue *message = out;
    message->queue_id = tokens->queue_id;
    message->epoch = tokens->epoch;
    message->n_seqs = tokens->count;
    message->seqs = wire_unconst(tokens->seqs);
    message->n_deliveries = tokens->deliveries ? tokens->count : 0;
    message->deliveries = wire_unconst(tokens->deliveries);
    message->delay_ms = tokens->delay_ms;
    message->failed = tokens->failed;
    message->dead = tokens->dead;
    message->reason = wire_binary(tokens->reason);
    return true;
}

static bool fill_join(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    Nq__Wire__Join *message = out;
    message->queue = wire_binary(in->as.on_queue.queue);
    message->wait_ms = in->as.on_queue.wait_ms;
    return true;
}

static bool fill_declare(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    const struct wire_declare *declare = &in->as.declare;
    Nq__Wire__Declare *message = out;
    message->queue = wire_binary(declare->queue);
    message->initial = declare->initial;
    message->update = declare->update;
    if (declare->options.given == 0)
        return true;
    message->options = wire_message_new(arena, &nq__wire__queue_options__descriptor);
    if (!message->options)
        return false;
    wire_options_to_message(&declare->options, message->options);
    return true;
}

static bool fill_purge(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    ((Nq__Wire__Purge *)out)->queue = wire_binary(in->as.on_queue.queue);
    return true;
}

static bool fill_delete(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    ((Nq__Wire__Delete *)out)->queue = wire_binary(in->as.on_queue.queue);
    return true;
}

static bool fill_shutdown(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    Nq__Wire__Shutdown *message = out;
    message->queue = wire_binary(in->as.on_queue.queue);
    message->immediate = in->as.on_queue.immediate;
    return true;
}

static bool fill_stat(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    ((Nq__Wire__Stat *)out)->queue = wire_binary(in->as.on_queue.queue);
    return true;
}

static bool fill_list(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    Nq__Wire__List *message = out;
    message->after = wire_binary(in->as.list.after);
    message->max = in->as.list.max;
    return true;
}

static bool fill_peek(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    const struct wire_on_queue *peek = &in->as.on_queue;
    Nq__Wire__Peek *message = out;
    message->queue = wire_binary(peek->queue);
    message->from_seq = peek->from_seq;
    message->max_items = peek->max_items > UINT32_MAX ? UINT32_MAX : (uint32_t)peek->max_items;
    message->max_bytes = peek->max_bytes;
    return true;
}

static bool fill_redrive(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    Nq__Wire__Redrive *message = out;
    message->queue = wire_binary(in->as.on_queue.queue);
    message->to = wire_binary(in->as.on_queue.to);
    message->max_items = in->as.on_queue.max_items;
    return true;
}

static bool fill_renew(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    Nq__Wire__Renew *message = out;
    message->session_id = wire_binary(in->as.renew.session_id);
    message->resume_token = wire_binary(in->as.renew.resume_token);
    return true;
}

static bool fill_cancel(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    ((Nq__Wire__Cancel *)out)->request_id = in->as.cancel_id;
    return true;
}

static bool fill_backup(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    ((Nq__Wire__Backup *)out)->name = wire_binary(in->as.backup_name);
    return true;
}

static bool fill_nothing(struct nq_arena *arena, const struct wire_request *in, void *out)
{
    (void)arena;
    (void)in;
    (void)out;
    return true;
}

static fill_function *const fills[] = {
    [WIRE_HELLO] = fill_hello,   [WIRE_PUT] = fill_put,         [WIRE_GET] = fill_get,           [WIRE_TASK_DONE] = fill_task_done,
    [WIRE_EXTEND] = fill_extend, [WIRE_REQUEUE] = fill_requeue, [WIRE_JOIN] = fill_join,         [WIRE_DECLARE] = fill_declare,
    [WIRE_PURGE] = fill_purge,   [WIRE_DELETE] = fill_delete,   [WIRE_SHUTDOWN] = fill_shutdown, [WIRE_STAT] = fill_stat,
    [WIRE_LIST] = fill_list,     [WIRE_PEEK] = fill_peek,       [WIRE_REDRIVE] = fill_redrive,   [WIRE_RENEW] = fill_renew,
    [WIRE_CANCEL] = fill_cancel, [WIRE_PING] = fill_nothing,    [WIRE_GOODBYE] = fill_nothing,   [WIRE_BACKUP] = fill_backup,
};

bool wire_request_message(struct nq_arena *arena, const struct wire_request *in, ProtobufCMessage **out)
{
    const struct wire_op_decoder *decoder = wire_op_decoder_of(in->op);
    *out = NULL;
    if (!decoder)
        return true;
    ProtobufCMessage *message = wire_message_new(arena, decoder->descriptor);
    if (!message || !fills[in->op](arena, in, message))
        return false;
    *out = message;
    return true;
}
