// What the files of `netqueue-broker check` share.
#pragma once
#include <stdio.h>

#include "lmdb_internal.h"
#include "store_offline.h"

// Which pages the walk has met.
struct check_pages {
    const uint8_t *base; // where page 0 is mapped
    uint8_t *met;        // a bit for each page
    uint64_t count;      // pages that the file should have
    uint64_t met_count;
    uint64_t last; // the page met last: its entries come one after the other
};

struct checking {
    MDB_env *env;
    MDB_dbi db[DB_COUNT];
    uint8_t id[16];
    MDB_txn *txn;
    FILE *findings;
    struct store_check_report *report;
    struct check_pages pages;
    uint64_t journaled; // number of the journal's last group that is in; 0: none, or not known
};

// One line for people, counted.
void check_found(struct checking *checking, uint64_t *counter, const char *what, const MDB_val *key);
int check_all(struct checking *checking); // 0, or what LMDB says

// check_pages.c. LMDB has no checksums, but pages bear their numbers, belong to one table or to the list of free ones, and are counted.
int check_pages_begin(struct checking *checking);
void check_pages_meet(struct checking *checking, const MDB_val *key, const MDB_val *value);
int check_pages_end(struct checking *checking); // after all tables

// check_journal.c
void check_journal(struct checking *checking, const char *dir);
