#include <criterion/criterion.h>
#include <string.h>

#include "log.h"

Test(log, names_the_program_and_the_level)
{
    char line[256];
    int len = log_format(line, sizeof(line), false, LOG_WARNING, "disk is full");
    cr_assert_str_eq(line, "netqueue-broker: warning: disk is full\n");
    cr_assert_eq(len, (int)strlen(line));
    log_format(line, sizeof(line), false, LOG_INFO, "stopped");
    cr_assert_str_eq(line, "netqueue-broker: stopped\n");
}

Test(log, begins_with_the_priority_under_a_journal)
{
    char line[256];
    log_format(line, sizeof(line), true, LOG_ERROR, "x");
    cr_assert_str_eq(line, "<3>netqueue-broker: error: x\n");
}

// What a client sends may come to stand in a line: it must not begin another one or drive a terminal.
Test(log, shows_control_bytes_as_question_marks)
{
    char line[256];
    log_format(line, sizeof(line), false, LOG_INFO, "a\nb\x1b[0m\x7f");
    cr_assert_str_eq(line, "netqueue-broker: a?b?[0m?\n");
}

Test(log, cuts_a_long_line_but_ends_it)
{
    char text[200];
    char line[64];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    int len = log_format(line, sizeof(line), false, LOG_INFO, text);
    cr_assert_eq(len, (int)sizeof(line) - 1);
    cr_assert_eq(line[len - 1], '\n');
    cr_assert_eq(line[len], '\0');
}

Test(log, limit_lets_a_burst_through_and_counts_the_rest)
{
    struct log_limit limit = {0};
    uint32_t left_out = 99;
    for (int i = 0; i < LOG_BURST; i++) {
        cr_assert(log_limit_pass(&limit, 1000000, &left_out));
        cr_assert_eq(left_out, 0);
    }
    cr_assert_not(log_limit_pass(&limit, 1000001, &left_out));
    cr_assert_not(log_limit_pass(&limit, 1000002, &left_out));
    cr_assert(log_limit_pass(&limit, 1000000 + LOG_WINDOW_MS, &left_out));
    cr_assert_eq(left_out, 2);
}
