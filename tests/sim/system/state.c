#include "state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "engine.h"
#include "host.h"
#include "list.h"
#include "oracle.h"
#include "queue.h"
#include "queues.h"
#include "world.h"

enum { FIGURES = 12 };
enum kind {
    KIND_QUEUE,
    KIND_OPTIONS,
    KIND_COUNTERS,
    KIND_READY,
    KIND_RETURNED,
    KIND_LEASED,
    KIND_DELAYED,
    KIND_STREAM,
    KIND_SESSION
};
static const char *const kinds[] = {
    "queue (id next_seq ready delayed leased gone_below state put_bytes ready_bytes put_delayed)",
    "options (id maxsize max_bytes lease_ms hold_max_ms ttl_ms max_deliveries temporary given dead_letter)",
    "counters (id puts gets dones redelivered requeued failed expired purged dead_lettered dropped quarantined)",
    "ready (queue seq)",
    "returned (queue seq deliveries failures session)",
    "leased (queue seq deliveries failures session get got_ms lease_ms hold_max_ms)",
    "delayed (queue seq deliveries failures due by_put)",
    "stream (queue id last_number last_seq used_ms)",
    "session (no leases id token)"};

struct line {
    uint64_t kind, figures[FIGURES];
};

struct state {
    struct line *lines;
    size_t count, capacity;
};

static struct {
    struct engine *engine;
    struct dispatch *dispatch;
    struct state *durable;
} current;

// --------------------------------------------------------------------------------------------------------------------- taking

static uint64_t *add(struct state *self, enum kind kind)
{
    if (self->count == self->capacity) {
        self->capacity = self->capacity == 0 ? 64 : self->capacity * 2;
        self->lines = realloc(self->lines, self->capacity * sizeof(*self->lines));
        assert(self->lines != NULL);
    }
    struct line *line = &self->lines[self->count++];
    *line = (struct line){.kind = kind};
    return line->figures;
}

static void add_line(struct state *self, enum kind kind, const uint64_t *figures, size_t count)
{
    memcpy(add(self, kind), figures, count * sizeof(*figures));
}

static void add_items(struct state *self, const struct queue *queue)
{
    uint64_t id = queue->record.queue_id;
    uint64_t seq = 1;
    uint64_t looks = 0;
    for (; engine_ready_seq(queue, seq, &seq, &looks); seq++) {
        const uint64_t ready[] = {id, seq};
        add_line(self, KIND_READY, ready, 2);
    }
    for (size_t i = 1; i <= queue->returned.count; i++) {
        const struct item *item = heap_object(queue->returned.nodes[i], struct item, by_seq);
        const uint64_t returned[] = {id, item->seq, item->deliveries, item->failures, item->last_session_no};
        add_line(self, KIND_RETURNED, returned, 5);
    }
    for (struct link *at = list_first(&queue->runs); at != NULL; at = list_next(&queue->runs, at)) {
        const struct run *run = list_object(at, struct run, in_queue);
        for (struct link *in = list_first(&run->items); in != NULL; in = list_next(&run->items, in)) {
            const struct item *item = list_object(in, struct item, in_run);
            const uint64_t leased[] = {id,          item->seq,   item->deliveries, item->failures,  run->session->no,
                                       run->get_id, run->got_ms, run->lease_ms,    run->hold_max_ms};
            add_line(self, KIND_LEASED, leased, 9);
        }
    }
    for (struct link *at = list_first(&queue->delayed); at != NULL; at = list_next(&queue->delayed, at)) {
        const struct item *item = list_object(at, struct item, in_queue);
        const uint64_t delayed[] = {id, item->seq, item->deliveries, item->failures, item->due_ms, item->put_delayed};
        add_line(self, KIND_DELAYED, delayed, 6);
    }
}

static uint64_t sum_of(const char *name, size_t len)
{
    uint64_t sum = len;
    for (size_t i = 0; i < len; i++) {
        sum = sum * 31 + (uint8_t)name[i];
    }
    return sum;
}

