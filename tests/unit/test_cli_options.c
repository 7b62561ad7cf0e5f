#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "settings.h"

struct sample {
    struct cli_common common;
    bool flag, flavour;
    const char *text;
    struct cli_list list;
    uint64_t duration_ms, size, count;
    double rate;
};

#define AT(field) offsetof(struct sample, field)
static const struct cli_option table[] = {
    {'f', "flag", NULL, "a flag", CLI_FLAG, AT(flag), 0, 0},
    {0, "flavour", NULL, "another one", CLI_FLAG, AT(flavour), 0, 0},
    {'t', "text", "TEXT", "a text", CLI_TEXT, AT(text), 0, 0},
    {'l', "list", "TEXT", "some texts", CLI_LIST, AT(list), 0, 0},
    {0, "window", "N", "a number", CLI_COUNT, AT(count), 1, 100},
    {0, "duration", "TIME", "a time", CLI_DURATION, AT(duration_ms), 0, 0},
    {0, "size", "SIZE", NULL, CLI_SIZE, AT(size), 0, 0},
    {0, "rate", "N/s", NULL, CLI_RATE, AT(rate), 0, 0},
};
#undef AT

static const struct cli_program program = {
    .name = "sample",
    .usage = "[OPTION...]",
    .purpose = "Be parsed.",
    .options = table,
    .options_count = sizeof(table) / sizeof(table[0]),
};

static struct sample sample;
static struct cli_arguments arguments;

static int parse(const char *line)
{
    static char copy[256];
    static char *argv[32]; // words and rest point into it
    char *rest = copy;
    int argc = 1;
    argv[0] = (char *)(uintptr_t) "sample";
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
        if (word[0] != '\0') {
            argv[argc++] = word;
        }
    }
    cli_arguments_fini(&arguments);
    sample = (struct sample){.common = CLI_COMMON_DEFAULTS};
    return cli_parse(&program, argc, argv, &sample, &arguments);
}

static void forget(void)
{
    cli_arguments_fini(&arguments);
}

TestSuite(options, .fini = forget);
TestSuite(settings, .fini = forget);

Test(options, every_kind_of_value_is_stored)
{
    cr_assert_eq(parse("-f --text=x -l a --list b --window 7 --duration 1.5s --size 2K --rate 5/s --format json"), 0);
    cr_expect(sample.flag);
    cr_expect_str_eq(sample.text, "x");
    cr_assert_eq(sample.list.count, 2);
    cr_expect_str_eq(sample.list.values[1], "b");
    cr_expect_eq(sample.count, 7);
    cr_expect_eq(sample.duration_ms, 1500);
    cr_expect_eq(sample.size, 2048);
    cr_expect(sample.rate > 4.9 && sample.rate < 5.1);
    cr_expect(sample.common.format == CLI_FORMAT_JSON);
}

Test(options, words_and_options_may_be_mixed)
{
    cr_assert_eq(parse("one -f two -t x three"), 0);
    cr_assert_eq(arguments.words_count, 3);
    cr_expect_str_eq(arguments.words[2], "three");
    cr_expect(!arguments.has_rest);
}

Test(options, what_stands_behind_two_dashes_is_the_rest)
{
    cr_assert_eq(parse("one -- -f -- x"), 0);
    cr_assert_eq(arguments.words_count, 1);
    cr_expect(arguments.has_rest);
    cr_assert_eq(arguments.rest_count, 3);
    cr_expect_str_eq(arguments.rest[0], "-f");
    cr_expect(!sample.flag);
}

Test(options, two_dashes_alone_are_seen)
{
    cr_assert_eq(parse("one --"), 0);
    cr_expect(arguments.has_rest);
    cr_expect_eq(arguments.rest_count, 0);
}

Test(options, it_is_known_what_was_given)
{
    cr_assert_eq(parse("--window 7"), 0);
    cr_expect(cli_given(&program, &arguments, "window"));
    cr_expect(!cli_given(&program, &arguments, "size"));
}

