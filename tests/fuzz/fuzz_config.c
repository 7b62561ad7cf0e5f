// The broker's flags and configuration file. What is accepted is within its bounds, and, printed as a file, is accepted again and is
// the same; what is refused is refused with a line that says why.
//
// Words for the command line, one a line; behind a line "--" the file.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "fuzz.h"
#include "options.h"

enum { WORDS_MAX = 24, PRINTED_BYTES_MAX = 64 * 1024 };

// A fuzzer left to itself names any file of the machine.
static bool names_a_file(const char *word)
{
    return strncmp(word, "--c", 3) == 0;
}

static void check_numbers(const struct config *config)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option_spec *spec = &option_specs[i];
        if (spec->kind == OPTION_DURATION || spec->kind == OPTION_SIZE || spec->kind == OPTION_COUNT) {
            uint64_t number;
            memcpy(&number, (const char *)config + spec->offset, sizeof(number));
            fuzz_require(number >= spec->lowest && number <= spec->highest, "a number is within its bounds");
        }
    }
    fuzz_require(config->listen_count > 0 && config->listen_count <= CONFIG_LISTEN_MAX, "there is an endpoint");
}

static size_t print(const struct config *config, char *out)
{
    FILE *stream = fmemopen(out, PRINTED_BYTES_MAX, "w");
    fuzz_require(stream != NULL, "memory");
    config_print(config, stream);
    fflush(stream);
    long len = ftell(stream);
    fclose(stream);
    fuzz_require(len > 0 && len < PRINTED_BYTES_MAX, "it can be printed");
    return (size_t)len;
}

// What a file can hold: the ends of values are trimmed and quotes, comments and line breaks mean something in it.
static bool can_be_written(const char *text)
{
    return text == NULL || (text[0] != '\0' && strcspn(text, "\"'#\n\r\t\v\f ") == strlen(text));
}

static bool all_can_be_written(const struct config *config)
{
    for (size_t i = 0; i < option_count; i++) {
        char *text;
        memcpy(&text, (const char *)config + option_specs[i].offset, sizeof(text));
        if (option_specs[i].kind == OPTION_TEXT && !can_be_written(text)) {
            return false;
        }
    }
    for (size_t i = 0; i < config->listen_count; i++) {
        if (!can_be_written(config->listen[i])) {
            return false;
        }
    }
    return true;
}

static void print_and_read_again(const struct config *config)
{
    if (!all_can_be_written(config)) {
        return;
    }
    static char first[PRINTED_BYTES_MAX];
    static char second[PRINTED_BYTES_MAX];
    struct config again;
    struct config_error error;
    char name[] = "netqueue-broker";
    char *const argv[] = {name, NULL};
    size_t len = print(config, first);
    struct fuzz_file file = fuzz_file_open((struct fuzz_bytes){(const uint8_t *)first, len});
    setenv("NETQUEUE_BROKER_CONFIG", file.path, 1);
    fuzz_require(config_load(&again, 1, argv, &error) == NQ_OK, "what was printed is accepted");
    fuzz_require(print(&again, second) == len && memcmp(first, second, len) == 0, "it is the same again");
    config_fini(&again);
    unsetenv("NETQUEUE_BROKER_CONFIG");
    fuzz_file_close(&file);
}

static void load(int argc, char *const argv[])
{
    struct config config;
    struct config_error error;
    enum nq_status status = config_load(&config, argc, argv, &error);
    unsetenv("NETQUEUE_BROKER_CONFIG"); // not of what is read again below
    if (status != NQ_OK) {
        int code = config_exit_code(status);
        fuzz_require(error.text[0] != '\0' && strchr(error.text, '\n') == NULL, "a refusal is one line");
        fuzz_require(code == 64 || code == 78, "a refusal is wrong usage or a wrong configuration");
        return;
    }
    check_numbers(&config);
    if (config.action == CONFIG_RUN) {
        print_and_read_again(&config);
    }
    config_fini(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text((struct fuzz_bytes){data, size});
    char *rest = text;
    char name[] = "netqueue-broker";
    char *argv[WORDS_MAX + 2] = {name};
    int argc = 1;
    for (char *word = strsep(&rest, "\n"); word != NULL && strcmp(word, "--") != 0; word = strsep(&rest, "\n")) {
        if (argc <= WORDS_MAX && !names_a_file(word) && word[0] != '\0') {
            argv[argc++] = word;
        }
    }
    struct fuzz_file file = {.fd = -1};
    if (rest != NULL) {
        file = fuzz_file_open((struct fuzz_bytes){(const uint8_t *)rest, strlen(rest)});
        setenv("NETQUEUE_BROKER_CONFIG", file.path, 1);
    }
    load(argc, argv);
    if (rest != NULL) {
        fuzz_file_close(&file);
    }
    free(text);
    return 0;
}
