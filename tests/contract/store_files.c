#include "store_files.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record_codec.h"

enum { PAGE_BYTES = 4096, TABLES_MAX = 16 };

struct whole {
    char path[256];
    uint8_t *bytes;
    size_t len;
};

static void path_of(char path[256], const char *dir, const char *file)
{
    snprintf(path, 256, "%s/%s", dir, file);
}

static struct whole read_whole_of(const char *dir, const char *name)
{
    struct whole file;
    struct stat status;
    path_of(file.path, dir, name);
    int fd = open(file.path, O_RDONLY | O_CLOEXEC);
    cr_assert(fd >= 0 && fstat(fd, &status) == 0);
    file.len = (size_t)status.st_size;
    file.bytes = malloc(file.len + 1);
    cr_assert_not_null(file.bytes);
    cr_assert_eq(read(fd, file.bytes, file.len), (ssize_t)file.len);
    close(fd);
    return file;
}

static struct whole read_whole(const char *dir)
{
    return read_whole_of(dir, "data.mdb");
}

static void write_whole(struct whole *file)
{
    int fd = open(file->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, file->bytes, file->len), (ssize_t)file->len);
    close(fd);
    free(file->bytes);
}

// The next place of the marker at or behind `from`; the file's length: none.
static size_t find(const struct whole *file, const void *marker, size_t len, size_t from)
{
    const uint8_t *at = memmem(file->bytes + from, file->len - from, marker, len);
    return at == NULL ? file->len : (size_t)(at - file->bytes);
}

size_t file_flip(const char *dir, const char *marker, size_t len, size_t at)
{
    return file_flip_in(dir, "data.mdb", marker, len, at);
}

size_t file_flip_in(const char *dir, const char *name, const void *marker, size_t len, size_t at)
{
    struct whole file = read_whole_of(dir, name);
    size_t count = 0;
    for (size_t place = find(&file, marker, len, 0); place < file.len; place = find(&file, marker, len, place + 1)) {
        file.bytes[place + at] ^= 0x10;
        count++;
    }
    write_whole(&file);
    return count;
}

size_t file_break_pages(const char *dir, const char *marker, size_t len)
{
    struct whole file = read_whole(dir);
    size_t count = 0;
    for (size_t place = find(&file, marker, len, 2 * PAGE_BYTES); place < file.len; place = find(&file, marker, len, place)) {
        size_t page = place / PAGE_BYTES * PAGE_BYTES;
        memset(file.bytes + page, 0xA5, PAGE_BYTES);
        place = page + PAGE_BYTES;
        count++;
    }
    write_whole(&file);
    return count;
}

size_t file_renumber_pages(const char *dir, const char *marker, size_t len)
{
    struct whole file = read_whole(dir);
    size_t count = 0;
    for (size_t place = find(&file, marker, len, 2 * PAGE_BYTES); place < file.len; place = find(&file, marker, len, place + 1)) {
        file.bytes[place / PAGE_BYTES * PAGE_BYTES] ^= 1;
        count++;
    }
    write_whole(&file);
    return count;
}

size_t file_change_branches(const char *dir)
{
    enum { KIND_OFFSET = 10, LOWER_OFFSET = 12, POINTERS_OFFSET = 16, NODE_BYTES = 8, BRANCH = 1 };
    struct whole file = read_whole(dir);
    size_t count = 0;
    for (size_t page = 2 * PAGE_BYTES; page + PAGE_BYTES <= file.len; page += PAGE_BYTES) {
        uint16_t kind;
        uint16_t lower;
        uint16_t node;
        memcpy(&kind, file.bytes + page + KIND_OFFSET, sizeof(kind));
        memcpy(&lower, file.bytes + page + LOWER_OFFSET, sizeof(lower));
        if (kind != BRANCH || lower < POINTERS_OFFSET + 4 || lower > PAGE_BYTES) {
            continue;
        }
        memcpy(&node, file.bytes + page + lower - 2, sizeof(node));
        if (node + NODE_BYTES + STORE_KEY_BYTES <= PAGE_BYTES) {
            file.bytes[page + node + NODE_BYTES + STORE_KEY_BYTES - 1] ^= 0x1f; // within a few entries of where it was
            count++;
        }
    }
    write_whole(&file);
    return count;
}

