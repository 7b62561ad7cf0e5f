// The store on disk: open, load, commits and reads end well or say why not, and what was committed OK is there afterwards.
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "no_memory.h"
#include "store_disk.h"

enum { COMMITS = 6, QUEUE = 3 };

static char parent[128], dir[160];
static const uint8_t new_id[16] = "a store to test";

static int remove_one(const char *path, const struct stat *info, int flag, struct FTW *walk)
{
    (void)info;
    (void)flag;
    (void)walk;
    return remove(path);
}

static void make_parent(void)
{
    const char *folder = getenv("TMPDIR");
    snprintf(parent, sizeof(parent), "%s/netqueue-memory-XXXXXX", folder == NULL || folder[0] == '\0' ? "/tmp" : folder);
    no_memory_require(mkdtemp(parent) != NULL, "a folder");
    snprintf(dir, sizeof(dir), "%s/store", parent);
}

static enum nq_status open_store(struct store **out, struct store_error *error)
{
    const struct store_lmdb_options options = {.dir = dir, .sync = false, .new_store_id = new_id};
    *error = (struct store_error){0};
    return store_disk_open(&options, out, error);
}

static bool add(struct changes *changes, uint64_t seq)
{
    static const uint8_t text[] = "a body that is stored";
    static const struct engine_bytes body = {sizeof(text), text};
    const struct queue_record queue = {
        .queue_id = QUEUE, .name_len = 1, .name = "q", .next_seq = seq + 1, .cursor = 1, .ready = seq};
    const struct meta_record meta = {.now_ms = seq, .epoch = 1};
    const struct change all[] = {
        {.kind = CHANGE_PUT, .as.put = {QUEUE, seq, 1, &body, NULL, 1000, seq * sizeof(text)}},
        {.kind = CHANGE_QUEUE, .as.queue = &queue},
        {.kind = CHANGE_META, .as.meta = &meta},
    };
    bool ok = true;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        ok = ok && changes_add(changes, &all[i]);
    }
    return ok;
}

static bool is_a_failure_of_memory(enum nq_status status)
{
    return status == NQ_NO_MEMORY || status == NQ_STORAGE_FAILED; // by the disk store the latter, when the memory was LMDB's
}

// How many commits were OK. After one that was not the process would end.
static uint64_t commit_all(struct store *store, uint64_t from, enum nq_status *status)
{
    struct changes *changes = changes_create();
    *status = changes == NULL ? NQ_NO_MEMORY : NQ_OK;
    uint64_t done = from;
    while (*status == NQ_OK && done < from + COMMITS) {
        struct store_error error = {0};
        changes_clear(changes);
        *status = add(changes, done + 1) ? store_commit(store, changes, &error) : NQ_NO_MEMORY;
        done += *status == NQ_OK ? 1 : 0;
    }
    changes_destroy(&changes);
    return done;
}

static enum nq_status read_all(struct store *store, uint64_t count)
{
    struct store_item item;
    struct store_error error = {0};
    enum nq_status status = store_read_begin(store, &error);
    if (status != NQ_OK) {
        return status;
    }
    for (uint64_t seq = 1; seq <= count && status == NQ_OK; seq++) {
        status = store_read(store, QUEUE, seq, &item);
        no_memory_require(status != NQ_EMPTY && status != NQ_DAMAGED, "what was committed can be read");
    }
    store_read_end(store);
    return status;
}

static uint64_t committed; // over all runs of one kind

static void look_afterwards(void)
{
    struct store *store;
    struct store_error error;
    no_memory_require(open_store(&store, &error) == NQ_OK, "it can be opened with memory");
    no_memory_require(read_all(store, committed) == NQ_OK, "all that was committed is there");
    store_close(&store);
}

