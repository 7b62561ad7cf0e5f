#include "fake_model.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t token[NQ_RESUME_TOKEN_BYTES] = {1, 2, 3};

void fake_model_init(struct fake_model *self)
{
    *self = (struct fake_model){.version = NQ_PROTOCOL_VERSION,
                                .epoch = 1,
                                .lease_ms = 60000,
                                .body_bytes = NQ_BODY_BYTES_DEFAULT,
                                .frame_bytes = NQ_FRAME_BYTES_DEFAULT,
                                .session_timeout_ms = NQ_SESSION_TIMEOUT_MS_DEFAULT,
                                .store_id = {42}};
    self->answers = calloc(FAKE_ANSWERS_MAX, sizeof *self->answers);
}

static void clear_queues(struct fake_model *self)
{
    for (size_t q = 0; q < self->queues_count; q++) {
        struct fake_queue *queue = &self->queues[q];
        for (size_t i = 0; i < queue->count; i++) {
            free((void *)(uintptr_t)queue->items[i].body.data);
            free((void *)(uintptr_t)queue->items[i].headers.data);
        }
        free(queue->items);
        *queue = (struct fake_queue){0};
    }
    self->queues_count = 0;
}

void fake_model_fini(struct fake_model *self)
{
    clear_queues(self);
    free(self->answers);
}

static struct fake_queue *find_queue(struct fake_model *self, struct nq_bytes name)
{
    for (size_t i = 0; i < self->queues_count; i++) {
        if (strlen(self->queues[i].name) == name.len && memcmp(self->queues[i].name, name.data, name.len) == 0) {
            return &self->queues[i];
        }
    }
    return NULL;
}

struct fake_queue *fake_model_queue(struct fake_model *self, struct nq_bytes name)
{
    struct fake_queue *queue = find_queue(self, name);
    if (queue == NULL && self->queues_count < FAKE_QUEUES_MAX) {
        queue = &self->queues[self->queues_count++];
        memcpy(queue->name, name.data, name.len);
        queue->id = self->queues_count + 100;
        queue->items = calloc(FAKE_ITEMS_MAX, sizeof *queue->items);
    }
    return queue;
}

static struct wire_reply *answer(struct fake_model *self, const struct fake_peer *peer, uint64_t id, enum nq_status status)
{
    struct fake_answer *a = &self->answers[self->answers_count];
    self->answers_count += self->answers_count + 1 < FAKE_ANSWERS_MAX ? 1 : 0;
    *a = (struct fake_answer){.peer = *peer, .reply = {.id = id, .status = status}};
    return &a->reply;
}

static size_t count_state(const struct fake_queue *queue, enum fake_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < queue->count; i++) {
        count += queue->items[i].state == state ? 1 : 0;
    }
    return count;
}

// --------------------------------------------------------------------------------------------------------------- put

static struct nq_bytes copy_bytes(struct nq_bytes bytes)
{
    uint8_t *copy = malloc(bytes.len + 1);
    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    return (struct nq_bytes){bytes.len, copy};
}

static struct fake_stream *find_stream(struct fake_model *self, uint64_t number)
{
    for (size_t i = 0; i < self->streams_count; i++) {
        if (self->streams[i].number == number) {
            return &self->streams[i];
        }
    }
    return NULL;
}

static void on_put(struct fake_model *self, const struct fake_peer *peer, const struct wire_request *request)
{
    const struct wire_put *put = &request->as.put;
    struct wire_reply *reply = answer(self, peer, request->id, NQ_OK);
    reply->result = WIRE_PUT;
    if (self->refuse_left > 0) {
        self->refuse_left--;
        reply->status = self->refuse_status;
        return;
    }
    struct fake_stream *stream = find_stream(self, put->stream);
    if (stream == NULL) {
        if (put->first_number != 1 || self->streams_count == FAKE_STREAMS_MAX) {
            reply->status = NQ_STREAM_UNKNOWN;
            return;
        }
        stream = &self->streams[self->streams_count++];
        *stream = (struct fake_stream){.number = put->stream};
    }
    reply->as.put.last_number = stream->last;
    if (put->first_number > stream->last + 1) {
        reply->status = NQ_OUT_OF_SEQUENCE;
        return;
    }
    struct fake_queue *queue = fake_model_queue(self, put->queue);
    for (size_t i = 0; i < put->count; i++) {
        if (put->first_number + i <= stream->last) {
            reply->as.put.duplicate = true;
        } else if (queue->shut_down) {
            reply->status = NQ_SHUT_DOWN;
            break;
        } else if (queue->maxsize > 0 && count_state(queue, FAKE_READY) >= queue->maxsize) {
            reply->status = NQ_FULL;
            break;
        } else {
            struct fake_item *item = &queue->items[queue->count++];
            *item = (struct fake_item){.body = copy_bytes(put->bodies[i])};
            item->headers = put->headers != NULL ? copy_bytes(put->headers[i]) : (struct nq_bytes){0, NULL};
            stream->last++;
        }
        reply->as.put.accepted++;
    }
    reply->as.put.last_seq = queue->count;
    reply->as.put.last_number = stream->last;
}

