#include "overlay.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "table.h"

enum { SPAN_BITS = 6, SPAN_ITEMS = 1 << SPAN_BITS, ARENA_CHUNK_BYTES = 1024 * 1024, WIDE = 65536 };

struct overlay_item {
    uint64_t accepted_ms, put_bytes;
    size_t headers_len, own_headers_len, body_len;
    uint8_t bytes[]; // headers, then body
};

// Neighbouring seqs of one queue.
struct span {
    uint64_t queue_id, number; // seq >> SPAN_BITS
    uint64_t removed;          // bit per seq: an item below is gone
    struct overlay_item *items[SPAN_ITEMS];
};

// The last word on a record: written, or dropped.
struct entry {
    bool dropped;
    struct change change; // its record points into the arena
};

enum entry_table { ENTRY_QUEUE, ENTRY_ITEM, ENTRY_RUN, ENTRY_STREAM, ENTRY_SESSION, ENTRY_TABLES };

struct quarantined {
    struct quarantined *next;
    uint64_t queue_id, seq;
};

// A removal too wide to be kept by seq. Items put after it are in their spans, and found there first.
struct wide {
    struct wide *next;
    uint64_t queue_id, first_seq, last_seq;
};

struct dropped_queue {
    struct dropped_queue *next;
    uint64_t queue_id;
};

struct overlay {
    struct nq_arena *arena;
    struct table spans; // (queue id, number)
    struct table entries[ENTRY_TABLES];
    struct quarantined *quarantined;
    struct wide *wide;
    struct dropped_queue *dropped_queues; // whatever was written of them later: below, their streams go
    struct meta_record meta;
    bool has_meta;
    struct span *last; // of the one who changes it
};

struct overlay *overlay_create(void)
{
    struct overlay *self = calloc(1, sizeof(*self));
    if (self != NULL) {
        self->arena = nq_arena_create(ARENA_CHUNK_BYTES, 0);
        if (self->arena == NULL) {
            overlay_destroy(&self);
        }
    }
    return self;
}

void overlay_destroy(struct overlay **self_p)
{
    struct overlay *self = *self_p;
    if (self == NULL) {
        return;
    }
    nq_arena_destroy(&self->arena);
    table_fini(&self->spans);
    for (size_t i = 0; i < ENTRY_TABLES; i++) {
        table_fini(&self->entries[i]);
    }
    free(self);
    *self_p = NULL;
}

size_t overlay_bytes(const struct overlay *self)
{
    size_t bytes = nq_arena_used(self->arena);
    const struct table *tables[] = {&self->spans,      &self->entries[0], &self->entries[1],
                                    &self->entries[2], &self->entries[3], &self->entries[4]};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        bytes += tables[i]->mask * sizeof(struct table_slot);
    }
    return bytes;
}

bool overlay_is_empty(const struct overlay *self)
{
    return !self->has_meta && nq_arena_used(self->arena) == 0;
}

// ---------------------------------------------------------------------------------------------------------------------- items

static struct span *span_for(struct overlay *self, uint64_t queue_id, uint64_t seq)
{
    uint64_t number = seq >> SPAN_BITS;
    if (self->last != NULL && self->last->queue_id == queue_id && self->last->number == number) {
        return self->last;
    }
    struct span *span = table_find(&self->spans, queue_id, number);
    if (span == NULL) {
        span = nq_arena_calloc(self->arena, 1, sizeof(*span));
        if (span == NULL || !table_insert(&self->spans, queue_id, number, span)) {
            return NULL;
        }
        span->queue_id = queue_id;
        span->number = number;
    }
    self->last = span;
    return span;
}

static uint8_t *append(uint8_t *at, struct engine_bytes bytes)
{
    if (bytes.len > 0) {
        memcpy(at, bytes.data, bytes.len);
    }
    return at + bytes.len;
}

static struct overlay_item *add_item(struct overlay *self, uint64_t queue_id, uint64_t seq, struct engine_bytes own,
                                     struct engine_bytes added, struct engine_bytes body)
{
    struct span *span = span_for(self, queue_id, seq);
    struct overlay_item *item = nq_arena_alloc(self->arena, sizeof(*item) + own.len + added.len + body.len);
    if (span == NULL || item == NULL) {
        return NULL;
    }
    item->headers_len = own.len + added.len;
    item->own_headers_len = own.len;
    item->body_len = body.len;
    append(append(append(item->bytes, own), added), body);
    span->items[seq % SPAN_ITEMS] = item;
    return item;
}

