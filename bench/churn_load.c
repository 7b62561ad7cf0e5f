#include "churn_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS_MAX = 64, RUN_ITEMS = 500, HELD_MAX = 1 << 15, HOLD_EVERY = 64, OFFSETS = 4096, GROUP_BYTES_MAX = 12 << 20 };

// How sizes are spread: of so many in 10,000, up to so many bytes.
static const struct {
    unsigned below;
    size_t bytes;
} size_mix[] = {{9000, 100}, {9800, 1000}, {9980, 10000}, {9998, 100000}, {10000, 1 << 20}};

static const size_t group_mix[] = {1, 30, 300, 1000, 4000};

struct run {
    uint64_t first, last;
};

struct churned_queue {
    struct queue_record record;
    uint64_t shown_cursor, shown_next; // by __atomic_*: as of the last commit
    struct run runs[RUNS_MAX];         // leased, oldest first
    size_t first_run, run_count;
    bool touched;
};

struct held {
    uint64_t queue_id, seq;
};

struct churn {
    struct churn_config config;
    uint64_t random;
    bool draining;
    struct churn_counts counts;
    struct churned_queue *queues; // ids from 1
    struct held *held;            // items not finished with their run: a ring
    size_t first_held, held_count;
    uint8_t *bytes; // all bodies are cut from it
    struct engine_bytes *bodies;
    size_t body_count;
};

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93ull;
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93ull;
    return x ^ x >> 32;
}

static uint64_t below(struct churn *self, uint64_t limit)
{
    self->random += 0x9E3779B97F4A7C15ull;
    return mix(self->random) % limit;
}

static struct engine_bytes body_of(const struct churn *self, uint64_t queue_id, uint64_t seq)
{
    uint64_t hash = mix(queue_id * 0x9E3779B97F4A7C15ull + seq);
    size_t kind = 0;
    while (hash % 10000 >= size_mix[kind].below) {
        kind++;
    }
    size_t most = size_mix[kind].bytes;
    size_t least = kind == 0 ? most : size_mix[kind - 1].bytes;
    size_t len = least + (size_t)(hash >> 20) % (most - least + 1);
    len = len > self->config.bytes_max ? self->config.bytes_max : len;
    return (struct engine_bytes){len, self->bytes + (hash >> 40) % OFFSETS};
}

struct churn *churn_create(const struct churn_config *config)
{
    struct churn *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->config = *config;
    self->random = config->seed;
    self->queues = calloc(config->queues, sizeof(*self->queues));
    self->held = calloc(HELD_MAX, sizeof(*self->held));
    self->bytes = malloc(config->bytes_max + OFFSETS);
    self->bodies = calloc(config->group_items_max + 1, sizeof(*self->bodies));
    if (self->queues == NULL || self->held == NULL || self->bytes == NULL || self->bodies == NULL) {
        churn_destroy(&self);
        return NULL;
    }
    for (size_t i = 0; i < config->bytes_max + OFFSETS; i++) {
        self->bytes[i] = (uint8_t)mix(i);
    }
    for (size_t i = 0; i < config->queues; i++) {
        struct queue_record *record = &self->queues[i].record;
        *record = (struct queue_record){.queue_id = i + 1, .next_seq = 1, .cursor = 1, .lease_ms = 60000, .state = 1};
        record->name_len = (uint8_t)snprintf(record->name, sizeof(record->name), "churn-%zu", i + 1);
        self->queues[i].shown_cursor = self->queues[i].shown_next = 1;
    }
    return self;
}

void churn_destroy(struct churn **self_p)
{
    struct churn *self = *self_p;
    if (self == NULL) {
        return;
    }
    free(self->queues);
    free(self->held);
    free(self->bytes);
    free(self->bodies);
    free(self);
    *self_p = NULL;
}

