// The growing list of changes, and who owns what is in it.
#include <criterion/criterion.h>
#include <string.h>

#include "changes.h"

static struct change removal(uint64_t queue_id, uint64_t first_seq, uint64_t last_seq)
{
    return (struct change){.kind = CHANGE_REMOVE,
                           .as.remove = {.queue_id = queue_id, .first_seq = first_seq, .last_seq = last_seq}};
}

static void add(struct changes *changes, struct change change)
{
    cr_assert(changes_add(changes, &change));
}

Test(changes, new_list_is_empty)
{
    struct changes *changes = changes_create();
    cr_assert_not_null(changes);
    cr_expect_eq(changes_count(changes), 0);
    changes_destroy(&changes);
    cr_expect_null(changes);
    changes_destroy(&changes);
}

Test(changes, removals_that_continue_each_other_are_one)
{
    struct changes *changes = changes_create();
    for (uint64_t seq = 5; seq < 1000; seq++) {
        add(changes, removal(1, seq, seq));
    }
    add(changes, removal(1, 1000, 1999));
    cr_assert_eq(changes_count(changes), 1);
    cr_expect_eq(changes_at(changes, 0)->as.remove.first_seq, 5);
    cr_expect_eq(changes_at(changes, 0)->as.remove.last_seq, 1999);
    changes_destroy(&changes);
}

Test(changes, other_removals_stay_apart)
{
    struct changes *changes = changes_create();
    add(changes, removal(1, 1, 1));
    add(changes, removal(2, 2, 2)); // another queue
    add(changes, removal(2, 4, 4)); // a gap
    add(changes, removal(2, 3, 3)); // backwards
    add(changes, removal(2, 3, 3)); // again
    cr_expect_eq(changes_count(changes), 5);
    add(changes, (struct change){.kind = CHANGE_SESSION_DROP, .as.session_drop = {.session_no = 1}});
    add(changes, removal(2, 4, 4)); // something between: the order is kept
    cr_expect_eq(changes_count(changes), 7);
    changes_destroy(&changes);
}

Test(changes, records_and_added_headers_are_copied_and_bodies_are_borrowed)
{
    struct changes *changes = changes_create();
    struct queue_record queue = {.queue_id = 7, .next_seq = 8};
    struct stream_record stream = {.queue_id = 7, .stream = 9};
    struct item_record item = {.queue_id = 7, .seq = 3};
    struct run_record run = {.queue_id = 7, .first_seq = 2};
    struct session_record session = {.session_no = 4};
    struct meta_record meta = {.epoch = 6};
    uint8_t headers[] = "added";
    const struct engine_bytes bodies[] = {{1, headers}};
    add(changes, (struct change){.kind = CHANGE_QUEUE, .as.queue = &queue});
    add(changes, (struct change){.kind = CHANGE_STREAM, .as.stream = &stream});
    add(changes, (struct change){.kind = CHANGE_MOVE, .as.move = {.queue_id = 7, .add_headers = {5, headers}}});
    add(changes, (struct change){.kind = CHANGE_PUT, .as.put = {.queue_id = 7, .count = 1, .bodies = bodies}});
    add(changes, (struct change){.kind = CHANGE_ITEM, .as.item = &item});
    add(changes, (struct change){.kind = CHANGE_RUN, .as.run = &run});
    add(changes, (struct change){.kind = CHANGE_SESSION, .as.session = &session});
    add(changes, (struct change){.kind = CHANGE_META, .as.meta = &meta});
    queue.next_seq = 0;
    stream.stream = 0;
    item.seq = 0;
    run.first_seq = 0;
    session.session_no = 0;
    meta.epoch = 0;
    memset(headers, 'x', 5);
    cr_expect_eq(changes_at(changes, 0)->as.queue->next_seq, 8);
    cr_expect_eq(changes_at(changes, 1)->as.stream->stream, 9);
    cr_expect_eq(memcmp(changes_at(changes, 2)->as.move.add_headers.data, "added", 5), 0);
    cr_expect_eq(changes_at(changes, 3)->as.put.bodies, bodies);
    cr_expect_eq(changes_at(changes, 4)->as.item->seq, 3);
    cr_expect_eq(changes_at(changes, 5)->as.run->first_seq, 2);
    cr_expect_eq(changes_at(changes, 6)->as.session->session_no, 4);
    cr_expect_eq(changes_at(changes, 7)->as.meta->epoch, 6);
    changes_destroy(&changes);
}

// Records keep their places while the list grows, and a cleared list is as good
// as new.
Test(changes, many_records_over_many_rounds)
{
    enum { RECORDS = 3000 };
    struct changes *changes = changes_create();
    for (uint64_t round = 0; round < 5; round++) {
        const struct run_record *first = NULL;
        for (uint64_t i = 0; i < RECORDS; i++) {
            struct run_record run = {.queue_id = round, .first_seq = i, .last_seq = i + round};
            struct queue_record queue = {.queue_id = round, .next_seq = i};
            add(changes, (struct change){.kind = CHANGE_RUN, .as.run = &run});
            add(changes, (struct change){.kind = CHANGE_QUEUE, .as.queue = &queue});
            first = i == 0 ? changes_at(changes, 0)->as.run : first;
        }
        cr_assert_eq(changes_count(changes), 2 * RECORDS);
        cr_expect_eq(changes_at(changes, 0)->as.run, first);
        for (size_t i = 0; i < RECORDS; i++) {
            cr_assert_eq(changes_at(changes, 2 * i)->as.run->first_seq, i);
            cr_assert_eq(changes_at(changes, 2 * i)->as.run->last_seq, i + round);
            cr_assert_eq(changes_at(changes, 2 * i + 1)->as.queue->next_seq, i);
        }
        changes_clear(changes);
        cr_assert_eq(changes_count(changes), 0);
    }
    changes_destroy(&changes);
}
