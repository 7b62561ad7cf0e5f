// Requests about whole queues, and the broker itself.
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "name.h"

static void copy_text(char *out, size_t room, struct nq_bytes bytes)
{
    size_t len = bytes.len < room - 1 ? bytes.len : room - 1;
    if (len > 0) {
        memcpy(out, bytes.data, len);
    }
    out[len] = '\0';
}

void queue_stats_copy(struct nq_queue_stats *out, const struct wire_queue_stats *in)
{
    *out = (struct nq_queue_stats){
        .queue_id = in->queue_id,
        .options = {.given = in->options.given,
                    .maxsize = in->options.maxsize,
                    .max_bytes = in->options.max_bytes,
                    .lease_ms = in->options.lease_ms,
                    .hold_max_ms = in->options.hold_max_ms,
                    .max_deliveries = in->options.max_deliveries,
                    .ttl_ms = in->options.ttl_ms,
                    .temporary = in->options.temporary},
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
        .state = (int)in->state,
        .waiting_gets = in->waiting_gets,
        .waiting_puts = in->waiting_puts,
        .waiting_joins = in->waiting_joins,
        .consumers = in->consumers,
    };
    copy_text(out->name, sizeof out->name, in->name);
    copy_text(out->dead_letter, sizeof out->dead_letter, in->options.dead_letter);
    out->options.dead_letter = out->dead_letter;
}

// NULL: out of memory, said.
static struct request *make(struct nq_client *client, enum wire_op op)
{
    struct request *request = request_create(op);
    if (request == NULL) {
        (void)client_fail(client, NQ_NO_MEMORY, "out of memory");
    }
    return request;
}

static enum nq_status run(struct nq_client *client, struct request *request, struct call *call, const char *what, const char *queue)
{
    enum nq_status status = call_run(client, request, call, WAIT_INTERRUPTIBLE);
    if (status != NQ_OK) {
        (void)client_fail_on(client, status, what, queue, call->frame != NULL ? &call->reply : NULL);
    }
    return status;
}

static enum nq_status run_on_queue(struct nq_client *client, enum wire_op op, const struct wire_on_queue *on_queue,
                                   struct call *call, const char *what, const char *queue)
{
    *call = (struct call){0};
    enum nq_status status = client_check_queue(client, queue);
    struct request *request = status == NQ_OK ? make(client, op) : NULL;
    if (request == NULL) {
        return status == NQ_OK ? NQ_NO_MEMORY : status;
    }
    request->wire.as.on_queue = *on_queue;
    request->wire.as.on_queue.queue = bytes_of(queue);
    request->wait_ms = on_queue->wait_ms;
    return run(client, request, call, what, queue);
}

static uint64_t call_count(const struct call *call)
{
    return call->frame != NULL && call->reply.result == WIRE_PURGE ? call->reply.as.count : 0;
}

static enum nq_status counted(struct nq_client *client, enum wire_op op, const struct wire_on_queue *on_queue, const char *what,
                              const char *queue, uint64_t *count)
{
    struct call call;
    enum nq_status status = run_on_queue(client, op, on_queue, &call, what, queue);
    if (count != NULL) {
        *count = call_count(&call);
    }
    call_end(client, &call);
    return status;
}

enum nq_status nq_join(struct nq_client *client, const char *queue, uint64_t wait_ms)
{
    struct wire_on_queue on_queue = {.wait_ms = wait_ms};
    return counted(client, WIRE_JOIN, &on_queue, "join of", queue, NULL);
}

// The two names in one block of memory. False: out of memory.
static bool keep_names(struct request *request)
{
    struct wire_declare *declare = &request->wire.as.declare;
    uint8_t *names = malloc(declare->queue.len + declare->options.dead_letter.len + 1);
    if (names == NULL) {
        return false;
    }
    request->memory = names;
    struct nq_bytes *fields[] = {&declare->queue, &declare->options.dead_letter};
    for (size_t i = 0; i < 2; i++) {
        if (fields[i]->len > 0) {
            memcpy(names, fields[i]->data, fields[i]->len);
        }
        fields[i]->data = names;
        names += fields[i]->len;
    }
    return true;
}

