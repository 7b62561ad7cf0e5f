// What store.h promises of every store: commits, loading, reading.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_each.h"

static struct store_item read_item(struct store_rig *rig, uint64_t queue_id, uint64_t seq)
{
    struct store_item item;
    enum nq_status status = store_read(rig->store, queue_id, seq, &item);
    cr_assert_eq(status, NQ_OK, "%lu:%lu %s", queue_id, seq, nq_status_name(status));
    cr_assert_eq(item.seq, seq);
    return item;
}

static bool has_item(struct store_rig *rig, uint64_t queue_id, uint64_t seq)
{
    struct store_item item;
    cr_assert_eq(store_read_begin(rig->store, NULL), NQ_OK);
    enum nq_status status = store_read(rig->store, queue_id, seq, &item);
    store_read_end(rig->store);
    cr_assert(status == NQ_OK || status == NQ_EMPTY);
    return status == NQ_OK;
}

STORE_TEST(new_store_is_empty_and_has_a_zeroed_meta)
{
    char *state = rig_state(rig->store);
    cr_assert_str_eq(state, "meta now 0 epoch 0 next queue 0 next session 0 clean 0\n");
    free(state);
    uint8_t id[16];
    store_id(rig->store, id);
    cr_assert_arr_eq(id, "a store to test", 16);
    cr_assert_eq(store_commit_blocks(rig->store), rig->kind != STORE_MEMORY);
}

STORE_TEST(item_is_read_as_it_was_put)
{
    rig_put(rig, (struct rig_put){1, 5, .count = 3, .body_len = 100, .headers_len = 20, .accepted_ms = 4711, .put_bytes = 1000});
    rig_commit(rig);
    rig_reopen(rig);
    cr_assert_eq(store_read_begin(rig->store, NULL), NQ_OK);
    for (uint64_t seq = 5; seq < 8; seq++) {
        struct store_item item = read_item(rig, 1, seq);
        cr_assert_eq(item.accepted_ms, 4711);
        cr_assert_eq(item.put_bytes, 1000 + (seq - 5) * 120);
        cr_assert_eq(item.body.len, 100);
        cr_assert_eq(item.headers.len, 20);
        cr_assert_eq(item.own_headers.len, 20);
        cr_assert(rig_is_filled(item.body, 1, seq, 'b'));
        cr_assert(rig_is_filled(item.headers, 1, seq, 'h'));
    }
    store_read_end(rig->store);
}

STORE_TEST(empty_and_largest_bodies_are_kept)
{
    enum { MEBI = 1024 * 1024 };
    rig_put(rig, (struct rig_put){1, 1, .count = 1});
    rig_put(rig, (struct rig_put){1, 2, .count = 3, .body_len = MEBI, .headers_len = 4096});
    rig_commit(rig);
    rig_reopen(rig);
    cr_assert_eq(store_read_begin(rig->store, NULL), NQ_OK);
    cr_assert_eq(read_item(rig, 1, 1).body.len, 0);
    for (uint64_t seq = 2; seq < 5; seq++) {
        struct store_item item = read_item(rig, 1, seq);
        cr_assert_eq(item.body.len, MEBI);
        cr_assert(rig_is_filled(item.body, 1, seq, 'b'));
        cr_assert(rig_is_filled(item.headers, 1, seq, 'h'));
    }
    store_read_end(rig->store);
}

// ----------------------------------------------------------------------------------------------------------------------- load

static void add_one_of_each(struct store_rig *rig)
{
    struct meta_record meta = {.now_ms = 5, .epoch = 6, .next_queue_id = 7, .next_session_no = 8, .clean = true};
    struct change change = {.kind = CHANGE_META, .as.meta = &meta};
    rig_stream(rig, 2, 0xFFFFFFFFFFFFFFFFull, 4); // not in the order in which they are to be loaded
    rig_stream(rig, 1, 3, 9);
    rig_run(rig, 2, 1, 2);
    rig_item(rig, 2, 3, ITEM_DELAYED);
    rig_item(rig, 1, 1, ITEM_READY);
    rig_session(rig, 300);
    rig_session(rig, 4);
    rig_queue(rig, 2, 4, 3, 3);
    rig_queue(rig, 1, 2, 2, 1);
    rig_put(rig, (struct rig_put){2, 1, .count = 3, .body_len = 10});
    rig_put(rig, (struct rig_put){1, 1, .count = 1, .body_len = 11});
    rig_add(rig, change);
}