// --------------------------------------------------------------------------------------------------------------- get

// The items of that get that are still on lease, or newly leased ones.
static size_t pick(struct fake_queue *queue, const struct wire_request *request, uint64_t *seqs, bool again)
{
    size_t max = request->as.get.max_items;
    size_t count = 0;
    for (size_t i = 0; i < queue->count && count < max; i++) {
        struct fake_item *item = &queue->items[i];
        if (again && item->state == FAKE_LEASED && item->get_id == request->id) {
            seqs[count++] = i + 1;
        } else if (!again && item->state == FAKE_READY) {
            item->state = request->as.get.at_most_once ? FAKE_DONE : FAKE_LEASED;
            item->delivery++;
            item->get_id = request->id;
            seqs[count++] = i + 1;
        }
    }
    return count;
}

static bool serve_get(struct fake_model *self, struct nq_arena *arena, const struct fake_peer *peer,
                      const struct wire_request *request)
{
    struct fake_queue *queue = fake_model_queue(self, request->as.get.queue);
    size_t max = request->as.get.max_items;
    uint64_t *seqs = nq_arena_calloc(arena, max, sizeof *seqs);
    size_t count = pick(queue, request, seqs, true);
    count = count > 0 ? count : pick(queue, request, seqs, false);
    if (count == 0) {
        return false;
    }
    struct nq_bytes *bodies = nq_arena_calloc(arena, count, sizeof *bodies);
    struct nq_bytes *headers = nq_arena_calloc(arena, count, sizeof *headers);
    uint32_t *deliveries = nq_arena_calloc(arena, count, sizeof *deliveries);
    uint32_t *failures = nq_arena_calloc(arena, count, sizeof *failures);
    for (size_t i = 0; i < count; i++) {
        const struct fake_item *item = &queue->items[seqs[i] - 1];
        bodies[i] = item->body;
        headers[i] = item->headers;
        deliveries[i] = item->delivery;
        failures[i] = item->failures;
    }
    struct wire_reply *reply = answer(self, peer, request->id, NQ_OK);
    reply->result = WIRE_GET;
    reply->as.get = (struct wire_get_reply){.queue_id = queue->id,
                                            .epoch = self->epoch,
                                            .count = count,
                                            .bodies = bodies,
                                            .headers = headers,
                                            .seqs = seqs,
                                            .deliveries = deliveries,
                                            .failures = failures,
                                            .lease_ms = self->lease_ms};
    return true;
}

static size_t unfinished(const struct fake_queue *queue)
{
    return queue->count - count_state(queue, FAKE_DONE);
}

// True: answered.
static bool serve(struct fake_model *self, struct nq_arena *arena, const struct fake_peer *peer, const struct wire_request *request,
                  struct fake_queue *queue, bool time_is_over)
{
    if (request->op == WIRE_GET) {
        if (serve_get(self, arena, peer, request)) {
            return true;
        }
        if (queue->shut_down || time_is_over) {
            (void)answer(self, peer, request->id, queue->shut_down ? NQ_SHUT_DOWN : NQ_EMPTY);
            return true;
        }
        return false;
    }
    if (unfinished(queue) == 0 || time_is_over) {
        (void)answer(self, peer, request->id, unfinished(queue) == 0 ? NQ_OK : NQ_TIMED_OUT);
        return true;
    }
    return false;
}

