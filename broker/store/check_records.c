// check: every record of every table, and the counts of queues against what is stored of them.
#include <stdlib.h>
#include <string.h>

#include "check_internal.h"

void check_found(struct checking *checking, uint64_t *counter, const char *what, const MDB_val *key)
{
    uint64_t a = 0;
    uint64_t b = 0;
    if (key->mv_size == STORE_KEY_BYTES) {
        store_key_decode(key->mv_data, &a, &b);
    }
    (*counter)++;
    fprintf(checking->findings, "%s (%llu, %llu)\n", what, (unsigned long long)a, (unsigned long long)b);
}

// A walk over a table in the order of its pages, which sees that each entry is found by its key, too.
struct walk {
    struct checking *checking;
    enum lmdb_database db;
    MDB_cursor *cursor;
    MDB_val key, value;
    uint64_t count;
};

static int walk_begin(struct walk *self, struct checking *checking, enum lmdb_database db)
{
    *self = (struct walk){.checking = checking, .db = db};
    return mdb_cursor_open(checking->txn, checking->db[db], &self->cursor);
}

// The search for a key compares every two neighbours, so entries that are all found are in order, too.
static void check_place(const struct walk *self)
{
    struct checking *checking = self->checking;
    MDB_val found;
    MDB_val key = self->key;
    char what[64];
    int rc = mdb_get(checking->txn, checking->db[self->db], &key, &found);
    if (rc != 0 || found.mv_data != self->value.mv_data) {
        snprintf(what, sizeof(what), "an entry out of its place in table %s", lmdb_names[self->db]);
        check_found(checking, &checking->report->misplaced, what, &self->key);
    }
}

static void check_count(struct walk *self)
{
    MDB_stat stat;
    if (mdb_stat(self->checking->txn, self->checking->db[self->db], &stat) == 0 && stat.ms_entries != self->count) {
        self->checking->report->misplaced++;
        fprintf(self->checking->findings, "table %s: %llu entries found, it counts %llu\n", lmdb_names[self->db],
                (unsigned long long)self->count, (unsigned long long)stat.ms_entries);
    }
}

// 0: there is an entry; MDB_NOTFOUND: no more.
static int walk_next(struct walk *self)
{
    int rc = mdb_cursor_get(self->cursor, &self->key, &self->value, self->count == 0 ? MDB_FIRST : MDB_NEXT);
    if (rc == 0) {
        self->count++;
        check_pages_meet(self->checking, &self->key, &self->value);
        check_place(self);
    } else if (rc == MDB_NOTFOUND) {
        check_count(self);
    }
    return rc;
}

