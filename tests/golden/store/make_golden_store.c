// Writes the golden store, once per format version: make_golden_store FOLDER, then FOLDER/data.mdb is committed.
#include <stdio.h>

#include "contents.h"
#include "store_lmdb.h"
#include "store_offline.h"

int main(int argc, char **argv)
{
    static const uint8_t id[16] = "golden store id";
    struct store_lmdb_options options = {.dir = argc == 2 ? argv[1] : NULL, .sync = true, .new_store_id = id};
    struct store_rig rig = {.kind = STORE_LMDB, .changes = changes_create()};
    struct store_error error = {0};
    uint64_t before;
    uint64_t after;
    if (argc != 2 || rig.changes == NULL || store_lmdb_open(&options, &rig.store, &error) != NQ_OK) {
        fprintf(stderr, "usage: make_golden_store FOLDER\n%s\n", error.text);
        return 1;
    }
    golden_add(&rig);
    enum nq_status status = rig_try_commit(&rig, &error);
    store_close(&rig.store);
    changes_destroy(&rig.changes);
    if (status == NQ_OK) {
        status = store_lmdb_compact(argv[1], &before, &after, &error); // small
    }
    if (status != NQ_OK) {
        fprintf(stderr, "%s\n", error.text);
    }
    return status == NQ_OK ? 0 : 1;
}
