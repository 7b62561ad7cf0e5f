// --help: what fits one 80x24 screen with a prompt below it. The manual page has the rest.
#include <stdio.h>
#include <string.h>

#include "options.h"

enum { WIDTH = 79, COLUMN = 25 };

static void left_side(const struct cli_option *option, char *out, size_t size)
{
    char letter[8] = "";
    if (option->letter != 0) {
        snprintf(letter, sizeof(letter), "-%c, ", option->letter);
    }
    snprintf(out, size, "%s--%s%s%s", letter, option->name, option->argument == NULL ? "" : " ",
             option->argument == NULL ? "" : option->argument);
}

// Does the program have an option of its own in the place of this common one?
static bool is_replaced(const struct cli_program *program, const struct cli_option *option)
{
    size_t index;
    return option >= cli_common_options && option < cli_common_options + cli_common_options_count &&
           cli_find_option(program, option->name, &index) != option;
}

static void print_described(const struct cli_option *options, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        if (options[i].help != NULL) {
            char left[80];
            left_side(&options[i], left, sizeof(left));
            fprintf(out, "  %-*s %s\n", COLUMN, left, options[i].help);
        }
    }
}

static int print_named(const struct cli_program *program, const struct cli_option *options, size_t count, FILE *out, int column)
{
    for (size_t i = 0; i < count; i++) {
        if (options[i].help != NULL || is_replaced(program, &options[i])) {
            continue;
        }
        char left[80];
        left_side(&options[i], left, sizeof(left));
        int len = (int)strlen(left) + 1;
        if (column > 2 && column + len + 1 > WIDTH) {
            fputs("\n ", out);
            column = 1;
        }
        column += fprintf(out, " %s;", left);
    }
    return column;
}

void cli_help(const struct cli_program *program, void *stream)
{
    FILE *out = stream;
    fprintf(out, "Usage: %s %s\n%s\n", program->name, program->usage, program->purpose);
    print_described(program->options, program->options_count, out);
    print_described(cli_common_options, cli_common_options_count, out);
    fputc(' ', out);
    int column = print_named(program, program->options, program->options_count, out, 1);
    column = print_named(program, cli_common_options, cli_common_options_count, out, column);
    char end[64];
    snprintf(end, sizeof(end), " see %s(1)", program->name);
    char *space = strchr(end + 5, ' '); // "netqueue stat" has the page of "netqueue"
    if (space != NULL) {
        snprintf(space, sizeof(end) - (size_t)(space - end), "(1)");
    }
    fprintf(out, "%s%s\n", column + (int)strlen(end) > WIDTH ? "\n " : "", end);
}
