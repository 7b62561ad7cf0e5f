// Dead letters: items that failed too often move to another queue, with headers that say where they come from and why.
#include <stdio.h>
#include <string.h>

#include "internal.h"

enum { ADDED_HEADERS_MAX = 1024, REASON_BYTES_MAX = 256, CHAIN_MAX = 100 };

// The header list of a move, in the encoding of HeaderList in netqueue.proto: field 1 a name, field 2 a value, each tag, length,
// bytes. Appended to an item's own encoded list it is one longer list, which is what makes a move free of decoding.
struct header_list {
    uint8_t bytes[ADDED_HEADERS_MAX];
    size_t len;
};

static void add_field(struct header_list *list, uint8_t field, const void *data, size_t len)
{
    list->bytes[list->len++] = (uint8_t)(field << 3 | 2);
    if (len >= 128) { // a varint of two bytes; all lengths here are below 16384
        list->bytes[list->len++] = (uint8_t)(len | 128);
        list->bytes[list->len++] = (uint8_t)(len >> 7);
    } else {
        list->bytes[list->len++] = (uint8_t)len;
    }
    memcpy(list->bytes + list->len, data, len);
    list->len += len;
}

static void add_header(struct header_list *list, const char *name, const void *value, size_t len)
{
    add_field(list, 1, name, strlen(name));
    add_field(list, 2, value, len);
}

static void add_number(struct header_list *list, const char *name, uint64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    add_header(list, name, text, (size_t)len);
}

static void describe(struct header_list *list, const struct item *item, struct engine_bytes reason)
{
    const struct queue_record *record = &item->queue->record;
    list->len = 0;
    add_header(list, "nq-origin-queue", record->name, record->name_len);
    add_number(list, "nq-origin-seq", item->seq);
    add_header(list, "nq-reason", reason.data, reason.len < REASON_BYTES_MAX ? reason.len : REASON_BYTES_MAX);
    add_number(list, "nq-failures", item->failures);
}

// The item becomes the newest of `to`. Its struct is freed, its record and place in the old queue are gone with the move.
uint64_t append_moved(struct engine *self, struct item *item, struct queue *to, struct engine_bytes add, bool strip, uint32_t bytes)
{
    struct queue *from = item->queue;
    uint64_t seq = item->seq;
    uint64_t to_seq = to->record.next_seq;
    item_leave_state(self, item);
    item_forget_record(self, item);
    item_free(self, item);
    engine_record(self, &(struct change){.kind = CHANGE_MOVE,
                                         .as.move = {.queue_id = from->record.queue_id,
                                                     .seq = seq,
                                                     .to_queue_id = to->record.queue_id,
                                                     .to_seq = to_seq,
                                                     .add_headers = add,
                                                     .strip_headers = strip,
                                                     .accepted_ms = self->now_ms,
                                                     .put_bytes = to->record.put_bytes}});
    struct recent_put recent = {.first_seq = to_seq, .count = 1, .bytes = bytes, .put_bytes = to->record.put_bytes};
    to->record.next_seq++;
    to->record.puts++;
    to->record.put_bytes += bytes;
    self->moved_bytes += bytes;
    if (!recent_add(to, &recent) || !age_note(self, to)) {
        engine_no_memory(self);
    }
    engine_wait_for_store(self);
    queue_touch(self, from);
    queue_touch(self, to);
    return to_seq;
}

void item_to_dead_letter(struct engine *self, struct item *item, struct engine_bytes reason)
{
    struct queue *queue = item->queue;
    struct engine_bytes name = {queue->record.dead_letter_len, (const uint8_t *)queue->record.dead_letter};
    engine_wait_for_store(self);
    if (name.len == 0) {
        queue->record.dropped++;
        item_finish(self, item);
        return;
    }
    struct queue *to = engine_queue_find(self, name);
    if (to == NULL) {
        to = queue_create(self, name);
    }
    if (to == NULL) { // nothing of this is stored any more; but whoever ends all of a session's leases comes to an end
        item_finish(self, item);
        return;
    }
    struct header_list headers;
    describe(&headers, item, reason);
    queue->record.dead_lettered++;
    append_moved(self, item, to, (struct engine_bytes){headers.len, headers.bytes}, false, item->bytes + (uint32_t)headers.len);
}

