// The store without a disk. Items live in chunks of neighbouring seqs, so that finding and removing one is O(1).
#include "store_memory.h"

#include <stdlib.h>
#include <string.h>

#include "table.h"

enum { CHUNK_BITS = 9, CHUNK_ITEMS = 1 << CHUNK_BITS };

struct memory_item {
    uint64_t accepted_ms;
    union {
        uint64_t put_bytes;
        struct memory_item *next_removed; // of one that is only kept for its readers
    };
    size_t headers_len, own_headers_len, body_len;
    uint8_t bytes[]; // headers, then body
};

struct chunk {
    uint64_t queue_id, number; // seq >> CHUNK_BITS
    size_t count;
    struct memory_item *items[CHUNK_ITEMS];
};

struct memory_store {
    struct store store;
    uint8_t id[16];
    uint64_t limit_bytes, used_bytes;
    bool failed; // out of memory in the middle of a commit: what is here is not a commit's state
    struct meta_record meta;
    struct table chunks;      // (queue id, chunk number)
    struct table queues;      // (queue id, 0) -> struct queue_record; the rest likewise
    struct table items;       // (queue id, seq) -> struct item_record
    struct table runs;        // (queue id, first seq)
    struct table streams;     // (queue id, stream)
    struct table sessions;    // (session no, 0)
    struct chunk *last_chunk; // the one looked up last
    bool reading;
    struct memory_item *removed; // while reading: views of these may be held
};

static struct memory_store *self_of(const struct store *store)
{
    const void *self = store; // `store` is its first member
    return (struct memory_store *)(uintptr_t)self;
}

// ---------------------------------------------------------------------------------------------------------------------- items

static struct chunk *chunk_find(struct memory_store *self, uint64_t queue_id, uint64_t seq)
{
    struct chunk *chunk = self->last_chunk;
    if (chunk == NULL || chunk->queue_id != queue_id || chunk->number != seq >> CHUNK_BITS) {
        chunk = table_find(&self->chunks, queue_id, seq >> CHUNK_BITS);
        self->last_chunk = chunk != NULL ? chunk : self->last_chunk;
    }
    return chunk;
}

static struct chunk *chunk_for(struct memory_store *self, uint64_t queue_id, uint64_t seq)
{
    struct chunk *chunk = chunk_find(self, queue_id, seq);
    if (chunk == NULL) {
        chunk = calloc(1, sizeof(*chunk));
        if (chunk == NULL || !table_insert(&self->chunks, queue_id, seq >> CHUNK_BITS, chunk)) {
            free(chunk);
            return NULL;
        }
        chunk->queue_id = queue_id;
        chunk->number = seq >> CHUNK_BITS;
        self->used_bytes += sizeof(*chunk);
    }
    return chunk;
}

// The first chunk that may hold `seq` or a later one of the queue. Neighbours are tried before all are looked through.
static struct chunk *chunk_from(struct memory_store *self, uint64_t queue_id, uint64_t seq) // NULL: none
{
    enum { NEIGHBOURS = 16 };
    struct chunk *first = chunk_find(self, queue_id, seq);
    uint64_t number = seq >> CHUNK_BITS;
    for (uint64_t i = 1; first == NULL && i <= NEIGHBOURS; i++) {
        first = table_find(&self->chunks, queue_id, number + i);
    }
    if (first != NULL) {
        return first;
    }
    for (size_t i = 0; self->chunks.slots != NULL && i <= self->chunks.mask; i++) {
        struct chunk *chunk = self->chunks.slots[i].value;
        if (chunk != NULL && chunk->queue_id == queue_id && chunk->number > number &&
            (first == NULL || chunk->number < first->number)) {
            first = chunk;
        }
    }
    return first;
}

static uint64_t item_weight(const struct memory_item *item)
{
    return sizeof(*item) + item->headers_len + item->body_len;
}

static uint8_t *append(uint8_t *at, struct engine_bytes bytes)
{
    if (bytes.len > 0) {
        memcpy(at, bytes.data, bytes.len);
    }
    return at + bytes.len;
}

// `added` headers follow the item's own ones.
static struct memory_item *item_make(struct engine_bytes own, struct engine_bytes added, struct engine_bytes body)
{
    struct memory_item *item = malloc(sizeof(*item) + own.len + added.len + body.len);
    if (item == NULL) {
        return NULL;
    }
    item->headers_len = own.len + added.len;
    item->own_headers_len = own.len;
    item->body_len = body.len;
    append(append(append(item->bytes, own), added), body);
    return item;
}