struct request *declare_request(struct nq_client *client, const char *queue, const struct nq_queue_options *options,
                                uint64_t initial, bool update, bool copy)
{
    static const struct nq_queue_options none = {0};
    options = options != NULL ? options : &none;
    struct request *request = make(client, WIRE_DECLARE);
    if (request == NULL) {
        return NULL;
    }
    request->wire.as.declare = (struct wire_declare){
        .queue = bytes_of(queue),
        .options = {.given = options->given,
                    .maxsize = options->maxsize,
                    .max_bytes = options->max_bytes,
                    .lease_ms = options->lease_ms,
                    .hold_max_ms = options->hold_max_ms,
                    .max_deliveries = options->max_deliveries,
                    .dead_letter = bytes_of(options->dead_letter),
                    .ttl_ms = options->ttl_ms,
                    .temporary = options->temporary},
        .initial = initial,
        .update = update,
    };
    if (copy && !keep_names(request)) {
        (void)client_fail(client, NQ_NO_MEMORY, "out of memory");
        free(request);
        return NULL;
    }
    return request;
}

static enum nq_status declare(struct nq_client *client, const char *queue, const struct nq_queue_options *options, uint64_t initial,
                              bool update, struct nq_queue_stats *stats)
{
    enum nq_status status = client_check_queue(client, queue);
    struct request *request = status == NQ_OK ? declare_request(client, queue, options, initial, update, false) : NULL;
    if (request == NULL) {
        return status == NQ_OK ? NQ_NO_MEMORY : status;
    }
    struct call call;
    status = run(client, request, &call, update ? "update of" : "declare of", queue);
    if (stats != NULL && call.frame != NULL && call.reply.result == WIRE_STAT) {
        queue_stats_copy(stats, &call.reply.as.stat);
    }
    call_end(client, &call);
    return status;
}

enum nq_status nq_declare(struct nq_client *client, const char *queue, const struct nq_queue_options *options, uint64_t initial,
                          struct nq_queue_stats *stats)
{
    return declare(client, queue, options, initial, false, stats);
}

enum nq_status nq_update(struct nq_client *client, const char *queue, const struct nq_queue_options *options,
                         struct nq_queue_stats *stats)
{
    return declare(client, queue, options, 0, true, stats);
}

enum nq_status nq_purge(struct nq_client *client, const char *queue, uint64_t *count)
{
    struct wire_on_queue on_queue = {0};
    return counted(client, WIRE_PURGE, &on_queue, "purge of", queue, count);
}

enum nq_status nq_delete(struct nq_client *client, const char *queue, uint64_t *count)
{
    struct wire_on_queue on_queue = {0};
    return counted(client, WIRE_DELETE, &on_queue, "delete of", queue, count);
}

enum nq_status nq_shutdown(struct nq_client *client, const char *queue, bool immediate, uint64_t *count)
{
    struct wire_on_queue on_queue = {.immediate = immediate};
    return counted(client, WIRE_SHUTDOWN, &on_queue, "shutdown of", queue, count);
}

enum nq_status nq_redrive(struct nq_client *client, const char *queue, const char *to, uint64_t max_items, uint64_t *moved)
{
    struct wire_on_queue on_queue = {.to = bytes_of(to), .max_items = max_items};
    return counted(client, WIRE_REDRIVE, &on_queue, "redrive of", queue, moved);
}

enum nq_status nq_backup(struct nq_client *client, const char *name, uint64_t *bytes)
{
    struct call call = {0};
    if (name == NULL || !nq_backup_name_is_valid(name, strlen(name))) {
        return client_fail_on(client, NQ_BAD_NAME, "backup to", name, NULL);
    }
    struct request *request = make(client, WIRE_BACKUP);
    if (request == NULL) {
        return NQ_NO_MEMORY;
    }
    request->wire.as.backup_name = bytes_of(name);
    enum nq_status status = run(client, request, &call, "backup to", name);
    if (bytes != NULL) {
        *bytes = call_count(&call);
    }
    call_end(client, &call);
    return status;
}

enum nq_status nq_stat(struct nq_client *client, const char *queue, struct nq_queue_stats *out)
{
    struct wire_on_queue on_queue = {0};
    struct call call;
    enum nq_status status = run_on_queue(client, WIRE_STAT, &on_queue, &call, "stat of", queue);
    *out = (struct nq_queue_stats){0};
    if (status == NQ_OK && call.frame != NULL && call.reply.result == WIRE_STAT) {
        queue_stats_copy(out, &call.reply.as.stat);
    }
    out->options.dead_letter = out->dead_letter;
    call_end(client, &call);
    return status;
}

