// check and compact: what can be done while no broker has the store open.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lmdb_internal.h"
#include "store_offline.h"

struct checking {
    MDB_env *env;
    MDB_dbi db[DB_COUNT];
    MDB_txn *txn;
    FILE *findings;
    struct store_check_report *report;
};

static void found(struct checking *checking, uint64_t *counter, const char *what, const MDB_val *key)
{
    uint64_t a = 0;
    uint64_t b = 0;
    if (key->mv_size == STORE_KEY_BYTES) {
        store_key_decode(key->mv_data, &a, &b);
    }
    (*counter)++;
    fprintf(checking->findings, "%s (%llu, %llu)\n", what, (unsigned long long)a, (unsigned long long)b);
}

static int check_records(struct checking *checking, enum lmdb_database db, const char *name, uint64_t *count)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    union {
        struct queue_record queue;
        struct item_record item;
        struct run_record run;
        struct stream_record stream;
        struct session_record session;
    } record;
    char what[64];
    snprintf(what, sizeof(what), "damaged record in table %s", name);
    int rc = mdb_cursor_open(checking->txn, checking->db[db], &cursor);
    if (rc != 0) {
        return rc;
    }
    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        (*count)++;
        checking->report->bytes += value.mv_size;
        if (key.mv_size != STORE_KEY_BYTES ||
            !record_decode(lmdb_record_kind(db), key.mv_data, value.mv_data, value.mv_size, &record)) {
            found(checking, &checking->report->damaged, what, &key);
        }
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
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
        found(checking, &checking->report->misplaced, "items of a queue without a record", key);
        tally->queue.queue_id = queue_id;
    }
}

static int check_items(struct checking *checking)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    struct tally tally = {0};
    int rc = mdb_cursor_open(checking->txn, checking->db[DB_ITEMS], &cursor);
    if (rc != 0) {
        return rc;
    }
    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        struct store_item item;
        uint64_t queue_id = 0;
        uint64_t seq = 0;
        checking->report->items++;
        checking->report->bytes += value.mv_size;
        if (key.mv_size != STORE_KEY_BYTES || !item_decode(key.mv_data, value.mv_data, value.mv_size, &item)) {
            found(checking, &checking->report->damaged, "damaged item (queue id, seq)", &key);
            if (key.mv_size != STORE_KEY_BYTES) {
                continue;
            }
        }
        store_key_decode(key.mv_data, &queue_id, &seq);
        if (queue_id != tally.queue.queue_id) {
            finish_tally(checking, &tally);
            start_tally(checking, &tally, queue_id, &key);
        }
        tally.live += is_live(checking, &tally.queue, seq) ? 1 : 0;
        tally.above_next += tally.known && seq >= tally.queue.next_seq ? 1 : 0;
    }
    finish_tally(checking, &tally);
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
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
        found(checking, &checking->report->damaged, "damaged record in table meta", &key);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int check_all(struct checking *checking)
{
    struct store_check_report *report = checking->report;
    const struct {
        enum lmdb_database db;
        const char *name;
        uint64_t *count;
    } tables[] = {{DB_QUEUES, "queues", &report->queues},
                  {DB_RECORDS, "item_records", &report->item_records},
                  {DB_RUNS, "runs", &report->runs},
                  {DB_STREAMS, "streams", &report->streams},
                  {DB_SESSIONS, "sessions", &report->sessions}};
    int rc = mdb_txn_begin(checking->env, NULL, MDB_RDONLY, &checking->txn);
    if (rc != 0) {
        return rc;
    }
    rc = check_meta(checking);
    for (size_t i = 0; rc == 0 && i < sizeof(tables) / sizeof(tables[0]); i++) {
        rc = check_records(checking, tables[i].db, tables[i].name, tables[i].count);
    }
    rc = rc == 0 ? check_items(checking) : rc;
    rc = rc == 0 ? check_empty_queues(checking) : rc;
    mdb_txn_abort(checking->txn);
    return rc;
}

// Shared with the child that walks the store.
struct shared_result {
    struct store_check_report report;
    struct store_error error;
    enum nq_status status;
};

