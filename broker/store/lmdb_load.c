// Start-up: records first, then the items that have a state of their own. The backlog above a queue's cursor is not read.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lmdb_internal.h"

struct loading {
    struct lmdb_store *self;
    const struct store_loader *loader;
    MDB_txn *txn;
    MDB_cursor *items;
    struct queue_record *queues; // all, for the walk over their items
    size_t queues_count, queues_capacity;
    bool stopped; // a callback said no
};

static bool call(struct loading *loading, bool answer)
{
    loading->stopped = loading->stopped || !answer;
    return answer;
}

static bool report_damage(struct loading *loading, const char *table, const uint8_t *key)
{
    char what[128];
    uint64_t a;
    uint64_t b;
    store_key_decode(key, &a, &b);
    snprintf(what, sizeof(what), "the record %llu.%llu of table %s", (unsigned long long)a, (unsigned long long)b, table);
    lmdb_leave(); // here and below: what is called is no part of the store
    bool goes_on = call(loading, loading->loader->damaged(loading->loader->context, what));
    lmdb_enter();
    return goes_on;
}

static bool keep_queue(struct loading *loading, const struct queue_record *record)
{
    if (loading->queues_count == loading->queues_capacity) {
        size_t capacity = loading->queues_capacity == 0 ? 64 : loading->queues_capacity * 2;
        struct queue_record *queues = realloc(loading->queues, capacity * sizeof(*queues));
        if (queues == NULL) {
            return call(loading, false);
        }
        loading->queues = queues;
        loading->queues_capacity = capacity;
    }
    loading->queues[loading->queues_count++] = *record;
    return true;
}

static bool deliver(struct loading *loading, enum lmdb_database db, const union any_record *record)
{
    const struct store_loader *loader = loading->loader;
    switch (db) {
    case DB_QUEUES:
        return keep_queue(loading, &record->queue) && call(loading, loader->queue(loader->context, &record->queue));
    case DB_SESSIONS:
        return call(loading, loader->session(loader->context, &record->session));
    case DB_RECORDS:
        return call(loading, loader->item(loader->context, &record->item));
    case DB_RUNS:
        return call(loading, loader->run(loader->context, &record->run));
    case DB_STREAMS:
        return call(loading, loader->stream(loader->context, &record->stream));
    case DB_META:
    case DB_ITEMS:
    case DB_QUARANTINE:
    case DB_COUNT:
        break;
    }
    return true;
}

static int load_table(struct loading *loading, enum lmdb_database db, const char *name)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int rc = mdb_cursor_open(loading->txn, loading->self->db[db], &cursor);
    if (rc != 0) {
        return rc;
    }
    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); rc == 0 && !loading->stopped;
         rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        union any_record record;
        bool good = key.mv_size == STORE_KEY_BYTES &&
                    record_decode(lmdb_record_kind(db), key.mv_data, value.mv_data, value.mv_size, &record);
        if (good) {
            lmdb_leave();
            deliver(loading, db, &record);
            lmdb_enter();
        } else {
            static const uint8_t no_key[STORE_KEY_BYTES];
            report_damage(loading, name, key.mv_size == STORE_KEY_BYTES ? key.mv_data : no_key);
        }
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int load_meta(struct loading *loading)
{
    uint8_t buffer[STORE_KEY_BYTES];
    MDB_val key = lmdb_key(0, 0, buffer);
    MDB_val value;
    struct meta_record meta = {0};
    int rc = mdb_get(loading->txn, loading->self->db[DB_META], &key, &value);
    if (rc == 0 && !record_decode(RECORD_META, buffer, value.mv_data, value.mv_size, &meta)) {
        report_damage(loading, "meta", buffer);
    }
    if (rc == 0 || rc == MDB_NOTFOUND) {
        lmdb_leave();
        call(loading, loading->loader->meta(loading->loader->context, &meta));
        lmdb_enter();
        return 0;
    }
    return rc;
}

