// Opening a store on disk: the directory, its lock, its file, its format.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lmdb_internal.h"

enum { LMDB_META_OFFSET = 16, META_BYTES = 136, READERS_MAX = 8 };
#define LMDB_MAGIC 0xBEEFC0DEu
#define MAP_BYTES_FIRST (1ull << 40)
#define MAP_BYTES_LEAST (1ull << 30)
#define MAP_BYTES_STEP (1ull << 20)

const char *const lmdb_names[DB_COUNT] = {"meta", "queues", "items", "item_records", "runs", "streams", "sessions", "quarantine"};

struct lmdb_store *lmdb_of(const struct store *store)
{
    return (struct lmdb_store *)(uintptr_t)store; // its first member
}

enum nq_status lmdb_fail(struct store_error *error, enum nq_status status, const char *what, int rc)
{
    if (error != NULL) {
        error->status = status;
        snprintf(error->text, sizeof(error->text), "%.170s%s%.80s", what, rc == 0 ? "" : ": ", rc == 0 ? "" : mdb_strerror(rc));
    }
    return status;
}

enum nq_status lmdb_status(int rc)
{
    switch (rc) {
    case 0:
        return NQ_OK;
    case ENOSPC:
    case EDQUOT:
    case MDB_MAP_FULL:
        return NQ_NO_SPACE;
    case ENOMEM:
        return NQ_NO_MEMORY;
    default:
        return NQ_STORAGE_FAILED;
    }
}

enum nq_status lmdb_refuse_if_failed(struct lmdb_store *self, struct store_error *error)
{
    bool failed = __atomic_load_n(&self->failed, __ATOMIC_RELAXED);
    return failed ? lmdb_fail(error, NQ_STORAGE_FAILED, "the store has failed before", 0) : NQ_OK;
}

MDB_val lmdb_key(uint64_t a, uint64_t b, uint8_t buffer[STORE_KEY_BYTES])
{
    store_key_encode(a, b, buffer);
    return (MDB_val){STORE_KEY_BYTES, buffer};
}

enum record_kind lmdb_record_kind(enum lmdb_database db)
{
    static const enum record_kind of[DB_COUNT] = {
        [DB_META] = RECORD_META, [DB_QUEUES] = RECORD_QUEUE,   [DB_ITEMS] = RECORD_KINDS,      [DB_RECORDS] = RECORD_ITEM,
        [DB_RUNS] = RECORD_RUN,  [DB_STREAMS] = RECORD_STREAM, [DB_SESSIONS] = RECORD_SESSION, [DB_QUARANTINE] = RECORD_KINDS};
    return of[db];
}

// ------------------------------------------------------------------------------------------------------------ directory, file

void lmdb_path(char path[LMDB_PATH_BYTES], const char *dir, const char *file)
{
    snprintf(path, LMDB_PATH_BYTES, "%s/%s", dir, file);
}

int lmdb_lock(int fd, int *lock_fd)
{
    if (fd < 0) {
        return errno;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int rc = errno;
        close(fd);
        return rc;
    }
    *lock_fd = fd;
    return 0;
}

int lmdb_lock_dir(const char *dir, int *lock_fd)
{
    char path[LMDB_PATH_BYTES];
    lmdb_path(path, dir, "lock");
    return lmdb_lock(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), lock_fd);
}

