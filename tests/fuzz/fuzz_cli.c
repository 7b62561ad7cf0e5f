// What people type and pipe into the client programs: command lines of all of them, the file of settings, numbers with units, lines,
// lines of JSON, base64. The first byte says which.
#include "fuzz_cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "consumer.h"
#include "text.h"
#include "units.h"

enum { WORDS_MAX = 24, SETTINGS_EXIT = 78, USAGE_EXIT = 64 };

// ------------------------------------------------------------------------------------------------------------- numbers, base64

static void try_units(struct fuzz_bytes input)
{
    char *text = fuzz_text(input);
    char again[64];
    uint64_t number;
    uint64_t second;
    double rate;
    if (units_parse_duration_ms(text, &number)) {
        units_format_duration_ms(number, again, sizeof(again));
        fuzz_require(units_parse_duration_ms(again, &second) && second == number, "a duration is the same again");
    }
    if (units_parse_size(text, &number)) {
        units_format_size(number, again, sizeof(again));
        fuzz_require(units_parse_size(again, &second) && second == number, "a size is the same again");
    }
    if (units_parse_count(text, &number)) {
        snprintf(again, sizeof(again), "%llu", (unsigned long long)number);
        fuzz_require(units_parse_count(again, &second) && second == number, "a count is the same again");
    }
    if (units_parse_rate(text, &rate)) {
        fuzz_require(rate > 0 && rate < 2e19, "a rate is above zero");
    }
    free(text);
}

static void try_base64(struct fuzz_bytes input)
{
    struct cli_buffer encoded = {0};
    struct cli_buffer decoded = {0};
    cli_is_utf8(input.at, input.left);
    cli_base64_encode(&encoded, input.at, input.left);
    fuzz_require(cli_base64_decode(&decoded, encoded.data == NULL ? "" : encoded.data, encoded.len), "what was encoded is decoded");
    fuzz_require(decoded.len == input.left && (input.left == 0 || memcmp(decoded.data, input.at, input.left) == 0),
                 "and is the same");
    decoded.len = 0;
    if (cli_base64_decode(&decoded, (const char *)input.at, input.left)) {
        fuzz_require(decoded.len <= input.left, "bytes are fewer than digits");
    }
    cli_buffer_fini(&encoded);
    cli_buffer_fini(&decoded);
}

// --------------------------------------------------------------------------------------------------------------- command lines

struct words {
    char *text;
    char *argv[WORDS_MAX + 2];
    int argc;
};

static struct words take_words(struct fuzz_bytes input, const char *program)
{
    static char name[64];
    snprintf(name, sizeof(name), "%s", program);
    struct words words = {.text = fuzz_text(input), .argv = {name}, .argc = 1};
    char *rest = words.text;
    for (char *word = strsep(&rest, "\n"); word != NULL && words.argc <= WORDS_MAX; word = strsep(&rest, "\n")) {
        words.argv[words.argc++] = word;
    }
    return words;
}

static void check_code(int code)
{
    fuzz_require(code == CLI_GO_ON || code == 0 || code == 1 || code == USAGE_EXIT || code == SETTINGS_EXIT,
                 "an exit code is known");
}

static void check_common(const struct cli_common *common)
{
    fuzz_require(common->timeout_ms >= 1, "a timeout is at least a millisecond");
    for (size_t i = 0; i < common->servers.count; i++) {
        fuzz_require(common->servers.values[i] != NULL, "each server has a name");
    }
}

static void try_producer(struct fuzz_bytes input)
{
    struct words words = take_words(input, "netqueue-producer");
    struct producer_options options;
    struct cli_arguments arguments;
    int code = producer_options_read(words.argc, words.argv, &options, &arguments);
    check_code(code);
    if (code == CLI_GO_ON) {
        check_common(&options.common);
        fuzz_require(options.queue != NULL && options.threads >= 1 && options.threads <= 1024, "a producer knows what to do");
        fuzz_require(options.headers_count == options.header_texts.count, "each header was read");
    }
    producer_options_fini(&options, &arguments);
    free(words.text);
}

static void try_consumer(struct fuzz_bytes input)
{
    struct words words = take_words(input, "netqueue-consumer");
    struct consumer_options options;
    struct cli_arguments arguments;
    int code = consumer_options_read(words.argc, words.argv, &options, &arguments);
    check_code(code);
    if (code == CLI_GO_ON) {
        check_common(&options.common);
        fuzz_require(options.queues_count > 0 && options.queues[0] != NULL && options.jobs >= 1, "a consumer knows what to do");
        fuzz_require(options.command == NULL || options.command[0] != NULL, "a command has a name");
    }
    cli_arguments_fini(&arguments);
    free(words.text);
}

static void try_admin(struct fuzz_bytes input)
{
    const struct admin_command *command = &admin_commands[fuzz_byte(&input) % admin_commands_count];
    struct words words = take_words(input, "netqueue");
    struct admin_options options = {.common = CLI_COMMON_DEFAULTS};
    struct cli_arguments arguments;
    int word = cli_find_word(words.argc, words.argv);
    fuzz_require(word >= 1 && word <= words.argc, "a word is one of the words");
    int code = cli_start(&command->program, words.argc, words.argv, &options, &arguments);
    check_code(code);
    if (code == CLI_GO_ON) {
        check_common(&options.common);
    }
    cli_arguments_fini(&arguments);
    free(words.text);
}

static void try_settings(struct fuzz_bytes input)
{
    struct admin_options options = {.common = CLI_COMMON_DEFAULTS};
    struct cli_arguments arguments = {0};
    struct fuzz_file file = fuzz_file_open(input);
    bool ok = cli_settings_load(&admin_commands[0].program, file.path, true, &options, &arguments);
    fuzz_require(ok || (arguments.error[0] != '\0' && strchr(arguments.error, '\n') == NULL), "a refusal is one line");
    if (ok) {
        check_common(&options.common);
    }
    cli_arguments_fini(&arguments);
    fuzz_file_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const modes[])(struct fuzz_bytes) = {try_units,    try_base64,    try_producer,   try_consumer,     try_admin,
                                                       try_settings, fuzz_cli_json, fuzz_cli_lines, fuzz_cli_splitter};
    static bool started;
    struct fuzz_bytes input = {data, size};
    if (!started) { // no settings of the person who runs this
        started = true;
        unsetenv("XDG_CONFIG_HOME");
        unsetenv("NETQUEUE_CONFIG");
        setenv("HOME", "/nowhere", 1);
    }
    modes[fuzz_byte(&input) % (sizeof(modes) / sizeof(modes[0]))](input);
    return 0;
}
