#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Options that can be set for good. Others belong to one call: a forgotten `delay` in a file would be a trap.
static const struct setting {
    const char *name;
    const char *variable;
} settings[] = {
    {"server", "NETQUEUE_SERVER"}, {"timeout", "NETQUEUE_TIMEOUT"}, {"format", "NETQUEUE_FORMAT"}, {"quiet", "NETQUEUE_QUIET"},
    {"grace", "NETQUEUE_GRACE"},   {"window", "NETQUEUE_WINDOW"},   {"name", "NETQUEUE_NAME"},     {"keys", "NETQUEUE_KEYS"},
};

static char *trim(char *text)
{
    while (isspace((unsigned char)*text)) {
        text++;
    }
    size_t len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1])) {
        text[--len] = '\0';
    }
    return text;
}

// Comma-separated for a list. `where` names the source in an error.
static bool set_from_text(const struct cli_program *program, const char *name, const char *text, const char *where, void *options,
                          struct cli_arguments *arguments)
{
    size_t index;
    const struct cli_option *option = cli_find_option(program, name, &index);
    if (option == NULL) {
        return true;
    }
    char why[160] = "out of memory";
    char *rest = (char *)(uintptr_t)cli_keep_text(arguments, text);
    bool ok = rest != NULL;
    if (ok && option->kind == CLI_LIST) {
        bool fresh = true;
        for (char *part = strsep(&rest, ","); ok && part != NULL; part = strsep(&rest, ",")) {
            part = trim(part);
            ok = part[0] == '\0' || cli_set_value(option, options, part, fresh, arguments, why, sizeof(why));
            fresh = fresh && part[0] == '\0';
        }
    } else if (ok) {
        ok = cli_set_value(option, options, rest, true, arguments, why, sizeof(why));
    }
    if (!ok) {
        snprintf(arguments->error, sizeof(arguments->error), "%s: %s", where, why);
    } else if (index < 64) {
        arguments->given |= 1ull << index;
    }
    return ok;
}

static bool set_from_line(const struct cli_program *program, char *line, const char *where, void *options,
                          struct cli_arguments *arguments)
{
    line = trim(line);
    if (line[0] == '\0' || line[0] == '#') {
        return true;
    }
    char *equals = strchr(line, '=');
    if (equals == NULL) {
        snprintf(arguments->error, sizeof(arguments->error), "%s: not a line like 'key = value'", where);
        return false;
    }
    *equals = '\0';
    const char *key = trim(line);
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        if (strcmp(key, settings[i].name) == 0) {
            return set_from_text(program, key, trim(equals + 1), where, options, arguments);
        }
    }
    snprintf(arguments->error, sizeof(arguments->error), "%s: unknown setting '%.40s'", where, key);
    return false;
}

bool cli_settings_load(const struct cli_program *program, const char *path, bool required, void *options,
                       struct cli_arguments *arguments)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        bool missing = errno == ENOENT || errno == ENOTDIR;
        snprintf(arguments->error, sizeof(arguments->error), "%.180s: %s", path, strerror(errno));
        return missing && !required;
    }
    bool ok = true;
    char *line = NULL;
    size_t capacity = 0;
    errno = 0;
    for (unsigned number = 1; ok && getline(&line, &capacity, file) != -1; number++) {
        char where[256];
        snprintf(where, sizeof(where), "%.180s:%u", path, number);
        ok = set_from_line(program, line, where, options, arguments);
    }
    if (ok && ferror(file)) {
        snprintf(arguments->error, sizeof(arguments->error), "%.180s: %s", path, strerror(errno));
        ok = false;
    }
    free(line);
    fclose(file);
    return ok;
}

static bool load_default_file(const struct cli_program *program, void *options, struct cli_arguments *arguments)
{
    const char *named = getenv("NETQUEUE_CONFIG");
    if (named != NULL && named[0] != '\0') {
        return cli_settings_load(program, named, true, options, arguments);
    }
    const char *base = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    char path[4096];
    int len = 0;
    if (base != NULL && base[0] == '/') {
        len = snprintf(path, sizeof(path), "%s/netqueue/config", base);
    } else if (home != NULL && home[0] != '\0') {
        len = snprintf(path, sizeof(path), "%s/.config/netqueue/config", home);
    }
    if (len <= 0 || (size_t)len >= sizeof(path)) {
        return true;
    }
    return cli_settings_load(program, path, false, options, arguments);
}

bool cli_settings_apply(const struct cli_program *program, void *options, struct cli_arguments *arguments)
{
    if (!load_default_file(program, options, arguments)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        const char *value = getenv(settings[i].variable);
        if (value != NULL && value[0] != '\0' &&
            !set_from_text(program, settings[i].name, value, settings[i].variable, options, arguments)) {
            return false;
        }
    }
    return true;
}