// One page of the list, appended to *out.
static enum nq_status list_page(struct nq_client *client, struct nq_queue_stats **out, size_t *count, bool *more)
{
    struct request *request = make(client, WIRE_LIST);
    if (request == NULL) {
        return NQ_NO_MEMORY;
    }
    if (*count > 0) {
        request->wire.as.list.after = bytes_of((*out)[*count - 1].name);
    }
    struct call call;
    enum nq_status status = run(client, request, &call, "list", NULL);
    *more = false;
    if (status == NQ_OK && call.frame != NULL && call.reply.result == WIRE_LIST && call.reply.as.list.count > 0) {
        const struct wire_list_reply *list = &call.reply.as.list;
        struct nq_queue_stats *longer = realloc(*out, (*count + list->count) * sizeof *longer);
        if (longer == NULL) {
            status = client_fail(client, NQ_NO_MEMORY, "list: out of memory");
        } else {
            *out = longer;
            for (size_t i = 0; i < list->count; i++) {
                queue_stats_copy(&longer[(*count)++], &list->queues[i]);
            }
            *more = list->more;
        }
    }
    call_end(client, &call);
    return status;
}

enum nq_status nq_list(struct nq_client *client, struct nq_queue_stats **out, size_t *count)
{
    *out = NULL;
    *count = 0;
    bool more = true;
    enum nq_status status = NQ_OK;
    while (status == NQ_OK && more) {
        status = list_page(client, out, count, &more);
    }
    if (status != NQ_OK) {
        free(*out);
        *out = NULL;
        *count = 0;
    }
    for (size_t i = 0; i < *count; i++) {
        (*out)[i].options.dead_letter = (*out)[i].dead_letter; // the array has moved while it grew
    }
    return status;
}

enum nq_status nq_peek(struct nq_client *client, const char *queue, uint64_t from_seq, size_t max, struct nq_item **items,
                       size_t *count)
{
    struct wire_on_queue on_queue = {.from_seq = from_seq,
                                     .max_items = max < NQ_ITEMS_PER_REQUEST_MAX ? max : NQ_ITEMS_PER_REQUEST_MAX};
    struct call call;
    *count = 0;
    enum nq_status status = run_on_queue(client, WIRE_PEEK, &on_queue, &call, "peek into", queue);
    bool some = status == NQ_OK && call.frame != NULL && call.reply.result == WIRE_PEEK && call.reply.as.peek.count > 0;
    if (some && call.reply.as.peek.count <= max) {
        struct answer *answer;
        status = answer_create(client, bytes_of(queue), 0, &call.reply, call.frame, false, &answer);
        for (uint32_t i = 0; status == NQ_OK && i < answer->count; i++) {
            items[(*count)++] = &answer->items[i];
        }
    }
    call_end(client, &call);
    return status;
}

enum nq_status nq_ping(struct nq_client *client, struct nq_broker_info *out)
{
    struct nq_broker_info info = {0};
    struct request *request = make(client, WIRE_PING);
    if (request == NULL) {
        return NQ_NO_MEMORY;
    }
    struct call call;
    enum nq_status status = run(client, request, &call, "ping", NULL);
    if (call.frame != NULL && call.reply.result == WIRE_PING) {
        const struct wire_ping_reply *ping = &call.reply.as.ping;
        copy_text(info.version, sizeof info.version, ping->broker_version);
        if (ping->store_id.len == sizeof info.store_id) {
            memcpy(info.store_id, ping->store_id.data, sizeof info.store_id);
        }
        info.epoch = ping->epoch;
        info.uptime_ms = ping->uptime_ms;
        info.queues = ping->queues;
        info.sessions = ping->sessions;
        info.body_bytes_max = client->session.limits.body_bytes;
        info.headers_bytes_max = client->session.limits.headers_bytes;
    }
    if (out != NULL) {
        *out = info;
    }
    call_end(client, &call);
    return status;
}

void nq_free(void *memory)
{
    free(memory);
}
