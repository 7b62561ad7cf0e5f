// A store's state as text.
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "store_rig.h"

struct telling {
    FILE *out;
    FILE *stored; // only what `stored` was called with
};

static bool tell_meta(void *context, const struct meta_record *r)
{
    struct telling *self = context;
    fprintf(self->out, "meta now %" PRIu64 " epoch %" PRIu64 " next queue %" PRIu64 " next session %" PRIu64 " clean %d\n",
            r->now_ms, r->epoch, r->next_queue_id, r->next_session_no, r->clean);
    return true;
}

static bool tell_queue(void *context, const struct queue_record *r)
{
    FILE *out = ((struct telling *)context)->out;
    fprintf(out, "queue %" PRIu64 " %.*s state %u deleted %d temporary %d", r->queue_id, r->name_len, r->name, r->state, r->deleted,
            r->temporary);
    fprintf(out, " dead letters %.*s given %" PRIu32 " deliveries %" PRIu32, r->dead_letter_len, r->dead_letter, r->options_given,
            r->max_deliveries);
    const uint64_t numbers[] = {
        r->maxsize,    r->max_bytes,     r->lease_ms,        r->hold_max_ms, r->ttl_ms,           r->next_seq, r->cursor,
        r->gone_below, r->put_bytes,     r->reclaimed_below, r->ready,       r->cursor_put_bytes, r->delayed,  r->leased,
        r->puts,       r->gets,          r->dones,           r->redelivered, r->requeued,         r->failed,   r->expired,
        r->purged,     r->dead_lettered, r->dropped,         r->quarantined};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        fprintf(out, " %" PRIu64, numbers[i]);
    }
    fputc('\n', out);
    return true;
}

static bool tell_session(void *context, const struct session_record *r)
{
    fprintf(((struct telling *)context)->out, "session %" PRIu64 " id %08x token %08x renewed %" PRIu64 " workers %" PRIu32 "\n",
            r->session_no, crc32c(0, r->id, sizeof(r->id)), crc32c(0, r->token, sizeof(r->token)), r->renewed_ms, r->workers);
    return true;
}

static bool tell_item(void *context, const struct item_record *r)
{
    fprintf(((struct telling *)context)->out,
            "item %" PRIu64 ":%" PRIu64 " state %u redelivered %d put delayed %d deliveries %" PRIu32 " failures %" PRIu32
            " due %" PRIu64 " session %" PRIu64 " get %" PRIu64 " at %" PRIu64 " lease %" PRIu64 " hold %" PRIu64 " taken %d\n",
            r->queue_id, r->seq, r->state, r->redelivered, r->put_delayed, r->deliveries, r->failures, r->due_ms, r->session_no,
            r->get_id, r->got_ms, r->lease_ms, r->hold_max_ms, r->taken);
    return true;
}

static bool tell_run(void *context, const struct run_record *r)
{
    fprintf(((struct telling *)context)->out,
            "run %" PRIu64 ":%" PRIu64 "-%" PRIu64 " session %" PRIu64 " get %" PRIu64 " at %" PRIu64 " lease %" PRIu64
            " hold %" PRIu64 " taken %" PRIu32 " redelivered %d\n",
            r->queue_id, r->first_seq, r->last_seq, r->session_no, r->get_id, r->got_ms, r->lease_ms, r->hold_max_ms, r->taken,
            r->redelivered);
    return true;
}

static bool tell_stream(void *context, const struct stream_record *r)
{
    fprintf(((struct telling *)context)->out,
            "stream %" PRIu64 ":%" PRIu64 " number %" PRIu64 " seq %" PRIu64 " used %" PRIu64 "\n", r->queue_id, r->stream,
            r->last_number, r->last_seq, r->used_ms);
    return true;
}

static bool tell_stored(void *context, uint64_t queue_id, uint64_t seq, uint32_t item_bytes)
{
    struct telling *self = context;
    fprintf(self->out, "stored %" PRIu64 ":%" PRIu64 " %" PRIu32 " bytes\n", queue_id, seq, item_bytes);
    fprintf(self->stored, "%s%" PRIu64 ":%" PRIu64, ftell(self->stored) > 0 ? " " : "", queue_id, seq);
    return true;
}

