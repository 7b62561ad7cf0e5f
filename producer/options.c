#include <stdlib.h>
#include <string.h>

#include "producer.h"

#define AT(field) offsetof(struct producer_options, field)
static const struct cli_option table[] = {
    {'0', "null", NULL, "items on stdin end with NUL, not with a newline", CLI_FLAG, AT(null_ended), 0, 0},
    {0, "whole", NULL, "all of stdin is one item", CLI_FLAG, AT(whole), 0, 0},
    {0, "file", "FILE", "a file is one item (again: more; words, too)", CLI_LIST, AT(files), 0, 0},
    {0, "json-lines", NULL, "lines: {\"body\":..,\"headers\":{..},\"delay\":..}", CLI_FLAG, AT(json_lines), 0, 0},
    {'n', "count", "N", "put N generated items: 1, 2, 3..", CLI_COUNT, AT(count), 0, 0},
    {0, "size", "SIZE", "generated items have this size", CLI_SIZE, AT(size), 0, 1u << 30},
    {0, "random", NULL, "generated items are numbers from 0 to 256", CLI_FLAG, AT(random), 0, 0},
    {0, "threads", "N", "producers at work at once", CLI_COUNT, AT(threads), 1, 1024},
    {0, "rate", "N[/s]", "at most so many items a second", CLI_RATE, AT(rate), 0, 0},
    {0, "window", "N", "items on their way, unconfirmed (10000)", CLI_COUNT, AT(window), 1, 10000000},
    {0, "no-wait", NULL, "a full queue ends it (75)", CLI_FLAG, AT(no_wait), 0, 0},
    {0, "put-timeout", "TIME", "a queue that stays full for so long ends it (75)", CLI_DURATION, AT(put_timeout_ms), 0, 0},
    {0, "delay", "TIME", "items can be got only then", CLI_DURATION, AT(delay_ms), 0, 0},
    {'H', "header", "K=V", "a header of every item (again: more)", CLI_LIST, AT(header_texts), 0, 0},
    {0, "join", NULL, "wait until all items of the queue are done", CLI_FLAG, AT(join), 0, 0},
    {0, "notify", NULL, "say on stdout what has been put by whom", CLI_FLAG, AT(notify), 0, 0},
    {0, "name", "NAME", "of this producer (producer-PID)", CLI_TEXT, AT(name), 0, 0},
    {0, "grace", "TIME", NULL, CLI_DURATION, AT(grace_ms), 0, 0},
};
#undef AT

static const struct cli_program program = {
    .name = "netqueue-producer",
    .usage = "[OPTION...] QUEUE [BODY...]",
    .purpose = "Put items: the BODYs, else the lines of standard input.",
    .options = table,
    .options_count = sizeof(table) / sizeof(table[0]),
};

static int usage_error(const char *text)
{
    cli_report("%s (try --help)", text);
    return 64;
}

// The words before and behind a "--" are the same here.
static bool collect_words(const struct cli_arguments *arguments, struct producer_options *options)
{
    size_t total = arguments->words_count + arguments->rest_count;
    const char **words = calloc(total + 1, sizeof(*words));
    if (words == NULL) {
        return false;
    }
    memcpy(words, arguments->words, arguments->words_count * sizeof(*words));
    for (size_t i = 0; i < arguments->rest_count; i++) {
        words[arguments->words_count + i] = arguments->rest[i];
    }
    options->queue = words[0];
    options->bodies = words + 1; // words[0] is given back by way of it
    options->bodies_count = total > 0 ? total - 1 : 0;
    return true;
}

static bool split_headers(struct producer_options *options, struct cli_arguments *arguments)
{
    options->headers = calloc(options->header_texts.count + 1, sizeof(*options->headers));
    for (size_t i = 0; options->headers != NULL && i < options->header_texts.count; i++) {
        const char *text = options->header_texts.values[i];
        const char *equals = strchr(text, '=');
        char *name = (char *)(uintptr_t)cli_keep_text(arguments, text);
        if (equals == NULL || equals == text || name == NULL) {
            return false;
        }
        name[equals - text] = '\0';
        options->headers[options->headers_count++] = (struct nq_header_field){name, equals + 1, strlen(equals + 1)};
    }
    return options->headers != NULL;
}

static const char *find_conflict(const struct producer_options *options)
{
    bool generates = options->count_given || options->size_given || options->random;
    int sources = (options->null_ended || options->json_lines) + options->whole + (options->files.count > 0);
    if (options->null_ended && options->json_lines) {
        return "--null and --json-lines do not go together";
    }
    if (sources > 1) {
        return "--whole, --file and items on stdin do not go together";
    }
    if (generates && sources > 0) {
        return "--count, --size and --random generate items: they do not go with --null, --whole, --file or --json-lines";
    }
    if (options->bodies_count > 0 && (options->null_ended || options->json_lines || options->whole)) {
        return "BODYs and items on stdin do not go together";
    }
    if (options->bodies_count > 0 && (options->size_given || options->random)) {
        return "BODYs and generated items do not go together";
    }
    if (options->size_given && options->random) {
        return "--size and --random do not go together";
    }
    if (options->notify && options->common.format == CLI_FORMAT_JSON) {
        return "--notify and --format json do not go together";
    }
    return NULL;
}

int producer_options_read(int argc, char **argv, struct producer_options *options, struct cli_arguments *arguments)
{
    *options = (struct producer_options){
        .common = CLI_COMMON_DEFAULTS, .threads = 1, .grace_ms = 10000, .put_timeout_ms = NQ_WAIT_FOREVER};
    int code = cli_start(&program, argc, argv, options, arguments);
    if (code != CLI_GO_ON) {
        return code;
    }
    if (!collect_words(arguments, options)) {
        return usage_error("out of memory");
    }
    if (options->queue == NULL) {
        return usage_error("which QUEUE?");
    }
    options->count_given = cli_given(&program, arguments, "count");
    options->size_given = cli_given(&program, arguments, "size");
    const char *conflict = find_conflict(options);
    if (conflict != NULL) {
        return usage_error(conflict);
    }
    if (!split_headers(options, arguments)) {
        return usage_error("--header: a header is NAME=VALUE");
    }
    options->put_timeout_ms = options->no_wait ? 0 : options->put_timeout_ms;
    return CLI_GO_ON;
}

void producer_options_fini(struct producer_options *options, struct cli_arguments *arguments)
{
    free(options->headers);
    if (options->bodies != NULL) {
        free((void *)(uintptr_t)(options->bodies - 1));
    }
    cli_arguments_fini(arguments);
}
