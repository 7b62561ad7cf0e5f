// Whose frame is served next: shares of bytes, limits, and what is in order.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "lanes.h"

enum {
    SHARE = 1000,
    SMALL = 1000 - LANE_FRAME_BYTES,
    LARGE = 10 * SHARE - LANE_FRAME_BYTES,
    LANE_MAX = 100 * SHARE,
    MAX = 250 * SHARE
};

static struct lanes lanes;

static void begin(void)
{
    const struct lanes_limits limits = {.share_bytes = SHARE, .lane_bytes_max = LANE_MAX, .bytes_max = MAX};
    lanes_init(&lanes, &limits);
}

static void end(void)
{
    do {
        struct lane_frame *frame;
        while ((frame = lanes_next(&lanes)) != NULL) {
            free(frame);
        }
    } while (lanes_new_round(&lanes));
}

TestSuite(lanes, .init = begin, .fini = end);

static void keep(uint64_t connection, size_t len)
{
    struct lane_frame *frame = calloc(1, sizeof(*frame));
    frame->connection = connection;
    frame->len = len;
    lanes_keep(&lanes, frame);
}

// A frame comes and is set aside if it has to be.
static enum lanes_verdict arrive(uint64_t connection, size_t len)
{
    enum lanes_verdict verdict = lanes_arrived(&lanes, connection, len);
    if (verdict == LANES_SET_ASIDE) {
        keep(connection, len);
    }
    return verdict;
}

// The connection of the next frame of those set aside, whatever rounds it takes; 0: none.
static uint64_t serve(size_t *len)
{
    struct lane_frame *frame;
    bool more = true;
    while ((frame = lanes_next(&lanes)) == NULL && more) {
        more = lanes_new_round(&lanes);
    }
    uint64_t connection = frame == NULL ? 0 : frame->connection;
    if (len != NULL) {
        *len = frame == NULL ? 0 : frame->len;
    }
    free(frame);
    return connection;
}

Test(lanes, within_its_share_a_frame_is_served_at_once)
{
    cr_assert_eq(arrive(1, SMALL), LANES_SERVE);
    cr_assert_eq(arrive(2, LARGE), LANES_SERVE, "a share that is not used up is enough for one of any size");
    cr_assert_eq(arrive(1, SMALL), LANES_SET_ASIDE);
    cr_assert_eq(arrive(2, 1), LANES_SET_ASIDE);
    cr_assert_null(lanes_next(&lanes), "not in this round");
    cr_assert(lanes_new_round(&lanes));
    cr_assert_eq(serve(NULL), 1u);
}

Test(lanes, bytes_are_shared_not_turns)
{
    uint64_t large = 0, small = 0;
    for (int i = 0; i < 9; i++) {
        arrive(1, LARGE);
    }
    for (int i = 0; i < 50; i++) {
        arrive(2, SMALL);
    }
    large += LARGE; // the first of each was served as it came
    small += SMALL;
    while (small < 50ull * SMALL) {
        size_t len;
        uint64_t connection = serve(&len);
        *(connection == 1 ? &large : &small) += len;
        cr_assert_leq(large, small + 2 * (uint64_t)LARGE, "%llu bytes of one, %llu of the other", (unsigned long long)large,
                      (unsigned long long)small);
    }
    cr_assert_eq(serve(NULL), 1u, "large frames are left");
}

Test(lanes, frames_of_a_connection_stay_in_order)
{
    size_t len;
    for (size_t i = 1; i <= 40; i++) {
        arrive(1 + i % 3, i);
    }
    size_t last[4] = {0};
    for (uint64_t connection = serve(&len); connection != 0; connection = serve(&len)) {
        cr_assert_gt(len, last[connection]);
        last[connection] = len;
    }
    cr_assert_eq(last[1] + last[2] + last[3], 39u + 40u + 38u);
}

Test(lanes, nobody_overtakes_the_own_frames_that_wait)
{
    arrive(1, LARGE);
    arrive(1, SMALL);
    for (int i = 0; i < 20; i++) {
        lanes_new_round(&lanes);
    }
    cr_assert_eq(arrive(1, 1), LANES_SET_ASIDE, "one of its frames has not been served yet");
    size_t len;
    cr_assert_eq(serve(&len), 1u);
    cr_assert_eq(len, (size_t)SMALL);
}

Test(lanes, what_is_owed_is_forgotten_when_nobody_waits)
{
    arrive(1, LARGE);
    cr_assert_not(lanes_new_round(&lanes));
    cr_assert_eq(arrive(1, LARGE), LANES_SERVE);
}

Test(lanes, what_is_owed_holds_over_rounds_while_others_wait)
{
    arrive(1, LARGE);
    arrive(2, SMALL);
    arrive(2, SMALL);
    cr_assert(lanes_new_round(&lanes));
    cr_assert_eq(arrive(1, 1), LANES_SET_ASIDE);
}

Test(lanes, a_connection_has_a_limit_while_others_send)
{
    for (int i = 0; i < 9; i++) {
        cr_assert_neq(arrive(1, LARGE), LANES_TOO_MUCH);
        arrive(2, 1);
    }
    cr_assert_eq(arrive(1, LARGE), LANES_SET_ASIDE, "within the limit");
    arrive(2, 1);
    cr_assert_eq(arrive(1, LARGE), LANES_SET_ASIDE, "just the limit");
    arrive(2, 1);
    cr_assert_eq(arrive(1, LARGE), LANES_TOO_MUCH);
    cr_assert_eq(arrive(2, SMALL), LANES_SET_ASIDE, "the other one has room");
    cr_assert(lanes_have_room(&lanes));
}

Test(lanes, alone_it_is_not_refused_but_read_more_slowly)
{
    int frames = 0;
    while (lanes_have_room(&lanes) && frames < 100) {
        cr_assert_neq(arrive(1, LARGE), LANES_TOO_MUCH);
        frames++;
    }
    cr_assert_eq(frames, 12, "one was served, ten are within the limit, one is beyond");
    cr_assert_eq(serve(NULL), 1u);
    cr_assert(lanes_have_room(&lanes));
}

Test(lanes, in_all_there_is_a_limit)
{
    uint64_t connection = 1;
    while (lanes_have_room(&lanes) && connection < 1000) {
        arrive(connection, LARGE);
        arrive(connection, LARGE);
        connection++;
    }
    cr_assert_eq(connection, 26u);
    cr_assert_neq(serve(NULL), 0u);
    cr_assert(lanes_have_room(&lanes));
}

Test(lanes, without_any_limit_of_bytes_frames_take_turns)
{
    const struct lanes_limits none = {.share_bytes = 1};
    lanes_init(&lanes, &none);
    cr_assert(lanes_have_room(&lanes));
    cr_assert_eq(arrive(1, 10), LANES_SERVE);
    keep(1, 10);
    cr_assert_not(lanes_have_room(&lanes));
    cr_assert_eq(serve(NULL), 1u);
    cr_assert(lanes_have_room(&lanes));
}

Test(lanes, connections_that_share_a_lane_are_served_all_the_same)
{
    arrive(5, SMALL);
    arrive(5 + LANES, SMALL);
    arrive(5, SMALL);
    cr_assert_eq(serve(NULL), 5u + LANES);
    cr_assert_eq(serve(NULL), 5u);
    cr_assert_eq(serve(NULL), 0u);
}
