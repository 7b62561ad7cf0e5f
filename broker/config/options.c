#include "options.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "units.h"

#define AT(member) offsetof(struct config, member)

static const uint64_t year_ms = NQ_DURATION_MS_MAX;
enum { COUNT_MAX = 1000000000, BODY_LIMIT_MAX = NQ_BODY_BYTES_MAX, HEADERS_LIMIT_MAX = 1024 * 1024 };

// Durations of zero would end every lease and session at once.
#define DURATION(n, member, def, low)                                                                                              \
    {                                                                                                                              \
        .name = n, .kind = OPTION_DURATION, .offset = AT(member), .preset = def, .lowest = low, .highest = NQ_DURATION_MS_MAX,     \
        .argument = "TIME"                                                                                                         \
    }
#define COUNT(n, member, def)                                                                                                      \
    {                                                                                                                              \
        .name = n, .kind = OPTION_COUNT, .offset = AT(member), .preset = def, .lowest = 1, .highest = COUNT_MAX, .argument = "N"   \
    }
#define SIZE(n, member, def, low, high)                                                                                            \
    {                                                                                                                              \
        .name = n, .kind = OPTION_SIZE, .offset = AT(member), .preset = def, .lowest = low, .highest = high, .argument = "SIZE"    \
    }

// clang-format off
const struct option_spec option_specs[] = {
    {.name = "listen", .kind = OPTION_LIST, .offset = AT(listen), .preset = NQ_DEFAULT_ENDPOINT, .argument = "ENDPOINT",
     .help = "tcp://HOST:PORT (*: a free one), ipc://PATH; repeatable"},
    {.name = "data", .kind = OPTION_TEXT, .offset = AT(data), .argument = "DIR",
     .help = "where the queues are kept (./netqueue-data)"},
    {.name = "memory", .kind = OPTION_FLAG, .offset = AT(memory), .help = "keep the queues in memory only"},
    {.name = "sync", .kind = OPTION_CHOICE, .offset = AT(sync), .preset = "always", .choices = "always|none", .argument = "always|none",
     .help = "none: a power cut may lose the last items"},
    {.name = "config", .kind = OPTION_TEXT, .offset = AT(file), .argument = "FILE", .command_line_only = true,
     .help = "lines `option = value`, named as here"},
    {.name = "endpoint-file", .kind = OPTION_TEXT, .offset = AT(endpoint_file), .argument = "PATH",
     .help = "gets the endpoint(s) once they are served"},
    {.name = "backup-dir", .kind = OPTION_TEXT, .offset = AT(backup_dir), .argument = "DIR", .help = "where backups may be written"},
    {.name = "keys", .kind = OPTION_TEXT, .offset = AT(keys), .argument = "DIR", .help = "keys to demand and encrypt (netqueue keygen)"},
    {.name = "insecure", .kind = OPTION_FLAG, .offset = AT(insecure), .help = "listen beyond this machine, unprotected"},
    {.name = "exit-when-shut-down", .kind = OPTION_FLAG, .offset = AT(exit_when_shut_down)},
    {.name = "log-level", .kind = OPTION_CHOICE, .offset = AT(log_level), .preset = "info", .choices = "error|warning|info|debug",
     .argument = "LEVEL", .help = "error, warning, info or debug"},
    {.name = "print-config", .kind = OPTION_FLAG, .offset = AT(print), .command_line_only = true,
     .help = "show what holds, as a file for --config"},
    {.name = "version", .kind = OPTION_FLAG, .offset = AT(version), .command_line_only = true, .help = "show the version"},
    {.name = "help", .kind = OPTION_FLAG, .offset = AT(help), .command_line_only = true, .help = "show this"},
    SIZE("max-disk", max_disk, "0", 0, INT64_MAX),
    SIZE("disk-reserve", disk_reserve, "256M", 0, INT64_MAX),
    SIZE("body-limit", body_limit, "1M", 1, BODY_LIMIT_MAX),
    SIZE("headers-limit", headers_limit, "4K", 0, HEADERS_LIMIT_MAX),
    SIZE("parked-limit", parked_limit, "256M", 0, INT64_MAX),
    SIZE("parked-limit-per-key", parked_limit_per_key, "128M", 1, INT64_MAX),
    COUNT("max-queues", max_queues, "100000"),
    COUNT("max-sessions", max_sessions, "65536"),
    COUNT("max-streams", max_streams, "1000000"),
    COUNT("max-delayed", max_delayed, "1000000"),
    COUNT("max-leases", max_leases, "100000"),
    COUNT("max-waiters", max_waiters, "10000"),
    COUNT("max-sessions-per-key", max_sessions_per_key, "10000"),
    {.name = "max-requests-per-key", .kind = OPTION_COUNT, .offset = AT(max_requests_per_key), .preset = "0", .highest = COUNT_MAX,
     .argument = "N"},
    DURATION("lease", lease_ms, "60s", 1),
    DURATION("hold-max", hold_max_ms, "1h", 1),
    DURATION("session-grace", session_grace_ms, "2s", 1),
    DURATION("session-timeout", session_timeout_ms, "15s", NQ_SESSION_TIMEOUT_MS_MIN),
    DURATION("dedup-keep", dedup_keep_ms, "24h", 1),
};
// clang-format on
const size_t option_count = sizeof(option_specs) / sizeof(option_specs[0]);
_Static_assert(sizeof(option_specs) / sizeof(option_specs[0]) <= CONFIG_OPTIONS_MAX, "config.source has a place for each");

