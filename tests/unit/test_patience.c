// Who looks again before sleeping, and who does not.
#include <criterion/criterion.h>

#include "patience.h"

// Waits that took so long each; returns the time behind them.
static uint64_t waits(struct patience *patience, int count, uint64_t now_us, uint64_t took_us)
{
    for (int i = 0; i < count; i++) {
        patience_begin(patience, now_us);
        now_us += took_us;
        patience_end(patience, now_us);
    }
    return now_us;
}

Test(patience, goes_on_for_a_while_after_short_waits)
{
    struct patience patience = {0};
    uint64_t now_us = waits(&patience, 20, 1000, 80);
    patience_begin(&patience, now_us);
    for (uint64_t us = 2; us < PATIENCE_US; us += 2) {
        cr_assert(patience_goes_on(&patience, now_us + us));
    }
    cr_assert_not(patience_goes_on(&patience, now_us + PATIENCE_US));
}

Test(patience, ends_when_somebody_else_had_work)
{
    struct patience patience = {0};
    patience_begin(&patience, 1000);
    cr_assert(patience_goes_on(&patience, 1001));
    cr_assert_not(patience_goes_on(&patience, 1001 + PATIENCE_TAKEN_US + 1), "the processor was away");
}

Test(patience, sleeps_at_once_after_long_waits_and_comes_back)
{
    struct patience patience = {0};
    uint64_t now_us = waits(&patience, 20, 1000, 50000);
    patience_begin(&patience, now_us);
    cr_assert_not(patience_goes_on(&patience, now_us + 1));
    now_us = waits(&patience, 20, now_us, 80);
    patience_begin(&patience, now_us);
    cr_assert(patience_goes_on(&patience, now_us + 1));
}
