// Sessions: who holds leases, and what happens to them when it goes.
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static void id_key(const uint8_t id[ENGINE_SESSION_ID_BYTES], uint64_t key[2])
{
    memcpy(key, id, ENGINE_SESSION_ID_BYTES);
}

struct session *session_find(const struct engine *self, uint64_t session_no)
{
    return table_find(&self->sessions_by_no, session_no, 0);
}

static struct session *session_create(struct engine *self, uint64_t no, const uint8_t *id, const uint8_t *token)
{
    uint64_t key[2];
    id_key(id, key);
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL || !table_reserve(&self->sessions_by_no, 1) || !table_reserve(&self->sessions_by_id, 1)) {
        free(session);
        engine_no_memory(self);
        return NULL;
    }
    session->no = no;
    session->workers = 1;
    memcpy(session->id, id, ENGINE_SESSION_ID_BYTES);
    memcpy(session->token, token, ENGINE_RESUME_TOKEN_BYTES);
    list_init(&session->runs);
    list_init(&session->attachments);
    list_init(&session->streams);
    table_insert(&self->sessions_by_no, no, 0, session);
    table_insert(&self->sessions_by_id, key[0], key[1], session);
    list_push_back(&self->sessions, &session->in_engine);
    return session;
}

enum engine_status engine_session_open(struct engine *self, uint64_t now_ms, const uint8_t id[ENGINE_SESSION_ID_BYTES],
                                       const uint8_t token[ENGINE_RESUME_TOKEN_BYTES], uint64_t *session_no)
{
    engine_advance(self, now_ms);
    if (engine_session_find(self, id) != 0) {
        return ENGINE_NO_SESSION; // it is somebody's already
    }
    if (self->sessions.count >= self->config.sessions_max) {
        return ENGINE_LIMIT_REACHED;
    }
    struct session *session = session_create(self, self->next_session_no, id, token);
    if (session == NULL) {
        return ENGINE_NO_MEMORY;
    }
    self->next_session_no++;
    session->renewed_ms = self->now_ms;
    *session_no = session->no;
    return ENGINE_OK;
}

uint64_t engine_session_find(const struct engine *self, const uint8_t id[ENGINE_SESSION_ID_BYTES])
{
    uint64_t key[2];
    id_key(id, key);
    const struct session *session = table_find(&self->sessions_by_id, key[0], key[1]);
    return session == NULL ? 0 : session->no;
}

const uint8_t *engine_session_token(const struct engine *self, uint64_t session_no)
{
    const struct session *session = session_find(self, session_no);
    return session == NULL ? NULL : session->token;
}

const uint8_t *engine_session_id(const struct engine *self, uint64_t session_no)
{
    const struct session *session = session_find(self, session_no);
    return session == NULL ? NULL : session->id;
}

size_t engine_session_count(const struct engine *self)
{
    return self->sessions.count;
}

size_t engine_session_leases(const struct engine *self, uint64_t session_no)
{
    const struct session *session = session_find(self, session_no);
    return session == NULL ? 0 : (size_t)session->leases;
}

void session_changed(struct engine *self, struct session *session)
{
    self->lazy = true;
    if (!link_is_linked(&session->dirty_link)) {
        list_push_back(&self->dirty_sessions, &session->dirty_link);
    }
}

// Stored, too, so that a restart knows that the session was alive: the record rides in the next group.
void engine_session_renew(struct engine *self, uint64_t now_ms, uint64_t session_no)
{
    struct session *session = session_find(self, session_no);
    engine_advance(self, now_ms);
    if (session == NULL) {
        return;
    }
    session->renewed_ms = self->now_ms;
    if (session->stored && session->leases > 0) {
        session_changed(self, session);
    }
}

void engine_session_workers(struct engine *self, uint64_t session_no, uint32_t workers)
{
    struct session *session = session_find(self, session_no);
    if (session != NULL) {
        session->workers = workers == 0 ? 1 : workers;
    }
}

// A run beside another one, if it is of the same get: extended items of a get have runs of their own, next to it. NULL: it is not.
static struct run *same_get(const struct run *run, struct link *beside)
{
    struct run *other = beside == NULL ? NULL : list_object(beside, struct run, in_session);
    return other != NULL && other->get_id == run->get_id ? other : NULL;
}

static struct run *next_run_of_get(const struct run *run)
{
    return same_get(run, list_next(&run->session->runs, &run->in_session));
}

static struct run *first_run_of_get(const struct engine *self, uint64_t session_no, uint64_t get_id)
{
    struct run *first = NULL;
    for (struct run *run = table_find(&self->runs_by_get, session_no, get_id); run != NULL;
         run = same_get(run, list_prev(&run->session->runs, &run->in_session))) {
        first = run;
    }
    return first;
}

size_t engine_session_taken(struct engine *self, uint64_t session_no, uint64_t get_id, uint32_t count)
{
    size_t runs = 0;
    for (struct run *run = first_run_of_get(self, session_no, get_id); run != NULL; run = next_run_of_get(run)) {
        run->taken = count > run->taken ? count : run->taken;
        runs++;
    }
    return runs;
}

