// One value of one option: text -> the field of the options struct.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "units.h"

bool cli_list_add(struct cli_list *list, const char *value)
{
    const char **values = realloc(list->values, (list->count + 1) * sizeof(*values));
    if (values == NULL) {
        return false;
    }
    list->values = values;
    values[list->count++] = value;
    return true;
}

const char *cli_keep_text(struct cli_arguments *arguments, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL || !cli_list_add(&arguments->owned, copy)) {
        free(copy);
        return NULL;
    }
    return copy;
}

// A list of the options struct: its array belongs to `arguments`, which frees it.
static bool add_to_list(struct cli_list *list, const char *text, bool fresh, struct cli_arguments *arguments)
{
    size_t count = fresh ? 0 : list->count;
    const char **values = calloc(count + 1, sizeof(*values));
    if (values == NULL || !cli_list_add(&arguments->lists, (const char *)values)) {
        free(values);
        return false;
    }
    if (count > 0) {
        memcpy(values, list->values, count * sizeof(*values));
    }
    values[count] = text;
    *list = (struct cli_list){values, count + 1};
    return true;
}

static bool parse_number(const struct cli_option *option, const char *text, uint64_t *out)
{
    switch (option->kind) {
    case CLI_DURATION:
        return units_parse_duration_ms(text, out);
    case CLI_SIZE:
        return units_parse_size(text, out);
    default:
        return units_parse_count(text, out);
    }
}

static const char *number_form(enum cli_kind kind)
{
    return kind == CLI_DURATION ? "a time like 500ms, 1.5s, 5m or 2h"
           : kind == CLI_SIZE   ? "a size like 500, 64K, 16M or 1G"
                                : "a number";
}

static bool set_number(const struct cli_option *option, void *field, const char *text, char *why, size_t why_size)
{
    uint64_t number;
    if (!parse_number(option, text, &number)) {
        snprintf(why, why_size, "'%.40s' is not %s", text, number_form(option->kind));
        return false;
    }
    if (number < option->lowest || (option->highest != 0 && number > option->highest)) {
        if (option->kind == CLI_DURATION) {
            snprintf(why, why_size, "'%.40s' is too %s", text, number < option->lowest ? "short" : "long");
        } else {
            snprintf(why, why_size, "%s is too %s, %" PRIu64 " is the %s", text, number < option->lowest ? "small" : "large",
                     number < option->lowest ? option->lowest : option->highest, number < option->lowest ? "least" : "most");
        }
        return false;
    }
    memcpy(field, &number, sizeof(number));
    return true;
}

static bool set_flag(void *field, const char *text, char *why, size_t why_size)
{
    static const char *const words[] = {"0", "1", "no", "yes", "false", "true", "off", "on"};
    size_t i = text == NULL ? 1 : 0;
    while (text != NULL && i < sizeof(words) / sizeof(words[0]) && strcmp(text, words[i]) != 0) {
        i++;
    }
    if (i == sizeof(words) / sizeof(words[0])) {
        snprintf(why, why_size, "'%.40s' is neither yes nor no", text);
        return false;
    }
    bool value = i % 2 == 1;
    memcpy(field, &value, sizeof(value));
    return true;
}

static bool set_format(const struct cli_option *option, void *field, const char *text, char *why, size_t why_size)
{
    static const char *const names[] = {[CLI_FORMAT_TEXT] = "text", [CLI_FORMAT_JSON] = "json", [CLI_FORMAT_CSV] = "csv"};
    size_t highest = option->highest > 0 ? (size_t)option->highest : CLI_FORMAT_JSON;
    size_t i = 0;
    while (i <= highest && strcmp(text, names[i]) != 0) {
        i++;
    }
    if (i > highest) {
        snprintf(why, why_size, "'%.40s' is not one of %s", text, option->argument);
        return false;
    }
    enum cli_format format = (enum cli_format)i;
    memcpy(field, &format, sizeof(format));
    return true;
}

static bool set_rate(const struct cli_option *option, void *field, const char *text, char *why, size_t why_size)
{
    double rate = 0;
    bool is_zero = strcmp(text, "0") == 0 || strcmp(text, "0/s") == 0;
    if (!units_parse_rate(text, &rate) && !(is_zero && option->kind == CLI_RATE_0)) {
        snprintf(why, why_size, "'%.40s' is not a rate like 50 or 50/s", text);
        return false;
    }
    memcpy(field, &rate, sizeof(rate));
    return true;
}

bool cli_set_value(const struct cli_option *option, void *options, const char *text, bool fresh, struct cli_arguments *arguments,
                   char *why, size_t why_size)
{
    char *field = (char *)options + option->offset;
    switch (option->kind) {
    case CLI_FLAG:
        return set_flag(field, text, why, why_size);
    case CLI_TEXT:
        memcpy(field, &text, sizeof(text));
        return true;
    case CLI_LIST:
        snprintf(why, why_size, "out of memory");
        return add_to_list((struct cli_list *)(void *)field, text, fresh, arguments);
    case CLI_RATE:
    case CLI_RATE_0:
        return set_rate(option, field, text, why, why_size);
    case CLI_FORMAT:
        return set_format(option, field, text, why, why_size);
    case CLI_DURATION:
    case CLI_SIZE:
    case CLI_COUNT:
    default:
        return set_number(option, field, text, why, why_size);
    }
}