const struct option_spec *option_find(const char *name)
{
    for (size_t i = 0; i < option_count; i++) {
        if (strcmp(option_specs[i].name, name) == 0) {
            return &option_specs[i];
        }
    }
    return NULL;
}

size_t option_index(const struct option_spec *spec)
{
    return (size_t)(spec - option_specs);
}

static void *member_of(struct config *config, const struct option_spec *spec)
{
    return (char *)config + spec->offset;
}

static const void *member_of_const(const struct config *config, const struct option_spec *spec)
{
    return (const char *)config + spec->offset;
}

static enum nq_status wrong(char *why, size_t why_size, const char *expected)
{
    snprintf(why, why_size, "expected %s", expected);
    return NQ_BAD_REQUEST;
}

static enum nq_status set_flag(void *member, const char *value, char *why, size_t why_size)
{
    static const char *const yes[] = {"1", "true", "yes", "on"};
    static const char *const no[] = {"0", "false", "no", "off"};
    for (size_t i = 0; value != NULL && i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcmp(value, yes[i]) == 0) {
            value = NULL;
        } else if (strcmp(value, no[i]) == 0) {
            *(bool *)member = false;
            return NQ_OK;
        }
    }
    if (value != NULL) {
        return wrong(why, why_size, "yes or no");
    }
    *(bool *)member = true;
    return NQ_OK;
}

static enum nq_status set_text(void *member, const char *value, char *why, size_t why_size)
{
    if (value[0] == '\0' || strlen(value) >= CONFIG_TEXT_MAX) {
        return wrong(why, why_size, "a text that is neither empty nor very long");
    }
    char *copy = strdup(value);
    if (copy == NULL) {
        return NQ_NO_MEMORY;
    }
    char **text = member;
    free(*text);
    *text = copy;
    return NQ_OK;
}

static enum nq_status add_listen(struct config *config, bool anew, const char *value, char *why, size_t why_size)
{
    if (!endpoint_is_valid(value)) {
        return wrong(why, why_size, "tcp://HOST:PORT or ipc://PATH");
    }
    if (anew) {
        while (config->listen_count > 0) {
            free(config->listen[--config->listen_count]);
            config->listen[config->listen_count] = NULL;
        }
    }
    if (config->listen_count == CONFIG_LISTEN_MAX) {
        return wrong(why, why_size, "at most 16 endpoints");
    }
    enum nq_status status = set_text(&config->listen[config->listen_count], value, why, why_size);
    config->listen_count += status == NQ_OK ? 1 : 0;
    return status;
}

