#include <criterion/criterion.h>
#include <string.h>

#include "splitter.h"

static void feed(struct splitter *splitter, const char *bytes, size_t len)
{
    char *space = splitter_space(splitter, len + 1);
    cr_assert(space != NULL);
    memcpy(space, bytes, len);
    splitter_added(splitter, len);
}

// Feeds `step` bytes at a time; lines are joined with '|', how it ended is appended.
static void split(const char *bytes, size_t len, size_t step, char delimiter, size_t len_max, struct cli_buffer *out)
{
    struct splitter splitter = {.delimiter = delimiter, .len_max = len_max};
    size_t fed = 0;
    for (;;) {
        const char *line;
        size_t line_len;
        enum splitter_result result = splitter_next(&splitter, &line, &line_len);
        if (result == SPLITTER_LINE) {
            cli_buffer_add(out, line, line_len);
            cli_buffer_add_byte(out, '|');
        } else if (result == SPLITTER_MORE && fed < len) {
            size_t more = len - fed < step ? len - fed : step;
            feed(&splitter, bytes + fed, more);
            fed += more;
        } else if (result == SPLITTER_MORE) {
            splitter.ended = true;
        } else {
            cli_buffer_format(out, "%s%d", result == SPLITTER_END ? "end" : "long", (int)splitter.line);
            break;
        }
    }
    splitter_fini(&splitter);
}

static void expect(const char *bytes, size_t len, char delimiter, size_t len_max, const char *expected)
{
    for (size_t step = 1; step <= len + 1; step++) {
        struct cli_buffer out = {0};
        split(bytes, len, step, delimiter, len_max, &out);
        cli_buffer_add_byte(&out, '\0');
        cr_expect_str_eq(out.data, expected, "%zu bytes at a time", step);
        cli_buffer_fini(&out);
    }
}

Test(splitter, an_empty_line_is_a_line)
{
    expect("a\n\nb\n", 5, '\n', 10, "a||b|end3");
    expect("\n", 1, '\n', 10, "|end1");
}

Test(splitter, the_last_line_needs_no_end)
{
    expect("a\nbc", 4, '\n', 10, "a|bc|end2");
}

Test(splitter, nothing_is_no_line)
{
    expect("", 0, '\n', 10, "end0");
}

Test(splitter, lines_may_end_with_nul)
{
    expect("a\nb\0c\0", 6, '\0', 10, "a\nb|c|end2");
}

Test(splitter, a_line_as_long_as_allowed_is_taken)
{
    expect("aaaa\nbbbb", 9, '\n', 4, "aaaa|bbbb|end2");
}

Test(splitter, a_line_too_long_is_named_and_what_stands_before_it_is_given_out)
{
    expect("a\nb\nccccc\nd\n", 12, '\n', 4, "a|b|long3");
    expect("a\nb\nccccc", 9, '\n', 4, "a|b|long3");
}
