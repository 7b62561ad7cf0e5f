// What an overlay holds, as changes for the store below.
#include <stdlib.h>

#include "overlay_internal.h"

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