// Or leads through so many queues that nobody will look whether it does.
bool dead_letter_closes_cycle(const struct engine *self, struct engine_bytes own, struct engine_bytes dead_letter)
{
    struct engine_bytes next = dead_letter;
    for (size_t steps = 0; next.len > 0 && steps < CHAIN_MAX; steps++) {
        if (next.len == own.len && memcmp(next.data, own.data, own.len) == 0) {
            return true;
        }
        const struct queue *at = engine_queue_find(self, next);
        if (at == NULL) {
            return false;
        }
        next = (struct engine_bytes){at->record.dead_letter_len, (const uint8_t *)at->record.dead_letter};
    }
    return next.len > 0;
}

static enum engine_status room_for_one(const struct queue *to, uint32_t bytes)
{
    if (to->record.state != QUEUE_OPEN) {
        return ENGINE_SHUT_DOWN;
    }
    if (to->record.max_bytes > 0 && bytes > to->record.max_bytes) {
        return ENGINE_TOO_LARGE;
    }
    if (to->record.maxsize > 0 && queue_ready(to) + to->put_delayed >= to->record.maxsize) {
        return ENGINE_FULL;
    }
    if (to->record.max_bytes > 0 && bytes > 0 && queue_ready_bytes(to) + to->put_delayed_bytes + bytes > to->record.max_bytes) {
        return ENGINE_FULL;
    }
    return ENGINE_OK;
}

// A ready item becomes one with a struct of its own, so that it can be moved; and so do those that are passed over to reach it.
static struct item *ready_item(struct engine *self, struct queue *queue, uint64_t seq)
{
    struct item *item = item_find(self, queue, seq);
    uint32_t bytes;
    uint64_t put_bytes;
    if (item == NULL && seq >= queue->record.next_seq) {
        return NULL;
    }
    while (item == NULL && queue->record.cursor <= seq && cursor_item(self, queue, &bytes, &put_bytes)) {
        uint64_t at = queue->record.cursor;
        struct item *fresh = item_create(self, queue, at, bytes);
        if (fresh == NULL) {
            return NULL;
        }
        fresh->redelivered = at < queue->redelivered_below;
        queue->record.cursor++;
        queue->record.cursor_put_bytes = put_bytes + bytes;
        if (!item_to_returned(self, fresh)) {
            return NULL;
        }
        item = at == seq ? fresh : NULL;
    }
    return item != NULL && item->state == ITEM_READY && seq >= queue->record.gone_below ? item : NULL;
}

// Each of them is a struct in memory and a record in the store until it is got.
static bool passes_over_too_many(const struct queue *queue, uint64_t seq)
{
    return seq > queue->record.cursor && seq < queue->record.next_seq &&
           seq - queue->record.cursor + queue->returned.count > ENGINE_PASSED_OVER_MAX;
}

enum engine_status engine_redrive(struct engine *self, uint64_t now_ms, struct queue *from, uint64_t seq, struct queue *to,
                                  uint32_t own_bytes)
{
    engine_advance(self, now_ms);
    enum engine_status status = room_for_one(to, own_bytes);
    if (status != ENGINE_OK) {
        return status;
    }
    if (passes_over_too_many(from, seq)) {
        return ENGINE_LIMIT_REACHED;
    }
    struct item *item = ready_item(self, from, seq);
    if (item == NULL) {
        return self->out_of_memory ? ENGINE_NO_MEMORY : ENGINE_EMPTY;
    }
    append_moved(self, item, to, (struct engine_bytes){0}, true, own_bytes);
    return self->out_of_memory ? ENGINE_NO_MEMORY : ENGINE_OK;
}