static bool apply_put(struct overlay *self, const struct change *change)
{
    uint64_t put_bytes = change->as.put.put_bytes;
    for (size_t i = 0; i < change->as.put.count; i++) {
        struct engine_bytes headers = change->as.put.headers == NULL ? (struct engine_bytes){0} : change->as.put.headers[i];
        struct overlay_item *item = add_item(self, change->as.put.queue_id, change->as.put.first_seq + i, headers,
                                             (struct engine_bytes){0}, change->as.put.bodies[i]);
        if (item == NULL) {
            return false;
        }
        item->accepted_ms = change->as.put.accepted_ms;
        item->put_bytes = put_bytes;
        put_bytes += headers.len + change->as.put.bodies[i].len;
    }
    return true;
}

static bool remove_wide(struct overlay *self, uint64_t queue_id, uint64_t first_seq, uint64_t last_seq)
{
    struct wide *wide = nq_arena_alloc(self->arena, sizeof(*wide));
    if (wide == NULL) {
        return false;
    }
    *wide = (struct wide){.next = self->wide, .queue_id = queue_id, .first_seq = first_seq, .last_seq = last_seq};
    self->wide = wide;
    for (size_t i = 0; self->spans.slots != NULL && i <= self->spans.mask; i++) {
        struct span *span = self->spans.slots[i].value;
        for (uint64_t k = 0; span != NULL && span->queue_id == queue_id && k < SPAN_ITEMS; k++) {
            uint64_t seq = (span->number << SPAN_BITS) + k;
            if (seq >= first_seq && seq <= last_seq) {
                span->items[k] = NULL;
            }
        }
    }
    struct table *records = &self->entries[ENTRY_ITEM];
    for (size_t i = 0; records->slots != NULL && i <= records->mask;) {
        const struct table_slot *slot = &records->slots[i];
        if (slot->value != NULL && slot->a == queue_id && slot->b >= first_seq && slot->b <= last_seq) {
            table_remove(records, slot->a, slot->b); // another may move into this slot: look again
        } else {
            i++;
        }
    }
    return true;
}

static bool remove_items(struct overlay *self, uint64_t queue_id, uint64_t first_seq, uint64_t last_seq)
{
    if (last_seq - first_seq >= WIDE) {
        return remove_wide(self, queue_id, first_seq, last_seq);
    }
    struct table *records = &self->entries[ENTRY_ITEM];
    for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
        struct span *span = span_for(self, queue_id, seq);
        if (span == NULL) {
            return false;
        }
        if (span->items[seq % SPAN_ITEMS] != NULL) {
            span->items[seq % SPAN_ITEMS] = NULL;
        } else {
            span->removed |= 1ull << (seq % SPAN_ITEMS);
        }
        if (records->count > 0) {
            table_remove(records, queue_id, seq); // the store below drops its own with the item
        }
    }
    return true;
}

static void describe(const struct overlay_item *stored, uint64_t seq, struct store_item *item)
{
    *item = (struct store_item){.seq = seq,
                                .accepted_ms = stored->accepted_ms,
                                .put_bytes = stored->put_bytes,
                                .body = {stored->body_len, stored->bytes + stored->headers_len},
                                .headers = {stored->headers_len, stored->bytes},
                                .own_headers = {stored->own_headers_len, stored->bytes}};
}

enum overlay_found overlay_find(const struct overlay *self, uint64_t queue_id, uint64_t seq, struct store_item *item)
{
    const struct span *span = table_find(&self->spans, queue_id, seq >> SPAN_BITS);
    if (span != NULL && span->items[seq % SPAN_ITEMS] != NULL) {
        describe(span->items[seq % SPAN_ITEMS], seq, item);
        return OVERLAY_ITEM;
    }
    bool removed = span != NULL && (span->removed >> (seq % SPAN_ITEMS) & 1) != 0;
    for (const struct wide *wide = self->wide; wide != NULL && !removed; wide = wide->next) {
        removed = wide->queue_id == queue_id && seq >= wide->first_seq && seq <= wide->last_seq;
    }
    return removed ? OVERLAY_REMOVED : OVERLAY_NOTHING;
}

