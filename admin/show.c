#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin.h"

enum column_kind { NUMBER, OPTION, TIME_OPTION, BOOL };

// One list for JSON and text: the name, and where the value stands.
static const struct field {
    const char *name;
    size_t offset;
    size_t size;
    enum column_kind kind;
} fields[] = {
#define FIELD(name, kind)                                                                                                          \
    {                                                                                                                              \
#name, offsetof(struct nq_queue_stats, name), sizeof(((struct nq_queue_stats *)0)->name), kind                             \
    }
#define GIVEN(name, kind)                                                                                                          \
    {                                                                                                                              \
#name, offsetof(struct nq_queue_stats, options.name), sizeof(((struct nq_queue_stats *)0)->options.name), kind             \
    }
    FIELD(ready, NUMBER),          FIELD(leased, NUMBER),        FIELD(delayed, NUMBER),
    FIELD(unfinished, NUMBER),     FIELD(ready_bytes, NUMBER),   GIVEN(maxsize, OPTION),
    GIVEN(max_bytes, OPTION),      GIVEN(lease_ms, TIME_OPTION), GIVEN(hold_max_ms, TIME_OPTION),
    GIVEN(max_deliveries, OPTION), GIVEN(ttl_ms, TIME_OPTION),   GIVEN(temporary, BOOL),
    FIELD(puts, NUMBER),           FIELD(gets, NUMBER),          FIELD(dones, NUMBER),
    FIELD(redelivered, NUMBER),    FIELD(requeued, NUMBER),      FIELD(failed, NUMBER),
    FIELD(expired, NUMBER),        FIELD(purged, NUMBER),        FIELD(dead_lettered, NUMBER),
    FIELD(dropped, NUMBER),        FIELD(quarantined, NUMBER),   FIELD(next_seq, NUMBER),
    FIELD(queue_id, NUMBER),       FIELD(consumers, NUMBER),     FIELD(waiting_gets, NUMBER),
    FIELD(waiting_puts, NUMBER),   FIELD(waiting_joins, NUMBER),
#undef FIELD
#undef GIVEN
};

static const char *state_name(int state)
{
    return state == 0 ? "open" : state == 1 ? "shut_down" : "shut_down_at_once";
}

static uint64_t value_of(const struct nq_queue_stats *stats, const struct field *field)
{
    const char *at = (const char *)stats + field->offset;
    uint64_t wide = 0;
    uint32_t narrow = 0;
    bool flag = false;
    if (field->size == sizeof(wide)) {
        memcpy(&wide, at, sizeof(wide));
        return wide;
    }
    if (field->size == sizeof(narrow)) {
        memcpy(&narrow, at, sizeof(narrow));
        return narrow;
    }
    memcpy(&flag, at, sizeof(flag));
    return flag;
}

void show_stats_json(struct cli_json *json, const struct nq_queue_stats *stats)
{
    cli_json_begin_object(json, NULL);
    cli_json_text(json, "name", stats->name);
    cli_json_text(json, "state", state_name(stats->state));
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (fields[i].kind == BOOL) {
            cli_json_bool(json, fields[i].name, value_of(stats, &fields[i]) != 0);
        } else {
            cli_json_number(json, fields[i].name, value_of(stats, &fields[i]));
        }
    }
    cli_json_text(json, "dead_letter", stats->dead_letter);
    cli_json_end_object(json);
}

// "30s" rather than 30000: what the options take.
static void format_time(uint64_t ms, char *out, size_t size)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t i = 0;
    while (ms % units[i].factor != 0) {
        i++;
    }
    snprintf(out, size, "%" PRIu64 "%s", ms / units[i].factor, units[i].name);
}

static void format_field(const struct nq_queue_stats *stats, const struct field *field, char *out, size_t size)
{
    uint64_t value = value_of(stats, field);
    if (field->kind == BOOL) {
        snprintf(out, size, "%s", value != 0 ? "yes" : "no");
    } else if (field->kind != NUMBER && value == 0) {
        snprintf(out, size, "-");
    } else if (field->kind == TIME_OPTION) {
        format_time(value, out, size);
    } else {
        snprintf(out, size, "%" PRIu64, value);
    }
}

void show_stats_text(struct cli_buffer *out, const struct nq_queue_stats *stats)
{
    cli_buffer_format(out, "%-15s %s\n%-15s %s\n", "name", stats->name, "state", state_name(stats->state));
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        char value[32];
        char name[32];
        format_field(stats, &fields[i], value, sizeof(value));
        snprintf(name, sizeof(name), "%s", fields[i].name);
        size_t len = strlen(name);
        if (fields[i].kind == TIME_OPTION) {
            name[len - strlen("_ms")] = '\0'; // the unit stands with the value
        }
        cli_buffer_format(out, "%-15s %s\n", name, value);
    }
    cli_buffer_format(out, "%-15s %s\n", "dead_letter", stats->dead_letter[0] == '\0' ? "-" : stats->dead_letter);
}

// The table of `list`: the fields by which one sees how queues are doing.
static const char *const columns[] = {"ready", "leased", "delayed", "unfinished", "maxsize", "puts", "gets", "dones"};
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static const struct field *field_named(const char *name)
{
    const struct field *field = fields;
    while (strcmp(field->name, name) != 0) {
        field++;
    }
    return field;
}

static size_t wider(size_t width, size_t len)
{
    return width > len ? width : len;
}

void show_table(struct cli_buffer *out, const struct nq_queue_stats *stats, size_t count)
{
    size_t name_width = strlen("NAME");
    size_t widths[COLUMNS];
    char value[32];
    for (size_t c = 0; c < COLUMNS; c++) {
        widths[c] = strlen(columns[c]);
        for (size_t i = 0; i < count; i++) {
            format_field(&stats[i], field_named(columns[c]), value, sizeof(value));
            widths[c] = wider(widths[c], strlen(value));
            name_width = wider(name_width, strlen(stats[i].name));
        }
    }
    cli_buffer_format(out, "%-*s", (int)name_width, "NAME");
    for (size_t c = 0; c < COLUMNS; c++) {
        snprintf(value, sizeof(value), "%s", columns[c]);
        for (char *at = value; *at != '\0'; at++) {
            *at = (char)(*at - ('a' - 'A'));
        }
        cli_buffer_format(out, "  %*s", (int)widths[c], value);
    }
    cli_buffer_add_text(out, "  STATE\n");
    for (size_t i = 0; i < count; i++) {
        cli_buffer_format(out, "%-*s", (int)name_width, stats[i].name);
        for (size_t c = 0; c < COLUMNS; c++) {
            format_field(&stats[i], field_named(columns[c]), value, sizeof(value));
            cli_buffer_format(out, "  %*s", (int)widths[c], value);
        }
        cli_buffer_format(out, "  %s\n", state_name(stats[i].state));
    }
}

void show_count(struct admin *admin, const char *name, uint64_t count, const char *words)
{
    if (admin->options.common.format == CLI_FORMAT_JSON) {
        struct cli_json json = {.out = &admin->out};
        cli_json_begin_object(&json, NULL);
        cli_json_text(&json, "queue", admin->queue);
        cli_json_number(&json, name, count);
        cli_json_end_object(&json);
        cli_buffer_add_byte(&admin->out, '\n');
    } else if (!admin->options.common.quiet) {
        cli_buffer_format(&admin->out, "%" PRIu64 " item%s %s\n", count, count == 1 ? "" : "s", words);
    }
}
