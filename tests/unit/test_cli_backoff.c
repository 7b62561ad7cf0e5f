#include <criterion/criterion.h>

#include "backoff.h"

Test(backoff, doubles_up_to_a_minute)
{
    static const uint64_t expected_s[] = {1, 2, 4, 8, 16, 32, 60, 60};
    for (uint32_t i = 0; i < 8; i++) {
        cr_expect_eq(backoff_ms(1000, i), expected_s[i] * 1000);
    }
    cr_assert_eq(backoff_ms(1000, UINT32_MAX), 60000);
}

Test(backoff, none_stays_none)
{
    cr_assert_eq(backoff_ms(0, 0), 0);
    cr_assert_eq(backoff_ms(0, 100), 0);
}

Test(backoff, more_than_a_minute_stays_as_it_is)
{
    cr_assert_eq(backoff_ms(300000, 0), 300000);
    cr_assert_eq(backoff_ms(300000, 9), 300000);
}