static const char one_of_each[] =
    "meta now 5 epoch 6 next queue 7 next session 8 clean 1\n"
    "queue 1 queue-1 state 1 deleted 0 temporary 1 dead letters dead-1 given 0 deliveries 7 1000 0 0 0 0 2 2 0 0 0 1 0 0 0 1 0 0 0 "
    "0 "
    "0 0 0 0 0 6\n"
    "queue 2 queue-2 state 1 deleted 0 temporary 0 dead letters dead-2 given 0 deliveries 7 2000 0 0 0 0 4 3 0 0 0 3 0 0 0 3 0 0 0 "
    "0 "
    "0 0 0 0 0 7\n"
    "session 4 id SID4 token STOKEN4 renewed 1234 workers 6\n"
    "session 300 id SID300 token STOKEN300 renewed 1234 workers 6\n"
    "item 1:1 state 1 redelivered 1 put delayed 0 deliveries 3 failures 2 due 10 session 9 get 8 at 7 lease 6 hold 5 taken 0\n"
    "item 2:3 state 2 redelivered 1 put delayed 0 deliveries 3 failures 2 due 30 session 9 get 8 at 7 lease 6 hold 5 taken 0\n"
    "run 2:1-2 session 4 get 3 at 2 lease 60000 hold 1 taken 1 redelivered 1\n"
    "stream 1:3 number 9 seq 10 used 77\n"
    "stream 2:18446744073709551615 number 4 seq 5 used 77\n"
    "stored 1:1 11 bytes\n"
    "stored 2:1 10 bytes\n"
    "stored 2:2 10 bytes\n"
    "stored 2:3 10 bytes\n";

// The ids and tokens of sessions are told as checksums: a line is compared without them.
static void assert_loads(struct store_rig *rig)
{
    char *text = rig_load(rig->store);
    char *saved;
    char *expected = strdup(one_of_each);
    char *want = strtok_r(expected, "\n", &saved);
    for (const char *at = text; *at != '\0'; want = strtok_r(NULL, "\n", &saved)) {
        const char *end = strchr(at, '\n');
        cr_assert_not_null(want, "more than expected: %s", at);
        if (strncmp(want, "session", 7) == 0) {
            cr_assert_eq(strncmp(at, want, strcspn(want, "S")), 0, "%s", at);
            cr_assert_not_null(strstr(at, " renewed 1234 workers 6\n"));
        } else {
            cr_assert(strlen(want) == (size_t)(end - at) && strncmp(at, want, strlen(want)) == 0, "%.*s\n%s", (int)(end - at), at,
                      want);
        }
        at = end + 1;
    }
    cr_assert_null(want, "missing: %s", want);
    free(expected);
    free(text);
}

STORE_TEST(load_tells_every_kind_of_record_in_order)
{
    add_one_of_each(rig);
    rig_commit(rig);
    assert_loads(rig);
    rig_reopen(rig);
    assert_loads(rig);
}

STORE_TEST(records_are_replaced_and_dropped)
{
    add_one_of_each(rig);
    rig_commit(rig);
    rig_stream(rig, 1, 3, 20);
    rig_add(rig, (struct change){.kind = CHANGE_SESSION_DROP, .as.session_drop = {4}});
    rig_add(rig, (struct change){.kind = CHANGE_RUN_DROP, .as.run_drop = {2, 1}});
    rig_add(rig, (struct change){.kind = CHANGE_ITEM_DROP, .as.item_drop = {2, 3}});
    rig_add(rig, (struct change){.kind = CHANGE_STREAM_DROP, .as.stream_drop = {2, UINT64_MAX}});
    rig_add(rig, (struct change){.kind = CHANGE_STREAM_DROP, .as.stream_drop = {2, 1}}); // was not there
    rig_commit(rig);
    rig_reopen(rig);
    char *text = rig_load(rig->store);
    cr_assert(rig_text_has(text, "stream 1:3 number 20 seq 21 used 77"));
    cr_assert_null(strstr(text, "session 4 "));
    cr_assert_not_null(strstr(text, "session 300 "));
    cr_assert_null(strstr(text, "run "));
    cr_assert_null(strstr(text, "item 2:3"));
    cr_assert_not_null(strstr(text, "item 1:1"));
    cr_assert_null(strstr(text, "stream 2:"));
    free(text);
    cr_assert(has_item(rig, 2, 3), "dropping the record of an item leaves the item");
}

