// What a connection does not take of the items it asked for.
#include <criterion/criterion.h>

#include "service_fixture.h"

static struct fixture *fixture;

static void set_up(void)
{
    fixture = fixture_create_for_two();
}

static void tear_down(void)
{
    fixture_destroy(fixture);
}

TestSuite(room, .init = set_up, .fini = tear_down);

static const struct wire_reply *call(uint64_t connection, struct wire_request request)
{
    return fixture_call(fixture, connection, &request);
}

Test(room, items_that_a_connection_does_not_take_go_back_to_their_places)
{
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "one"), NQ_OK);
    cr_assert_eq(fixture_put(fixture, 1, 11, "q", 2, "two"), NQ_OK);
    fixture->rig.has_no_room = true;
    cr_assert_eq(call(2, get_request(12, "q", 1, 0))->status, NQ_BUSY);
    struct wire_request peek = on_queue_request(13, WIRE_PEEK, "q");
    peek.as.on_queue.max_items = 1;
    cr_assert_eq(fixture_call(fixture, 2, &peek)->status, NQ_BUSY);
    const struct wire_reply *stat = call(1, on_queue_request(14, WIRE_STAT, "q")); // what holds no items is told
    cr_assert_eq(stat->as.stat.ready, 2);
    cr_assert_eq(stat->as.stat.leased, 0);
    fixture->rig.has_no_room = false;
    const struct wire_reply *got = call(2, get_request(15, "q", 2, 0));
    cr_assert_eq(got->status, NQ_OK);
    cr_assert_eq(got->as.get.count, 2);
    cr_assert(got->as.get.seqs[0] == 1 && got->as.get.seqs[1] == 2);
    cr_assert(got->as.get.failures == NULL);
}

// What is done with its get has to leave, or it is lost.
Test(room, items_got_at_most_once_leave_whatever_the_connection_has_taken)
{
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "one"), NQ_OK);
    fixture->rig.has_no_room = true;
    struct wire_request get = get_request(11, "q", 1, 0);
    get.as.get.at_most_once = true;
    const struct wire_reply *got = call(2, get);
    cr_assert_eq(got->status, NQ_OK);
    cr_assert_eq(got->as.get.count, 1);
}

// Their bodies are copied into the group, and one frame may ask for any number of them.
Test(room, items_got_at_most_once_are_no_more_than_a_group_takes)
{
    cr_assert_eq(fixture_put(fixture, 1, 10, "q", 1, "one"), NQ_OK);
    fixture->rig.service.groups.bytes_max = 1;
    struct wire_request get = get_request(11, "q", 1, 0);
    get.as.get.at_most_once = true;
    cr_assert_eq(call(2, get)->status, NQ_BUSY);
    fixture->rig.service.groups.bytes_max = GROUP_BYTES_MAX;
    get.id = 12;
    cr_assert_eq(call(2, get)->as.get.count, 1);
}
