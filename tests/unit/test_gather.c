// Whether a commit waits a moment for those who were just answered.
#include <criterion/criterion.h>

#include "gather.h"

enum { FLUSH_US = 200, A = 1, B = 2 };

// Rounds in which both are answered at `at` and come back after `return_us`.
static uint64_t rounds(struct gather *gather, int count, uint64_t at, uint64_t return_us)
{
    for (int i = 0; i < count; i++) {
        gather_begin(gather, at);
        gather_answered(gather, A);
        gather_answered(gather, B);
        gather_heard(gather, A, at + return_us / 2);
        gather_heard(gather, B, at + return_us);
        at += 1000;
    }
    return at;
}

Test(gather, nobody_expected_nothing_to_wait_for)
{
    struct gather gather = {0};
    cr_assert_not(gather_waits(&gather, 1000, FLUSH_US));
    uint64_t now_us = rounds(&gather, 10, 1000, 50);
    cr_assert_not(gather_waits(&gather, now_us, FLUSH_US), "all came back");
}

Test(gather, waits_for_the_second_of_two_that_come_back_quickly)
{
    struct gather gather = {0};
    uint64_t now_us = rounds(&gather, 50, 1000, 60);
    gather_begin(&gather, now_us);
    gather_answered(&gather, A);
    gather_answered(&gather, B);
    gather_answered(&gather, A);
    gather_heard(&gather, A, now_us + 30);
    cr_assert(gather_waits(&gather, now_us + 30, FLUSH_US));
    gather_heard(&gather, B, now_us + 55);
    cr_assert_not(gather_waits(&gather, now_us + 55, FLUSH_US), "nobody else is expected");
}

Test(gather, does_not_wait_longer_than_it_usually_takes)
{
    struct gather gather = {0};
    uint64_t now_us = rounds(&gather, 50, 1000, 60);
    gather_begin(&gather, now_us);
    gather_answered(&gather, A);
    cr_assert(gather_waits(&gather, now_us + 80, FLUSH_US));
    cr_assert_not(gather_waits(&gather, now_us + 150, FLUSH_US), "it does not come this time");
}

Test(gather, does_not_wait_for_what_takes_as_long_as_a_flush)
{
    struct gather gather = {0};
    uint64_t now_us = rounds(&gather, 100, 1000, 500);
    gather_begin(&gather, now_us);
    gather_answered(&gather, A);
    cr_assert_not(gather_waits(&gather, now_us + 10, FLUSH_US));
    cr_assert(gather_waits(&gather, now_us + 10, 2000), "a slow disk is worth it");
}

Test(gather, learns_that_nobody_comes_back)
{
    struct gather gather = {0};
    uint64_t now_us = rounds(&gather, 50, 1000, 60);
    for (int i = 0; i < 50; i++) {
        gather_begin(&gather, now_us);
        gather_answered(&gather, A);
        now_us += 5000;
    }
    gather_begin(&gather, now_us);
    gather_answered(&gather, A);
    cr_assert_not(gather_waits(&gather, now_us + 10, FLUSH_US));
}

Test(gather, does_not_wait_for_a_crowd)
{
    struct gather gather = {0};
    uint64_t now_us = rounds(&gather, 50, 1000, 60);
    gather_begin(&gather, now_us);
    for (uint64_t connection = 1; connection <= GATHER_PEERS_MAX + 2; connection++) {
        gather_answered(&gather, connection);
    }
    cr_assert_not(gather_waits(&gather, now_us + 10, FLUSH_US));
}