STORE_TEST(queue_drop_takes_its_streams_and_no_others)
{
    for (uint64_t stream = 1; stream <= 100; stream++) {
        rig_stream(rig, 1, stream * 977, 1);
        rig_stream(rig, 2, stream * 977, 1);
        rig_stream(rig, 3, stream * 977, 1);
    }
    rig_queue(rig, 1, 1, 1, 0);
    rig_queue(rig, 2, 1, 1, 0);
    rig_queue(rig, 3, 1, 1, 0);
    rig_commit(rig);
    rig_add(rig, (struct change){.kind = CHANGE_QUEUE_DROP, .as.queue_drop = {2}});
    rig_commit(rig);
    rig_reopen(rig);
    char *text = rig_load(rig->store);
    cr_assert_null(strstr(text, "queue 2 "));
    cr_assert_null(strstr(text, "stream 2:"));
    for (uint64_t stream = 1; stream <= 100; stream++) {
        char line[100];
        snprintf(line, sizeof(line), "stream 1:%lu number 1 seq 2 used 77", stream * 977);
        cr_assert(rig_text_has(text, line));
        line[7] = '3';
        cr_assert(rig_text_has(text, line));
    }
    free(text);
}

// A load that a callback stops ends there, with NO_MEMORY.
static bool refuse_meta(void *context, const struct meta_record *record)
{
    (void)record;
    ++*(int *)context;
    return false;
}

static bool accept_meta(void *context, const struct meta_record *record)
{
    (void)context;
    (void)record;
    return true;
}

static bool refuse_queue(void *context, const struct queue_record *record)
{
    (void)record;
    ++*(int *)context;
    return false;
}

STORE_TEST(load_stops_when_a_callback_says_so)
{
    int calls = 0;
    struct store_error error = {0};
    struct store_loader loader = {.context = &calls, .meta = refuse_meta};
    add_one_of_each(rig);
    rig_commit(rig);
    cr_assert_eq(store_load(rig->store, &loader, &error), NQ_NO_MEMORY);
    cr_assert_eq(calls, 1);
    cr_assert_eq(error.status, NQ_NO_MEMORY);
    cr_assert_neq(error.text[0], '\0');
    loader.meta = accept_meta;
    loader.queue = refuse_queue;
    cr_assert_eq(store_load(rig->store, &loader, NULL), NQ_NO_MEMORY);
    cr_assert_eq(calls, 2);
}

// --------------------------------------------------------------------------------------------------------------------- stored

static void assert_stored(struct store_rig *rig, const char *expected)
{
    rig_reopen(rig);
    char *stored = rig_stored(rig->store);
    cr_assert_str_eq(stored, expected);
    free(stored);
}

static void add_queue_with_marks(struct store_rig *rig, uint64_t cursor, uint64_t reclaimed_below, uint64_t gone_below)
{
    struct queue_record record = {.queue_id = 1, .name = "q", .name_len = 1, .next_seq = 21, .cursor = cursor};
    record.reclaimed_below = reclaimed_below;
    record.gone_below = gone_below;
    rig_put(rig, (struct rig_put){1, 1, .count = 20, .body_len = 3});
    rig_put(rig, (struct rig_put){2, 1, .count = 3, .body_len = 3}); // of a queue without a record: never told
    rig_add(rig, (struct change){.kind = CHANGE_QUEUE, .as.queue = &record});
}

STORE_TEST(stored_tells_items_below_the_cursor_only)
{
    add_queue_with_marks(rig, 6, 0, 0);
    rig_remove(rig, 1, 2, 3);
    rig_commit(rig);
    assert_stored(rig, "1:1 1:4 1:5");
}

STORE_TEST(stored_skips_what_is_being_reclaimed)
{
    add_queue_with_marks(rig, 12, 4, 9);
    rig_commit(rig);
    assert_stored(rig, "1:1 1:2 1:3 1:9 1:10 1:11");
}

