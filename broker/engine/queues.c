// Queues as such: found, created, declared, purged, shut down, deleted.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static void hash_name(struct engine_bytes name, uint64_t *a, uint64_t *b)
{
    uint64_t x = 0xCBF29CE484222325ull;
    uint64_t y = 0x84222325CBF29CE4ull;
    for (size_t i = 0; i < name.len; i++) {
        x = (x ^ name.data[i]) * 0x100000001B3ull;
        y = (y + name.data[i]) * 0x9E3779B97F4A7C15ull;
        y ^= y >> 29;
    }
    *a = x;
    *b = y;
}

static bool has_name(const struct queue *queue, struct engine_bytes name)
{
    return queue->record.name_len == name.len && memcmp(queue->record.name, name.data, name.len) == 0;
}

struct queue *engine_queue_find(const struct engine *self, struct engine_bytes name)
{
    uint64_t a;
    uint64_t b;
    hash_name(name, &a, &b);
    for (struct queue *queue = table_find(&self->queues_by_hash, a, b); queue != NULL; queue = queue->next_same_hash) {
        if (has_name(queue, name)) {
            return queue;
        }
    }
    return NULL;
}

struct queue *engine_queue_by_id(const struct engine *self, uint64_t queue_id)
{
    struct queue *queue = table_find(&self->queues_by_id, queue_id, 0);
    return queue == NULL || queue->record.deleted ? NULL : queue;
}

bool engine_queue_id_was_used(const struct engine *self, uint64_t queue_id)
{
    return queue_id > 0 && queue_id < self->next_queue_id;
}

size_t engine_queue_count(const struct engine *self)
{
    return self->queue_count;
}

static bool add_by_name(struct engine *self, struct queue *queue)
{
    hash_name((struct engine_bytes){queue->record.name_len, (const uint8_t *)queue->record.name}, &queue->hash_a, &queue->hash_b);
    struct queue *first = table_find(&self->queues_by_hash, queue->hash_a, queue->hash_b);
    if (first != NULL) {
        queue->next_same_hash = first->next_same_hash;
        first->next_same_hash = queue;
    } else if (!table_insert(&self->queues_by_hash, queue->hash_a, queue->hash_b, queue)) {
        return false;
    }
    names_add(self, queue);
    self->queue_count++;
    return true;
}

static void remove_by_name(struct engine *self, struct queue *queue)
{
    struct queue *first = table_remove(&self->queues_by_hash, queue->hash_a, queue->hash_b);
    struct queue **at = &first;
    while (*at != queue) {
        at = &(*at)->next_same_hash;
    }
    *at = queue->next_same_hash;
    if (first != NULL) {
        table_insert(&self->queues_by_hash, queue->hash_a, queue->hash_b, first); // there is room: one was just taken out
    }
    names_remove(self, queue);
    self->queue_count--;
}

struct queue *queue_restore_slot(struct engine *self, const struct queue_record *record)
{
    struct queue *queue = calloc(1, sizeof(*queue));
    if (queue == NULL || !table_insert(&self->queues_by_id, record->queue_id, 0, queue)) {
        free(queue);
        return NULL;
    }
    queue->engine = self;
    queue->record = *record;
    queue->durable_seq = queue->sealed_seq = record->next_seq;
    list_init(&queue->delayed);
    list_init(&queue->runs);
    list_init(&queue->attachments);
    list_init(&queue->streams);
    if (!record->deleted && !add_by_name(self, queue)) {
        table_remove(&self->queues_by_id, record->queue_id, 0);
        free(queue);
        return NULL;
    }
    return queue;
}

struct queue *queue_create(struct engine *self, struct engine_bytes name)
{
    assert(name.len > 0 && name.len <= ENGINE_NAME_BYTES_MAX);
    struct queue_record record = {.queue_id = self->next_queue_id,
                                  .name_len = (uint8_t)name.len,
                                  .lease_ms = self->config.lease_ms,
                                  .hold_max_ms = self->config.hold_max_ms,
                                  .next_seq = 1,
                                  .cursor = 1};
    memcpy(record.name, name.data, name.len);
    struct queue *queue = queue_restore_slot(self, &record);
    if (queue == NULL) {
        engine_no_memory(self);
        return NULL;
    }
    self->next_queue_id++;
    engine_wait_for_store(self);
    queue_changed(self, queue);
    return queue;
}

void queue_free(struct engine *self, struct queue *queue)
{
    struct {
        struct list *list;
        struct link *link;
    } links[] = {{&self->dirty_queues, &queue->dirty_link},
                 {&self->sealed_queues, &queue->sealed_link},
                 {&self->touched, &queue->touched_link},
                 {&self->orphans, &queue->orphan_link},
                 {&self->reclaims, &queue->reclaim_link}};
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        if (link_is_linked(links[i].link)) {
            list_remove(links[i].list, links[i].link);
        }
    }
    table_remove(&self->queues_by_id, queue->record.queue_id, 0);
    heap_fini(&queue->returned);
    heap_fini(&queue->ahead);
    free(queue->recent);
    free(queue->ages);
    free(queue);
}