bool overlay_next(const struct overlay *self, uint64_t queue_id, uint64_t from, uint64_t below, uint64_t *seq)
{
    uint64_t misses = 0;
    for (uint64_t at = from; at < below && misses <= self->spans.count; at = (at | (SPAN_ITEMS - 1)) + 1) {
        const struct span *span = table_find(&self->spans, queue_id, at >> SPAN_BITS);
        misses += span == NULL ? 1 : 0;
        for (uint64_t i = at; span != NULL && i < below && i >> SPAN_BITS == span->number; i++) {
            if (span->items[i % SPAN_ITEMS] != NULL) {
                *seq = i;
                return true;
            }
        }
    }
    // A wide gap with few spans: look at all of them rather than at all of it.
    bool found = false;
    for (size_t i = 0; misses > self->spans.count && self->spans.slots != NULL && i <= self->spans.mask; i++) {
        const struct span *span = self->spans.slots[i].value;
        for (uint64_t k = 0; span != NULL && span->queue_id == queue_id && k < SPAN_ITEMS; k++) {
            uint64_t candidate = (span->number << SPAN_BITS) + k;
            if (span->items[k] != NULL && candidate >= from && candidate < below && (!found || candidate < *seq)) {
                *seq = candidate;
                found = true;
            }
        }
    }
    return found;
}

static bool add_quarantined(struct overlay *self, uint64_t queue_id, uint64_t seq)
{
    struct quarantined *one = nq_arena_alloc(self->arena, sizeof(*one));
    if (one == NULL) {
        return false;
    }
    *one = (struct quarantined){.next = self->quarantined, .queue_id = queue_id, .seq = seq};
    self->quarantined = one;
    struct span *span = span_for(self, one->queue_id, one->seq);
    if (span == NULL) {
        return false;
    }
    table_remove(&self->entries[ENTRY_ITEM], one->queue_id, one->seq);
    span->items[one->seq % SPAN_ITEMS] = NULL;
    span->removed |= 1ull << (one->seq % SPAN_ITEMS);
    return true;
}

static bool apply_move(struct overlay *self, const struct change *change, const struct overlay_below *below)
{
    uint64_t queue_id = change->as.move.queue_id;
    uint64_t seq = change->as.move.seq;
    struct store_item item;
    enum overlay_found found = overlay_find(self, queue_id, seq, &item);
    enum nq_status status = found == OVERLAY_ITEM ? NQ_OK : NQ_EMPTY;
    if (found == OVERLAY_NOTHING) {
        status = below->find(below->context, queue_id, seq, &item);
    }
    if (status == NQ_DAMAGED) { // its place in the other queue stays empty, which its reader takes for damage, too
        return add_quarantined(self, queue_id, seq);
    }
    if (status != NQ_OK) { // gone already: at least no record of it may stay
        return status != NQ_NO_MEMORY && remove_items(self, queue_id, seq, seq);
    }
    size_t kept = change->as.move.strip_headers ? 0 : item.headers.len - item.own_headers.len;
    struct engine_bytes add = change->as.move.add_headers;
    uint8_t *added = nq_arena_alloc(self->arena, kept + add.len + 1);
    if (added == NULL) {
        return false;
    }
    append(append(added, (struct engine_bytes){kept, item.headers.data + item.own_headers.len}), add);
    struct overlay_item *moved = add_item(self, change->as.move.to_queue_id, change->as.move.to_seq, item.own_headers,
                                          (struct engine_bytes){kept + add.len, added}, item.body);
    if (moved == NULL) {
        return false;
    }
    moved->accepted_ms = change->as.move.accepted_ms;
    moved->put_bytes = change->as.move.put_bytes;
    return remove_items(self, queue_id, seq, seq);
}

// -------------------------------------------------------------------------------------------------------------------- records

