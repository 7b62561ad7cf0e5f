// Taking commits into an overlay.
#include <string.h>

#include "overlay_internal.h"

enum { WIDE = 65536 };

static uint8_t *append(uint8_t *at, struct engine_bytes bytes)
{
    if (bytes.len > 0) {
        memcpy(at, bytes.data, bytes.len);
    }
    return at + bytes.len;
}

// Forget an item that was put within this overlay. False: there is none.
static bool forget_item(struct overlay *self, struct span *span, uint64_t seq)
{
    struct overlay_item **place = &span->items[seq % SPAN_ITEMS];
    if (*place == NULL) {
        return false;
    }
    overlay_item_kill(self, *place);
    *place = NULL;
    span->count--;
    return true;
}

static struct overlay_item *add_item(struct overlay *self, uint64_t queue_id, uint64_t seq, struct engine_bytes own,
                                     struct engine_bytes added, struct engine_bytes body)
{
    struct span *span = overlay_span_for(self, queue_id, seq);
    struct overlay_item *item = overlay_item_create(self, own.len + added.len, body.len);
    if (span == NULL || item == NULL) {
        return NULL; // the overlay is of no more use
    }
    item->own_headers_len = (uint32_t)own.len;
    append(append(append(item->bytes, own), added), body);
    forget_item(self, span, seq);
    span->items[seq % SPAN_ITEMS] = item;
    span->count++;
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
                forget_item(self, span, seq);
            }
        }
    }
    struct table *records = &self->entries[ENTRY_ITEM];
    for (size_t i = 0; records->slots != NULL && i <= records->mask;) {
        const struct table_slot *slot = &records->slots[i];
        if (slot->value != NULL && slot->a == queue_id && slot->b >= first_seq && slot->b <= last_seq) {
            overlay_entry_remove(self, ENTRY_ITEM, slot->a, slot->b); // another may move into this slot: look again
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
    for (uint64_t seq = first_seq; seq <= last_seq; seq++) {
        struct span *span = overlay_span_for(self, queue_id, seq);
        if (span == NULL) {
            return false;
        }
        if (!forget_item(self, span, seq)) {
            span->removed |= 1ull << (seq % SPAN_ITEMS);
        }
        if (self->entries[ENTRY_ITEM].count > 0) {
            overlay_entry_remove(self, ENTRY_ITEM, queue_id, seq); // the store below drops its own with the item
        }
        if (seq % SPAN_ITEMS == SPAN_ITEMS - 1 || seq == last_seq) {
            overlay_span_release(self, span);
        }
    }
    return true;
}

static bool add_quarantined(struct overlay *self, uint64_t queue_id, uint64_t seq)
{
    struct quarantined *one = nq_arena_alloc(self->arena, sizeof(*one));
    if (one == NULL) {
        return false;
    }
    *one = (struct quarantined){.next = self->quarantined, .queue_id = queue_id, .seq = seq};
    self->quarantined = one;
    struct span *span = overlay_span_for(self, one->queue_id, one->seq);
    if (span == NULL) {
        return false;
    }
    overlay_entry_remove(self, ENTRY_ITEM, one->queue_id, one->seq);
    forget_item(self, span, one->seq);
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
    if (status == NQ_EMPTY) { // gone already: at least no record of it may stay
        return remove_items(self, queue_id, seq, seq);
    }
    if (status != NQ_OK) { // it is there, but cannot be read now
        return false;
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

// A record of an item that was put within this overlay was first written within it, too: the store below has none.
static bool is_fresh(const struct overlay *self, enum entry_table in, uint64_t queue_id, uint64_t seq)
{
    const struct span *span = in == ENTRY_ITEM || in == ENTRY_RUN ? table_find(&self->spans, queue_id, seq >> SPAN_BITS) : NULL;
    return span != NULL && span->items[seq % SPAN_ITEMS] != NULL;
}

static bool set_entry(struct overlay *self, enum entry_table in, uint64_t a, uint64_t b, const struct change *change,
                      const void *record, size_t bytes)
{
    struct entry *entry = overlay_entry_for(self, in, a, b);
    if (entry == NULL) {
        return false;
    }
    entry->fresh = entry->fresh || is_fresh(self, in, a, b);
    entry->dropped = false;
    entry->change = *change;
    entry->change.as.queue = memcpy(entry->record, record, bytes); // any of the record pointers: they share their place
    return true;
}

static bool drop_entry(struct overlay *self, enum entry_table in, uint64_t a, uint64_t b, const struct change *change)
{
    struct entry *entry = overlay_entry_for(self, in, a, b);
    if (entry == NULL) {
        return false;
    }
    if (entry->fresh || is_fresh(self, in, a, b)) {
        overlay_entry_remove(self, in, a, b);
        return true;
    }
    entry->dropped = true;
    entry->change = *change;
    return true;
}

static bool drop_queue(struct overlay *self, uint64_t queue_id)
{
    struct table *streams = &self->entries[ENTRY_STREAM];
    for (size_t i = 0; streams->slots != NULL && i <= streams->mask;) {
        if (streams->slots[i].value != NULL && streams->slots[i].a == queue_id) {
            overlay_entry_remove(self, ENTRY_STREAM, queue_id, streams->slots[i].b);
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
    overlay_entry_remove(self, ENTRY_QUEUE, queue_id, 0);
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
        return drop_entry(self, ENTRY_ITEM, change->as.item_drop.queue_id, change->as.item_drop.seq, change);
    case CHANGE_RUN:
        return SET(ENTRY_RUN, change->as.run->queue_id, change->as.run->first_seq, run);
    case CHANGE_RUN_DROP:
        return drop_entry(self, ENTRY_RUN, change->as.run_drop.queue_id, change->as.run_drop.first_seq, change);
    case CHANGE_STREAM:
        return SET(ENTRY_STREAM, change->as.stream->queue_id, change->as.stream->stream, stream);
    case CHANGE_STREAM_DROP:
        return drop_entry(self, ENTRY_STREAM, change->as.stream_drop.queue_id, change->as.stream_drop.stream, change);
    case CHANGE_SESSION:
        return SET(ENTRY_SESSION, change->as.session->session_no, 0, session);
    case CHANGE_SESSION_DROP:
        return drop_entry(self, ENTRY_SESSION, change->as.session_drop.session_no, 0, change);
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