static bool item_insert(struct memory_store *self, uint64_t queue_id, uint64_t seq, struct memory_item *item)
{
    struct chunk *chunk = item == NULL ? NULL : chunk_for(self, queue_id, seq);
    if (chunk == NULL) {
        free(item);
        return false;
    }
    chunk->items[seq % CHUNK_ITEMS] = item;
    chunk->count++;
    self->used_bytes += item_weight(item);
    return true;
}

static void chunk_drop_if_empty(struct memory_store *self, struct chunk *chunk)
{
    if (chunk->count == 0) {
        table_remove(&self->chunks, chunk->queue_id, chunk->number);
        self->last_chunk = self->last_chunk == chunk ? NULL : self->last_chunk;
        self->used_bytes -= sizeof(*chunk);
        free(chunk);
    }
}

static struct memory_item *item_take(struct memory_store *self, uint64_t queue_id, uint64_t seq) // NULL: not there
{
    struct chunk *chunk = chunk_find(self, queue_id, seq);
    struct memory_item *item = chunk == NULL ? NULL : chunk->items[seq % CHUNK_ITEMS];
    if (item != NULL) {
        chunk->items[seq % CHUNK_ITEMS] = NULL;
        chunk->count--;
        self->used_bytes -= item_weight(item);
        chunk_drop_if_empty(self, chunk);
    }
    return item;
}

// Views of an item live until the end of the reading.
static void item_discard(struct memory_store *self, struct memory_item *item)
{
    if (item != NULL && self->reading) {
        item->next_removed = self->removed;
        self->removed = item;
    } else {
        free(item);
    }
}

static void free_removed(struct memory_store *self)
{
    while (self->removed != NULL) {
        struct memory_item *next = self->removed->next_removed;
        free(self->removed);
        self->removed = next;
    }
}

// -------------------------------------------------------------------------------------------------------------------- records

static bool record_set(struct table *table, uint64_t a, uint64_t b, const void *record, size_t bytes)
{
    void *place = table_find(table, a, b);
    if (place == NULL) {
        place = malloc(bytes);
        if (place == NULL || !table_insert(table, a, b, place)) {
            free(place);
            return false;
        }
    }
    memcpy(place, record, bytes);
    return true;
}

static void record_drop(struct table *table, uint64_t a, uint64_t b)
{
    free(table_remove(table, a, b));
}

static void drop_streams_of(struct memory_store *self, uint64_t queue_id)
{
    struct table *streams = &self->streams;
    for (size_t i = 0; streams->slots != NULL && i <= streams->mask;) {
        const struct stream_record *record = streams->slots[i].value;
        if (record != NULL && record->queue_id == queue_id) {
            record_drop(streams, queue_id, record->stream); // another may move into this slot: look again
        } else {
            i++;
        }
    }
}

// --------------------------------------------------------------------------------------------------------------------- commit

static bool apply_put(struct memory_store *self, const struct change *change)
{
    uint64_t put_bytes = change->as.put.put_bytes;
    for (size_t i = 0; i < change->as.put.count; i++) {
        struct engine_bytes headers = change->as.put.headers == NULL ? (struct engine_bytes){0} : change->as.put.headers[i];
        struct memory_item *item = item_make(headers, (struct engine_bytes){0}, change->as.put.bodies[i]);
        if (item != NULL) {
            item->accepted_ms = change->as.put.accepted_ms;
            item->put_bytes = put_bytes;
            put_bytes += item->headers_len + item->body_len;
        }
        if (!item_insert(self, change->as.put.queue_id, change->as.put.first_seq + i, item)) {
            return false;
        }
    }
    return true;
}

static void remove_items(struct memory_store *self, uint64_t queue_id, uint64_t first_seq, uint64_t last_seq)
{
    struct chunk *chunk;
    for (uint64_t seq = first_seq; seq <= last_seq && (chunk = chunk_from(self, queue_id, seq)) != NULL;) {
        uint64_t chunk_first = chunk->number << CHUNK_BITS;
        uint64_t chunk_last = chunk_first + CHUNK_ITEMS - 1;
        uint64_t last = chunk_last < last_seq ? chunk_last : last_seq;
        for (seq = seq > chunk_first ? seq : chunk_first; seq <= last; seq++) { // the last one taken ends the chunk
            item_discard(self, item_take(self, queue_id, seq));
        }
        if (chunk_last == UINT64_MAX) {
            break;
        }
    }
}