void file_truncate(const char *dir, off_t length)
{
    char path[256];
    path_of(path, dir, "data.mdb");
    cr_assert_eq(truncate(path, length), 0);
}

void file_overwrite(const char *dir, const char *text, size_t length)
{
    struct whole file = {.bytes = malloc(length), .len = length};
    cr_assert_not_null(file.bytes);
    path_of(file.path, dir, "data.mdb");
    for (size_t i = 0; i < length; i++) {
        file.bytes[i] = (uint8_t)text[i % strlen(text)];
    }
    write_whole(&file);
}

void file_rename(const char *dir, const char *from, const char *to)
{
    char old_path[256];
    char new_path[256];
    path_of(old_path, dir, from);
    path_of(new_path, dir, to);
    cr_assert_eq(rename(old_path, new_path), 0);
}

void file_remove(const char *dir, const char *file)
{
    char path[256];
    path_of(path, dir, file);
    cr_assert_eq(unlink(path), 0);
}

void file_copy(const char *dir, const char *from, const char *to)
{
    struct whole file = read_whole_of(dir, from);
    path_of(file.path, dir, to);
    int fd = open(file.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert(fd >= 0);
    close(fd);
    write_whole(&file);
}

void file_zero(const char *dir, const char *file)
{
    struct whole whole = read_whole_of(dir, file);
    memset(whole.bytes, 0, whole.len);
    write_whole(&whole);
}

bool file_exists(const char *dir, const char *file)
{
    char path[256];
    struct stat status;
    path_of(path, dir, file);
    return lstat(path, &status) == 0;
}

uint64_t file_bytes(const char *dir)
{
    char path[256];
    struct stat status;
    path_of(path, dir, "data.mdb");
    cr_assert_eq(stat(path, &status), 0);
    return (uint64_t)status.st_size;
}

// ----------------------------------------------------------------------------------------------------------- through LMDB itself

static MDB_env *open_env(const char *dir)
{
    MDB_env *env;
    cr_assert_eq(mdb_env_create(&env), 0);
    cr_assert_eq(mdb_env_set_maxdbs(env, TABLES_MAX), 0);
    cr_assert_eq(mdb_env_set_mapsize(env, 1u << 30), 0);
    cr_assert_eq(mdb_env_open(env, dir, MDB_NOSYNC, 0600), 0);
    return env;
}

static MDB_txn *begin(MDB_env *env, const char *table, unsigned flags, MDB_dbi *db)
{
    MDB_txn *txn;
    cr_assert_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    cr_assert_eq(mdb_dbi_open(txn, table, flags, db), 0);
    return txn;
}

static void end(MDB_env *env, MDB_txn *txn)
{
    cr_assert_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void put_text(MDB_txn *txn, MDB_dbi db, const char *name, void *data, size_t len)
{
    char copy[32];
    snprintf(copy, sizeof(copy), "%s", name);
    MDB_val key = {strlen(copy), copy};
    MDB_val value = {len, data};
    cr_assert_eq(mdb_put(txn, db, &key, &value, 0), 0);
}

void file_make_foreign_lmdb(const char *dir)
{
    char path[256];
    MDB_dbi db;
    uint8_t one = 1;
    path_of(path, dir, "data.mdb");
    cr_assert_eq(unlink(path), 0);
    MDB_env *env = open_env(dir);
    MDB_txn *txn = begin(env, "addresses", MDB_CREATE, &db);
    put_text(txn, db, "somebody", &one, 1);
    end(env, txn);
}

void file_set_format(const char *dir, uint8_t version)
{
    MDB_dbi db;
    MDB_env *env = open_env(dir);
    MDB_txn *txn = begin(env, "meta", 0, &db);
    put_text(txn, db, "format", &version, 1);
    end(env, txn);
}

void file_remove_item(const char *dir, uint64_t queue_id, uint64_t seq)
{
    MDB_dbi db;
    uint8_t bytes[STORE_KEY_BYTES];
    MDB_env *env = open_env(dir);
    MDB_txn *txn = begin(env, "items", 0, &db);
    store_key_encode(queue_id, seq, bytes);
    MDB_val key = {sizeof(bytes), bytes};
    cr_assert_eq(mdb_del(txn, db, &key, NULL), 0);
    end(env, txn);
}

size_t file_count_table(const char *dir, const char *table)
{
    MDB_dbi db;
    MDB_stat stat;
    MDB_env *env = open_env(dir);
    MDB_txn *txn = begin(env, table, 0, &db);
    cr_assert_eq(mdb_stat(txn, db, &stat), 0);
    end(env, txn);
    return stat.ms_entries;
}

// ------------------------------------------------------------------------------------------------------- LMDB's heads, its free list

// Where LMDB 0.9 keeps what in a head, counted from its page (struct MDB_meta behind a page header).
enum { FREE_ROOT_OFFSET = 80, MAIN_ROOT_OFFSET = 128, LAST_PAGE_OFFSET = 136, COMMIT_OFFSET = 144, NUMBER_BYTES = 8 };

static uint64_t number_at(const struct whole *file, size_t at)
{
    uint64_t number;
    cr_assert_leq(at + NUMBER_BYTES, file->len);
    memcpy(&number, file->bytes + at, NUMBER_BYTES);
    return number;
}

static void set_number(struct whole *file, size_t at, uint64_t number)
{
    cr_assert_leq(at + NUMBER_BYTES, file->len);
    memcpy(file->bytes + at, &number, NUMBER_BYTES);
}

static size_t newer_head(const struct whole *file)
{
    return number_at(file, COMMIT_OFFSET) > number_at(file, PAGE_BYTES + COMMIT_OFFSET) ? 0 : PAGE_BYTES;
}

uint64_t file_set_free_page(const char *dir, size_t index, uint64_t value)
{
    enum { POINTERS_OFFSET = 16, NODE_BYTES = 8, KEY_BYTES = 8 };
    struct whole file = read_whole(dir);
    size_t page = (size_t)number_at(&file, newer_head(&file) + FREE_ROOT_OFFSET) * PAGE_BYTES;
    uint16_t node;
    cr_assert_lt(page, file.len, "nothing is free");
    memcpy(&node, file.bytes + page + POINTERS_OFFSET, sizeof(node));
    size_t at = page + node + NODE_BYTES + KEY_BYTES + index * NUMBER_BYTES;
    uint64_t was = number_at(&file, at);
    set_number(&file, at, value);
    write_whole(&file);
    return was;
}

uint64_t file_root_page(const char *dir)
{
    struct whole file = read_whole(dir);
    uint64_t root = number_at(&file, newer_head(&file) + MAIN_ROOT_OFFSET);
    free(file.bytes);
    return root;
}

void file_grow_last_page(const char *dir)
{
    struct whole file = read_whole(dir);
    for (size_t head = 0; head <= PAGE_BYTES; head += PAGE_BYTES) {
        set_number(&file, head + LAST_PAGE_OFFSET, number_at(&file, head + LAST_PAGE_OFFSET) + 1);
    }
    size_t len = file.len;
    write_whole(&file);
    file_truncate(dir, (off_t)(len + PAGE_BYTES));
}

void file_raise_older_head(const char *dir)
{
    struct whole file = read_whole(dir);
    size_t newer = newer_head(&file);
    set_number(&file, PAGE_BYTES - newer + COMMIT_OFFSET, number_at(&file, newer + COMMIT_OFFSET) + 3);
    write_whole(&file);
}

void file_flip_meta(const char *dir, uint64_t key_number)
{
    MDB_dbi db;
    uint8_t bytes[STORE_KEY_BYTES];
    uint8_t copy[STORE_RECORD_BYTES_MAX];
    MDB_env *env = open_env(dir);
    MDB_txn *txn = begin(env, "meta", 0, &db);
    store_key_encode(key_number, 0, bytes);
    MDB_val key = {sizeof(bytes), bytes};
    MDB_val value;
    cr_assert_eq(mdb_get(txn, db, &key, &value), 0);
    cr_assert_leq(value.mv_size, sizeof(copy));
    memcpy(copy, value.mv_data, value.mv_size);
    copy[value.mv_size - 1] ^= 1;
    value.mv_data = copy;
    cr_assert_eq(mdb_put(txn, db, &key, &value, 0), 0);
    end(env, txn);
}