STORE_TEST(stored_skips_what_is_being_reclaimed_beyond_the_cursor)
{
    add_queue_with_marks(rig, 6, 4, 15);
    rig_item(rig, 1, 14, ITEM_LEASED);
    rig_item(rig, 1, 16, ITEM_DELAYED);
    rig_commit(rig);
    assert_stored(rig, "1:1 1:2 1:3 1:14 1:16");
}

STORE_TEST(stored_tells_what_is_named_inside_the_reclaimed_gap)
{
    add_queue_with_marks(rig, 12, 4, 11);
    rig_item(rig, 1, 5, ITEM_LEASED);
    rig_run(rig, 1, 7, 8);
    rig_commit(rig);
    assert_stored(rig, "1:1 1:2 1:3 1:5 1:7 1:8 1:11");
}

STORE_TEST(stored_tells_each_item_once_and_rising_where_records_and_runs_overlap)
{
    add_queue_with_marks(rig, 4, 2, 10);
    rig_run(rig, 1, 1, 6); // from below the gap into it
    rig_item(rig, 1, 3, ITEM_LEASED);
    rig_item(rig, 1, 5, ITEM_READY);
    rig_run(rig, 1, 9, 12); // out of it, beyond the cursor
    rig_item(rig, 1, 10, ITEM_LEASED);
    rig_item(rig, 1, 12, ITEM_LEASED);
    rig_item(rig, 1, 20, ITEM_DELAYED);
    rig_remove(rig, 1, 11, 11);
    rig_commit(rig);
    assert_stored(rig, "1:1 1:2 1:3 1:4 1:5 1:6 1:9 1:10 1:12 1:20");
}

STORE_TEST(stored_tells_named_items_above_the_cursor)
{
    add_queue_with_marks(rig, 1, 0, 0);
    rig_item(rig, 1, 7, ITEM_DELAYED);
    rig_item(rig, 1, 30, ITEM_DELAYED); // of no item
    rig_run(rig, 1, 18, 25);
    rig_commit(rig);
    assert_stored(rig, "1:7 1:18 1:19 1:20");
}

// --------------------------------------------------------------------------------------------------------------------- remove

STORE_TEST(remove_takes_a_range_with_holes_and_its_item_records)
{
    rig_queue(rig, 1, 3000, 1, 0);
    rig_put(rig, (struct rig_put){1, 1, .count = 1000, .body_len = 30});
    rig_put(rig, (struct rig_put){1, 2000, .count = 1000, .body_len = 30});
    rig_put(rig, (struct rig_put){2, 1, .count = 5, .body_len = 30});
    for (uint64_t seq = 1; seq <= 1000; seq += 100) {
        rig_item(rig, 1, seq, ITEM_READY);
        rig_item(rig, 2, seq, ITEM_READY);
    }
    rig_commit(rig);
    rig_remove(rig, 1, 302, 302);
    rig_remove(rig, 1, 500, 500);
    rig_commit(rig);
    rig_remove(rig, 1, 102, 2500);
    rig_commit(rig);
    rig_reopen(rig);
    cr_assert(has_item(rig, 1, 101));
    cr_assert_not(has_item(rig, 1, 102));
    cr_assert_not(has_item(rig, 1, 2500));
    cr_assert(has_item(rig, 1, 2501));
    cr_assert(has_item(rig, 2, 5), "another queue");
    char *text = rig_load(rig->store);
    cr_assert_not_null(strstr(text, "item 1:101 "));
    cr_assert_null(strstr(text, "item 1:201 "));
    cr_assert_null(strstr(text, "item 1:901 "));
    cr_assert_not_null(strstr(text, "item 2:901 "));
    free(text);
}

