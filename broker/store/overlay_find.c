// Looking at an overlay.
#include "overlay_internal.h"

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
