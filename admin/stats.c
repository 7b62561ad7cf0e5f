// list and stat.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "json.h"
#include "units.h"

static const char *const state_names[] = {"open", "shut down", "shut down at once"};

static const char *state_name(const struct nq_queue_stats *stats)
{
    return stats->state >= 0 && stats->state <= 2 ? state_names[stats->state] : "unknown";
}

// The numbers of a queue, in the order in which they are told.
#define AT(member) offsetof(struct nq_queue_stats, member)
static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
    {"ready", AT(ready)},
    {"leased", AT(leased)},
    {"delayed", AT(delayed)},
    {"unfinished", AT(unfinished)},
    {"bytes", AT(ready_bytes)},
    {"maxsize", AT(options.maxsize)},
    {"max_bytes", AT(options.max_bytes)},
    {"lease_ms", AT(options.lease_ms)},
    {"hold_max_ms", AT(options.hold_max_ms)},
    {"ttl_ms", AT(options.ttl_ms)},
    {"puts", AT(puts)},
    {"gets", AT(gets)},
    {"dones", AT(dones)},
    {"redelivered", AT(redelivered)},
    {"requeued", AT(requeued)},
    {"failed", AT(failed)},
    {"dead_lettered", AT(dead_lettered)},
    {"expired", AT(expired)},
    {"purged", AT(purged)},
    {"dropped", AT(dropped)},
    {"quarantined", AT(quarantined)},
    {"next_seq", AT(next_seq)},
    {"queue_id", AT(queue_id)},
};
#undef AT
enum { NUMBERS = sizeof(numbers) / sizeof(numbers[0]) };

static uint64_t number_of(const struct nq_queue_stats *stats, size_t index)
{
    uint64_t value;
    memcpy(&value, (const char *)stats + numbers[index].offset, sizeof(value));
    return value;
}

static void add_json(struct cli_json *json, const struct nq_queue_stats *stats)
{
    cli_json_begin_object(json, NULL);
    cli_json_text(json, "name", stats->name);
    cli_json_text(json, "state", state_name(stats));
    for (size_t i = 0; i < NUMBERS; i++) {
        cli_json_number(json, numbers[i].name, number_of(stats, i));
    }
    cli_json_number(json, "max_deliveries", stats->options.max_deliveries);
    cli_json_text(json, "dead_letter", stats->options.dead_letter == NULL ? "" : stats->options.dead_letter);
    cli_json_bool(json, "temporary", stats->options.temporary);
    cli_json_number(json, "consumers", stats->consumers);
    cli_json_number(json, "waiting_gets", stats->waiting_gets);
    cli_json_number(json, "waiting_puts", stats->waiting_puts);
    cli_json_number(json, "waiting_joins", stats->waiting_joins);
    cli_json_end_object(json);
}

static void print_buffer(struct cli_buffer *out)
{
    cli_buffer_add_byte(out, '\n');
    fwrite(out->data, 1, out->len, stdout);
    cli_buffer_fini(out);
}

static void print_line(const char *name, uint64_t value, bool dash)
{
    if (dash && value == 0) {
        printf("%-15s -\n", name);
    } else {
        printf("%-15s %" PRIu64 "\n", name, value);
    }
}

void admin_print_stats(const struct admin *admin, const struct nq_queue_stats *stats)
{
    if (admin->options->common.format == CLI_FORMAT_JSON) {
        struct cli_buffer out = {0};
        struct cli_json json = {.out = &out};
        add_json(&json, stats);
        print_buffer(&out);
        return;
    }
    printf("%-15s %s\n%-15s %s\n", "name", stats->name, "state", state_name(stats));
    for (size_t i = 0; i < NUMBERS; i++) {
        const char *name = numbers[i].name;
        print_line(name, number_of(stats, i),
                   strcmp(name, "maxsize") == 0 || strcmp(name, "max_bytes") == 0 || strcmp(name, "ttl_ms") == 0);
    }
    print_line("max_deliveries", stats->options.max_deliveries, true);
    const char *dead_letter = stats->options.dead_letter;
    printf("%-15s %s\n", "dead_letter", dead_letter == NULL || dead_letter[0] == '\0' ? "-" : dead_letter);
    printf("%-15s %s\n", "temporary", stats->options.temporary ? "yes" : "no");
    print_line("consumers", stats->consumers, false);
    print_line("waiting_gets", stats->waiting_gets, false);
    print_line("waiting_puts", stats->waiting_puts, false);
    print_line("waiting_joins", stats->waiting_joins, false);
}

enum nq_status admin_stat(const struct admin *admin)
{
    struct nq_queue_stats stats;
    enum nq_status status = nq_stat(admin->client, admin->queue, &stats);
    if (status == NQ_OK) {
        admin_print_stats(admin, &stats);
    }
    return status;
}

static void print_table(const struct nq_queue_stats *queues, size_t count)
{
    int width = 5;
    for (size_t i = 0; i < count; i++) {
        int len = (int)strlen(queues[i].name);
        width = len > width ? len : width;
    }
    printf("%-*s %10s %10s %10s %10s %10s %9s %s\n", width, "queue", "ready", "leased", "delayed", "unfinished", "maxsize",
           "consumers", "state");
    for (size_t i = 0; i < count; i++) {
        const struct nq_queue_stats *queue = &queues[i];
        char maxsize[24] = "-";
        if (queue->options.maxsize > 0) {
            snprintf(maxsize, sizeof(maxsize), "%" PRIu64, queue->options.maxsize);
        }
        printf("%-*s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10s %9" PRIu32 " %s\n", width, queue->name,
               queue->ready, queue->leased, queue->delayed, queue->unfinished, maxsize, queue->consumers, state_name(queue));
    }
}

enum nq_status admin_list(const struct admin *admin)
{
    struct nq_queue_stats *queues = NULL;
    size_t count = 0;
    enum nq_status status = nq_list(admin->client, &queues, &count);
    if (status != NQ_OK) {
        return status;
    }
    if (admin->options->common.format == CLI_FORMAT_JSON) {
        struct cli_buffer out = {0};
        struct cli_json json = {.out = &out};
        cli_json_begin_array(&json, NULL);
        for (size_t i = 0; i < count; i++) {
            add_json(&json, &queues[i]);
        }
        cli_json_end_array(&json);
        print_buffer(&out);
    } else if (count > 0) {
        print_table(queues, count);
    } else if (!admin->options->common.quiet) {
        puts("no queues");
    }
    nq_free(queues);
    return NQ_OK;
}
