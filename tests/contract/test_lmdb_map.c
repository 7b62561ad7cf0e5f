// A limited address space leaves the store a small map. It says that it is full before the map is.
#include <criterion/criterion.h>
#include <stdio.h>

#include "store_disk.h"
#include "store_rig.h"

enum { MEBI = 1024 * 1024, MAP_BYTES = 96 * MEBI, ITEM_BYTES = 10000, ITEMS = 100 };

static const uint8_t id[16] = "a store to test";

static void start_with_small_map(struct store_rig *rig)
{
    char parent[sizeof(rig->parent)];
    rig_make_parent(parent, sizeof(parent));
    *rig = (struct store_rig){.kind = STORE_DISK, .changes = changes_create()};
    snprintf(rig->parent, sizeof(rig->parent), "%s", parent);
    snprintf(rig->dir, sizeof(rig->dir), "%s/store", parent);
}

static void open_with_small_map(struct store_rig *rig)
{
    struct store_error error = {0};
    const struct store_lmdb_options options = {.dir = rig->dir, .map_bytes_max = MAP_BYTES, .new_store_id = id};
    cr_assert_eq(store_disk_open(&options, &rig->store, &error), NQ_OK, "%s", error.text);
}

// As the front end sees it.
static bool is_full(struct store_rig *rig)
{
    struct store_space space;
    cr_assert_eq(store_space(rig->store, &space), NQ_OK);
    return space.limit_bytes > 0 && space.used_bytes >= space.limit_bytes;
}

static void put_more(struct store_rig *rig, uint64_t *next_seq)
{
    rig_put(rig, (struct rig_put){1, *next_seq, .count = ITEMS, .body_len = ITEM_BYTES});
    *next_seq += ITEMS;
    rig_queue(rig, 1, *next_seq, 1, *next_seq - 1);
    rig_commit(rig);
}

static void assert_stored(struct store_rig *rig, uint64_t seq)
{
    struct store_item item;
    cr_assert_eq(store_read_begin(rig->store, NULL), NQ_OK);
    cr_assert_eq(store_read(rig->store, 1, seq, &item), NQ_OK);
    cr_assert(rig_is_filled(item.body, 1, seq, 'b'));
    store_read_end(rig->store);
}

Test(lmdb_map, a_small_map_is_full_before_it_fills, .timeout = 120)
{
    struct store_rig rig;
    uint64_t next_seq = 1;
    start_with_small_map(&rig);
    open_with_small_map(&rig);
    while (!is_full(&rig)) {
        cr_assert(next_seq * ITEM_BYTES < MAP_BYTES, "%d bytes, and no end", (int)next_seq * ITEM_BYTES);
        put_more(&rig, &next_seq);
    }
    cr_assert_gt(next_seq * ITEM_BYTES, MAP_BYTES / 2);
    put_more(&rig, &next_seq); // accepted before somebody looked
    put_more(&rig, &next_seq);
    store_close(&rig.store); // all of it goes into the map
    open_with_small_map(&rig);
    cr_assert(is_full(&rig));
    assert_stored(&rig, next_seq - 1);
    rig_remove(&rig, 1, 1, next_seq - 1);
    rig_queue(&rig, 1, next_seq, next_seq, 0);
    rig_commit(&rig);
    store_close(&rig.store);
    open_with_small_map(&rig);
    cr_assert(!is_full(&rig));
    put_more(&rig, &next_seq);
    rig_end(&rig);
}