static void run_in_new_folder(uint64_t nth, uint64_t failures)
{
    struct store *store = NULL;
    struct store_error error;
    committed = 0;
    make_parent();
    no_memory_arm(ALLOC_ALL_THREADS, nth, failures);
    enum nq_status status = open_store(&store, &error);
    no_memory_require((status == NQ_OK) == (store != NULL), "a store is open or there is none");
    if (status == NQ_OK) {
        committed = commit_all(store, 0, &status);
    }
    if (status == NQ_OK) {
        status = read_all(store, committed);
    }
    store_close(&store);
    bool failed = no_memory_disarm();
    no_memory_require(status == NQ_OK || (failed && is_a_failure_of_memory(status)), "it ends well, or says that memory is out");
    look_afterwards();
    nftw(parent, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

// ---------------------------------------------------------------------------------------------------- a commit that fails half-way

enum { OTHER_QUEUE = 4, LARGE_BYTES = 8192, LARGE = 20 };

// What a start finds: the item is in one of the two queues, and that queue's record knows of it.
struct found {
    uint64_t next_seq[OTHER_QUEUE + 1];
};

static bool on_meta(void *context, const struct meta_record *record)
{
    (void)context;
    (void)record;
    return true;
}

static bool on_queue(void *context, const struct queue_record *record)
{
    ((struct found *)context)->next_seq[record->queue_id <= OTHER_QUEUE ? record->queue_id : 0] = record->next_seq;
    return true;
}

static bool on_stored(void *context, uint64_t queue_id, uint64_t seq, uint32_t item_bytes)
{
    (void)context;
    (void)queue_id;
    (void)seq;
    (void)item_bytes;
    return true;
}

static bool on_damaged(void *context, const char *what)
{
    (void)context;
    (void)what;
    return false;
}

static bool has_item(struct store *store, uint64_t queue_id, uint64_t seq)
{
    struct store_item item;
    return store_read(store, queue_id, seq, &item) == NQ_OK;
}

static void look_whether_it_is_whole(bool was_ok)
{
    struct store *store;
    struct store_error error;
    struct found found = {0};
    const struct store_loader loader = {
        .context = &found, .meta = on_meta, .queue = on_queue, .stored = on_stored, .damaged = on_damaged};
    no_memory_require(open_store(&store, &error) == NQ_OK, "it can be opened with memory");
    no_memory_require(store_load(store, &loader, &error) == NQ_OK, "it can be loaded");
    no_memory_require(store_read_begin(store, &error) == NQ_OK, "it can be read");
    bool moved = has_item(store, OTHER_QUEUE, 1);
    no_memory_require(moved || !was_ok, "what was committed is there");
    no_memory_require(moved != has_item(store, QUEUE, 1), "the item is in one queue");
    no_memory_require(found.next_seq[OTHER_QUEUE] == (moved ? 2 : 0), "its queue knows of it");
    no_memory_require(has_item(store, QUEUE, 1 + LARGE) == moved, "what was put in the same commit went the same way");
    store_read_end(store);
    store_close(&store);
}

// An item dies, and large ones are put behind it, in one commit.
static bool add_move(struct changes *changes)
{
    static uint8_t large[LARGE_BYTES];
    static struct engine_bytes bodies[LARGE]; // borrowed until the commit, as what they point at
    const struct queue_record from = {
        .queue_id = QUEUE, .name_len = 1, .name = "q", .next_seq = 2 + LARGE, .cursor = 2, .ready = LARGE};
    const struct queue_record to = {.queue_id = OTHER_QUEUE, .name_len = 1, .name = "d", .next_seq = 2, .cursor = 1, .ready = 1};
    for (size_t i = 0; i < LARGE; i++) {
        bodies[i] = (struct engine_bytes){sizeof(large), large};
    }
    const struct change all[] = {
        {.kind = CHANGE_MOVE, .as.move = {.queue_id = QUEUE, .seq = 1, .to_queue_id = OTHER_QUEUE, .to_seq = 1}},
        {.kind = CHANGE_PUT, .as.put = {QUEUE, 2, LARGE, bodies, NULL, 1000, 0}},
        {.kind = CHANGE_QUEUE, .as.queue = &from},
        {.kind = CHANGE_QUEUE, .as.queue = &to},
    };
    bool ok = true;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        ok = ok && changes_add(changes, &all[i]);
    }
    return ok;
}

static struct changes *one_item_and_its_move(struct store *store)
{
    struct store_error error;
    struct changes *changes = changes_create();
    no_memory_require(changes != NULL && add(changes, 1) && store_commit(store, changes, &error) == NQ_OK, "an item");
    changes_clear(changes);
    no_memory_require(add_move(changes), "its move");
    return changes;
}

static void run_with_a_move(uint64_t nth, uint64_t failures)
{
    struct store *store;
    struct store_error error;
    make_parent();
    no_memory_require(open_store(&store, &error) == NQ_OK, "a store");
    struct changes *changes = one_item_and_its_move(store);
    no_memory_arm(ALLOC_THIS_THREAD, nth, failures);
    enum nq_status status = store_commit(store, changes, &error);
    bool failed = no_memory_disarm();
    no_memory_require(status == NQ_OK || (failed && is_a_failure_of_memory(status)), "it ends well, or says that memory is out");
    changes_destroy(&changes);
    store_close(&store); // there is memory again
    look_whether_it_is_whole(status == NQ_OK);
    nftw(parent, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    no_memory_each("a store", run_in_new_folder);
    no_memory_each("a move", run_with_a_move);
    return 0;
}