bool engine_session_has_get(const struct engine *self, uint64_t session_no, uint64_t get_id)
{
    return table_find(&self->runs_by_get, session_no, get_id) != NULL;
}

// ----------------------------------------------------------------------------------------------------------------- resume, end

static bool contains(const uint64_t *sorted, size_t count, uint64_t value)
{
    size_t low = 0;
    const size_t end = count;
    while (count > 0) {
        size_t half = count / 2;
        if (sorted[low + half] < value) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low < end && sorted[low] == value;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x;
    uint64_t y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

static void give_back(struct engine *self, struct run *run)
{
    engine_wait_for_store(self); // the client is told, and will not name them again
    for (size_t left = run->items.count; left > 0; left--) {
        item_return(self, list_object(list_first(&run->items), struct item, in_run), false, 0);
    }
}

void engine_session_resume(struct engine *self, uint64_t now_ms, uint64_t session_no, const uint64_t *waiting, size_t waiting_count,
                           const uint64_t *held, size_t held_count)
{
    struct session *session = session_find(self, session_no);
    engine_advance(self, now_ms);
    if (session == NULL) {
        return;
    }
    size_t count = waiting_count + held_count;
    uint64_t *named = malloc((count + 1) * sizeof(*named)); // of none, NULL would not tell
    if (named == NULL) {
        engine_no_memory(self);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        named[i] = i < waiting_count ? waiting[i] : held[i - waiting_count];
    }
    qsort(named, count, sizeof(*named), compare_u64);
    engine_session_renew(self, now_ms, session_no);
    for (struct link *link = list_first(&session->runs); link != NULL;) {
        struct run *run = list_object(link, struct run, in_session);
        link = list_next(&session->runs, link);
        if (!contains(named, count, run->get_id)) {
            give_back(self, run);
        }
    }
    free(named);
}

// An answer holds its items in rising order.
static int compare_granted(const void *a, const void *b)
{
    const struct engine_granted *x = a;
    const struct engine_granted *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

enum engine_status engine_session_grant(struct engine *self, uint64_t session_no, uint64_t get_id, struct engine_grant *out)
{
    *out = (struct engine_grant){0};
    const struct session *session = session_find(self, session_no);
    if (session == NULL || get_id > session->last_get_id) {
        return ENGINE_EMPTY;
    }
    for (const struct run *run = first_run_of_get(self, session_no, get_id); run != NULL; run = next_run_of_get(run)) {
        struct engine_granted *items = realloc(out->items, (out->count + run->items.count) * sizeof(*items));
        if (items == NULL) {
            engine_grant_clear(out);
            return engine_no_memory(self);
        }
        out->items = items;
        for (struct link *i = list_first(&run->items); i != NULL; i = list_next(&run->items, i)) {
            const struct item *item = list_object(i, struct item, in_run);
            items[out->count++] = (struct engine_granted){item->seq, item->deliveries, item->failures, item->redelivered};
            out->highest_seq = item->seq > out->highest_seq ? item->seq : out->highest_seq;
        }
        out->queue_id = run->queue->record.queue_id;
        out->get_id = get_id;
        out->lease_ms = run->lease_ms;
        out->hold_max_ms = run->hold_max_ms;
    }
    if (out->count == 0) {
        return ENGINE_EMPTY;
    }
    qsort(out->items, out->count, sizeof(*out->items), compare_granted);
    return ENGINE_OK;
}

static void return_leases(struct engine *self, struct session *session, bool goodbye)
{
    session_mark_in_work(self, session);
    if (goodbye && session->leases > 0) {
        engine_wait_for_store(self); // else they would count as failed after a crash, as nobody comes back for them
    }
    for (struct link *link = list_first(&session->runs); link != NULL; link = list_first(&session->runs)) {
        struct run *run = list_object(link, struct run, in_session);
        for (size_t left = run->items.count; left > 0; left--) {
            struct item *item = list_object(list_first(&run->items), struct item, in_run);
            item_return(self, item, !goodbye && item->in_work, 0);
        }
    }
}

static void leave_streams(struct engine *self, struct session *session, bool goodbye)
{
    for (struct link *link = list_first(&session->streams); link != NULL; link = list_first(&session->streams)) {
        struct stream *stream = list_object(link, struct stream, in_session);
        if (goodbye) {
            stream_free(self, stream, true);
        } else {
            list_remove(&session->streams, link);
            stream->session = NULL;
        }
    }
}

static void detach(struct engine *self, struct attachment *attachment)
{
    struct queue *queue = attachment->queue;
    if (attachment->session->last_attachment == attachment) {
        attachment->session->last_attachment = NULL;
    }
    if (attachment->leases > 0 || attachment->waits > 0) {
        queue->consumers--;
    }
    list_remove(&attachment->session->attachments, &attachment->in_session);
    list_remove(&queue->attachments, &attachment->in_queue);
    table_remove(&self->attachments, attachment->session->no, queue->record.queue_id);
    pool_put(&self->attachment_pool, attachment);
}

void engine_session_end(struct engine *self, uint64_t now_ms, uint64_t session_no, bool goodbye)
{
    struct session *session = session_find(self, session_no);
    engine_advance(self, now_ms);
    if (session == NULL) {
        return;
    }
    return_leases(self, session, goodbye);
    leave_streams(self, session, goodbye);
    for (struct link *link = list_first(&session->attachments); link != NULL; link = list_first(&session->attachments)) {
        struct attachment *attachment = list_object(link, struct attachment, in_session);
        struct queue *queue = attachment->queue;
        detach(self, attachment);
        bool waits = link_is_linked(&queue->orphan_link); // for users of before a restart: they may come back, too
        if (queue->record.temporary && queue->attachments.count == 0 && !waits) {
            engine_delete(self, now_ms, queue);
        }
    }
    if (session->stored) {
        engine_record(self, &(struct change){.kind = CHANGE_SESSION_DROP, .as.session_drop = {.session_no = session_no}});
    }
    if (link_is_linked(&session->dirty_link)) {
        list_remove(&self->dirty_sessions, &session->dirty_link);
    }
    uint64_t key[2];
    id_key(session->id, key);
    table_remove(&self->sessions_by_no, session_no, 0);
    table_remove(&self->sessions_by_id, key[0], key[1]);
    list_remove(&self->sessions, &session->in_engine);
    free(session);
}

void engine_sessions_each(struct engine *self, void *context, void (*visit)(void *context, uint64_t session_no))
{
    for (struct link *link = list_first(&self->sessions); link != NULL; link = list_next(&self->sessions, link)) {
        visit(context, list_object(link, struct session, in_engine)->no);
    }
}

// ----------------------------------------------------------------------------------------------------------------- attachments

// Whoever asks one queue after the other must not leave something behind in each. A temporary queue lives by what it was asked.
static void forget_idle(struct engine *self, struct session *session)
{
    enum { LOOKS = 2 };
    _Static_assert((int)ATTACHMENTS_KEPT >= (int)LOOKS, "the one that has just come is not looked at");
    struct link *oldest = list_first(&session->attachments);
    for (int left = LOOKS; left > 0 && session->attachments.count > ATTACHMENTS_KEPT && oldest != NULL; left--) {
        struct attachment *attachment = list_object(oldest, struct attachment, in_session);
        if (attachment->runs == 0 && attachment->waits == 0 && !attachment->queue->record.temporary) {
            detach(self, attachment);
        } else {
            list_remove(&session->attachments, oldest);
            list_push_back(&session->attachments, oldest);
        }
        oldest = list_first(&session->attachments);
    }
}

struct attachment *session_attach(struct engine *self, struct session *session, struct queue *queue)
{
    if (session->last_attachment != NULL && session->last_attachment->queue == queue) {
        return session->last_attachment;
    }
    struct attachment *attachment = table_find(&self->attachments, session->no, queue->record.queue_id);
    if (attachment == NULL) {
        attachment = pool_get(&self->attachment_pool);
        if (attachment == NULL || !table_insert(&self->attachments, session->no, queue->record.queue_id, attachment)) {
            if (attachment != NULL) {
                pool_put(&self->attachment_pool, attachment);
            }
            engine_no_memory(self);
            return NULL;
        }
        attachment->session = session;
        attachment->queue = queue;
        list_push_back(&session->attachments, &attachment->in_session);
        list_push_back(&queue->attachments, &attachment->in_queue);
        forget_idle(self, session);
    }
    session->last_attachment = attachment;
    return attachment;
}

static void attachment_change(struct attachment *attachment, uint64_t leases, uint32_t waits)
{
    bool was = attachment->leases > 0 || attachment->waits > 0;
    bool is = leases > 0 || waits > 0;
    attachment->leases = leases;
    attachment->waits = waits;
    if (was != is) {
        attachment->queue->consumers += is ? 1u : UINT32_MAX; // + 1 or - 1
    }
}

void attachment_leases(struct attachment *attachment, int64_t change)
{
    attachment_change(attachment, attachment->leases + (uint64_t)change, attachment->waits);
}

void engine_session_waits(struct engine *self, uint64_t session_no, struct queue *queue, int change)
{
    struct session *session = session_find(self, session_no);
    struct attachment *attachment = session == NULL ? NULL : session_attach(self, session, queue);
    if (attachment != NULL) {
        attachment_change(attachment, attachment->leases, attachment->waits + (uint32_t)change);
    }
}

void queue_detach_all(struct engine *self, struct queue *queue)
{
    for (struct link *link = list_first(&queue->attachments); link != NULL; link = list_first(&queue->attachments)) {
        detach(self, list_object(link, struct attachment, in_queue));
    }
}
