#include "options.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netqueue.h"
#include "report.h"
#include "settings.h"

enum { EXIT_USAGE = 64, LONG_BASE = 256, OPTIONS_MAX = 64, COMMON_INDEX = 64 };

#define AT(field) offsetof(struct cli_common, field)
const struct cli_option cli_common_options[] = {
    {'s', "server", "ENDPOINT", "of the broker (again: more; NETQUEUE_SERVER)", CLI_LIST, AT(servers), 0, 0},
    {0, "keys", "DIR", NULL, CLI_TEXT, AT(keys), 0, 0},
    {0, "timeout", "TIME", NULL, CLI_DURATION, AT(timeout_ms), 1, 0},
    {0, "format", "text|json", NULL, CLI_FORMAT, AT(format), 0, 0},
    {'q', "quiet", NULL, NULL, CLI_FLAG, AT(quiet), 0, 0},
    {0, "help", NULL, NULL, CLI_FLAG, AT(help), 0, 0},
    {0, "version", NULL, NULL, CLI_FLAG, AT(version), 0, 0},
};
#undef AT
const size_t cli_common_options_count = sizeof(cli_common_options) / sizeof(cli_common_options[0]);

// One use of an option on the command line.
struct cli_hit {
    const struct cli_option *option;
    size_t index;
    const char *text; // NULL for a flag
};

// The program's table and the common one as getopt wants them.
struct getopt_tables {
    struct option longs[OPTIONS_MAX + 16];
    char shorts[2 * (OPTIONS_MAX + 16) + 4];
};

static const struct cli_option *option_at(const struct cli_program *program, size_t i)
{
    return i < program->options_count ? &program->options[i] : &cli_common_options[i - program->options_count];
}

static size_t option_total(const struct cli_program *program)
{
    return program->options_count + cli_common_options_count;
}

// The first option of this one's name: the program's own stands in the place of a common one.
static size_t first_of_name(const struct cli_program *program, size_t i)
{
    size_t first = 0;
    while (strcmp(option_at(program, first)->name, option_at(program, i)->name) != 0) {
        first++;
    }
    return first;
}

static void make_tables(const struct cli_program *program, const char *mode, struct getopt_tables *tables)
{
    assert(program->options_count < OPTIONS_MAX);
    memset(tables, 0, sizeof(*tables));
    strcpy(tables->shorts, mode);
    size_t len = strlen(mode);
    for (size_t i = 0; i < option_total(program); i++) {
        const struct cli_option *option = option_at(program, i);
        int code = LONG_BASE + (int)first_of_name(program, i); // the same twice is not ambiguous
        tables->longs[i] = (struct option){option->name, option->kind == CLI_FLAG ? no_argument : required_argument, NULL, code};
        if (option->letter != 0) {
            tables->shorts[len++] = option->letter;
            if (option->kind != CLI_FLAG) {
                tables->shorts[len++] = ':';
            }
        }
    }
}

// What getopt returns for an option, as an index; option_total: none.
static size_t index_of(const struct cli_program *program, int code)
{
    if (code >= LONG_BASE) {
        return (size_t)(code - LONG_BASE);
    }
    size_t i = 0;
    while (i < option_total(program) && (option_at(program, i)->letter == 0 || option_at(program, i)->letter != code)) {
        i++;
    }
    return i;
}

static void say_unknown(const struct cli_program *program, const char *text, struct cli_arguments *arguments)
{
    size_t len = strcspn(text, "=");
    size_t matches = 0;
    for (size_t i = 0; i < option_total(program); i++) {
        matches += len > 2 && strncmp(option_at(program, i)->name, text + 2, len - 2) == 0;
    }
    snprintf(arguments->error, sizeof(arguments->error), "%s option '%.*s'", matches > 1 ? "ambiguous" : "unknown",
             (int)(len < 100 ? len : 100), text);
}

static void say_wrong(const struct cli_program *program, int code, char **argv, struct cli_arguments *arguments)
{
    size_t i = optopt == 0 ? option_total(program) : index_of(program, optopt);
    bool is_long = optopt == 0 || optopt >= LONG_BASE;
    if (i == option_total(program)) {
        if (is_long) {
            say_unknown(program, argv[optind - 1], arguments);
        } else {
            snprintf(arguments->error, sizeof(arguments->error), "unknown option '-%c'", optopt);
        }
        return;
    }
    const struct cli_option *option = option_at(program, i);
    if (is_long) {
        snprintf(arguments->error, sizeof(arguments->error), "option '--%s' %s", option->name,
                 code == ':' ? "needs a value" : "takes no value");
    } else {
        snprintf(arguments->error, sizeof(arguments->error), "option '-%c' needs a value", option->letter);
    }
}