static void on_waiting(struct fake_model *self, struct nq_arena *arena, const struct fake_peer *peer,
                       const struct wire_request *request, uint64_t now_ms)
{
    bool is_get = request->op == WIRE_GET;
    uint64_t wait_ms = is_get ? request->as.get.wait_ms : request->as.on_queue.wait_ms;
    struct fake_queue *queue = fake_model_queue(self, is_get ? request->as.get.queue : request->as.on_queue.queue);
    for (size_t i = 0; i < self->parked_count; i++) {
        if (self->parked[i].request.id == request->id) {
            self->parked[i].peer = *peer;
            return;
        }
    }
    self->counts.gets += is_get ? 1 : 0;
    if (serve(self, arena, peer, request, queue, wait_ms == 0) || self->parked_count == FAKE_PARKED_MAX) {
        return;
    }
    struct fake_parked *parked = &self->parked[self->parked_count++];
    *parked = (struct fake_parked){.peer = *peer, .request = *request, .queue = queue};
    parked->deadline_ms = wait_ms < UINT64_MAX - now_ms ? now_ms + wait_ms : UINT64_MAX;
    struct nq_bytes name = {strlen(queue->name), (const uint8_t *)queue->name};
    if (is_get) {
        parked->request.as.get.queue = name; // the frame's arena does not last
    } else {
        parked->request.as.on_queue.queue = name;
    }
}

void fake_model_time(struct fake_model *self, struct nq_arena *arena, uint64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->parked_count; i++) {
        struct fake_parked parked = self->parked[i];
        if (!serve(self, arena, &parked.peer, &parked.request, parked.queue, now_ms >= parked.deadline_ms)) {
            self->parked[kept++] = parked;
        }
    }
    self->parked_count = kept;
}

static void on_cancel(struct fake_model *self, const struct fake_peer *peer, const struct wire_request *request)
{
    for (size_t i = 0; i < self->parked_count; i++) {
        if (self->parked[i].request.id == request->as.cancel_id) {
            (void)answer(self, &self->parked[i].peer, request->as.cancel_id, NQ_CANCELLED);
            self->parked[i] = self->parked[--self->parked_count];
            break;
        }
    }
    (void)answer(self, peer, request->id, NQ_OK);
}

// ------------------------------------------------------------------------------------------------------------- tokens

static enum nq_status end_token(struct fake_model *self, const struct wire_request *request, size_t i)
{
    const struct wire_tokens *tokens = &request->as.tokens;
    for (size_t q = 0; q < self->queues_count; q++) {
        struct fake_queue *queue = &self->queues[q];
        if (queue->id != tokens->queue_id || tokens->seqs[i] == 0 || tokens->seqs[i] > queue->count) {
            continue;
        }
        struct fake_item *item = &queue->items[tokens->seqs[i] - 1];
        uint32_t delivery = tokens->deliveries != NULL ? tokens->deliveries[i] : 1;
        bool held = item->state == FAKE_LEASED && item->delivery == delivery;
        if (request->op == WIRE_TASK_DONE && (held || item->state != FAKE_LEASED)) {
            item->state = FAKE_DONE;
            return NQ_OK;
        }
        if (held && request->op == WIRE_REQUEUE) {
            item->state = FAKE_READY;
            item->failures += tokens->failed ? 1 : 0;
        }
        return held ? NQ_OK : NQ_LEASE_LOST;
    }
    return NQ_NOT_LEASED;
}

static void on_tokens(struct fake_model *self, struct nq_arena *arena, const struct fake_peer *peer,
                      const struct wire_request *request)
{
    size_t count = request->as.tokens.count;
    uint32_t *statuses = nq_arena_calloc(arena, count, sizeof *statuses);
    struct wire_reply *reply = answer(self, peer, request->id, NQ_OK);
    for (size_t i = 0; i < count; i++) {
        statuses[i] = end_token(self, request, i);
        if (reply->status == NQ_OK) {
            reply->status = (enum nq_status)statuses[i];
        }
    }
    self->counts.requeues += request->op == WIRE_REQUEUE ? count : 0;
    self->counts.extend_ms = request->op == WIRE_EXTEND ? request->as.tokens.lease_ms : self->counts.extend_ms;
    reply->result = WIRE_TASK_DONE;
    reply->as.tokens.statuses = statuses;
    reply->as.tokens.count = count;
}

// ------------------------------------------------------------------------------------------------------ all the others

