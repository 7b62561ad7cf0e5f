// The overlay: what is put and finished within it leaves nothing behind, in memory and for the store below.
#include <criterion/criterion.h>
#include <inttypes.h>

#include "overlay.h"

enum { QUEUE = 3, SESSION = 5, BODY_BYTES = 300 };

static enum nq_status find_nothing(void *context, uint64_t queue_id, uint64_t seq, struct store_item *item)
{
    (void)context;
    (void)queue_id;
    (void)seq;
    (void)item;
    return NQ_EMPTY;
}

static void apply(struct overlay *overlay, struct change change)
{
    const struct overlay_below below = {.find = find_nothing};
    struct changes *changes = changes_create();
    cr_assert_not_null(changes);
    cr_assert(changes_add(changes, &change));
    cr_assert(overlay_apply(overlay, changes, &below));
    changes_destroy(&changes);
}

static void put(struct overlay *overlay, uint64_t seq)
{
    static uint8_t bytes[BODY_BYTES];
    const struct engine_bytes body = {BODY_BYTES, bytes};
    apply(overlay,
          (struct change){.kind = CHANGE_PUT, .as.put = {.queue_id = QUEUE, .first_seq = seq, .count = 1, .bodies = &body}});
}

static void lease_as_run(struct overlay *overlay, uint64_t seq)
{
    const struct run_record run = {.queue_id = QUEUE, .first_seq = seq, .last_seq = seq, .session_no = SESSION};
    apply(overlay, (struct change){.kind = CHANGE_RUN, .as.run = &run});
}

static void record(struct overlay *overlay, uint64_t seq)
{
    const struct item_record item = {.queue_id = QUEUE, .seq = seq, .state = ITEM_LEASED, .session_no = SESSION};
    apply(overlay, (struct change){.kind = CHANGE_ITEM, .as.item = &item});
}

static void drop_run(struct overlay *overlay, uint64_t seq)
{
    apply(overlay, (struct change){.kind = CHANGE_RUN_DROP, .as.run_drop = {QUEUE, seq}});
}

static void drop_record(struct overlay *overlay, uint64_t seq)
{
    apply(overlay, (struct change){.kind = CHANGE_ITEM_DROP, .as.item_drop = {QUEUE, seq}});
}

static void remove_item(struct overlay *overlay, uint64_t seq)
{
    apply(overlay, (struct change){.kind = CHANGE_REMOVE, .as.remove = {QUEUE, seq, seq}});
}

// How many changes of the kind a store below is given.
static size_t emitted(const struct overlay *overlay, enum change_kind kind)
{
    size_t count = 0;
    struct changes *changes = changes_create();
    cr_assert(overlay_emit(overlay, changes));
    for (size_t i = 0; i < changes_count(changes); i++) {
        count += changes_at(changes, i)->kind == kind ? 1 : 0;
    }
    changes_destroy(&changes);
    return count;
}

Test(overlay, a_run_that_ends_before_its_items_are_removed_was_never_there)
{
    struct overlay *overlay = overlay_create();
    put(overlay, 1);
    lease_as_run(overlay, 1);
    drop_run(overlay, 1);
    remove_item(overlay, 1);
    cr_expect_eq(emitted(overlay, CHANGE_RUN) + emitted(overlay, CHANGE_RUN_DROP), 0);
    overlay_destroy(&overlay);
}

Test(overlay, a_run_that_ends_after_its_items_were_removed_was_never_there)
{
    struct overlay *overlay = overlay_create();
    put(overlay, 1);
    lease_as_run(overlay, 1);
    remove_item(overlay, 1);
    drop_run(overlay, 1);
    cr_expect_eq(emitted(overlay, CHANGE_RUN) + emitted(overlay, CHANGE_RUN_DROP), 0);
    overlay_destroy(&overlay);
}

Test(overlay, a_record_of_an_item_that_was_put_here_is_dropped_without_a_word_to_the_store_below)
{
    struct overlay *overlay = overlay_create();
    put(overlay, 1);
    record(overlay, 1);
    drop_record(overlay, 1);
    cr_expect_eq(emitted(overlay, CHANGE_ITEM) + emitted(overlay, CHANGE_ITEM_DROP), 0);
    cr_expect_eq(emitted(overlay, CHANGE_COPY), 1, "the item stays");
    overlay_destroy(&overlay);
}

// The store below has the item, and perhaps a record and a run of it.
Test(overlay, what_is_dropped_of_an_item_below_is_told_to_the_store_below)
{
    struct overlay *overlay = overlay_create();
    record(overlay, 1);
    drop_record(overlay, 1);
    lease_as_run(overlay, 2);
    drop_run(overlay, 2);
    cr_expect_eq(emitted(overlay, CHANGE_ITEM_DROP), 1);
    cr_expect_eq(emitted(overlay, CHANGE_RUN_DROP), 1);
    overlay_destroy(&overlay);
}

Test(overlay, items_that_come_and_go_take_no_more_memory_however_many)
{
    enum { CYCLES = 20000, SETTLED = 100 };
    struct overlay *overlay = overlay_create();
    size_t settled_bytes = 0;
    for (uint64_t seq = 1; seq <= CYCLES; seq++) {
        overlay_reuse(overlay); // nobody reads
        put(overlay, seq);
        lease_as_run(overlay, seq);
        drop_run(overlay, seq);
        record(overlay, seq);
        drop_record(overlay, seq);
        remove_item(overlay, seq);
        settled_bytes = seq == SETTLED ? overlay_bytes(overlay) : settled_bytes;
    }
    cr_expect_leq(overlay_bytes(overlay), settled_bytes, "%zu bytes after %d, %zu after %d", settled_bytes, SETTLED,
                  overlay_bytes(overlay), CYCLES);
    cr_expect_eq(emitted(overlay, CHANGE_REMOVE), 0);
    overlay_destroy(&overlay);
}

Test(overlay, bytes_that_were_found_stay_until_they_may_be_used_again)
{
    struct overlay *overlay = overlay_create();
    struct store_item item;
    put(overlay, 1);
    cr_assert_eq(overlay_find(overlay, QUEUE, 1, &item), OVERLAY_ITEM);
    remove_item(overlay, 1);
    put(overlay, 2); // of the same size
    struct store_item second;
    cr_assert_eq(overlay_find(overlay, QUEUE, 2, &second), OVERLAY_ITEM);
    cr_expect_neq(item.body.data, second.body.data, "a reader may still look at it");
    overlay_destroy(&overlay);
}

static enum nq_status fail_to_find(void *context, uint64_t queue_id, uint64_t seq, struct store_item *item)
{
    (void)find_nothing(context, queue_id, seq, item);
    return NQ_STORAGE_FAILED;
}

// It is there: that it cannot be read now must not be taken for its having gone.
Test(overlay, a_move_of_an_item_that_cannot_be_read_does_not_remove_it)
{
    const struct overlay_below below = {.find = fail_to_find};
    const struct change move = {.kind = CHANGE_MOVE,
                                .as.move = {.queue_id = QUEUE, .seq = 1, .to_queue_id = QUEUE + 1, .to_seq = 1}};
    struct overlay *overlay = overlay_create();
    struct changes *changes = changes_create();
    cr_assert(overlay != NULL && changes != NULL && changes_add(changes, &move));
    cr_expect_not(overlay_apply(overlay, changes, &below));
    cr_expect_eq(emitted(overlay, CHANGE_REMOVE), 0u);
    changes_destroy(&changes);
    overlay_destroy(&overlay);
}