static bool set_entry(struct overlay *self, enum entry_table in, uint64_t a, uint64_t b, const struct change *change,
                      const void *record, size_t bytes)
{
    struct entry *entry = table_find(&self->entries[in], a, b);
    void *copy = NULL;
    if (entry == NULL) {
        entry = nq_arena_calloc(self->arena, 1, sizeof(*entry));
        if (entry == NULL || !table_insert(&self->entries[in], a, b, entry)) {
            return false;
        }
    } else if (!entry->dropped && record != NULL) {
        copy = (void *)(uintptr_t)entry->change.as.queue; // its place is reused: records of one table have one size
    }
    if (record != NULL) {
        copy = copy == NULL ? nq_arena_alloc(self->arena, bytes) : copy;
        if (copy == NULL) {
            return false;
        }
        memcpy(copy, record, bytes);
    }
    entry->dropped = record == NULL;
    entry->change = *change;
    if (record != NULL) {
        entry->change.as.queue = copy; // any of the record pointers: they share their place
    }
    return true;
}

static bool drop_queue(struct overlay *self, uint64_t queue_id)
{
    struct table *streams = &self->entries[ENTRY_STREAM];
    for (size_t i = 0; streams->slots != NULL && i <= streams->mask;) {
        if (streams->slots[i].value != NULL && streams->slots[i].a == queue_id) {
            table_remove(streams, queue_id, streams->slots[i].b);
        } else {
            i++;
        }
    }
    struct dropped_queue *dropped = nq_arena_alloc(self->arena, sizeof(*dropped));
    if (dropped == NULL) {
        return false;
    }
    *dropped = (struct dropped_queue){.next = self->dropped_queues, .queue_id = queue_id};
    self->dropped_queues = dropped;
    table_remove(&self->entries[ENTRY_QUEUE], queue_id, 0);
    return true;
}

#define SET(table, a, b, member) set_entry(self, table, a, b, change, change->as.member, sizeof(*change->as.member))
static bool apply_one(struct overlay *self, const struct change *change, const struct overlay_below *below)
{
    switch (change->kind) {
    case CHANGE_PUT:
        return apply_put(self, change);
    case CHANGE_REMOVE:
        return remove_items(self, change->as.remove.queue_id, change->as.remove.first_seq, change->as.remove.last_seq);
    case CHANGE_MOVE:
        return apply_move(self, change, below);
    case CHANGE_QUARANTINE:
        return add_quarantined(self, change->as.quarantine.queue_id, change->as.quarantine.seq);
    case CHANGE_QUEUE:
        return SET(ENTRY_QUEUE, change->as.queue->queue_id, 0, queue);
    case CHANGE_QUEUE_DROP:
        return drop_queue(self, change->as.queue_drop.queue_id);
    case CHANGE_ITEM:
        return SET(ENTRY_ITEM, change->as.item->queue_id, change->as.item->seq, item);
    case CHANGE_ITEM_DROP:
        return set_entry(self, ENTRY_ITEM, change->as.item_drop.queue_id, change->as.item_drop.seq, change, NULL, 0);
    case CHANGE_RUN:
        return SET(ENTRY_RUN, change->as.run->queue_id, change->as.run->first_seq, run);
    case CHANGE_RUN_DROP:
        return set_entry(self, ENTRY_RUN, change->as.run_drop.queue_id, change->as.run_drop.first_seq, change, NULL, 0);
    case CHANGE_STREAM:
        return SET(ENTRY_STREAM, change->as.stream->queue_id, change->as.stream->stream, stream);
    case CHANGE_STREAM_DROP:
        return set_entry(self, ENTRY_STREAM, change->as.stream_drop.queue_id, change->as.stream_drop.stream, change, NULL, 0);
    case CHANGE_SESSION:
        return SET(ENTRY_SESSION, change->as.session->session_no, 0, session);
    case CHANGE_SESSION_DROP:
        return set_entry(self, ENTRY_SESSION, change->as.session_drop.session_no, 0, change, NULL, 0);
    case CHANGE_META:
        self->meta = *change->as.meta;
        self->has_meta = true;
        return true;
    case CHANGE_COPY:
    case CHANGE_JOURNALED:
        break; // between stores only
    }
    return true;
}
#undef SET

