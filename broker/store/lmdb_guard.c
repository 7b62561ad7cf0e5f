// Whether a thread is inside LMDB, for whoever must tell a crash on a damaged page from a bug; and the store's operations, which say
// so. LMDB believes what its pages say: one that is all rubbish may lead it to an address that is none.
#include <signal.h>

#include "lmdb_internal.h"

static _Thread_local volatile sig_atomic_t depth;

void lmdb_enter(void)
{
    depth++;
}

void lmdb_leave(void)
{
    depth--;
}

bool store_lmdb_is_inside(void)
{
    return depth > 0;
}

static enum nq_status guarded_load(struct store *store, const struct store_loader *loader, struct store_error *error)
{
    lmdb_enter();
    enum nq_status status = lmdb_load(store, loader, error);
    lmdb_leave();
    return status;
}

static enum nq_status guarded_commit(struct store *store, const struct changes *changes, struct store_error *error)
{
    lmdb_enter();
    enum nq_status status = lmdb_commit(store, changes, error);
    lmdb_leave();
    return status;
}

static enum nq_status guarded_read_begin(struct store *store, struct store_error *error)
{
    lmdb_enter();
    enum nq_status status = lmdb_read_begin(store, error);
    lmdb_leave();
    return status;
}

static enum nq_status guarded_read(struct store *store, uint64_t queue_id, uint64_t seq, uint64_t below_seq, bool or_next,
                                   struct store_item *item)
{
    lmdb_enter();
    enum nq_status status = lmdb_read(store, queue_id, seq, below_seq, or_next, item);
    lmdb_leave();
    return status;
}

static enum nq_status guarded_space(struct store *store, struct store_space *space)
{
    lmdb_enter();
    enum nq_status status = lmdb_space(store, space);
    lmdb_leave();
    return status;
}

const struct store_ops lmdb_ops = {
    .name = "lmdb",
    .commit_blocks = true,
    .load = guarded_load,
    .commit = guarded_commit,
    .read_begin = guarded_read_begin,
    .read = guarded_read,
    .read_end = lmdb_read_end, // these look at no page
    .space = guarded_space,
    .id = lmdb_id,
    .close = lmdb_close,
};