static bool is_named(const uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

// Items of gets that HELLO does not name go back.
static void take_back(struct fake_model *self, const struct wire_hello *hello)
{
    for (size_t q = 0; q < self->queues_count; q++) {
        for (size_t i = 0; i < self->queues[q].count; i++) {
            struct fake_item *item = &self->queues[q].items[i];
            if (item->state == FAKE_LEASED && !is_named(hello->held_gets, hello->held_gets_count, item->get_id) &&
                !is_named(hello->waiting_gets, hello->waiting_gets_count, item->get_id)) {
                item->state = FAKE_READY;
            }
        }
    }
}

static void on_hello(struct fake_model *self, const struct fake_peer *peer, const struct wire_request *request)
{
    struct wire_reply *reply = answer(self, peer, request->id, NQ_OK);
    bool resumed = self->session_known && request->as.hello.resume_token.len > 0;
    if (resumed) {
        take_back(self, &request->as.hello);
    }
    self->session_known = true;
    self->counts.hellos++;
    if (self->known_count < sizeof self->known / sizeof self->known[0]) {
        self->known[self->known_count++] = *peer;
    }
    reply->result = WIRE_HELLO;
    reply->as.hello = (struct wire_hello_reply){
        .resume_token = {sizeof token, token},
        .store_id = {sizeof self->store_id, self->store_id},
        .resumed = resumed,
        .epoch = self->epoch,
        .limits = {.body_bytes = self->body_bytes,
                   .headers_bytes = NQ_HEADERS_BYTES_DEFAULT,
                   .frame_bytes = self->frame_bytes,
                   .items = NQ_ITEMS_PER_REQUEST_MAX,
                   .requests = NQ_REQUESTS_PER_FRAME_MAX,
                   .session_timeout_ms = self->session_timeout_ms,
                   .session_grace_ms = 2000},
    };
}

static void fill_stat(struct wire_queue_stats *stats, const struct fake_queue *queue)
{
    *stats = (struct wire_queue_stats){.name = {strlen(queue->name), (const uint8_t *)queue->name}, .queue_id = queue->id};
    stats->options.maxsize = queue->maxsize;
    stats->ready = count_state(queue, FAKE_READY);
    stats->leased = count_state(queue, FAKE_LEASED);
    stats->unfinished = unfinished(queue);
}

static void on_list(struct fake_model *self, struct nq_arena *arena, const struct fake_peer *peer,
                    const struct wire_request *request)
{
    struct wire_queue_stats *all = nq_arena_calloc(arena, FAKE_QUEUES_MAX, sizeof *all);
    struct wire_reply *reply = answer(self, peer, request->id, NQ_OK);
    reply->result = WIRE_LIST;
    size_t from = 0; // in pages of two, in order of making
    while (request->as.list.after.len > 0 && from < self->queues_count &&
           &self->queues[from] != find_queue(self, request->as.list.after)) {
        from++;
    }
    from += request->as.list.after.len > 0 ? 1 : 0;
    size_t count = 0;
    for (; count < 2 && from + count < self->queues_count; count++) {
        fill_stat(&all[count], &self->queues[from + count]);
    }
    reply->as.list = (struct wire_list_reply){.queues = all, .count = count, .more = from + count < self->queues_count};
}

static void on_peek(struct fake_model *self, struct nq_arena *arena, const struct fake_peer *peer,
                    const struct wire_request *request)
{
    struct fake_queue *queue = find_queue(self, request->as.on_queue.queue);
    struct wire_reply *reply = answer(self, peer, request->id, queue != NULL ? NQ_OK : NQ_NO_SUCH_QUEUE);
    if (queue == NULL) {
        return;
    }
    struct nq_bytes *bodies = nq_arena_calloc(arena, queue->count + 1, sizeof *bodies);
    uint64_t *seqs = nq_arena_calloc(arena, queue->count + 1, sizeof *seqs);
    size_t count = 0;
    for (size_t i = 0; i < queue->count && count < request->as.on_queue.max_items; i++) {
        if (queue->items[i].state == FAKE_READY && i + 1 >= request->as.on_queue.from_seq) {
            bodies[count] = queue->items[i].body;
            seqs[count++] = i + 1;
        }
    }
    reply->result = WIRE_PEEK;
    reply->as.peek = (struct wire_peek_reply){.seqs = seqs, .bodies = bodies, .count = count};
}

static bool queue_is_new(struct fake_model *self, const struct wire_request *declare)
{
    return find_queue(self, declare->as.declare.queue) == NULL;
}

static void on_queue(struct fake_model *self, struct nq_arena *arena, const struct fake_peer *peer,
                     const struct wire_request *request)
{
    struct fake_queue *queue = find_queue(self, request->as.on_queue.queue);
    struct wire_reply *reply;
    if (request->op == WIRE_DECLARE) {
        uint64_t initial = queue_is_new(self, request) ? request->as.declare.initial : 0;
        queue = fake_model_queue(self, request->as.declare.queue);
        queue->count += initial; // all zero: ready and empty
        queue->maxsize = request->as.declare.options.maxsize;
    }
    reply = answer(self, peer, request->id, queue != NULL ? NQ_OK : NQ_NO_SUCH_QUEUE);
    if (queue == NULL) {
        return;
    }
    if (request->op == WIRE_DECLARE || request->op == WIRE_STAT) {
        reply->result = WIRE_STAT;
        fill_stat(&reply->as.stat, queue);
        return;
    }
    reply->result = WIRE_PURGE;
    for (size_t i = 0; request->op == WIRE_PURGE && i < queue->count; i++) {
        reply->as.count += queue->items[i].state == FAKE_READY ? 1 : 0;
        queue->items[i].state = queue->items[i].state == FAKE_READY ? FAKE_DONE : queue->items[i].state;
    }
    queue->shut_down = queue->shut_down || request->op == WIRE_SHUTDOWN;
    (void)arena;
}

static bool is_known(const struct fake_model *self, const struct fake_peer *peer)
{
    for (size_t i = 0; i < self->known_count; i++) {
        if (self->known[i].len == peer->len && memcmp(self->known[i].bytes, peer->bytes, peer->len) == 0) {
            return true;
        }
    }
    return false;
}

static void on_request(struct fake_model *self, struct nq_arena *arena, const struct fake_peer *peer,
                       const struct wire_request *request, uint64_t now_ms)
{
    if (request->refused != NQ_OK) {
        (void)answer(self, peer, request->id, request->refused);
        return;
    }
    struct fake_refusal *refusal = &self->refusals[request->op];
    if (refusal->left > 0) {
        refusal->left--;
        (void)answer(self, peer, request->id, refusal->status);
        return;
    }
    if (request->op != WIRE_HELLO && request->op != WIRE_RENEW && !is_known(self, peer)) {
        (void)answer(self, peer, request->id, NQ_NO_SESSION);
        return;
    }
    switch (request->op) {
    case WIRE_HELLO:
        on_hello(self, peer, request);
        break;
    case WIRE_PUT:
        on_put(self, peer, request);
        break;
    case WIRE_GET:
    case WIRE_JOIN:
        on_waiting(self, arena, peer, request, now_ms);
        break;
    case WIRE_TASK_DONE:
    case WIRE_EXTEND:
    case WIRE_REQUEUE:
        on_tokens(self, arena, peer, request);
        break;
    case WIRE_CANCEL:
        on_cancel(self, peer, request);
        break;
    case WIRE_RENEW:
        self->counts.renews++;
        (void)answer(self, peer, request->id, self->session_known ? NQ_OK : NQ_NO_SESSION);
        break;
    case WIRE_LIST:
        on_list(self, arena, peer, request);
        break;
    case WIRE_PEEK:
        on_peek(self, arena, peer, request);
        break;
    case WIRE_PING:
        answer(self, peer, request->id, NQ_OK)->result = WIRE_PING;
        break;
    case WIRE_GOODBYE:
        fake_model_forget_sessions(self);
        self->streams_count = 0;
        (void)answer(self, peer, request->id, NQ_OK);
        break;
    default:
        on_queue(self, arena, peer, request);
        break;
    }
}

void fake_model_frame(struct fake_model *self, struct nq_arena *arena, const struct fake_peer *peer,
                      const struct wire_request_frame *frame, uint64_t now_ms)
{
    self->counts.frames++;
    for (size_t i = 0; i < frame->taken_count; i++) {
        self->counts.taken += frame->taken_counts[i];
    }
    for (size_t i = 0; i < frame->count; i++) {
        on_request(self, arena, peer, &frame->requests[i], now_ms);
    }
    fake_model_time(self, arena, now_ms);
}

void fake_model_forget_sessions(struct fake_model *self)
{
    self->session_known = false;
    self->known_count = 0;
    self->parked_count = 0;
    for (size_t q = 0; q < self->queues_count; q++) {
        for (size_t i = 0; i < self->queues[q].count; i++) {
            struct fake_item *item = &self->queues[q].items[i];
            item->state = item->state == FAKE_LEASED ? FAKE_READY : item->state;
        }
    }
}

void fake_model_change_store(struct fake_model *self)
{
    fake_model_forget_sessions(self);
    clear_queues(self);
    self->streams_count = 0;
    self->store_id[0]++;
}

struct fake_counts fake_model_counts(struct fake_model *self, struct nq_bytes name)
{
    struct fake_counts counts = self->counts;
    const struct fake_queue *queue = find_queue(self, name);
    if (queue != NULL) {
        counts.ready = count_state(queue, FAKE_READY);
        counts.leased = count_state(queue, FAKE_LEASED);
        counts.done = count_state(queue, FAKE_DONE);
        counts.puts = queue->count;
    }
    return counts;
}