bool overlay_apply(struct overlay *self, const struct changes *changes, const struct overlay_below *below)
{
    bool ok = true;
    for (size_t i = 0; ok && i < changes_count(changes); i++) {
        ok = apply_one(self, changes_at(changes, i), below);
    }
    return ok;
}

// ----------------------------------------------------------------------------------------------------------------------- emit

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = *(struct span *const *)a;
    const struct span *y = *(struct span *const *)b;
    if (x->queue_id != y->queue_id) {
        return x->queue_id < y->queue_id ? -1 : 1;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

static bool emit_removed(const struct span *span, struct changes *out)
{
    bool ok = true;
    for (uint64_t i = 0; ok && span->removed != 0 && i < SPAN_ITEMS; i++) {
        if ((span->removed >> i & 1) != 0) {
            uint64_t seq = (span->number << SPAN_BITS) + i;
            ok = changes_add(out, &(struct change){.kind = CHANGE_REMOVE,
                                                   .as.remove = {.queue_id = span->queue_id, .first_seq = seq, .last_seq = seq}});
        }
    }
    return ok;
}

static bool emit_items(const struct span *span, struct changes *out)
{
    bool ok = true;
    for (uint64_t i = 0; ok && i < SPAN_ITEMS; i++) {
        const struct overlay_item *item = span->items[i];
        if (item != NULL) {
            ok = changes_add(out, &(struct change){.kind = CHANGE_COPY,
                                                   .as.copy = {.queue_id = span->queue_id,
                                                               .seq = (span->number << SPAN_BITS) + i,
                                                               .accepted_ms = item->accepted_ms,
                                                               .put_bytes = item->put_bytes,
                                                               .own_headers = {item->own_headers_len, item->bytes},
                                                               .added_headers = {item->headers_len - item->own_headers_len,
                                                                                 item->bytes + item->own_headers_len},
                                                               .body = {item->body_len, item->bytes + item->headers_len}}});
        }
    }
    return ok;
}

static bool emit_spans(const struct overlay *self, struct changes *out)
{
    struct span **spans = malloc((self->spans.count + 1) * sizeof(struct span *));
    size_t count = 0;
    bool ok = spans != NULL;
    for (size_t i = 0; ok && self->spans.slots != NULL && i <= self->spans.mask; i++) {
        if (self->spans.slots[i].value != NULL) {
            spans[count++] = self->spans.slots[i].value;
        }
    }
    if (count > 0) {
        qsort(spans, count, sizeof(struct span *), compare_spans);
    }
    for (const struct quarantined *one = self->quarantined; ok && one != NULL; one = one->next) { // before the removals
        ok = changes_add(
            out, &(struct change){.kind = CHANGE_QUARANTINE, .as.quarantine = {.queue_id = one->queue_id, .seq = one->seq}});
    }
    for (const struct wide *wide = self->wide; ok && wide != NULL; wide = wide->next) {
        ok = changes_add(
            out,
            &(struct change){.kind = CHANGE_REMOVE,
                             .as.remove = {.queue_id = wide->queue_id, .first_seq = wide->first_seq, .last_seq = wide->last_seq}});
    }
    for (size_t i = 0; ok && i < count; i++) {
        ok = emit_removed(spans[i], out);
    }
    for (size_t i = 0; ok && i < count; i++) {
        ok = emit_items(spans[i], out);
    }
    free(spans);
    return ok;
}

bool overlay_emit(const struct overlay *self, struct changes *out)
{
    bool ok = emit_spans(self, out);
    for (const struct dropped_queue *dropped = self->dropped_queues; ok && dropped != NULL; dropped = dropped->next) {
        ok = changes_add(out, &(struct change){.kind = CHANGE_QUEUE_DROP, .as.queue_drop = {.queue_id = dropped->queue_id}});
    }
    for (size_t in = 0; in < ENTRY_TABLES; in++) {
        const struct table *table = &self->entries[in];
        for (size_t i = 0; ok && table->slots != NULL && i <= table->mask; i++) {
            const struct entry *entry = table->slots[i].value;
            ok = entry == NULL || changes_add(out, &entry->change);
        }
    }
    return ok && (!self->has_meta || changes_add(out, &(struct change){.kind = CHANGE_META, .as.meta = &self->meta}));
}