STORE_TEST(remove_takes_the_widest_range_and_what_is_not_there)
{
    rig_put(rig, (struct rig_put){3, 1, .count = 10, .body_len = 5});
    rig_put(rig, (struct rig_put){3, 1ull << 40, .count = 10, .body_len = 5});
    rig_put(rig, (struct rig_put){4, 1, .count = 1, .body_len = 5});
    rig_item(rig, 3, (1ull << 40) + 4, ITEM_READY);
    rig_commit(rig);
    rig_remove(rig, 9, 1, 100);
    rig_remove(rig, 3, 0, UINT64_MAX);
    rig_remove(rig, 5, 1, 1);
    rig_commit(rig);
    char *text = rig_state(rig->store);
    cr_assert_null(strstr(text, "\n3:"));
    cr_assert_null(strstr(text, "item 3:"));
    cr_assert_not_null(strstr(text, "\n4:1 "));
    free(text);
}

STORE_TEST(put_and_remove_in_one_commit_leave_what_was_put_later)
{
    rig_put(rig, (struct rig_put){1, 1, .count = 4, .body_len = 5});
    rig_remove(rig, 1, 1, 4);
    rig_put(rig, (struct rig_put){1, 5, .count = 1, .body_len = 5});
    rig_commit(rig);
    for (uint64_t seq = 1; seq <= 5; seq++) {
        cr_assert_eq(has_item(rig, 1, seq), seq == 5);
    }
}

// ----------------------------------------------------------------------------------------------------------- move, quarantine

static const uint8_t added_bytes[] = "added by the move";

static void add_move(struct store_rig *rig, uint64_t from, uint64_t seq, uint64_t to, uint64_t to_seq, size_t add_len, bool strip)
{
    struct change change = {.kind = CHANGE_MOVE,
                            .as.move = {.queue_id = from,
                                        .seq = seq,
                                        .to_queue_id = to,
                                        .to_seq = to_seq,
                                        .add_headers = {add_len, add_len == 0 ? NULL : added_bytes},
                                        .strip_headers = strip,
                                        .accepted_ms = 99,
                                        .put_bytes = 12345}};
    rig_add(rig, change);
}

STORE_TEST(move_appends_headers_and_redrive_strips_them)
{
    rig_put(rig, (struct rig_put){1, 1, .count = 2, .body_len = 50, .headers_len = 10, .accepted_ms = 1});
    rig_item(rig, 1, 1, ITEM_LEASED);
    rig_commit(rig);
    add_move(rig, 1, 1, 2, 7, sizeof(added_bytes), false);
    rig_commit(rig);
    rig_reopen(rig);
    cr_assert_not(has_item(rig, 1, 1));
    char *text = rig_load(rig->store);
    cr_assert_null(strstr(text, "item 1:1 "), "its record goes, too");
    free(text);
    cr_assert_eq(store_read_begin(rig->store, NULL), NQ_OK);
    struct store_item moved = read_item(rig, 2, 7);
    cr_assert_eq(moved.own_headers.len, 10);
    cr_assert_eq(moved.headers.len, 10 + sizeof(added_bytes));
    cr_assert(rig_is_filled(moved.own_headers, 1, 1, 'h'));
    cr_assert_arr_eq(moved.headers.data + 10, added_bytes, sizeof(added_bytes));
    cr_assert(moved.body.len == 50 && rig_is_filled(moved.body, 1, 1, 'b'));
    cr_assert_eq(moved.accepted_ms, 99);
    cr_assert_eq(moved.put_bytes, 12345);
    store_read_end(rig->store);
    add_move(rig, 2, 7, 3, 1, 5, false); // a second time: both additions are kept
    rig_commit(rig);
    cr_assert_eq(store_read_begin(rig->store, NULL), NQ_OK);
    moved = read_item(rig, 3, 1);
    cr_assert_eq(moved.headers.len, 10 + sizeof(added_bytes) + 5);
    cr_assert_eq(moved.own_headers.len, 10);
    store_read_end(rig->store);
    add_move(rig, 3, 1, 1, 3, 0, true);
    rig_commit(rig);
    cr_assert_eq(store_read_begin(rig->store, NULL), NQ_OK);
    moved = read_item(rig, 1, 3);
    cr_assert_eq(moved.headers.len, 10);
    cr_assert_eq(moved.own_headers.len, 10);
    cr_assert(rig_is_filled(moved.headers, 1, 1, 'h'));
    cr_assert(moved.body.len == 50 && rig_is_filled(moved.body, 1, 1, 'b'));
    store_read_end(rig->store);
}