static enum engine_status create_within_limits(struct engine *self, struct engine_bytes name, struct queue **out)
{
    if (self->queue_count >= self->config.queues_max) {
        return ENGINE_LIMIT_REACHED;
    }
    *out = queue_create(self, name);
    return *out == NULL ? ENGINE_NO_MEMORY : ENGINE_OK;
}

enum engine_status engine_queue_use(struct engine *self, uint64_t now_ms, struct engine_bytes name, struct queue **out)
{
    engine_advance(self, now_ms);
    *out = engine_queue_find(self, name);
    return *out != NULL ? ENGINE_OK : create_within_limits(self, name, out);
}

// -------------------------------------------------------------------------------------------------------------------- declare

static bool same_bytes(const void *a, size_t a_len, struct engine_bytes b)
{
    return a_len == b.len && (b.len == 0 || memcmp(a, b.data, b.len) == 0);
}

static bool differs(const struct queue_record *record, const struct engine_options *options)
{
    uint32_t given = options->given;
    return ((given & ENGINE_OPTION_MAXSIZE) && record->maxsize != options->maxsize) ||
           ((given & ENGINE_OPTION_MAX_BYTES) && record->max_bytes != options->max_bytes) ||
           ((given & ENGINE_OPTION_LEASE) && record->lease_ms != options->lease_ms) ||
           ((given & ENGINE_OPTION_HOLD_MAX) && record->hold_max_ms != options->hold_max_ms) ||
           ((given & ENGINE_OPTION_MAX_DELIVERIES) && record->max_deliveries != options->max_deliveries) ||
           ((given & ENGINE_OPTION_TTL) && record->ttl_ms != options->ttl_ms) ||
           ((given & ENGINE_OPTION_TEMPORARY) && record->temporary != options->temporary) ||
           ((given & ENGINE_OPTION_DEAD_LETTER) && !same_bytes(record->dead_letter, record->dead_letter_len, options->dead_letter));
}

// A field of the record takes its new value when its option is given.
static void take(uint64_t *field, uint64_t value, uint32_t given, uint32_t option)
{
    *field = (given & option) ? value : *field;
}

static void apply_options(struct engine *self, struct queue *queue, const struct engine_options *options)
{
    struct queue_record *record = &queue->record;
    uint32_t given = options->given;
    take(&record->maxsize, options->maxsize, given, ENGINE_OPTION_MAXSIZE);
    take(&record->max_bytes, options->max_bytes, given, ENGINE_OPTION_MAX_BYTES);
    take(&record->lease_ms, options->lease_ms, given, ENGINE_OPTION_LEASE);
    take(&record->hold_max_ms, options->hold_max_ms, given, ENGINE_OPTION_HOLD_MAX);
    take(&record->ttl_ms, options->ttl_ms, given, ENGINE_OPTION_TTL);
    if (given & ENGINE_OPTION_MAX_DELIVERIES) {
        record->max_deliveries = options->max_deliveries;
    }
    if (given & ENGINE_OPTION_TEMPORARY) {
        record->temporary = options->temporary;
    }
    if (given & ENGINE_OPTION_DEAD_LETTER) {
        record->dead_letter_len = (uint8_t)options->dead_letter.len;
        if (options->dead_letter.len > 0) {
            memcpy(record->dead_letter, options->dead_letter.data, options->dead_letter.len);
        }
    }
    record->options_given |= given;
    if (!age_begin(self, queue)) {
        engine_no_memory(self);
    }
    age_schedule(self, queue);
    engine_wait_for_store(self);
    queue_touch(self, queue);
}

// A lease of 0 means the broker's own.
static struct engine_options with_defaults(const struct engine *self, const struct engine_options *given)
{
    struct engine_options options = *given;
    options.lease_ms = options.lease_ms > 0 ? options.lease_ms : self->config.lease_ms;
    options.hold_max_ms = options.hold_max_ms > 0 ? options.hold_max_ms : self->config.hold_max_ms;
    return options;
}