static void remove_records(struct memory_store *self, uint64_t queue_id, uint64_t first_seq, uint64_t last_seq)
{
    struct table *items = &self->items;
    if (last_seq - first_seq < items->count) {
        for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
            record_drop(items, queue_id, seq);
        }
        return;
    }
    for (size_t i = 0; items->count > 0 && i <= items->mask;) {
        const struct item_record *record = items->slots[i].value;
        if (record != NULL && record->queue_id == queue_id && record->seq >= first_seq && record->seq <= last_seq) {
            record_drop(items, queue_id, record->seq); // another may move into this slot: look again
        } else {
            i++;
        }
    }
}

static void apply_remove(struct memory_store *self, uint64_t queue_id, uint64_t first_seq, uint64_t last_seq)
{
    if (first_seq <= last_seq) {
        remove_items(self, queue_id, first_seq, last_seq);
        remove_records(self, queue_id, first_seq, last_seq);
    }
}

static bool apply_move(struct memory_store *self, const struct change *change)
{
    struct memory_item *old = item_take(self, change->as.move.queue_id, change->as.move.seq);
    record_drop(&self->items, change->as.move.queue_id, change->as.move.seq);
    if (old == NULL) {
        return true; // set aside as damaged in the meantime
    }
    size_t own_len = change->as.move.strip_headers ? old->own_headers_len : old->headers_len;
    struct memory_item *item = item_make((struct engine_bytes){own_len, old->bytes}, change->as.move.add_headers,
                                         (struct engine_bytes){old->body_len, old->bytes + old->headers_len});
    if (item != NULL) {
        item->own_headers_len = old->own_headers_len;
        item->accepted_ms = change->as.move.accepted_ms;
        item->put_bytes = change->as.move.put_bytes;
    }
    item_discard(self, old);
    return item_insert(self, change->as.move.to_queue_id, change->as.move.to_seq, item);
}

static bool apply(struct memory_store *self, const struct change *change)
{
    switch (change->kind) {
    case CHANGE_PUT:
        return apply_put(self, change);
    case CHANGE_REMOVE:
        apply_remove(self, change->as.remove.queue_id, change->as.remove.first_seq, change->as.remove.last_seq);
        return true;
    case CHANGE_MOVE:
        return apply_move(self, change);
    case CHANGE_QUARANTINE: // memory does not rot: there is nothing to show to anybody
        apply_remove(self, change->as.quarantine.queue_id, change->as.quarantine.seq, change->as.quarantine.seq);
        return true;
    case CHANGE_QUEUE:
        return record_set(&self->queues, change->as.queue->queue_id, 0, change->as.queue, sizeof(*change->as.queue));
    case CHANGE_QUEUE_DROP:
        record_drop(&self->queues, change->as.queue_drop.queue_id, 0);
        drop_streams_of(self, change->as.queue_drop.queue_id);
        return true;
    case CHANGE_ITEM:
        return record_set(&self->items, change->as.item->queue_id, change->as.item->seq, change->as.item, sizeof(*change->as.item));
    case CHANGE_ITEM_DROP:
        record_drop(&self->items, change->as.item_drop.queue_id, change->as.item_drop.seq);
        return true;
    case CHANGE_RUN:
        return record_set(&self->runs, change->as.run->queue_id, change->as.run->first_seq, change->as.run,
                          sizeof(*change->as.run));
    case CHANGE_RUN_DROP:
        record_drop(&self->runs, change->as.run_drop.queue_id, change->as.run_drop.first_seq);
        return true;
    case CHANGE_STREAM:
        return record_set(&self->streams, change->as.stream->queue_id, change->as.stream->stream, change->as.stream,
                          sizeof(*change->as.stream));
    case CHANGE_STREAM_DROP:
        record_drop(&self->streams, change->as.stream_drop.queue_id, change->as.stream_drop.stream);
        return true;
    case CHANGE_SESSION:
        return record_set(&self->sessions, change->as.session->session_no, 0, change->as.session, sizeof(*change->as.session));
    case CHANGE_SESSION_DROP:
        record_drop(&self->sessions, change->as.session_drop.session_no, 0);
        return true;
    case CHANGE_META:
        self->meta = *change->as.meta;
        return true;
    case CHANGE_COPY:
    case CHANGE_JOURNALED:
        return true; // between stores on disk only
    }
    return true;
}

