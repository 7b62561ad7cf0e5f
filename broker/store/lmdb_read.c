// Reading items: one read transaction and one cursor, renewed, so that items in order cost a step each.
#include <string.h>

#include "lmdb_internal.h"

enum nq_status lmdb_read_begin(struct store *store, struct store_error *error)
{
    struct lmdb_store *self = lmdb_of(store);
    enum nq_status status = lmdb_refuse_if_failed(self, error);
    if (status != NQ_OK) {
        return status;
    }
    int rc = self->read_txn == NULL ? mdb_txn_begin(self->env, NULL, MDB_RDONLY, &self->read_txn) : mdb_txn_renew(self->read_txn);
    if (rc == 0) {
        rc = self->read_cursor == NULL ? mdb_cursor_open(self->read_txn, self->db[DB_ITEMS], &self->read_cursor)
                                       : mdb_cursor_renew(self->read_txn, self->read_cursor);
        if (rc != 0) {
            mdb_txn_reset(self->read_txn);
        }
    }
    self->cursor_is_valid = false;
    self->reading = rc == 0;
    return rc == 0 ? NQ_OK : lmdb_fail(error, lmdb_status(rc), "cannot read the store", rc);
}

void lmdb_read_end(struct store *store)
{
    struct lmdb_store *self = lmdb_of(store);
    if (self->reading) {
        mdb_txn_reset(self->read_txn);
        self->reading = false;
    }
}

static int move_to(struct lmdb_store *self, uint64_t queue_id, uint64_t seq, MDB_val *key, MDB_val *value)
{
    uint8_t buffer[STORE_KEY_BYTES];
    int rc = MDB_NOTFOUND;
    if (self->cursor_is_valid && self->cursor_queue_id == queue_id && seq == self->cursor_seq + 1) {
        rc = mdb_cursor_get(self->read_cursor, key, value, MDB_NEXT);
    } else {
        *key = lmdb_key(queue_id, seq, buffer);
        rc = mdb_cursor_get(self->read_cursor, key, value, MDB_SET_RANGE);
    }
    self->cursor_is_valid = false;
    return rc;
}

enum nq_status lmdb_read(struct store *store, uint64_t queue_id, uint64_t seq, uint64_t below_seq, bool or_next,
                         struct store_item *item)
{
    struct lmdb_store *self = lmdb_of(store);
    MDB_val key;
    MDB_val value;
    if (seq >= below_seq || !self->reading) {
        return NQ_EMPTY;
    }
    int rc = move_to(self, queue_id, seq, &key, &value);
    if (rc != 0 || key.mv_size != STORE_KEY_BYTES) {
        return rc == MDB_NOTFOUND ? NQ_EMPTY : NQ_STORAGE_FAILED;
    }
    uint64_t found_queue_id;
    uint64_t found_seq;
    store_key_decode(key.mv_data, &found_queue_id, &found_seq);
    self->cursor_queue_id = found_queue_id;
    self->cursor_seq = found_seq;
    self->cursor_is_valid = true;
    if (found_queue_id != queue_id || found_seq >= below_seq || (!or_next && found_seq != seq)) {
        return NQ_EMPTY;
    }
    memset(item, 0, sizeof(*item));
    item->seq = found_seq;
    return item_decode(key.mv_data, value.mv_data, value.mv_size, item) ? NQ_OK : NQ_DAMAGED;
}