static void check_in_child(const char *dir, FILE *findings, struct shared_result *result)
{
    struct checking checking = {.findings = findings, .report = &result->report};
    uint8_t id[16];
    result->status = lmdb_open_env(dir, true, true, &checking.env, &result->error);
    if (result->status == NQ_OK) {
        result->status = lmdb_open_databases(checking.env, checking.db, id, &result->error);
    }
    if (result->status == NQ_OK) {
        int rc = check_all(&checking);
        if (rc != 0) {
            result->report.damaged++;
            fprintf(findings, "the store's pages: %s\n", mdb_strerror(rc));
        }
        result->status = result->report.damaged + result->report.misplaced > 0 ? NQ_DAMAGED : NQ_OK;
    }
    fflush(findings);
    _exit(0);
}

static enum nq_status walk_in_child(const char *dir, FILE *findings, struct shared_result *result, struct store_error *error)
{
    int wait_status = 0;
    fflush(findings);
    pid_t child = fork();
    if (child < 0) {
        return lmdb_fail(error, NQ_STORAGE_FAILED, "cannot start the check", errno);
    }
    if (child == 0) {
        check_in_child(dir, findings, result);
    }
    while (waitpid(child, &wait_status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0) { // LMDB follows page numbers without doubt
        result->report.damaged++;
        fprintf(findings, "the store's pages are damaged: reading them ended the check (%s %d)\n",
                WIFEXITED(wait_status) ? "exit" : "signal",
                WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : WTERMSIG(wait_status));
        result->status = lmdb_fail(&result->error, NQ_DAMAGED, "the store's pages are damaged", 0);
    }
    if (error != NULL) {
        *error = result->error;
    }
    return result->status;
}

// The directory's lock, so that no broker starts meanwhile. -1: error is filled.
static int lock_for_offline(const char *dir, struct store_error *error)
{
    int fd = -1;
    char what[256];
    int rc = lmdb_lock_dir(dir, &fd);
    if (rc != 0) {
        snprintf(what, sizeof(what), rc == EWOULDBLOCK ? "a broker is using %.200s" : "cannot use %.200s", dir);
        lmdb_fail(error, NQ_STORAGE_FAILED, what, rc == EWOULDBLOCK ? 0 : rc);
    }
    return fd;
}

static enum nq_status require_store(const char *dir, struct store_error *error)
{
    bool exists;
    enum nq_status status = lmdb_check_file(dir, &exists, error);
    if (status == NQ_OK && !exists) {
        char what[256];
        snprintf(what, sizeof(what), "there is no store in %.200s", dir);
        status = lmdb_fail(error, NQ_STORAGE_FAILED, what, 0);
    }
    return status;
}

enum nq_status store_lmdb_check(const char *dir, FILE *findings, struct store_check_report *report, struct store_error *error)
{
    *report = (struct store_check_report){0};
    enum nq_status status = require_store(dir, error);
    int lock_fd = status == NQ_OK ? lock_for_offline(dir, error) : -1;
    if (lock_fd < 0) {
        return NQ_STORAGE_FAILED;
    }
    struct shared_result *result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (result == MAP_FAILED) {
        status = lmdb_fail(error, NQ_NO_MEMORY, "out of memory", 0);
    } else {
        status = walk_in_child(dir, findings, result, error);
        *report = result->report;
        munmap(result, sizeof(*result));
    }
    close(lock_fd);
    return status;
}

// -------------------------------------------------------------------------------------------------------------------- compact

static uint64_t file_bytes(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

enum nq_status store_lmdb_compact(const char *dir, uint64_t *before_bytes, uint64_t *after_bytes, struct store_error *error)
{
    char path[4096];
    MDB_env *env;
    MDB_dbi db[DB_COUNT];
    uint8_t id[16];
    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    enum nq_status status = require_store(dir, error);
    int lock_fd = status == NQ_OK ? lock_for_offline(dir, error) : -1;
    if (lock_fd < 0) {
        return NQ_STORAGE_FAILED;
    }
    *before_bytes = file_bytes(path);
    status = lmdb_open_env(dir, true, true, &env, error);
    if (status == NQ_OK) {
        status = lmdb_open_databases(env, db, id, error);
        if (status == NQ_OK) {
            status = lmdb_copy(env, dir, error);
        }
        mdb_env_close(env);
    }
    *after_bytes = file_bytes(path);
    close(lock_fd);
    return status;
}
