// Single look-ups, each in a transaction of its own, so that any thread may make them.
#include <string.h>

#include "lmdb_internal.h"

// Inside LMDB until `end`: what is found lies in its pages.
static int look_up(struct lmdb_store *self, enum lmdb_database db, MDB_val *key, MDB_txn **txn, MDB_val *value)
{
    lmdb_enter();
    int rc = mdb_txn_begin(self->env, NULL, MDB_RDONLY, txn);
    if (rc != 0) {
        *txn = NULL;
        return rc;
    }
    return mdb_get(*txn, self->db[db], key, value);
}

static void end(MDB_txn *txn)
{
    if (txn != NULL) {
        mdb_txn_abort(txn);
    }
    lmdb_leave();
}

enum nq_status lmdb_journaled(struct store *store, uint64_t *number, struct store_error *error)
{
    uint8_t buffer[STORE_KEY_BYTES];
    MDB_val key = lmdb_key(LMDB_JOURNALED_KEY, 0, buffer);
    MDB_val value;
    MDB_txn *txn;
    int rc = look_up(lmdb_of(store), DB_META, &key, &txn, &value);
    bool good = rc == 0 && number_decode(buffer, value.mv_data, value.mv_size, number);
    end(txn);
    if (rc == MDB_NOTFOUND) {
        *number = 0;
        return NQ_OK;
    }
    if (rc != 0) {
        return lmdb_fail(error, NQ_STORAGE_FAILED, "cannot read the store", rc);
    }
    return good ? NQ_OK : lmdb_fail(error, NQ_DAMAGED, "the store no longer knows how far its journal is applied", 0);
}

enum nq_status lmdb_fetch(struct store *store, uint64_t queue_id, uint64_t seq, struct nq_arena *arena, struct store_item *item)
{
    uint8_t buffer[STORE_KEY_BYTES];
    MDB_val key = lmdb_key(queue_id, seq, buffer);
    MDB_val value;
    MDB_txn *txn;
    int rc = look_up(lmdb_of(store), DB_ITEMS, &key, &txn, &value);
    uint8_t *copy = rc == 0 ? nq_arena_alloc(arena, value.mv_size + 1) : NULL;
    size_t len = rc == 0 ? value.mv_size : 0;
    if (copy != NULL) {
        memcpy(copy, value.mv_data, len);
    }
    end(txn);
    if (rc != 0) {
        return rc == MDB_NOTFOUND ? NQ_EMPTY : NQ_STORAGE_FAILED;
    }
    if (copy == NULL) {
        return NQ_NO_MEMORY;
    }
    item->seq = seq;
    return item_decode(buffer, copy, len, item) ? NQ_OK : NQ_DAMAGED;
}