static int walk_end(struct walk *self, int rc)
{
    mdb_cursor_close(self->cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int check_records(struct checking *checking, enum lmdb_database db, uint64_t *count)
{
    union {
        struct queue_record queue;
        struct item_record item;
        struct run_record run;
        struct stream_record stream;
        struct session_record session;
    } record;
    struct walk walk;
    char what[64];
    snprintf(what, sizeof(what), "damaged record in table %s", lmdb_names[db]);
    int rc = walk_begin(&walk, checking, db);
    if (rc != 0) {
        return rc;
    }
    while ((rc = walk_next(&walk)) == 0) {
        (*count)++;
        checking->report->bytes += walk.value.mv_size;
        if (walk.key.mv_size != STORE_KEY_BYTES ||
            !record_decode(lmdb_record_kind(db), walk.key.mv_data, walk.value.mv_data, walk.value.mv_size, &record)) {
            check_found(checking, &checking->report->damaged, what, &walk.key);
        }
    }
    return walk_end(&walk, rc);
}

// Tables whose content is looked at elsewhere, or is known to be damaged: their entries are where they should be.
static int check_places(struct checking *checking, enum lmdb_database db)
{
    struct walk walk;
    int rc = walk_begin(&walk, checking, db);
    if (rc != 0) {
        return rc;
    }
    while ((rc = walk_next(&walk)) == 0) {
    }
    return walk_end(&walk, rc);
}

// What one queue's record says, against what is stored of it.
struct tally {
    struct queue_record queue;
    bool known;
    uint64_t live, above_next;
};

static bool queue_of(struct checking *checking, uint64_t queue_id, struct queue_record *record)
{
    uint8_t buffer[STORE_KEY_BYTES];
    MDB_val key = lmdb_key(queue_id, 0, buffer);
    MDB_val value;
    return mdb_get(checking->txn, checking->db[DB_QUEUES], &key, &value) == 0 &&
           record_decode(RECORD_QUEUE, buffer, value.mv_data, value.mv_size, record);
}

static void finish_tally(struct checking *checking, const struct tally *tally)
{
    const struct queue_record *queue = &tally->queue;
    uint64_t named = queue->ready + queue->delayed + queue->leased;
    if (!tally->known || queue->deleted) {
        return;
    }
    if (tally->above_next > 0) {
        checking->report->misplaced++;
        fprintf(checking->findings, "queue %.*s: %llu items at or above its next seq %llu\n", queue->name_len, queue->name,
                (unsigned long long)tally->above_next, (unsigned long long)queue->next_seq);
    }
    if (tally->live != named) {
        checking->report->misplaced++;
        fprintf(checking->findings, "queue %.*s: %llu items stored, its record counts %llu\n", queue->name_len, queue->name,
                (unsigned long long)tally->live, (unsigned long long)named);
    }
}

static bool is_in_run(struct checking *checking, uint64_t queue_id, uint64_t seq)
{
    uint8_t buffer[STORE_KEY_BYTES];
    MDB_cursor *cursor;
    MDB_val key = lmdb_key(queue_id, seq + 1, buffer);
    MDB_val value;
    struct run_record run;
    if (mdb_cursor_open(checking->txn, checking->db[DB_RUNS], &cursor) != 0) {
        return false;
    }
    // The last run that begins at or below it.
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    rc = mdb_cursor_get(cursor, &key, &value, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    bool found_run = rc == 0 && key.mv_size == STORE_KEY_BYTES &&
                     record_decode(RECORD_RUN, key.mv_data, value.mv_data, value.mv_size, &run) && run.queue_id == queue_id &&
                     run.last_seq >= seq;
    mdb_cursor_close(cursor);
    return found_run;
}

// What a mark has gone over counts only while it is on lease; the rest waits to be removed.
static bool is_live(struct checking *checking, const struct queue_record *queue, uint64_t seq)
{
    uint8_t buffer[STORE_KEY_BYTES];
    MDB_val key = lmdb_key(queue->queue_id, seq, buffer);
    MDB_val value;
    struct item_record record;
    if (seq >= queue->gone_below) {
        return true;
    }
    if (mdb_get(checking->txn, checking->db[DB_RECORDS], &key, &value) == 0 &&
        record_decode(RECORD_ITEM, buffer, value.mv_data, value.mv_size, &record)) {
        return record.state == ITEM_LEASED;
    }
    return is_in_run(checking, queue->queue_id, seq);
}

static void start_tally(struct checking *checking, struct tally *tally, uint64_t queue_id, const MDB_val *key)
{
    *tally = (struct tally){0};
    tally->known = queue_of(checking, queue_id, &tally->queue);
    if (!tally->known) {
        check_found(checking, &checking->report->misplaced, "items of a queue without a record", key);
        tally->queue.queue_id = queue_id;
    }
}

static void check_item(struct checking *checking, const struct walk *walk, struct tally *tally)
{
    struct store_item item;
    uint64_t queue_id = 0;
    uint64_t seq = 0;
    checking->report->items++;
    checking->report->bytes += walk->value.mv_size;
    if (walk->key.mv_size != STORE_KEY_BYTES || !item_decode(walk->key.mv_data, walk->value.mv_data, walk->value.mv_size, &item)) {
        check_found(checking, &checking->report->damaged, "damaged item (queue id, seq)", &walk->key);
        if (walk->key.mv_size != STORE_KEY_BYTES) {
            return;
        }
    }
    store_key_decode(walk->key.mv_data, &queue_id, &seq);
    if (queue_id != tally->queue.queue_id) {
        finish_tally(checking, tally);
        start_tally(checking, tally, queue_id, &walk->key);
    }
    tally->live += is_live(checking, &tally->queue, seq) ? 1 : 0;
    tally->above_next += tally->known && seq >= tally->queue.next_seq ? 1 : 0;
}

static int check_items(struct checking *checking)
{
    struct walk walk;
    struct tally tally = {0};
    int rc = walk_begin(&walk, checking, DB_ITEMS);
    if (rc != 0) {
        return rc;
    }
    while ((rc = walk_next(&walk)) == 0) {
        check_item(checking, &walk, &tally);
    }
    finish_tally(checking, &tally);
    return walk_end(&walk, rc);
}

// Queues that count items of which none is stored are not met by the walk over the items.
static int check_empty_queues(struct checking *checking)
{
    MDB_cursor *items;
    MDB_cursor *queues = NULL;
    MDB_val key;
    MDB_val value;
    int rc = mdb_cursor_open(checking->txn, checking->db[DB_ITEMS], &items);
    if (rc != 0) {
        return rc;
    }
    rc = mdb_cursor_open(checking->txn, checking->db[DB_QUEUES], &queues);
    for (rc = rc != 0 ? rc : mdb_cursor_get(queues, &key, &value, MDB_FIRST); rc == 0;
         rc = mdb_cursor_get(queues, &key, &value, MDB_NEXT)) {
        struct queue_record queue;
        uint8_t buffer[STORE_KEY_BYTES];
        if (!record_decode(RECORD_QUEUE, key.mv_data, value.mv_data, value.mv_size, &queue)) {
            continue; // named before
        }
        MDB_val first = lmdb_key(queue.queue_id, 0, buffer);
        MDB_val item;
        uint64_t id = 0;
        uint64_t seq = 0;
        if (mdb_cursor_get(items, &first, &item, MDB_SET_RANGE) == 0) {
            store_key_decode(first.mv_data, &id, &seq);
        }
        if (id != queue.queue_id) {
            finish_tally(checking, &(struct tally){.queue = queue, .known = true});
        }
    }
    if (queues != NULL) {
        mdb_cursor_close(queues);
    }
    mdb_cursor_close(items);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int check_meta(struct checking *checking)
{
    uint8_t buffer[STORE_KEY_BYTES];
    MDB_val key = lmdb_key(0, 0, buffer);
    MDB_val value;
    struct meta_record meta;
    int rc = mdb_get(checking->txn, checking->db[DB_META], &key, &value);
    if (rc == 0 && !record_decode(RECORD_META, buffer, value.mv_data, value.mv_size, &meta)) {
        check_found(checking, &checking->report->damaged, "damaged record in table meta", &key);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static void read_journaled(struct checking *checking)
{
    uint8_t buffer[STORE_KEY_BYTES];
    MDB_val key = lmdb_key(LMDB_JOURNALED_KEY, 0, buffer);
    MDB_val value;
    if (mdb_get(checking->txn, checking->db[DB_META], &key, &value) == 0 &&
        !number_decode(buffer, value.mv_data, value.mv_size, &checking->journaled)) {
        check_found(checking, &checking->report->damaged, "damaged record in table meta", &key);
    }
}

static int check_tables(struct checking *checking)
{
    struct store_check_report *report = checking->report;
    const struct {
        enum lmdb_database db;
        uint64_t *count;
    } tables[] = {{DB_QUEUES, &report->queues},
                  {DB_RECORDS, &report->item_records},
                  {DB_RUNS, &report->runs},
                  {DB_STREAMS, &report->streams},
                  {DB_SESSIONS, &report->sessions}};
    int rc = check_meta(checking);
    read_journaled(checking);
    for (size_t i = 0; rc == 0 && i < sizeof(tables) / sizeof(tables[0]); i++) {
        rc = check_records(checking, tables[i].db, tables[i].count);
    }
    rc = rc == 0 ? check_places(checking, DB_META) : rc;
    rc = rc == 0 ? check_places(checking, DB_QUARANTINE) : rc;
    rc = rc == 0 ? check_items(checking) : rc;
    return rc == 0 ? check_empty_queues(checking) : rc;
}

int check_all(struct checking *checking)
{
    int rc = mdb_txn_begin(checking->env, NULL, MDB_RDONLY, &checking->txn);
    if (rc != 0) {
        return rc;
    }
    rc = check_pages_begin(checking);
    rc = rc == 0 ? check_tables(checking) : rc;
    rc = rc == 0 ? check_pages_end(checking) : rc;
    mdb_txn_abort(checking->txn);
    return rc;
}