static bool tell_damaged(void *context, const char *what)
{
    fprintf(((struct telling *)context)->out, "damaged: %s\n", what);
    return true;
}

static enum nq_status load(struct store *store, char **all, char **stored, struct store_error *error)
{
    size_t all_len;
    size_t stored_len;
    struct telling self = {.out = open_memstream(all, &all_len), .stored = open_memstream(stored, &stored_len)};
    const struct store_loader loader = {.context = &self,
                                        .meta = tell_meta,
                                        .queue = tell_queue,
                                        .session = tell_session,
                                        .item = tell_item,
                                        .run = tell_run,
                                        .stream = tell_stream,
                                        .stored = tell_stored,
                                        .damaged = tell_damaged};
    enum nq_status status = store_load(store, &loader, error);
    fclose(self.out);
    fclose(self.stored);
    return status;
}

static void must_load(struct store *store, char **all, char **stored)
{
    struct store_error error = {0};
    cr_assert_eq(load(store, all, stored, &error), NQ_OK, "load: %s", error.text);
}

char *rig_load(struct store *store)
{
    char *all;
    char *stored;
    must_load(store, &all, &stored);
    free(stored);
    return all;
}

char *rig_stored(struct store *store)
{
    char *all;
    char *stored;
    must_load(store, &all, &stored);
    free(all);
    return stored;
}

static void tell_stored_item(FILE *out, uint64_t queue_id, enum nq_status status, const struct store_item *item)
{
    if (status == NQ_DAMAGED) {
        fprintf(out, "%" PRIu64 ":%" PRIu64 " damaged\n", queue_id, item->seq);
        return;
    }
    fprintf(out, "%" PRIu64 ":%" PRIu64 " accepted %" PRIu64 " put bytes %" PRIu64 " own %zu headers %zu %08x body %zu %08x\n",
            queue_id, item->seq, item->accepted_ms, item->put_bytes, item->own_headers.len, item->headers.len,
            crc32c(0, item->headers.data, item->headers.len), item->body.len, crc32c(0, item->body.data, item->body.len));
}

static enum nq_status read_items(struct store *store, char **text)
{
    size_t len;
    FILE *out = open_memstream(text, &len);
    enum nq_status ended = store_read_begin(store, NULL);
    for (uint64_t queue_id = 0; queue_id < RIG_QUEUES && ended == NQ_OK; queue_id++) {
        uint64_t next = 0;
        struct store_item item;
        enum nq_status status = store_read_next(store, queue_id, next, UINT64_MAX, &item);
        for (; status == NQ_OK || status == NQ_DAMAGED; status = store_read_next(store, queue_id, next, UINT64_MAX, &item)) {
            tell_stored_item(out, queue_id, status, &item);
            next = item.seq + 1;
        }
        ended = status == NQ_EMPTY ? NQ_OK : status;
    }
    store_read_end(store);
    fclose(out);
    return ended;
}

char *rig_items(struct store *store)
{
    char *text;
    enum nq_status status = read_items(store, &text);
    cr_assert_eq(status, NQ_OK, "reading items: %s", nq_status_name(status));
    return text;
}

char *rig_try_state(struct store *store)
{
    char *records = NULL;
    char *stored = NULL;
    char *items = NULL;
    char *text = NULL;
    bool ok = load(store, &records, &stored, NULL) == NQ_OK && read_items(store, &items) == NQ_OK;
    if (ok && asprintf(&text, "%s%s", records, items) < 0) {
        text = NULL;
    }
    free(records);
    free(stored);
    free(items);
    return text;
}

char *rig_state(struct store *store)
{
    char *records = rig_load(store);
    char *items = rig_items(store);
    char *text = NULL;
    cr_assert(asprintf(&text, "%s%s", records, items) >= 0);
    free(records);
    free(items);
    return text;
}

bool rig_text_has(const char *text, const char *line)
{
    size_t len = strlen(line);
    for (const char *at = strstr(text, line); at != NULL; at = strstr(at + 1, line)) {
        if ((at == text || at[-1] == '\n') && (at[len] == '\n' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}