enum engine_status engine_declare(struct engine *self, uint64_t now_ms, struct engine_bytes name,
                                  const struct engine_options *given, bool update, struct queue **out, bool *created)
{
    engine_advance(self, now_ms);
    struct engine_options options = with_defaults(self, given);
    struct queue *queue = engine_queue_find(self, name);
    *created = false;
    if (queue == NULL && update) {
        return ENGINE_NO_SUCH_QUEUE;
    }
    if ((options.given & ENGINE_OPTION_DEAD_LETTER) && dead_letter_closes_cycle(self, name, options.dead_letter)) {
        return ENGINE_BAD_DEAD_LETTER;
    }
    if (queue == NULL) {
        enum engine_status status = create_within_limits(self, name, &queue);
        if (status != ENGINE_OK) {
            return status;
        }
        *created = true;
    } else if (!update && queue->record.options_given != 0 && differs(&queue->record, &options)) {
        return ENGINE_DIFFERENT_OPTIONS;
    }
    apply_options(self, queue, &options);
    *out = queue;
    return self->out_of_memory ? ENGINE_NO_MEMORY : ENGINE_OK;
}

// ------------------------------------------------------------------------------------------------------ purge, shutdown, delete

uint64_t engine_purge(struct engine *self, uint64_t now_ms, struct queue *queue)
{
    engine_advance(self, now_ms);
    engine_wait_for_store(self);
    return queue_drop_all(self, queue, GONE_PURGED);
}

uint64_t engine_shutdown(struct engine *self, uint64_t now_ms, struct queue *queue, bool immediate)
{
    engine_advance(self, now_ms);
    engine_wait_for_store(self);
    if (immediate) {
        queue->record.state = QUEUE_SHUT_DOWN_AT_ONCE;
    } else if (queue->record.state == QUEUE_OPEN) {
        queue->record.state = QUEUE_SHUT_DOWN;
    }
    queue_touch(self, queue);
    return immediate ? queue_drop_all(self, queue, GONE_DROPPED) : 0;
}

static void finish_leases(struct engine *self, struct queue *queue)
{
    for (struct link *link = list_first(&queue->runs); link != NULL; link = list_first(&queue->runs)) {
        struct run *run = list_object(link, struct run, in_queue);
        item_finish(self, list_object(list_first(&run->items), struct item, in_run));
    }
}

uint64_t engine_delete(struct engine *self, uint64_t now_ms, struct queue *queue)
{
    engine_advance(self, now_ms);
    uint64_t count = queue_unfinished(queue);
    finish_leases(self, queue);
    queue_drop_all(self, queue, GONE_DROPPED);
    queue_detach_all(self, queue);
    for (struct link *link = list_first(&queue->streams); link != NULL; link = list_first(&queue->streams)) {
        stream_free(self, list_object(link, struct stream, in_queue), false); // dropped with the queue's own record
    }
    if (heap_node_is_in(&queue->expiry)) {
        heap_remove(&self->expiries, &queue->expiry);
    }
    if (link_is_linked(&queue->orphan_link)) {
        list_remove(&self->orphans, &queue->orphan_link);
    }
    remove_by_name(self, queue);
    queue->record.deleted = true;
    engine_wait_for_store(self);
    queue_touch(self, queue);
    queue_reclaim_later(self, queue);
    return count;
}

// ----------------------------------------------------------------------------------------------------------------------- look

void engine_queue_stats(const struct queue *queue, struct queue_record *out)
{
    *out = queue->record;
    out->ready = queue_ready(queue);
    out->delayed = queue->delayed.count;
    out->leased = queue->leased;
}

// The lowest returned item at or above from_seq; UINT64_MAX: none. Where the lowest of all is below it, each seq is looked up in turn until
// that has cost as much as to look at all of them: who asks for one after the other finds each near the one before.
static uint64_t returned_from(const struct queue *queue, uint64_t from_seq, uint64_t *looks)
{
    uint64_t best = heap_min_key(&queue->returned);
    uint64_t end = queue->record.cursor; // none is above it
    uint64_t seq = from_seq > queue->record.gone_below ? from_seq : queue->record.gone_below;
    if (from_seq <= best) {
        return best;
    }
    for (size_t left = queue->returned.count; seq < end && left > 0; seq++, left--) {
        const struct item *item = item_find(queue->engine, queue, seq);
        if (item != NULL && item->state == ITEM_READY) {
            return seq;
        }
        (*looks)++;
    }
    best = UINT64_MAX;
    for (size_t i = 1; seq < end && i <= queue->returned.count; i++) {
        uint64_t key = queue->returned.nodes[i]->key;
        best = key >= seq && key < best ? key : best;
        (*looks)++;
    }
    return best;
}

bool engine_ready_seq(const struct queue *queue, uint64_t from_seq, uint64_t *seq, uint64_t *looks)
{
    uint64_t best = returned_from(queue, from_seq, looks);
    if (best == UINT64_MAX) {
        best = from_seq > queue->record.cursor ? from_seq : queue->record.cursor;
        while (best < queue->record.next_seq && queue->ahead.count > 0 && item_find(queue->engine, queue, best) != NULL) {
            best++; // above the cursor only delayed items have a struct
            (*looks)++;
        }
        if (best >= queue->record.next_seq) {
            return false;
        }
    }
    *seq = best;
    return true;
}