STORE_TEST(move_of_an_item_put_in_the_same_commit_and_of_one_not_there)
{
    rig_put(rig, (struct rig_put){1, 1, .count = 1, .body_len = 50});
    add_move(rig, 1, 1, 2, 1, 3, false);
    add_move(rig, 1, 8, 2, 2, 3, false);
    rig_commit(rig);
    cr_assert_not(has_item(rig, 1, 1));
    cr_assert(has_item(rig, 2, 1));
    cr_assert_not(has_item(rig, 2, 2));
}

STORE_TEST(large_items_move_whole_into_their_own_queue)
{
    rig_put(rig, (struct rig_put){1, 1, .count = 3, .body_len = 1024 * 1024, .headers_len = 100});
    rig_commit(rig);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        add_move(rig, 1, seq, 1, seq + 3, 4, false);
    }
    rig_commit(rig);
    cr_assert_eq(store_read_begin(rig->store, NULL), NQ_OK);
    for (uint64_t seq = 4; seq <= 6; seq++) {
        struct store_item item = read_item(rig, 1, seq);
        cr_assert(item.body.len == 1024 * 1024 && rig_is_filled(item.body, 1, seq - 3, 'b'));
    }
    store_read_end(rig->store);
}

STORE_TEST(quarantine_takes_the_item_and_its_record_away)
{
    rig_put(rig, (struct rig_put){1, 1, .count = 3, .body_len = 50});
    rig_item(rig, 1, 2, ITEM_LEASED);
    rig_commit(rig);
    rig_add(rig, (struct change){.kind = CHANGE_QUARANTINE, .as.quarantine = {1, 2}});
    rig_add(rig, (struct change){.kind = CHANGE_QUARANTINE, .as.quarantine = {1, 77}}); // was not there
    rig_commit(rig);
    rig_reopen(rig);
    cr_assert(has_item(rig, 1, 1));
    cr_assert_not(has_item(rig, 1, 2));
    cr_assert(has_item(rig, 1, 3));
    char *text = rig_load(rig->store);
    cr_assert_null(strstr(text, "item "));
    free(text);
}

// ----------------------------------------------------------------------------------------------------------------------- read

STORE_TEST(read_and_read_next_keep_to_the_queue_and_the_bound)
{
    struct store_item item;
    rig_put(rig, (struct rig_put){2, 10, .count = 1, .body_len = 5});
    rig_put(rig, (struct rig_put){2, 5000, .count = 2, .body_len = 5});
    rig_put(rig, (struct rig_put){3, 1, .count = 1, .body_len = 5});
    rig_commit(rig);
    cr_assert_eq(store_read_begin(rig->store, NULL), NQ_OK);
    cr_assert_eq(store_read(rig->store, 2, 9, &item), NQ_EMPTY);
    cr_assert_eq(store_read(rig->store, 2, 11, &item), NQ_EMPTY);
    cr_assert_eq(store_read(rig->store, 1, 10, &item), NQ_EMPTY);
    cr_assert(store_read_next(rig->store, 2, 0, UINT64_MAX, &item) == NQ_OK && item.seq == 10);
    cr_assert(store_read_next(rig->store, 2, 10, 11, &item) == NQ_OK && item.seq == 10);
    cr_assert_eq(store_read_next(rig->store, 2, 0, 10, &item), NQ_EMPTY);
    cr_assert_eq(store_read_next(rig->store, 2, 11, 5000, &item), NQ_EMPTY);
    cr_assert(store_read_next(rig->store, 2, 11, 5001, &item) == NQ_OK && item.seq == 5000);
    cr_assert(store_read_next(rig->store, 2, 5001, UINT64_MAX, &item) == NQ_OK && item.seq == 5001);
    cr_assert_eq(store_read_next(rig->store, 2, 5002, UINT64_MAX, &item), NQ_EMPTY);
    cr_assert_eq(store_read_next(rig->store, 4, 0, UINT64_MAX, &item), NQ_EMPTY);
    cr_assert_eq(store_read_next(rig->store, 1, 0, UINT64_MAX, &item), NQ_EMPTY);
    cr_assert_eq(store_read_next(rig->store, 2, 10, 10, &item), NQ_EMPTY);
    cr_assert(store_read(rig->store, 2, 10, &item) == NQ_OK && item.seq == 10); // back again
    store_read_end(rig->store);
}

