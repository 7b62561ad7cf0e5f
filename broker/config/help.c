#include <inttypes.h>
#include <string.h>

#include "options.h"

enum { HELP_WIDTH = 79 };

static void print_main_options(FILE *out)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option_spec *spec = &option_specs[i];
        if (spec->help == NULL) {
            continue;
        }
        char left[64];
        snprintf(left, sizeof(left), "--%s%s%s", spec->name, spec->argument == NULL ? "" : " ",
                 spec->argument == NULL ? "" : spec->argument);
        fprintf(out, "  %-21s %s\n", left, spec->help);
    }
}

static void print_limits(FILE *out)
{
    int column = fprintf(out, "Limits (default):");
    for (size_t i = 0; i < option_count; i++) {
        const struct option_spec *spec = &option_specs[i];
        if (spec->help != NULL) {
            continue;
        }
        char text[64];
        const char *preset = spec->preset == NULL ? "no" : strcmp(spec->preset, "0") == 0 ? "none" : spec->preset;
        int len = snprintf(text, sizeof(text), "--%s (%s)", spec->name, preset);
        if (column + 1 + len > HELP_WIDTH) {
            column = fprintf(out, "\n ") - 1;
        }
        column += fprintf(out, " %s", text);
    }
    fputc('\n', out);
}

void config_print_help(FILE *out)
{
    fputs("Usage: netqueue-broker [OPTION]...   serve queues\n"
          "       netqueue-broker check|compact DIR   verify, shrink a store not in use\n",
          out);
    print_main_options(out);
    print_limits(out);
    fputs("Times: 500ms 30s 5m 1h; sizes: 64K 10M 2G. Each option also as\n"
          "NETQUEUE_BROKER_MAX_DISK=... (here --max-disk); a flag wins over that.\n",
          out);
}

static void print_quoted(FILE *out, const char *name, const char *value)
{
    bool plain = strpbrk(value, " #\"'=\t") == NULL;
    fprintf(out, plain ? "%s = %s\n" : "%s = \"%s\"\n", name, value);
}

void config_print(const struct config *self, FILE *out)
{
    char text[CONFIG_TEXT_MAX];
    for (size_t i = 0; i < option_count; i++) {
        const struct option_spec *spec = &option_specs[i];
        if (spec->command_line_only) {
            continue;
        }
        for (size_t at = 0; spec->kind == OPTION_LIST && at < self->listen_count; at++) {
            print_quoted(out, spec->name, self->listen[at]);
        }
        if (option_text(self, spec, text, sizeof(text))) {
            print_quoted(out, spec->name, text);
        }
    }
}