Test(options, mistakes_are_named)
{
    static const char *const lines[][2] = {
        {"--foo", "unknown option '--foo'"},
        {"--foo=bar x", "unknown option '--foo'"},
        {"-x", "unknown option '-x'"},
        {"-fx", "unknown option '-x'"},
        {"--fla", "ambiguous option '--fla'"},
        {"--flag=1", "option '--flag' takes no value"},
        {"--text", "option '--text' needs a value"},
        {"-t", "option '-t' needs a value"},
        {"--window x", "--window: 'x' is not a number"},
        {"--window -1", "--window: '-1' is not a number"},
        {"--window 0", "--window: 0 is too small, 1 is the least"},
        {"--window 101", "--window: 101 is too large, 100 is the most"},
        {"--duration 1d", "--duration: '1d' is not a time like 500ms, 1.5s, 5m or 2h"},
        {"--size 1k", "--size: '1k' is not a size like 500, 64K, 16M or 1G"},
        {"--rate 0", "--rate: '0' is not a rate like 50 or 50/s"},
        {"--format xml", "--format: 'xml' is not one of text|json"},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        cr_expect_eq(parse(lines[i][0]), 64, "%s", lines[i][0]);
        cr_expect_str_eq(arguments.error, lines[i][1]);
    }
}

Test(options, an_unambiguous_beginning_is_enough)
{
    cr_assert_eq(parse("--win 3 --flav"), 0);
    cr_expect_eq(sample.count, 3);
    cr_expect(sample.flavour);
}

static bool load(const char *text)
{
    char path[] = "/tmp/nq-cli-test-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    cli_arguments_fini(&arguments);
    sample = (struct sample){.common = CLI_COMMON_DEFAULTS};
    bool ok = cli_settings_load(&program, path, true, &sample, &arguments);
    unlink(path);
    return ok;
}

Test(settings, a_file_sets_what_the_program_has)
{
    cr_assert(load("# comment\n\n server = tcp://a:1, tcp://b:2 \nwindow=5\ngrace = 3s\nquiet = yes\n"), "%s", arguments.error);
    cr_assert_eq(sample.common.servers.count, 2);
    cr_expect_str_eq(sample.common.servers.values[1], "tcp://b:2");
    cr_expect_eq(sample.count, 5);
    cr_expect(sample.common.quiet);
}

Test(settings, mistakes_in_a_file_are_named_with_their_line)
{
    static const char *const files[][2] = {
        {"window = 5\nwindos = 5\n", ":2: unknown setting 'windos'"},
        {"window\n", ":1: not a line like 'key = value'"},
        {"\n\nwindow = many\n", ":3: 'many' is not a number"},
        {"quiet = perhaps\n", ":1: 'perhaps' is neither yes nor no"},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        cr_expect(!load(files[i][0]));
        cr_expect(strstr(arguments.error, files[i][1]) != NULL, "%s", arguments.error);
    }
}

Test(settings, a_flag_beats_the_environment_and_that_beats_the_file)
{
    char path[] = "/tmp/nq-cli-test-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "window = 5\ntimeout = 5\nserver = tcp://file:1\n";
    cr_assert(fd >= 0 && write(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    setenv("NETQUEUE_CONFIG", path, 1);
    setenv("NETQUEUE_TIMEOUT", "6", 1);
    setenv("NETQUEUE_SERVER", "tcp://env:1,tcp://env:2", 1);
    char *argv[] = {(char *)(uintptr_t) "sample", (char *)(uintptr_t) "-s", (char *)(uintptr_t) "tcp://flag:1", NULL};
    sample = (struct sample){.common = CLI_COMMON_DEFAULTS};
    int code = cli_start(&program, 3, argv, &sample, &arguments);
    unlink(path);
    cr_assert_eq(code, CLI_GO_ON);
    cr_expect_eq(sample.count, 5);
    cr_expect_eq(sample.common.timeout_ms, 6000);
    cr_assert_eq(sample.common.servers.count, 1);
    cr_expect_str_eq(sample.common.servers.values[0], "tcp://flag:1");
}

Test(settings, a_wrong_environment_is_a_configuration_error)
{
    cr_redirect_stderr();
    setenv("NETQUEUE_CONFIG", "", 1);
    setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
    setenv("NETQUEUE_TIMEOUT", "soon", 1);
    char *argv[] = {(char *)(uintptr_t) "sample", NULL};
    cr_assert_eq(cli_start(&program, 1, argv, &sample, &arguments), 78);
    fflush(stderr);
    cr_assert_stderr_eq_str("sample: NETQUEUE_TIMEOUT: 'soon' is not a time like 500ms, 1.5s, 5m or 2h\n");
}

Test(options, the_first_word_is_found_behind_common_options)
{
    char *argv[] = {(char *)(uintptr_t) "x",
                    (char *)(uintptr_t) "-s",
                    (char *)(uintptr_t) "tcp://a:1",
                    (char *)(uintptr_t) "-q",
                    (char *)(uintptr_t) "stat",
                    (char *)(uintptr_t) "--foo",
                    NULL};
    cr_assert_eq(cli_find_word(6, argv), 4);
    cr_assert_eq(cli_find_word(4, argv), 4);
}
