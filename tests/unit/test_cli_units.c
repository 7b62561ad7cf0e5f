#include <criterion/criterion.h>

#include "units.h"

static uint64_t duration(const char *text)
{
    uint64_t ms = 0;
    cr_assert(units_parse_duration_ms(text, &ms), "'%s' is a duration", text);
    return ms;
}

static uint64_t size_of(const char *text)
{
    uint64_t bytes = 0;
    cr_assert(units_parse_size(text, &bytes), "'%s' is a size", text);
    return bytes;
}

Test(units, a_bare_duration_is_seconds)
{
    cr_assert_eq(duration("2"), 2000);
    cr_assert_eq(duration("0"), 0);
    cr_assert_eq(duration("0.25"), 250);
}

Test(units, durations_have_units)
{
    cr_assert_eq(duration("250ms"), 250);
    cr_assert_eq(duration("1.5s"), 1500);
    cr_assert_eq(duration("5m"), 300000);
    cr_assert_eq(duration("0.5h"), 1800000);
}

Test(units, sizes_are_powers_of_1024)
{
    cr_assert_eq(size_of("100"), 100);
    cr_assert_eq(size_of("1.5K"), 1536);
    cr_assert_eq(size_of("2M"), 2097152);
    cr_assert_eq(size_of("1G"), 1073741824);
}

Test(units, rates_may_say_per_second)
{
    double rate = 0;
    cr_assert(units_parse_rate("50", &rate) && rate > 49.9 && rate < 50.1);
    cr_assert(units_parse_rate("50/s", &rate) && rate > 49.9 && rate < 50.1);
    cr_assert(units_parse_rate("0.5", &rate) && rate > 0.49 && rate < 0.51);
}

Test(units, what_is_not_wholly_a_number_is_refused)
{
    static const char *const wrong[] = {"",    " 1", "1 ",  "-1",  "+1",  "1x",  "x",     ".5",        "1.",
                                        "1e3", "0x", "1,5", "1 s", "1ss", "1K ", "1.1.1", "1.1234567", "ms"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint64_t number;
        double rate;
        cr_expect(!units_parse_count(wrong[i], &number), "count '%s'", wrong[i]);
        cr_expect(!units_parse_duration_ms(wrong[i], &number), "duration '%s'", wrong[i]);
        cr_expect(!units_parse_size(wrong[i], &number), "size '%s'", wrong[i]);
        cr_expect(!units_parse_rate(wrong[i], &rate), "rate '%s'", wrong[i]);
    }
    double rate;
    cr_expect(!units_parse_rate("0", &rate));
    cr_expect(!units_parse_rate("5/m", &rate));
}

Test(units, what_does_not_fit_is_refused)
{
    uint64_t number;
    cr_assert(units_parse_count("18446744073709551615", &number));
    cr_assert(!units_parse_count("18446744073709551616", &number));
    cr_assert(!units_parse_duration_ms("18446744073709551615", &number));
    cr_assert(!units_parse_size("18446744073709551615G", &number));
    cr_assert(units_parse_duration_ms("18446744073709551615ms", &number));
}