static bool put(struct churn *self, struct churned_queue *queue, size_t count, size_t *bytes_left, struct changes *out)
{
    struct engine_bytes *bodies = self->bodies + self->body_count;
    uint64_t first = queue->record.next_seq;
    uint64_t bytes = 0;
    size_t taken = 0;
    for (; taken < count && self->body_count < self->config.group_items_max && bytes < *bytes_left; taken++) {
        bodies[taken] = body_of(self, queue->record.queue_id, first + taken);
        bytes += bodies[taken].len;
        self->body_count++;
    }
    if (taken == 0) {
        return true;
    }
    *bytes_left -= bytes < *bytes_left ? (size_t)bytes : *bytes_left;
    struct change change = {.kind = CHANGE_PUT,
                            .as.put = {.queue_id = queue->record.queue_id,
                                       .first_seq = first,
                                       .count = taken,
                                       .bodies = bodies,
                                       .accepted_ms = self->counts.puts,
                                       .put_bytes = queue->record.put_bytes}};
    queue->record.next_seq += taken;
    queue->record.put_bytes += bytes;
    queue->record.puts += taken;
    queue->touched = true;
    self->counts.puts += taken;
    self->counts.put_bytes += bytes;
    self->counts.ready_items += taken;
    self->counts.backlog_items += taken;
    self->counts.backlog_bytes += bytes;
    return changes_add(out, &change);
}

static bool remove_items(struct churn *self, struct churned_queue *queue, uint64_t first, uint64_t last, struct changes *out)
{
    uint64_t queue_id = queue->record.queue_id;
    for (uint64_t seq = first; seq <= last; seq++) {
        self->counts.backlog_bytes -= body_of(self, queue_id, seq).len;
    }
    self->counts.removed += last - first + 1;
    self->counts.backlog_items -= last - first + 1;
    queue->record.dones += last - first + 1;
    queue->touched = true;
    return first > last || changes_add(out, &(struct change){.kind = CHANGE_REMOVE, .as.remove = {queue_id, first, last}});
}

// One item of a run is worked on for long.
static bool hold(struct churn *self, uint64_t queue_id, uint64_t seq, struct changes *out)
{
    struct item_record record = {.queue_id = queue_id, .seq = seq, .state = ITEM_LEASED, .deliveries = 1, .session_no = 1};
    self->held[(self->first_held + self->held_count) % HELD_MAX] = (struct held){queue_id, seq};
    self->held_count++;
    return changes_add(out, &(struct change){.kind = CHANGE_ITEM, .as.item = &record});
}

static bool finish_held(struct churn *self, struct changes *out)
{
    struct held held = self->held[self->first_held];
    self->first_held = (self->first_held + 1) % HELD_MAX;
    self->held_count--;
    return remove_items(self, &self->queues[held.queue_id - 1], held.seq, held.seq, out);
}

static bool finish_run(struct churn *self, struct churned_queue *queue, struct changes *out)
{
    struct run run = queue->runs[queue->first_run];
    uint64_t queue_id = queue->record.queue_id;
    bool ok = true;
    queue->first_run = (queue->first_run + 1) % RUNS_MAX;
    queue->run_count--;
    for (uint64_t seq = run.first; ok && seq <= run.last;) {
        uint64_t last = seq;
        while (last <= run.last && mix(last) % HOLD_EVERY != 0) {
            last++;
        }
        ok = last == seq || remove_items(self, queue, seq, last - 1, out);
        if (ok && last <= run.last) {
            ok = (self->held_count < HELD_MAX || finish_held(self, out)) && hold(self, queue_id, last, out);
        }
        seq = last + 1;
    }
    return ok && changes_add(out, &(struct change){.kind = CHANGE_RUN_DROP, .as.run_drop = {queue_id, run.first}});
}