bool lmdb_is_locked(int data_fd)
{
    return flock(data_fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

// Where LMDB keeps what in its two meta pages (struct MDB_meta of 0.9, a format that has not changed since 2012).
struct meta_head {
    uint32_t magic, page_bytes;
    uint64_t last_page, txn;
};

static bool read_meta(int fd, off_t at, struct meta_head *head)
{
    uint8_t bytes[META_BYTES];
    if (pread(fd, bytes, sizeof(bytes), at + LMDB_META_OFFSET) != (ssize_t)sizeof(bytes)) {
        return false;
    }
    memcpy(&head->magic, bytes, 4);
    memcpy(&head->page_bytes, bytes + 24, 4);
    memcpy(&head->last_page, bytes + 120, 8);
    memcpy(&head->txn, bytes + 128, 8);
    return head->magic == LMDB_MAGIC && head->page_bytes >= 512 && head->page_bytes <= 65536;
}

// LMDB writes them in turn, each with a number one higher. Another pair has a number that has changed: the older one may be taken for the
// newer, and the last commit would be gone without a word. Only without syncs may a power cut leave such a pair.
static enum nq_status check_metas(const struct meta_head *newest, const struct meta_head *other, const char *path,
                                  struct store_error *error)
{
    char text[256];
    if (newest->txn == other->txn + 1) {
        return NQ_OK;
    }
    snprintf(text, sizeof(text), "%.100s is damaged: its two heads, of commits %llu and %llu, do not follow each other", path,
             (unsigned long long)newest->txn, (unsigned long long)other->txn);
    return lmdb_fail(error, NQ_STORAGE_FAILED, text, 0);
}

static enum nq_status check_size(int fd, const char *path, uint64_t size, bool sync, struct store_error *error)
{
    struct meta_head first;
    struct meta_head second;
    char text[256];
    if (!read_meta(fd, 0, &first) || !read_meta(fd, (off_t)first.page_bytes, &second)) {
        snprintf(text, sizeof(text), "%.200s is not a netqueue store", path);
        return lmdb_fail(error, NQ_STORAGE_FAILED, text, 0);
    }
    const struct meta_head *newest = second.txn > first.txn ? &second : &first;
    uint64_t least = (newest->last_page + 1) * first.page_bytes;
    if (size < least) {
        snprintf(text, sizeof(text), "%.100s is cut short: %llu bytes of %llu", path, (unsigned long long)size,
                 (unsigned long long)least);
        return lmdb_fail(error, NQ_STORAGE_FAILED, text, 0);
    }
    return sync ? check_metas(newest, newest == &second ? &first : &second, path, error) : NQ_OK;
}

// LMDB maps the file: a page that is named but not there would be a signal, not an error.
enum nq_status lmdb_check_file(const char *dir, bool sync, bool *exists, struct store_error *error)
{
    char path[LMDB_PATH_BYTES];
    struct stat file;
    lmdb_path(path, dir, "data.mdb");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *exists = false;
    if (fd < 0) {
        return errno == ENOENT ? NQ_OK : lmdb_fail(error, NQ_STORAGE_FAILED, path, errno);
    }
    enum nq_status status = NQ_OK;
    if (fstat(fd, &file) != 0) {
        status = lmdb_fail(error, NQ_STORAGE_FAILED, path, errno);
    } else {
        *exists = true; // also when empty: a store is created whole, under another name, so this one was damaged
        status = check_size(fd, path, (uint64_t)file.st_size, sync, error);
    }
    close(fd);
    return status;
}

// ---------------------------------------------------------------------------------------------------------------- environment

// What LMDB asserts is what its pages should be. It would abort; a page that cannot be read ends a process in the same way as one that
// makes no sense.
static void on_assert(MDB_env *env, const char *text)
{
    (void)env;
    (void)text;
    raise(SIGBUS);
}

// Where address space is limited the map takes no more than half of it: the rest is for what the broker holds in memory.
static uint64_t map_bytes_first(void)
{
    struct rlimit limit;
    bool limited = getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur / 2 < MAP_BYTES_FIRST;
    return limited ? limit.rlim_cur / 2 / MAP_BYTES_STEP * MAP_BYTES_STEP : MAP_BYTES_FIRST;
}

static enum nq_status no_room_for_map(const char *dir, struct store_error *error)
{
    char text[256];
    snprintf(text, sizeof(text), "cannot map the store in %.100s: it needs %u MiB of address space, and as much again (RLIMIT_AS)",
             dir, (unsigned)(MAP_BYTES_LEAST >> 20));
    return lmdb_fail(error, NQ_BAD_CONFIG, text, 0);
}

enum nq_status lmdb_open_env(const char *dir, bool sync, bool read_only, MDB_env **out, struct store_error *error)
{
    // Who only reads has the directory's lock, and leaves no file of LMDB's behind.
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (sync ? 0 : MDB_NOSYNC) | (read_only ? MDB_RDONLY | MDB_NOLOCK : 0);
    int rc = ENOMEM;
    for (uint64_t map_bytes = map_bytes_first(); map_bytes >= MAP_BYTES_LEAST; map_bytes /= 2) { // others may have taken of it
        MDB_env *env;
        rc = mdb_env_create(&env);
        if (rc != 0) {
            break;
        }
        mdb_env_set_assert(env, on_assert);
        mdb_env_set_maxdbs(env, DB_COUNT);
        mdb_env_set_maxreaders(env, READERS_MAX);
        mdb_env_set_mapsize(env, (size_t)map_bytes);
        rc = mdb_env_open(env, dir, flags, 0600);
        if (rc == 0) {
            *out = env;
            return NQ_OK;
        }
        mdb_env_close(env);
        if (rc != ENOMEM && rc != EINVAL) { // the latter from valgrind
            break;
        }
    }
    if (rc == ENOMEM && map_bytes_first() < MAP_BYTES_FIRST) {
        return no_room_for_map(dir, error);
    }
    char what[256];
    snprintf(what, sizeof(what), "cannot open the store in %.200s", dir);
    return lmdb_fail(error, NQ_STORAGE_FAILED, what, rc);
}

static MDB_val text_key(const char *text)
{
    return (MDB_val){strlen(text), (void *)(uintptr_t)text};
}

static enum nq_status check_format(MDB_txn *txn, MDB_dbi meta, uint8_t id[16], struct store_error *error)
{
    MDB_val key = text_key("format");
    MDB_val value;
    uint8_t version = 0;
    if (mdb_get(txn, meta, &key, &value) != 0 || value.mv_size != 1) {
        return lmdb_fail(error, NQ_STORAGE_FAILED, "not a netqueue store: it names no format", 0);
    }
    memcpy(&version, value.mv_data, 1);
    if (version != STORE_FORMAT_VERSION) {
        char text[256];
        snprintf(text, sizeof(text), "the store has format %u, this program knows format %u", version, STORE_FORMAT_VERSION);
        return lmdb_fail(error, NQ_UNSUPPORTED_VERSION, text, 0);
    }
    key = text_key("id");
    if (mdb_get(txn, meta, &key, &value) != 0 || value.mv_size != 16) {
        return lmdb_fail(error, NQ_STORAGE_FAILED, "not a netqueue store: it has no id", 0);
    }
    memcpy(id, value.mv_data, 16);
    return NQ_OK;
}

enum nq_status lmdb_salt(MDB_env *env, MDB_dbi meta, const uint8_t id[16], uint64_t *salt, bool *own, struct store_error *error)
{
    MDB_val key = text_key("salt");
    MDB_val value;
    MDB_txn *txn;
    memcpy(salt, id, sizeof(*salt)); // a store of before there was one
    *own = false;
    lmdb_enter();
    int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc == 0) {
        rc = mdb_get(txn, meta, &key, &value);
        rc = rc == 0 && value.mv_size != sizeof(*salt) ? MDB_CORRUPTED : rc;
        *own = rc == 0;
        if (*own) {
            memcpy(salt, value.mv_data, sizeof(*salt));
        }
        mdb_txn_abort(txn);
    }
    lmdb_leave();
    return rc == 0 || rc == MDB_NOTFOUND ? NQ_OK : lmdb_fail(error, lmdb_status(rc), "cannot read the store", rc);
}

static enum nq_status open_table(MDB_txn *txn, enum lmdb_database db, MDB_dbi *out, struct store_error *error)
{
    int rc = mdb_dbi_open(txn, lmdb_names[db], 0, out);
    if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE) {
        return lmdb_fail(error, NQ_STORAGE_FAILED, "not a netqueue store: a table is missing", 0);
    }
    return rc == 0 ? NQ_OK : lmdb_fail(error, lmdb_status(rc), "cannot open the store's tables", rc);
}