static enum nq_status fail(struct store_error *error, enum nq_status status, const char *text)
{
    if (error != NULL) {
        error->status = status;
        strncpy(error->text, text, sizeof(error->text) - 1);
        error->text[sizeof(error->text) - 1] = '\0';
    }
    return status;
}

static enum nq_status memory_commit(struct store *store, const struct changes *changes, struct store_error *error)
{
    struct memory_store *self = self_of(store);
    for (size_t i = 0; i < changes_count(changes) && !self->failed; i++) {
        self->failed = !apply(self, changes_at(changes, i));
    }
    return self->failed ? fail(error, NQ_NO_MEMORY, "memory store: out of memory") : NQ_OK;
}

// ----------------------------------------------------------------------------------------------------------------------- load

static int compare_slots(const void *a, const void *b)
{
    const struct table_slot *x = a;
    const struct table_slot *y = b;
    if (x->a != y->a) {
        return x->a < y->a ? -1 : 1;
    }
    return x->b < y->b ? -1 : x->b > y->b;
}

// The table's entries in the order of their keys; malloc'd, NULL: out of memory.
static struct table_slot *sorted(const struct table *table)
{
    struct table_slot *slots = malloc((table->count + 1) * sizeof(*slots));
    size_t count = 0;
    for (size_t i = 0; slots != NULL && table->slots != NULL && i <= table->mask; i++) {
        if (table->slots[i].value != NULL) {
            slots[count++] = table->slots[i];
        }
    }
    if (slots != NULL) {
        qsort(slots, count, sizeof(*slots), compare_slots);
    }
    return slots;
}

typedef bool (*load_visit)(struct memory_store *self, const struct store_loader *loader, const struct table_slot *slot);

static bool each_sorted(struct memory_store *self, const struct table *table, const struct store_loader *loader, load_visit visit)
{
    struct table_slot *slots = sorted(table);
    bool ok = slots != NULL;
    for (size_t i = 0; ok && i < table->count; i++) {
        ok = visit(self, loader, &slots[i]);
    }
    free(slots);
    return ok;
}

static bool visit_queue(struct memory_store *self, const struct store_loader *loader, const struct table_slot *slot)
{
    (void)self;
    return loader->queue(loader->context, slot->value);
}

static bool visit_session(struct memory_store *self, const struct store_loader *loader, const struct table_slot *slot)
{
    (void)self;
    return loader->session(loader->context, slot->value);
}

static bool visit_item(struct memory_store *self, const struct store_loader *loader, const struct table_slot *slot)
{
    (void)self;
    return loader->item(loader->context, slot->value);
}

static bool visit_run(struct memory_store *self, const struct store_loader *loader, const struct table_slot *slot)
{
    (void)self;
    return loader->run(loader->context, slot->value);
}

static bool visit_stream(struct memory_store *self, const struct store_loader *loader, const struct table_slot *slot)
{
    (void)self;
    return loader->stream(loader->context, slot->value);
}

static bool in_a_run(const struct memory_store *self, uint64_t queue_id, uint64_t seq)
{
    for (size_t i = 0; self->runs.slots != NULL && i <= self->runs.mask; i++) {
        const struct run_record *run = self->runs.slots[i].value;
        if (run != NULL && run->queue_id == queue_id && seq >= run->first_seq && seq <= run->last_seq) {
            return true;
        }
    }
    return false;
}

static bool is_to_be_loaded(const struct memory_store *self, const struct queue_record *queue, uint64_t seq)
{
    bool left_over = seq >= queue->reclaimed_below && seq < queue->gone_below;
    return (seq < queue->cursor && !left_over) || table_find(&self->items, queue->queue_id, seq) != NULL ||
           in_a_run(self, queue->queue_id, seq);
}

static bool visit_chunk(struct memory_store *self, const struct store_loader *loader, const struct table_slot *slot)
{
    const struct chunk *chunk = slot->value;
    const struct queue_record *queue = table_find(&self->queues, chunk->queue_id, 0);
    bool ok = true;
    for (size_t i = 0; ok && queue != NULL && i < CHUNK_ITEMS; i++) {
        const struct memory_item *item = chunk->items[i];
        uint64_t seq = (chunk->number << CHUNK_BITS) + i;
        if (item != NULL && is_to_be_loaded(self, queue, seq)) {
            ok = loader->stored(loader->context, chunk->queue_id, seq, (uint32_t)(item->headers_len + item->body_len));
        }
    }
    return ok;
}