static void add_queue(struct state *self, const struct queue *queue)
{
    struct queue_record record;
    engine_queue_stats(queue, &record);
    const uint64_t head[] = {record.queue_id,   record.next_seq,  record.ready,
                             record.delayed,    record.leased,    record.gone_below,
                             record.state,      record.put_bytes, engine_queue_ready_bytes(queue),
                             queue->put_delayed};
    const uint64_t options[] = {record.queue_id,       record.maxsize,
                                record.max_bytes,      record.lease_ms,
                                record.hold_max_ms,    record.ttl_ms,
                                record.max_deliveries, record.temporary,
                                record.options_given,  sum_of(record.dead_letter, record.dead_letter_len)};
    const uint64_t counters[] = {record.queue_id,    record.puts,          record.gets,    record.dones,
                                 record.redelivered, record.requeued,      record.failed,  record.expired,
                                 record.purged,      record.dead_lettered, record.dropped, record.quarantined};
    add_line(self, KIND_QUEUE, head, 10);
    add_line(self, KIND_OPTIONS, options, 10);
    add_line(self, KIND_COUNTERS, counters, 12);
    add_items(self, queue);
    for (struct link *at = list_first(&queue->streams); at != NULL; at = list_next(&queue->streams, at)) {
        const struct stream *stream = list_object(at, struct stream, in_queue);
        const uint64_t figures[] = {record.queue_id, stream->id, stream->last_number, stream->last_seq, stream->used_ms};
        add_line(self, KIND_STREAM, figures, 5);
    }
}

// Those without leases are not stored: they lose nothing by starting anew.
static void add_session(void *context, uint64_t session_no)
{
    uint64_t id;
    uint64_t token;
    if (engine_session_leases(current.engine, session_no) == 0) {
        return;
    }
    memcpy(&id, engine_session_id(current.engine, session_no), sizeof(id));
    memcpy(&token, engine_session_token(current.engine, session_no), sizeof(token));
    const uint64_t figures[] = {session_no, engine_session_leases(current.engine, session_no), id, token};
    add_line(context, KIND_SESSION, figures, 4);
}

static struct queue *next_queue(const struct queue *queue)
{
    struct engine_bytes after = {0, NULL};
    if (queue != NULL) {
        after = (struct engine_bytes){queue->record.name_len, (const uint8_t *)queue->record.name};
    }
    return engine_queue_after(current.engine, after);
}

struct state *state_take(void)
{
    struct state *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    for (struct queue *queue = next_queue(NULL); queue != NULL; queue = next_queue(queue)) {
        add_queue(self, queue);
    }
    engine_sessions_each(current.engine, self, add_session);
    return self;
}

void state_destroy(struct state **self_p)
{
    if (*self_p != NULL) {
        free((*self_p)->lines);
        free(*self_p);
        *self_p = NULL;
    }
}

void state_is_durable(struct state **self_p)
{
    state_destroy(&current.durable);
    current.durable = *self_p;
    *self_p = NULL;
}

// ------------------------------------------------------------------------------------------------------------------ comparing

static int compare_lines(const void *a, const void *b)
{
    const struct line *left = a;
    const struct line *right = b;
    if (left->kind != right->kind) {
        return left->kind < right->kind ? -1 : 1;
    }
    for (size_t i = 0; i < FIGURES; i++) {
        if (left->figures[i] != right->figures[i]) {
            return left->figures[i] < right->figures[i] ? -1 : 1;
        }
    }
    return 0;
}

_Noreturn static void differ(const char *what, const struct line *line)
{
    char text[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < FIGURES; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, " %llu", (unsigned long long)line->figures[i]);
    }
    world_fail("%s: %s%s", what, kinds[line->kind], text);
}

static void check_equal(struct state *stored, struct state *found, const char *lost, const char *made_up)
{
    if (stored->count > 0) {
        qsort(stored->lines, stored->count, sizeof(struct line), compare_lines);
    }
    if (found->count > 0) {
        qsort(found->lines, found->count, sizeof(struct line), compare_lines);
    }
    size_t i = 0;
    size_t j = 0;
    while (i < stored->count || j < found->count) {
        int order = i == stored->count ? 1 : j == found->count ? -1 : compare_lines(&stored->lines[i], &found->lines[j]);
        if (order < 0) {
            differ(lost, &stored->lines[i]);
        }
        if (order > 0) {
            differ(made_up, &found->lines[j]);
        }
        i++;
        j++;
    }
}