static bool lease(struct churn *self, struct churned_queue *queue, uint64_t count, struct changes *out)
{
    uint64_t first = queue->record.cursor;
    uint64_t last = first + count - 1;
    last = last >= queue->record.next_seq ? queue->record.next_seq - 1 : last;
    if (last < first) {
        return true;
    }
    if (queue->run_count == RUNS_MAX && !finish_run(self, queue, out)) {
        return false;
    }
    struct run_record record = {.queue_id = queue->record.queue_id, .first_seq = first, .last_seq = last, .session_no = 1};
    queue->runs[(queue->first_run + queue->run_count++) % RUNS_MAX] = (struct run){first, last};
    queue->record.cursor = last + 1;
    queue->record.gets += last - first + 1;
    self->counts.ready_items -= last - first + 1;
    queue->touched = true;
    return changes_add(out, &(struct change){.kind = CHANGE_RUN, .as.run = &record});
}

// Lease at the heads of some queues, finish what was leased before.
static bool consume(struct churn *self, uint64_t count, struct changes *out)
{
    bool ok = true;
    for (uint64_t left = count; ok && left > 0;) {
        struct churned_queue *queue = &self->queues[below(self, self->config.queues)];
        uint64_t items = left < RUN_ITEMS ? left : RUN_ITEMS;
        left -= items;
        ok = lease(self, queue, items, out) && (queue->run_count < 4 || finish_run(self, queue, out));
    }
    for (size_t i = 0; ok && i < count / HOLD_EVERY && self->held_count > HELD_MAX / 2; i++) {
        ok = finish_held(self, out);
    }
    return ok;
}

static bool write_heads(struct churn *self, struct changes *out)
{
    bool ok = true;
    for (size_t i = 0; ok && i < self->config.queues; i++) {
        if (self->queues[i].touched) {
            ok = changes_add(out, &(struct change){.kind = CHANGE_QUEUE, .as.queue = &self->queues[i].record});
            self->queues[i].touched = false;
        }
    }
    return ok;
}

bool churn_next_group(struct churn *self, struct changes *out)
{
    size_t items = group_mix[below(self, sizeof(group_mix) / sizeof(group_mix[0]))];
    size_t bytes_left = GROUP_BYTES_MAX;
    items = items > self->config.group_items_max ? self->config.group_items_max : items;
    if (!self->draining && self->counts.ready_items >= self->config.high_items) {
        self->draining = true;
        self->counts.swings++;
    } else if (self->counts.ready_items <= self->config.low_items) {
        self->draining = false;
    }
    self->body_count = 0;
    bool ok = true;
    for (size_t left = items; ok && left > 0;) {
        size_t piece = left < 400 ? left : left / 2;
        ok = put(self, &self->queues[below(self, self->config.queues)], piece, &bytes_left, out);
        left -= piece;
    }
    ok = ok && consume(self, self->draining ? 2 * items : items / 2, out);
    return ok && write_heads(self, out);
}

void churn_committed(struct churn *self)
{
    for (size_t i = 0; i < self->config.queues; i++) {
        struct churned_queue *queue = &self->queues[i];
        __atomic_store_n(&queue->shown_cursor, queue->record.cursor, __ATOMIC_RELEASE);
        __atomic_store_n(&queue->shown_next, queue->record.next_seq, __ATOMIC_RELEASE);
    }
}

void churn_counts(const struct churn *self, struct churn_counts *out)
{
    *out = self->counts;
}

void churn_ready(const struct churn *self, uint64_t queue_id, uint64_t *first_seq, uint64_t *below_seq)
{
    const struct churned_queue *queue = &self->queues[queue_id - 1];
    *below_seq = __atomic_load_n(&queue->shown_next, __ATOMIC_ACQUIRE);
    *first_seq = __atomic_load_n(&queue->shown_cursor, __ATOMIC_ACQUIRE);
}

bool churn_is_as_put(const struct churn *self, uint64_t queue_id, const struct store_item *item)
{
    struct engine_bytes body = body_of(self, queue_id, item->seq);
    return item->body.len == body.len && memcmp(item->body.data, body.data, body.len) == 0;
}