static enum nq_status memory_load(struct store *store, const struct store_loader *loader, struct store_error *error)
{
    struct memory_store *self = self_of(store);
    bool ok = !self->failed && loader->meta(loader->context, &self->meta) &&
              each_sorted(self, &self->queues, loader, visit_queue) && each_sorted(self, &self->sessions, loader, visit_session) &&
              each_sorted(self, &self->items, loader, visit_item) && each_sorted(self, &self->runs, loader, visit_run) &&
              each_sorted(self, &self->streams, loader, visit_stream) && each_sorted(self, &self->chunks, loader, visit_chunk);
    return ok ? NQ_OK : fail(error, NQ_NO_MEMORY, "memory store: out of memory");
}

// ----------------------------------------------------------------------------------------------------------------------- read

static enum nq_status memory_read_begin(struct store *store, struct store_error *error)
{
    struct memory_store *self = self_of(store);
    self->reading = !self->failed;
    return self->failed ? fail(error, NQ_NO_MEMORY, "memory store: out of memory") : NQ_OK;
}

static void memory_read_end(struct store *store)
{
    struct memory_store *self = self_of(store);
    free_removed(self);
    self->reading = false;
}

static void describe(const struct memory_item *stored, uint64_t seq, struct store_item *item)
{
    *item = (struct store_item){.seq = seq,
                                .accepted_ms = stored->accepted_ms,
                                .put_bytes = stored->put_bytes,
                                .body = {stored->body_len, stored->bytes + stored->headers_len},
                                .headers = {stored->headers_len, stored->bytes},
                                .own_headers = {stored->own_headers_len, stored->bytes}};
}

static enum nq_status memory_read(struct store *store, uint64_t queue_id, uint64_t seq, uint64_t below_seq, bool or_next,
                                  struct store_item *item)
{
    struct memory_store *self = self_of(store);
    while (seq < below_seq) {
        const struct chunk *chunk = or_next ? chunk_from(self, queue_id, seq) : chunk_find(self, queue_id, seq);
        if (chunk == NULL) {
            break;
        }
        uint64_t first = chunk->number << CHUNK_BITS;
        for (seq = seq > first ? seq : first; seq < below_seq && seq >> CHUNK_BITS == chunk->number; seq++) {
            const struct memory_item *stored = chunk->items[seq % CHUNK_ITEMS];
            if (stored != NULL) {
                describe(stored, seq, item);
                return NQ_OK;
            }
            if (!or_next) {
                return NQ_EMPTY;
            }
        }
    }
    return NQ_EMPTY;
}

// ----------------------------------------------------------------------------------------------------------------------- rest

static enum nq_status memory_space(struct store *store, struct store_space *space)
{
    const struct memory_store *self = self_of(store);
    *space = (struct store_space){.used_bytes = self->used_bytes, .free_bytes = UINT64_MAX, .limit_bytes = self->limit_bytes};
    return NQ_OK;
}

static void memory_id(const struct store *store, uint8_t id[16])
{
    memcpy(id, self_of(store)->id, 16);
}

static void free_records(struct table *table)
{
    for (size_t i = 0; table->slots != NULL && i <= table->mask; i++) {
        free(table->slots[i].value);
    }
    table_fini(table);
}

static void memory_close(struct store **store_p)
{
    struct memory_store *self = self_of(*store_p);
    for (size_t i = 0; self->chunks.slots != NULL && i <= self->chunks.mask; i++) {
        struct chunk *chunk = self->chunks.slots[i].value;
        for (size_t k = 0; chunk != NULL && k < CHUNK_ITEMS; k++) {
            free(chunk->items[k]);
        }
    }
    struct table *tables[] = {&self->chunks, &self->queues, &self->items, &self->runs, &self->streams, &self->sessions};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        free_records(tables[i]);
    }
    free_removed(self);
    free(self);
    *store_p = NULL;
}

static const struct store_ops memory_ops = {
    .name = "memory",
    .commit_blocks = false,
    .load = memory_load,
    .commit = memory_commit,
    .read_begin = memory_read_begin,
    .read = memory_read,
    .read_end = memory_read_end,
    .space = memory_space,
    .id = memory_id,
    .close = memory_close,
};

struct store *store_memory_create(uint64_t limit_bytes, const uint8_t *store_id)
{
    struct memory_store *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->store.ops = &memory_ops;
    self->limit_bytes = limit_bytes;
    memcpy(self->id, store_id, sizeof(self->id));
    return &self->store;
}
