// check: the pages of LMDB's file, as far as its interface shows them. It has no checksums; but pages bear their numbers and kinds, are
// used once or free, and are counted.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check_internal.h"

// Of LMDB 0.9: the page's number (8 bytes), 2 bytes, its kind (2), then, of pages that hold one large value, their number (4).
enum {
    KIND_OFFSET = 10,
    RUN_OFFSET = 12,
    HEADER_BYTES = 16,
    KIND_LEAF = 2,
    KIND_LARGE = 4,
    META_PAGES = 2,
    FREE_DB = 0,
    MAIN_DB = 1
};

static size_t page_bytes(const struct checking *checking)
{
    MDB_stat stat;
    return mdb_env_stat(checking->env, &stat) == 0 ? stat.ms_psize : 4096;
}

int check_pages_begin(struct checking *checking)
{
    MDB_envinfo info;
    struct check_pages *pages = &checking->pages;
    int rc = mdb_env_info(checking->env, &info);
    if (rc != 0) {
        return rc;
    }
    pages->count = (uint64_t)info.me_last_pgno + 1;
    pages->last = UINT64_MAX;
    pages->met = calloc(pages->count / 8 + 1, 1);
    return pages->met == NULL ? ENOMEM : 0;
}

static void complain(struct checking *checking, const char *what, uint64_t page)
{
    checking->report->misplaced++;
    fprintf(checking->findings, "the store's pages: %s (page %llu)\n", what, (unsigned long long)page);
}

static void mark(struct checking *checking, uint64_t page, const char *twice)
{
    struct check_pages *pages = &checking->pages;
    if (page < META_PAGES || page >= pages->count) {
        complain(checking, "one lies outside of the file", page);
        return;
    }
    if ((pages->met[page / 8] >> (page % 8) & 1) != 0) {
        complain(checking, twice, page);
        return;
    }
    pages->met[page / 8] |= (uint8_t)(1u << (page % 8));
    pages->met_count++;
}

// `run` pages that begin here, of one kind.
static void meet(struct checking *checking, const uint8_t *start, uint64_t run, uint16_t kind)
{
    struct check_pages *pages = &checking->pages;
    size_t bytes = page_bytes(checking);
    uint64_t number;
    uint16_t found_kind;
    uint32_t found_run;
    memcpy(&number, start, sizeof(number));
    memcpy(&found_kind, start + KIND_OFFSET, sizeof(found_kind));
    memcpy(&found_run, start + RUN_OFFSET, sizeof(found_run));
    if (pages->base == NULL) {
        pages->base = start - number * bytes;
    }
    uint64_t page = (uint64_t)(start - pages->base) / bytes;
    if (page == pages->last) {
        return;
    }
    pages->last = kind == KIND_LEAF ? page : pages->last;
    if (number != page || found_kind != kind || (kind == KIND_LARGE && found_run != run)) {
        complain(checking, "one is not what it should be", page);
    }
    for (uint64_t i = 0; i < run; i++) {
        mark(checking, page + i, "one is used twice");
    }
}

void check_pages_meet(struct checking *checking, const MDB_val *key, const MDB_val *value)
{
    size_t bytes = page_bytes(checking);
    const uint8_t *leaf = (const uint8_t *)key->mv_data - (uintptr_t)key->mv_data % bytes;
    const uint8_t *at = value->mv_data;
    meet(checking, leaf, 1, KIND_LEAF);
    if (at < leaf || at >= leaf + bytes) {
        meet(checking, at - (uintptr_t)at % bytes, (HEADER_BYTES + value->mv_size + bytes - 1) / bytes, KIND_LARGE);
    }
}

static int meet_table(struct checking *checking, MDB_dbi db, void (*each)(struct checking *checking, const MDB_val *value))
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int rc = mdb_cursor_open(checking->txn, db, &cursor);
    if (rc != 0) {
        return rc;
    }
    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        check_pages_meet(checking, &key, &value);
        if (each != NULL) {
            each(checking, &value);
        }
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

// A count, then so many numbers of pages, falling.
static void mark_free(struct checking *checking, const MDB_val *value)
{
    uint64_t count = 0;
    const uint8_t *at = value->mv_data;
    if (value->mv_size >= sizeof(count)) {
        memcpy(&count, at, sizeof(count));
    }
    if (value->mv_size < sizeof(count) || count > value->mv_size / sizeof(count) - 1) {
        complain(checking, "a list of free ones is longer than its place", 0);
        return;
    }
    uint64_t last = UINT64_MAX;
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t page;
        memcpy(&page, at + i * sizeof(page), sizeof(page));
        if (page >= last) {
            complain(checking, "a list of free ones is out of order", page);
        }
        last = page;
        mark(checking, page, "one is used, and free");
    }
}

int check_pages_end(struct checking *checking)
{
    uint64_t branches = 0;
    MDB_stat stat;
    int rc = meet_table(checking, MAIN_DB, NULL);
    rc = rc == 0 ? meet_table(checking, FREE_DB, mark_free) : rc;
    for (MDB_dbi db = 0; rc == 0 && db < 2 + DB_COUNT; db++) {
        rc = mdb_stat(checking->txn, db < 2 ? db : checking->db[db - 2], &stat);
        branches += rc == 0 ? stat.ms_branch_pages : 0;
    }
    uint64_t known = checking->pages.met_count + branches + META_PAGES;
    if (rc == 0 && known != checking->pages.count) {
        checking->report->misplaced++;
        fprintf(checking->findings, "the store's pages: %llu are used or free, %llu there are\n", (unsigned long long)known,
                (unsigned long long)checking->pages.count);
    }
    free(checking->pages.met);
    checking->pages.met = NULL;
    return rc;
}
