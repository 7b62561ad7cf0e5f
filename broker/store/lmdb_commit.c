// One commit: all changes in one transaction, one flush.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lmdb_internal.h"

// A commit under way.
struct writing {
    struct lmdb_store *self;
    MDB_txn *txn;
    MDB_cursor *items;
    bool has_records;                  // any item_record in the store: else a removal need not look for one
    uint8_t last_key[STORE_KEY_BYTES]; // of the items: behind it they are appended
    bool has_last_key;
};

static int put_record(struct writing *writing, enum lmdb_database db, uint64_t a, uint64_t b, const void *record)
{
    uint8_t buffer[STORE_KEY_BYTES];
    uint8_t bytes[STORE_RECORD_BYTES_MAX];
    enum record_kind kind = lmdb_record_kind(db);
    MDB_val key = lmdb_key(a, b, buffer);
    MDB_val value = {record_bytes(kind), bytes};
    record_encode(kind, buffer, record, bytes);
    return mdb_put(writing->txn, writing->self->db[db], &key, &value, 0);
}

static int drop_record(struct writing *writing, enum lmdb_database db, uint64_t a, uint64_t b)
{
    uint8_t buffer[STORE_KEY_BYTES];
    MDB_val key = lmdb_key(a, b, buffer);
    int rc = mdb_del(writing->txn, writing->self->db[db], &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

// Remove all entries from (a, first) to (a, last).
static int drop_range(MDB_cursor *cursor, uint64_t a, uint64_t first, uint64_t last)
{
    uint8_t from[STORE_KEY_BYTES];
    uint8_t to[STORE_KEY_BYTES];
    MDB_val key = lmdb_key(a, first, from);
    MDB_val value;
    store_key_encode(a, last, to);
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (rc == 0 && memcmp(key.mv_data, to, STORE_KEY_BYTES) <= 0) {
        rc = mdb_cursor_del(cursor, 0);
        if (rc == 0) {
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT); // after a removal: the one that took its place
        }
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int drop_range_of(struct writing *writing, enum lmdb_database db, uint64_t a, uint64_t first, uint64_t last)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(writing->txn, writing->self->db[db], &cursor);
    if (rc == 0) {
        rc = drop_range(cursor, a, first, last);
        mdb_cursor_close(cursor);
    }
    return rc;
}

// ---------------------------------------------------------------------------------------------------------------------- items

// Make place for an item and return it in *out, to be filled before the next call.
static int place_item(struct writing *writing, uint64_t queue_id, uint64_t seq, size_t bytes, uint8_t key_bytes[STORE_KEY_BYTES],
                      void **out)
{
    MDB_val key = lmdb_key(queue_id, seq, key_bytes);
    MDB_val value = {bytes, NULL};
    bool append = !writing->has_last_key || memcmp(key_bytes, writing->last_key, STORE_KEY_BYTES) > 0;
    int rc = mdb_cursor_put(writing->items, &key, &value, MDB_RESERVE | (append ? MDB_APPEND : 0u));
    if (rc == 0 && append) {
        memcpy(writing->last_key, key_bytes, STORE_KEY_BYTES);
        writing->has_last_key = true;
    }
    *out = value.mv_data;
    return rc;
}

static int write_put(struct writing *writing, const struct change *change)
{
    uint64_t put_bytes = change->as.put.put_bytes;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < change->as.put.count; i++) {
        uint8_t key[STORE_KEY_BYTES];
        void *place;
        struct engine_bytes body = change->as.put.bodies[i];
        struct engine_bytes headers = change->as.put.headers == NULL ? (struct engine_bytes){0} : change->as.put.headers[i];
        rc = place_item(writing, change->as.put.queue_id, change->as.put.first_seq + i, item_stored_bytes(headers.len, body.len),
                        key, &place);
        if (rc == 0) {
            item_encode(key, change->as.put.accepted_ms, put_bytes, headers, (struct engine_bytes){0}, body, place);
            put_bytes += headers.len + body.len;
        }
    }
    return rc;
}

static int write_remove(struct writing *writing, uint64_t queue_id, uint64_t first_seq, uint64_t last_seq)
{
    int rc = drop_range(writing->items, queue_id, first_seq, last_seq);
    if (rc == 0 && writing->has_records) {
        rc = first_seq == last_seq ? drop_record(writing, DB_RECORDS, queue_id, first_seq)
                                   : drop_range_of(writing, DB_RECORDS, queue_id, first_seq, last_seq);
    }
    return rc;
}

static int read_stored(struct writing *writing, uint64_t queue_id, uint64_t seq, MDB_val *value)
{
    uint8_t buffer[STORE_KEY_BYTES];
    MDB_val key = lmdb_key(queue_id, seq, buffer);
    return mdb_get(writing->txn, writing->self->db[DB_ITEMS], &key, value);
}

static int set_aside(struct writing *writing, uint64_t queue_id, uint64_t seq)
{
    uint8_t buffer[STORE_KEY_BYTES];
    MDB_val value;
    int rc = read_stored(writing, queue_id, seq, &value);
    if (rc == 0) {
        MDB_val key = lmdb_key(queue_id, seq, buffer);
        void *copy = malloc(value.mv_size + 1); // the page it is on may be rewritten by the put
        if (copy == NULL) {
            return ENOMEM;
        }
        memcpy(copy, value.mv_data, value.mv_size);
        value.mv_data = copy;
        rc = mdb_put(writing->txn, writing->self->db[DB_QUARANTINE], &key, &value, 0);
        free(copy);
    }
    if (rc == 0 || rc == MDB_NOTFOUND) {
        rc = write_remove(writing, queue_id, seq, seq);
    }
    return rc;
}

// The parts of an item are put together anew, because the key is part of the checksum. `item` is in no page of the store.
static int write_moved(struct writing *writing, const struct change *change, const struct store_item *item)
{
    uint8_t key[STORE_KEY_BYTES];
    struct engine_bytes add = change->as.move.add_headers;
    size_t kept = change->as.move.strip_headers ? 0 : item->headers.len - item->own_headers.len;
    uint8_t *added = malloc(kept + add.len + 1);
    void *place;
    if (added == NULL) {
        return ENOMEM;
    }
    memcpy(added, item->headers.data + item->own_headers.len, kept);
    if (add.len > 0) {
        memcpy(added + kept, add.data, add.len);
    }
    size_t bytes = item_stored_bytes(item->own_headers.len + kept + add.len, item->body.len);
    int rc = place_item(writing, change->as.move.to_queue_id, change->as.move.to_seq, bytes, key, &place);
    if (rc == 0) {
        item_encode(key, change->as.move.accepted_ms, change->as.move.put_bytes, item->own_headers,
                    (struct engine_bytes){kept + add.len, added}, item->body, place);
    }
    free(added);
    return rc;
}

static int write_move(struct writing *writing, const struct change *change)
{
    uint64_t queue_id = change->as.move.queue_id;
    uint64_t seq = change->as.move.seq;
    uint8_t key[STORE_KEY_BYTES];
    struct store_item item;
    MDB_val value;
    int rc = read_stored(writing, queue_id, seq, &value);
    if (rc != 0) {
        return rc == MDB_NOTFOUND ? write_remove(writing, queue_id, seq, seq) : rc; // its record, if any
    }
    store_key_encode(queue_id, seq, key);
    uint8_t *copy = malloc(value.mv_size + 1);
    if (copy == NULL) {
        return ENOMEM;
    }
    memcpy(copy, value.mv_data, value.mv_size);
    if (item_decode(key, copy, value.mv_size, &item)) {
        rc = write_moved(writing, change, &item);
        rc = rc == 0 ? write_remove(writing, queue_id, seq, seq) : rc;
    } else {
        rc = set_aside(writing, queue_id, seq); // damaged: not to be handed on
    }
    free(copy);
    return rc;
}

static int write_copy(struct writing *writing, const struct change *change)
{
    uint8_t key[STORE_KEY_BYTES];
    void *place;
    struct engine_bytes own = change->as.copy.own_headers;
    struct engine_bytes added = change->as.copy.added_headers;
    struct engine_bytes body = change->as.copy.body;
    size_t bytes = item_stored_bytes(own.len + added.len, body.len);
    int rc = place_item(writing, change->as.copy.queue_id, change->as.copy.seq, bytes, key, &place);
    if (rc == 0) {
        item_encode(key, change->as.copy.accepted_ms, change->as.copy.put_bytes, own, added, body, place);
    }
    return rc;
}

// --------------------------------------------------------------------------------------------------------------------- commit

static int write_journaled(struct writing *writing, uint64_t number)
{
    uint8_t buffer[STORE_KEY_BYTES];
    uint8_t bytes[STORE_NUMBER_BYTES];
    MDB_val key = lmdb_key(LMDB_JOURNALED_KEY, 0, buffer);
    MDB_val value = {sizeof(bytes), bytes};
    number_encode(buffer, number, bytes);
    return mdb_put(writing->txn, writing->self->db[DB_META], &key, &value, 0);
}

static int write_change(struct writing *writing, const struct change *change)
{
    switch (change->kind) {
    case CHANGE_PUT:
        return write_put(writing, change);
    case CHANGE_REMOVE:
        return write_remove(writing, change->as.remove.queue_id, change->as.remove.first_seq, change->as.remove.last_seq);
    case CHANGE_MOVE:
        return write_move(writing, change);
    case CHANGE_QUARANTINE:
        return set_aside(writing, change->as.quarantine.queue_id, change->as.quarantine.seq);
    case CHANGE_QUEUE:
        return put_record(writing, DB_QUEUES, change->as.queue->queue_id, 0, change->as.queue);
    case CHANGE_QUEUE_DROP: {
        int rc = drop_record(writing, DB_QUEUES, change->as.queue_drop.queue_id, 0);
        return rc != 0 ? rc : drop_range_of(writing, DB_STREAMS, change->as.queue_drop.queue_id, 0, UINT64_MAX);
    }
    case CHANGE_ITEM:
        writing->has_records = true;
        return put_record(writing, DB_RECORDS, change->as.item->queue_id, change->as.item->seq, change->as.item);
    case CHANGE_ITEM_DROP:
        return drop_record(writing, DB_RECORDS, change->as.item_drop.queue_id, change->as.item_drop.seq);
    case CHANGE_RUN:
        return put_record(writing, DB_RUNS, change->as.run->queue_id, change->as.run->first_seq, change->as.run);
    case CHANGE_RUN_DROP:
        return drop_record(writing, DB_RUNS, change->as.run_drop.queue_id, change->as.run_drop.first_seq);
    case CHANGE_STREAM:
        return put_record(writing, DB_STREAMS, change->as.stream->queue_id, change->as.stream->stream, change->as.stream);
    case CHANGE_STREAM_DROP:
        return drop_record(writing, DB_STREAMS, change->as.stream_drop.queue_id, change->as.stream_drop.stream);
    case CHANGE_SESSION:
        return put_record(writing, DB_SESSIONS, change->as.session->session_no, 0, change->as.session);
    case CHANGE_SESSION_DROP:
        return drop_record(writing, DB_SESSIONS, change->as.session_drop.session_no, 0);
    case CHANGE_META:
        return put_record(writing, DB_META, 0, 0, change->as.meta);
    case CHANGE_COPY:
        return write_copy(writing, change);
    case CHANGE_JOURNALED:
        return write_journaled(writing, change->as.journaled.number);
    }
    return 0;
}

static int begin(struct lmdb_store *self, struct writing *writing)
{
    MDB_stat stat;
    MDB_val key;
    MDB_val value;
    *writing = (struct writing){.self = self};
    int rc = mdb_txn_begin(self->env, NULL, 0, &writing->txn);
    if (rc != 0) {
        writing->txn = NULL;
        return rc;
    }
    rc = mdb_cursor_open(writing->txn, self->db[DB_ITEMS], &writing->items);
    if (rc == 0) {
        rc = mdb_stat(writing->txn, self->db[DB_RECORDS], &stat);
        writing->has_records = rc == 0 && stat.ms_entries > 0;
    }
    if (rc == 0) {
        rc = mdb_cursor_get(writing->items, &key, &value, MDB_LAST);
        if (rc == 0 && key.mv_size == STORE_KEY_BYTES) {
            memcpy(writing->last_key, key.mv_data, STORE_KEY_BYTES);
            writing->has_last_key = true;
        }
        rc = rc == MDB_NOTFOUND ? 0 : rc;
    }
    return rc;
}

static int commit_once(struct lmdb_store *self, const struct changes *changes)
{
    struct writing writing;
    int rc = begin(self, &writing);
    for (size_t i = 0; rc == 0 && i < changes_count(changes); i++) {
        rc = write_change(&writing, changes_at(changes, i));
    }
    if (writing.items != NULL) {
        mdb_cursor_close(writing.items);
    }
    if (writing.txn != NULL && rc != 0) {
        mdb_txn_abort(writing.txn);
    } else if (rc == 0) {
        rc = mdb_txn_commit(writing.txn);
    }
    return rc;
}

// About what a commit writes: bodies on pages of their own, and a path through the tree for every other change.
static uint64_t bytes_written(const struct changes *changes)
{
    enum { PAGE = 4096, PATH = 2 * PAGE, FIXED = 64 * PAGE };
    uint64_t bytes = FIXED;
    for (size_t i = 0; i < changes_count(changes); i++) {
        const struct change *change = changes_at(changes, i);
        bytes += PATH;
        if (change->kind == CHANGE_COPY) {
            size_t len = change->as.copy.own_headers.len + change->as.copy.added_headers.len + change->as.copy.body.len;
            bytes += len < PAGE / 4 ? 2 * len + 64 : len + PAGE + 64;
            bytes -= PATH; // copies come in the order of their keys, many to a page
        }
        for (size_t k = 0; change->kind == CHANGE_PUT && k < change->as.put.count; k++) {
            size_t len = change->as.put.bodies[k].len + (change->as.put.headers == NULL ? 0 : change->as.put.headers[k].len);
            bytes += len < PAGE / 4 ? 2 * len + 64 : len + PAGE + 64;
        }
    }
    return bytes;
}

// A medium that was found full while writing refused the commit. Found full while syncing, it has lost what the kernel had taken
// from us; our own descriptor is told of that, too, and LMDB refuses to go on when it was its meta page.
static int tell_full_from_lost(struct lmdb_store *self, int rc)
{
    MDB_txn *txn;
    bool cut_short = rc == EIO && lmdb_room_is_out(self); // what LMDB says when the medium took only the front of a write
    if (lmdb_status(rc) != NQ_NO_SPACE && !cut_short) {
        return rc;
    }
    if (fdatasync(self->data_fd) != 0 || mdb_txn_begin(self->env, NULL, MDB_RDONLY, &txn) != 0) {
        return EIO;
    }
    mdb_txn_abort(txn);
    return cut_short ? ENOSPC : rc;
}

enum nq_status lmdb_commit(struct store *store, const struct changes *changes, struct store_error *error)
{
    struct lmdb_store *self = lmdb_of(store);
    enum nq_status status = lmdb_refuse_if_failed(self, error);
    if (status != NQ_OK) {
        return status;
    }
    lmdb_make_room(self, bytes_written(changes));
    int rc = tell_full_from_lost(self, commit_once(self, changes));
    if (lmdb_status(rc) == NQ_NO_SPACE && lmdb_give_up_reserve(self)) {
        rc = tell_full_from_lost(self, commit_once(self, changes));
    }
    status = lmdb_status(rc);
    if (status == NQ_STORAGE_FAILED) {
        __atomic_store_n(&self->failed, true, __ATOMIC_RELAXED);
    }
    return status == NQ_OK ? NQ_OK : lmdb_fail(error, status, "cannot write to the store", rc);
}