// The format first: another one may have other tables.
enum nq_status lmdb_open_databases(MDB_env *env, MDB_dbi db[DB_COUNT], uint8_t id[16], struct store_error *error)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) {
        return lmdb_fail(error, lmdb_status(rc), "cannot read the store", rc);
    }
    enum nq_status status = open_table(txn, DB_META, &db[DB_META], error);
    if (status == NQ_OK) {
        status = check_format(txn, db[DB_META], id, error);
    }
    for (enum lmdb_database i = DB_META + 1; status == NQ_OK && i < DB_COUNT; i++) {
        status = open_table(txn, i, &db[i], error);
    }
    if (status != NQ_OK) {
        mdb_txn_abort(txn);
        return status;
    }
    rc = mdb_txn_commit(txn); // writes nothing, keeps the handles
    return rc == 0 ? NQ_OK : lmdb_fail(error, lmdb_status(rc), "cannot open the store's tables", rc);
}

// --------------------------------------------------------------------------------------------------------------- open, close

void lmdb_id(const struct store *store, uint8_t id[16])
{
    memcpy(id, lmdb_of(store)->id, 16);
}

void lmdb_close(struct store **store_p)
{
    struct lmdb_store *self = lmdb_of(*store_p);
    if (self->read_cursor != NULL) {
        mdb_cursor_close(self->read_cursor);
    }
    if (self->read_txn != NULL) {
        mdb_txn_abort(self->read_txn);
    }
    if (self->env != NULL) {
        mdb_env_close(self->env);
    }
    int fds[] = {self->data_fd, self->dir_fd, self->lock_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    free(self);
    *store_p = NULL;
}

// A map that is full fails a checkpoint, and with it the broker, for good: puts are refused while an eighth of it is left for what was
// accepted by then, whatever --disk-reserve says. A map of the full size is never full before the disk is.
static uint64_t limit_of_map(MDB_env *env)
{
    enum { RESERVE_BYTES_MAX = 128 << 20, RESERVE_SHARE = 8 };
    MDB_envinfo info;
    if (mdb_env_info(env, &info) != 0 || info.me_mapsize >= MAP_BYTES_FIRST) {
        return 0;
    }
    uint64_t reserve = info.me_mapsize / RESERVE_SHARE;
    return info.me_mapsize - (reserve < RESERVE_BYTES_MAX ? reserve : RESERVE_BYTES_MAX);
}

static enum nq_status in_use(const char *dir, struct store_error *error)
{
    char what[256];
    snprintf(what, sizeof(what), "another broker is using %.200s", dir);
    return lmdb_fail(error, NQ_STORAGE_FAILED, what, 0);
}

static enum nq_status open_dir(struct lmdb_store *self, const char *dir, struct store_error *error)
{
    char what[256] = "";
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        snprintf(what, sizeof(what), "cannot create %.200s", dir);
        return lmdb_fail(error, NQ_STORAGE_FAILED, what, errno);
    }
    self->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = self->dir_fd < 0 ? errno : lmdb_lock_dir(dir, &self->lock_fd);
    if (rc == EWOULDBLOCK) {
        return in_use(dir, error);
    }
    if (rc != 0) {
        snprintf(what, sizeof(what), "cannot use %.200s", dir);
        return lmdb_fail(error, NQ_STORAGE_FAILED, what, rc);
    }
    return NQ_OK;
}