static bool scan(const struct cli_program *program, int argc, char **argv, struct cli_arguments *arguments)
{
    struct getopt_tables tables;
    make_tables(program, "-:", &tables); // words come in order, so that a "--" has its place
    optind = 0;
    opterr = 0;
    for (;;) {
        int code = getopt_long(argc, argv, tables.shorts, tables.longs, NULL);
        if (code == -1) {
            break;
        }
        if (code == 1) {
            arguments->words[arguments->words_count++] = optarg;
        } else if (code == '?' || code == ':') {
            say_wrong(program, code, argv, arguments);
            return false;
        } else {
            size_t i = index_of(program, code);
            size_t index = i < program->options_count ? i : COMMON_INDEX;
            arguments->hits[arguments->hits_count++] = (struct cli_hit){option_at(program, i), index, optarg};
        }
    }
    arguments->has_rest = optind > 1 && strcmp(argv[optind - 1], "--") == 0;
    arguments->rest = argv + optind;
    arguments->rest_count = (size_t)(argc - optind);
    return true;
}

static bool apply_hits(void *options, struct cli_arguments *arguments)
{
    for (size_t i = 0; i < arguments->hits_count; i++) {
        const struct cli_hit *hit = &arguments->hits[i];
        bool fresh = true; // the first use on the command line replaces what the environment gave
        for (size_t k = 0; k < i; k++) {
            fresh = fresh && arguments->hits[k].option != hit->option;
        }
        char why[160];
        if (!cli_set_value(hit->option, options, hit->text, fresh, arguments, why, sizeof(why))) {
            snprintf(arguments->error, sizeof(arguments->error), "--%s: %s", hit->option->name, why);
            return false;
        }
        if (hit->index < OPTIONS_MAX) {
            arguments->given |= 1ull << hit->index;
        }
    }
    return true;
}

static bool prepare(int argc, char **argv, struct cli_arguments *arguments)
{
    *arguments = (struct cli_arguments){.error = "out of memory"};
    size_t most = 1; // "-qqq" is one word and three hits
    for (int i = 1; i < argc; i++) {
        most += strlen(argv[i]) + 1;
    }
    arguments->words = calloc((size_t)argc + 1, sizeof(*arguments->words));
    arguments->hits = calloc(most, sizeof(*arguments->hits));
    return arguments->words != NULL && arguments->hits != NULL;
}

int cli_parse(const struct cli_program *program, int argc, char **argv, void *options, struct cli_arguments *arguments)
{
    bool ok = prepare(argc, argv, arguments) && scan(program, argc, argv, arguments) && apply_hits(options, arguments);
    return ok ? 0 : EXIT_USAGE;
}

static bool was_hit(const struct cli_arguments *arguments, const char *name)
{
    for (size_t i = 0; i < arguments->hits_count; i++) {
        if (strcmp(arguments->hits[i].option->name, name) == 0) {
            return true;
        }
    }
    return false;
}

int cli_start(const struct cli_program *program, int argc, char **argv, void *options, struct cli_arguments *arguments)
{
    cli_report_name(program->name);
    if (!prepare(argc, argv, arguments) || !scan(program, argc, argv, arguments)) {
        cli_report("%s (try --help)", arguments->error);
        return EXIT_USAGE;
    }
    if (was_hit(arguments, "help")) {
        cli_help(program, stdout);
        return cli_close_stdout();
    }
    if (was_hit(arguments, "version")) {
        printf("%.*s %s\n", (int)strcspn(program->name, " "), program->name, nq_version()); // not of "netqueue stat"
        return cli_close_stdout();
    }
    if (!cli_settings_apply(program, options, arguments)) {
        cli_report("%s", arguments->error);
        return nq_status_exit_code(NQ_BAD_CONFIG);
    }
    if (!apply_hits(options, arguments)) {
        cli_report("%s (try --help)", arguments->error);
        return EXIT_USAGE;
    }
    return CLI_GO_ON;
}

const struct cli_option *cli_find_option(const struct cli_program *program, const char *name, size_t *index)
{
    for (size_t i = 0; i < option_total(program); i++) {
        if (strcmp(option_at(program, i)->name, name) == 0) {
            *index = i < program->options_count ? i : COMMON_INDEX;
            return option_at(program, i);
        }
    }
    return NULL;
}

bool cli_given(const struct cli_program *program, const struct cli_arguments *arguments, const char *name)
{
    size_t index = COMMON_INDEX;
    const struct cli_option *option = cli_find_option(program, name, &index);
    assert(option != NULL && index < OPTIONS_MAX);
    return option != NULL && index < OPTIONS_MAX && (arguments->given >> index & 1) != 0;
}

int cli_find_word(int argc, char **argv)
{
    static const struct cli_program nothing = {0};
    struct getopt_tables tables;
    make_tables(&nothing, "+:", &tables);
    optind = 0;
    opterr = 0;
    int code;
    do {
        code = getopt_long(argc, argv, tables.shorts, tables.longs, NULL);
    } while (code != -1 && code != '?' && code != ':');
    return code == -1 && optind < argc ? optind : argc;
}

void cli_arguments_fini(struct cli_arguments *arguments)
{
    for (size_t i = 0; i < arguments->owned.count; i++) {
        free((void *)(uintptr_t)arguments->owned.values[i]);
    }
    for (size_t i = 0; i < arguments->lists.count; i++) {
        free((void *)(uintptr_t)arguments->lists.values[i]);
    }
    free(arguments->owned.values);
    free(arguments->lists.values);
    free(arguments->words);
    free(arguments->hits);
    *arguments = (struct cli_arguments){0};
}