// Tell of every stored item from `first` up to, not including, `end`.
static int walk_items(struct loading *loading, uint64_t queue_id, uint64_t first, uint64_t end)
{
    uint8_t buffer[STORE_KEY_BYTES];
    MDB_val key = lmdb_key(queue_id, first, buffer);
    MDB_val value;
    if (first >= end) {
        return 0;
    }
    int rc = mdb_cursor_get(loading->items, &key, &value, MDB_SET_RANGE);
    for (; rc == 0 && !loading->stopped; rc = mdb_cursor_get(loading->items, &key, &value, MDB_NEXT)) {
        uint64_t id;
        uint64_t seq;
        store_key_decode(key.mv_data, &id, &seq);
        if (id != queue_id || seq >= end) {
            return 0;
        }
        size_t bytes = value.mv_size < STORE_ITEM_HEADER_BYTES ? 0 : value.mv_size - STORE_ITEM_HEADER_BYTES;
        lmdb_leave();
        call(loading, loading->loader->stored(loading->loader->context, queue_id, seq, (uint32_t)bytes));
        lmdb_enter();
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

// Stretches of seqs that records name between two bounds: single items and runs, in order.
struct stretch {
    uint64_t first, end;
};

static int compare_stretches(const void *a, const void *b)
{
    const struct stretch *x = a;
    const struct stretch *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

static int add_stretches(struct loading *loading, enum lmdb_database db, uint64_t queue_id, uint64_t first, uint64_t end,
                         struct stretch **list, size_t *count)
{
    uint8_t buffer[STORE_KEY_BYTES];
    MDB_cursor *cursor;
    MDB_val value;
    MDB_val key = lmdb_key(queue_id, db == DB_RUNS ? 0 : first, buffer);
    int rc = mdb_cursor_open(loading->txn, loading->self->db[db], &cursor);
    if (rc != 0) {
        return rc;
    }
    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE); rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        uint64_t id;
        struct stretch stretch;
        struct run_record run;
        store_key_decode(key.mv_data, &id, &stretch.first);
        if (id != queue_id || stretch.first >= end) {
            break;
        }
        stretch.end = stretch.first + 1;
        if (db == DB_RUNS && record_decode(RECORD_RUN, key.mv_data, value.mv_data, value.mv_size, &run)) {
            stretch.end = run.last_seq + 1;
        }
        struct stretch *more = realloc(*list, (*count + 1) * sizeof(**list));
        if (more == NULL) {
            rc = ENOMEM;
            break;
        }
        *list = more;
        (*list)[(*count)++] = stretch;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int walk_named(struct loading *loading, uint64_t queue_id, uint64_t first, uint64_t end)
{
    struct stretch *list = NULL;
    size_t count = 0;
    int rc = first < end ? add_stretches(loading, DB_RECORDS, queue_id, first, end, &list, &count) : 0;
    if (rc == 0 && first < end) {
        rc = add_stretches(loading, DB_RUNS, queue_id, first, end, &list, &count);
    }
    if (count > 0) {
        qsort(list, count, sizeof(*list), compare_stretches);
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        uint64_t from = list[i].first > first ? list[i].first : first;
        uint64_t to = list[i].end < end ? list[i].end : end;
        rc = walk_items(loading, queue_id, from, to);
        first = to > first ? to : first; // each item once
    }
    free(list);
    return rc;
}

static int load_items(struct loading *loading)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < loading->queues_count && !loading->stopped; i++) {
        const struct queue_record *queue = &loading->queues[i];
        uint64_t left_from = queue->reclaimed_below < queue->cursor ? queue->reclaimed_below : queue->cursor;
        uint64_t left_to = queue->gone_below > left_from ? queue->gone_below : left_from;
        rc = walk_items(loading, queue->queue_id, 0, left_from);
        if (rc == 0) {
            rc = walk_named(loading, queue->queue_id, left_from, left_to);
        }
        if (rc == 0) {
            rc = walk_items(loading, queue->queue_id, left_to, queue->cursor);
        }
        if (rc == 0) {
            rc = walk_named(loading, queue->queue_id, queue->cursor > left_to ? queue->cursor : left_to, UINT64_MAX);
        }
    }
    return rc;
}

static int load_all(struct loading *loading)
{
    static const struct {
        enum lmdb_database db;
        const char *name;
    } tables[] = {
        {DB_QUEUES, "queues"}, {DB_SESSIONS, "sessions"}, {DB_RECORDS, "item_records"}, {DB_RUNS, "runs"}, {DB_STREAMS, "streams"}};
    int rc = load_meta(loading);
    for (size_t i = 0; rc == 0 && i < sizeof(tables) / sizeof(tables[0]) && !loading->stopped; i++) {
        rc = load_table(loading, tables[i].db, tables[i].name);
    }
    return rc == 0 ? load_items(loading) : rc;
}

enum nq_status lmdb_load(struct store *store, const struct store_loader *loader, struct store_error *error)
{
    struct loading loading = {.self = lmdb_of(store), .loader = loader};
    enum nq_status status = lmdb_refuse_if_failed(loading.self, error);
    if (status != NQ_OK) {
        return status;
    }
    int rc = mdb_txn_begin(loading.self->env, NULL, MDB_RDONLY, &loading.txn);
    if (rc != 0) {
        return lmdb_fail(error, NQ_STORAGE_FAILED, "cannot read the store", rc);
    }
    rc = mdb_cursor_open(loading.txn, loading.self->db[DB_ITEMS], &loading.items);
    if (rc == 0) {
        rc = load_all(&loading);
        mdb_cursor_close(loading.items);
    }
    mdb_txn_abort(loading.txn);
    free(loading.queues);
    if (loading.stopped) {
        return lmdb_fail(error, NQ_NO_MEMORY, "out of memory while reading the store", 0);
    }
    return rc == 0 ? NQ_OK : lmdb_fail(error, lmdb_status(rc), "cannot read the store", rc);
}