// The name of a new store's directory must be as durable as what will be in it. Whoever made one below a folder that we may not read
// (a service manager, say) has seen to that.
static enum nq_status create_in(const struct store_lmdb_options *options, struct store_error *error)
{
    char parent[4096];
    snprintf(parent, sizeof(parent), "%s/..", options->dir);
    int rc = lmdb_sync_dir(parent);
    if (rc != 0 && rc != EACCES && rc != EPERM) {
        return lmdb_fail(error, NQ_STORAGE_FAILED, parent, rc);
    }
    return lmdb_create(options->dir, options->new_store_id, options->new_salt, error);
}

static enum nq_status open_data(struct lmdb_store *self, const struct store_lmdb_options *options, struct store_error *error)
{
    char path[LMDB_PATH_BYTES];
    lmdb_path(path, options->dir, "data.mdb");
    self->data_fd = open(path, O_RDWR | O_CLOEXEC);
    if (self->data_fd >= 0 && lmdb_is_locked(self->data_fd)) {
        return in_use(options->dir, error);
    }
    // What ran without syncs before may have left all of it to the kernel, and the journal of that is about to be written over.
    if (self->data_fd < 0 || (!options->never_flush && fdatasync(self->data_fd) != 0)) {
        return lmdb_fail(error, NQ_STORAGE_FAILED, path, errno);
    }
    lmdb_forget_copy(options->dir);
    return NQ_OK;
}

static enum nq_status open_store(struct lmdb_store *self, const struct store_lmdb_options *options, struct store_error *error)
{
    bool exists = false;
    enum nq_status status = open_dir(self, options->dir, error);
    if (status == NQ_OK) {
        status = lmdb_check_file(options->dir, options->sync, &exists, error);
    }
    if (status == NQ_OK && !exists) {
        status = create_in(options, error);
    }
    if (status == NQ_OK) {
        status = open_data(self, options, error);
    }
    if (status == NQ_OK) {
        status = lmdb_open_env(options->dir, !options->never_flush, false, &self->env, error);
    }
    if (status == NQ_OK) {
        if (options->map_bytes_max > 0) {
            mdb_env_set_mapsize(self->env, (size_t)options->map_bytes_max);
        }
        self->map_limit_bytes = limit_of_map(self->env);
        status = lmdb_open_databases(self->env, self->db, self->id, error);
    }
    if (status == NQ_OK) {
        lmdb_space_start(self);
    }
    return status;
}

enum nq_status store_lmdb_open(const struct store_lmdb_options *options, struct store **out, struct store_error *error)
{
    struct lmdb_store *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return lmdb_fail(error, NQ_NO_MEMORY, "out of memory", 0);
    }
    self->store.ops = &lmdb_ops;
    self->dir_fd = self->lock_fd = self->data_fd = -1;
    self->max_disk_bytes = options->max_disk_bytes;
    self->reserve_bytes = options->reserve_bytes;
    lmdb_enter();
    enum nq_status status = open_store(self, options, error);
    lmdb_leave();
    *out = &self->store;
    if (status != NQ_OK) { // *out becomes NULL
        lmdb_close(out);
    }
    return status;
}