static enum nq_status set_choice(void *member, const struct option_spec *spec, const char *value, char *why, size_t why_size)
{
    size_t len = strlen(value);
    uint32_t index = 0;
    for (const char *at = spec->choices; at != NULL; index++) {
        if (len > 0 && strncmp(at, value, len) == 0 && (at[len] == '|' || at[len] == '\0')) {
            *(uint32_t *)member = index;
            return NQ_OK;
        }
        at = strchr(at, '|');
        at = at == NULL ? NULL : at + 1;
    }
    return wrong(why, why_size, spec->choices);
}

static bool parse_number(const struct option_spec *spec, const char *value, uint64_t *out)
{
    switch (spec->kind) {
    case OPTION_DURATION:
        return units_parse_duration_ms(value, out);
    case OPTION_SIZE:
        return units_parse_size(value, out);
    default:
        return units_parse_count(value, out);
    }
}

static void format_number(const struct option_spec *spec, uint64_t number, char *out, size_t size)
{
    switch (spec->kind) {
    case OPTION_DURATION:
        units_format_duration_ms(number, out, size);
        return;
    case OPTION_SIZE:
        units_format_size(number, out, size);
        return;
    default:
        snprintf(out, size, "%" PRIu64, number);
        return;
    }
}

static enum nq_status set_number(void *member, const struct option_spec *spec, const char *value, char *why, size_t why_size)
{
    uint64_t number;
    if (!parse_number(spec, value, &number)) {
        const char *expected = spec->kind == OPTION_DURATION ? "a duration such as 500ms, 30s, 5m or 1h"
                               : spec->kind == OPTION_SIZE   ? "a size such as 4096, 64K, 10M or 2G"
                                                             : "a whole number";
        return wrong(why, why_size, expected);
    }
    if (number < spec->lowest || number > spec->highest) {
        char low[32];
        char high[32];
        format_number(spec, spec->lowest, low, sizeof(low));
        format_number(spec, spec->kind == OPTION_DURATION ? year_ms : spec->highest, high, sizeof(high));
        snprintf(why, why_size, "expected %s to %s", low, high);
        return NQ_BAD_REQUEST;
    }
    *(uint64_t *)member = number;
    return NQ_OK;
}

enum nq_status option_set(struct config *config, const struct option_spec *spec, enum config_source source, const char *value,
                          char *why, size_t why_size)
{
    uint8_t *current = &config->source[option_index(spec)];
    if (*current > source) {
        return NQ_OK;
    }
    enum nq_status status;
    void *member = member_of(config, spec);
    switch (spec->kind) {
    case OPTION_FLAG:
        status = set_flag(member, value, why, why_size);
        break;
    case OPTION_TEXT:
        status = set_text(member, value, why, why_size);
        break;
    case OPTION_LIST:
        status = add_listen(config, *current < source, value, why, why_size);
        break;
    case OPTION_CHOICE:
        status = set_choice(member, spec, value, why, why_size);
        break;
    default:
        status = set_number(member, spec, value, why, why_size);
        break;
    }
    if (status == NQ_OK) {
        *current = (uint8_t)source;
    }
    return status;
}

static void choice_text(const struct option_spec *spec, uint32_t index, char *out, size_t size)
{
    const char *at = spec->choices;
    for (; index > 0; index--) {
        at = strchr(at, '|') + 1;
    }
    snprintf(out, size, "%.*s", (int)strcspn(at, "|"), at);
}

bool option_text(const struct config *config, const struct option_spec *spec, char *out, size_t size)
{
    const void *member = member_of_const(config, spec);
    const char *text;
    switch (spec->kind) {
    case OPTION_FLAG:
        snprintf(out, size, "%s", *(const bool *)member ? "yes" : "no");
        return true;
    case OPTION_TEXT:
        text = *(char *const *)member;
        snprintf(out, size, "%s", text == NULL ? "" : text);
        return text != NULL;
    case OPTION_LIST:
        return false; // its caller walks the list
    case OPTION_CHOICE:
        choice_text(spec, *(const uint32_t *)member, out, size);
        return true;
    default:
        format_number(spec, *(const uint64_t *)member, out, size);
        return true;
    }
}