// The linker puts this in front of the real one: here the front end has just restored its engine.
struct dispatch *__real_dispatch_create(struct engine *engine, const struct dispatch_config *config);
struct dispatch *__wrap_dispatch_create(struct engine *engine, const struct dispatch_config *config);

struct dispatch *__wrap_dispatch_create(struct engine *engine, const struct dispatch_config *config)
{
    current.engine = engine;
    current.dispatch = __real_dispatch_create(engine, config);
    queues_broker_started();
    if (current.durable != NULL) {
        struct state *found = state_take();
        check_equal(current.durable, found, "the restart has lost", "the restart has made up");
        state_destroy(&found);
    }
    return current.dispatch;
}

void state_check_stopped(void)
{
    if (current.durable != NULL) {
        struct state *stopped = state_take();
        check_equal(current.durable, stopped, "a graceful stop has stored what is not so any more",
                    "a graceful stop has not stored");
        state_destroy(&stopped);
    }
}

uint64_t state_epoch(void)
{
    return engine_epoch(current.engine);
}

uint64_t state_session_no(const void *session_id)
{
    return engine_session_find(current.engine, session_id);
}

bool state_session_lives(uint64_t session_no)
{
    return host_is_on() && engine_session_id(current.engine, session_no) != NULL;
}

void state_begin(void)
{
    current.engine = NULL;
    current.dispatch = NULL;
}

void state_end(void)
{
    state_destroy(&current.durable);
}

// ----------------------------------------------------------------------------------------------------------------- every turn

static void check_waiters(const struct queue *queue)
{
    struct dispatch_counts waiting = dispatch_waiting(current.dispatch, queue);
    const char *name = queue->record.name;
    int len = queue->record.name_len;
    if (waiting.gets > 0 && queue_ready(queue) > 0) {
        world_fail("queue %.*s: %llu items are ready while %u gets wait", len, name, (unsigned long long)queue_ready(queue),
                   waiting.gets);
    }
    if (waiting.joins > 0 && queue_unfinished(queue) == 0) {
        world_fail("queue %.*s: all is done while %u joins wait", len, name, waiting.joins);
    }
    // A run that wants all its items in or none may wait for more room than there is; when there is all of it, none may wait.
    if (waiting.puts > 0 && queue->record.max_bytes == 0 &&
        (queue->record.maxsize == 0 || queue_ready(queue) + queue->put_delayed == 0)) {
        world_fail("queue %.*s: all is free while %u puts wait", len, name, waiting.puts);
    }
}

static void check_bounds(const struct queue *queue)
{
    const char *name = queue->record.name;
    int len = queue->record.name_len;
    uint64_t held = queue_fresh(queue) + queue->put_delayed;
    uint64_t room = queue->record.maxsize;
    uint64_t held_bytes = queue->record.put_bytes - queue->record.cursor_put_bytes - queue->ahead_bytes + queue->put_delayed_bytes;
    uint64_t room_bytes = queue->record.max_bytes;
    if (queue->record.temporary && queue->attachments.count == 0 && queues_is_left(queue->record.queue_id)) {
        world_fail("queue %.*s is temporary, nobody uses it any more, and it stays", len, name);
    }
    if (room > 0 && held > room && !oracle_may_exceed(name, (size_t)len)) {
        world_fail("queue %.*s holds %llu of %llu", len, name, (unsigned long long)held, (unsigned long long)room);
    }
    if (room_bytes > 0 && held_bytes > room_bytes && !oracle_may_exceed(name, (size_t)len)) {
        world_fail("queue %.*s holds %llu of %llu bytes", len, name, (unsigned long long)held_bytes,
                   (unsigned long long)room_bytes);
    }
}

void state_check_turn(bool stopping)
{
    for (struct queue *queue = next_queue(NULL); queue != NULL; queue = next_queue(queue)) {
        check_bounds(queue);
        if (!stopping) {
            check_waiters(queue);
        }
    }
}