STORE_TEST(views_of_several_items_stay_valid_until_read_end)
{
    enum { ITEMS = 300 };
    static struct store_item items[ITEMS];
    rig_put(rig, (struct rig_put){1, 1, .count = ITEMS, .body_len = 900, .headers_len = 9});
    rig_commit(rig);
    cr_assert_eq(store_read_begin(rig->store, NULL), NQ_OK);
    for (uint64_t i = 0; i < ITEMS; i++) {
        items[i] = read_item(rig, 1, i + 1);
    }
    rig_put(rig, (struct rig_put){1, ITEMS + 1, .count = ITEMS, .body_len = 700});
    rig_remove(rig, 1, 2, ITEMS);
    add_move(rig, 1, 1, 2, 1, 3, false);
    rig_commit(rig);
    rig_put(rig, (struct rig_put){1, 2 * ITEMS + 1, .count = ITEMS, .body_len = 900, .headers_len = 9}); // they would fit
    rig_commit(rig);
    for (uint64_t i = 0; i < ITEMS; i++) {
        cr_assert(items[i].body.len == 900 && rig_is_filled(items[i].body, 1, i + 1, 'b'));
        cr_assert(items[i].headers.len == 9 && rig_is_filled(items[i].headers, 1, i + 1, 'h'));
    }
    store_read_end(rig->store);
    cr_assert_not(has_item(rig, 1, 1));
    cr_assert(has_item(rig, 1, 3 * ITEMS));
}

// --------------------------------------------------------------------------------------------------------------------- many

STORE_TEST(many_queues_interleaved_in_one_commit_stay_apart)
{
    enum { QUEUES = 200, ROUNDS = 20 };
    for (uint64_t round = 0; round < ROUNDS; round++) {
        for (uint64_t queue = QUEUES; queue >= 1; queue--) {
            rig_put(rig, (struct rig_put){queue, round * 3 + 1, .count = 3, .body_len = queue % 50, .headers_len = queue % 3});
        }
        rig_commit(rig);
    }
    for (uint64_t queue = 1; queue <= QUEUES; queue += 2) {
        rig_remove(rig, queue, 1, 10);
    }
    rig_commit(rig);
    rig_reopen(rig);
    cr_assert_eq(store_read_begin(rig->store, NULL), NQ_OK);
    for (uint64_t queue = 1; queue <= QUEUES; queue++) {
        uint64_t seq = queue % 2 == 1 ? 11 : 1;
        struct store_item item;
        for (; store_read_next(rig->store, queue, seq, UINT64_MAX, &item) == NQ_OK; seq++) {
            cr_assert_eq(item.seq, seq);
            cr_assert(item.body.len == queue % 50 && rig_is_filled(item.body, queue, seq, 'b'));
        }
        cr_assert_eq(seq, ROUNDS * 3 + 1);
    }
    store_read_end(rig->store);
}

STORE_TEST(empty_commit_is_ok)
{
    rig_commit(rig);
    rig_commit(rig);
}

STORE_TEST(space_follows_what_is_stored)
{
    struct store_space empty;
    struct store_space full;
    struct store_space drained;
    cr_assert_eq(store_space(rig->store, &empty), NQ_OK);
    cr_assert_eq(empty.limit_bytes, 0);
    cr_assert_not(empty.reserve_in_use);
    for (uint64_t i = 0; i < 16; i++) {
        rig_put(rig, (struct rig_put){1, i * 10 + 1, .count = 10, .body_len = 50000});
        rig_commit(rig);
    }
    rig_reopen(rig); // a journal is checkpointed, sooner or later
    cr_assert_eq(store_space(rig->store, &full), NQ_OK);
    cr_assert_geq(full.used_bytes, empty.used_bytes + 8000000);
    cr_assert_leq(full.used_bytes, empty.used_bytes + 10000000);
    rig_remove(rig, 1, 1, 160);
    rig_commit(rig);
    rig_reopen(rig);
    cr_assert_eq(store_space(rig->store, &drained), NQ_OK);
    cr_assert_leq(drained.used_bytes, empty.used_bytes + 200000, "%lu of %lu", drained.used_bytes, full.used_bytes);
}
