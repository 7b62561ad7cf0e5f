// Queues as a whole: list, stat, declare, update, delete; and the broker: ping.
#include <inttypes.h>
#include <stdio.h>

#include "admin.h"
#include "report.h"

static void show_stats(struct admin *admin, const struct nq_queue_stats *stats)
{
    if (admin->options.common.format == CLI_FORMAT_JSON) {
        struct cli_json json = {.out = &admin->out};
        show_stats_json(&json, stats);
        cli_buffer_add_byte(&admin->out, '\n');
    } else {
        show_stats_text(&admin->out, stats);
    }
}

enum nq_status admin_list(struct admin *admin)
{
    struct nq_queue_stats *stats = NULL;
    size_t count = 0;
    enum nq_status status = nq_list(admin->client, &stats, &count);
    if (status != NQ_OK) {
        return status;
    }
    if (admin->options.common.format == CLI_FORMAT_JSON) {
        struct cli_json json = {.out = &admin->out};
        cli_json_begin_array(&json, NULL);
        for (size_t i = 0; i < count; i++) {
            show_stats_json(&json, &stats[i]);
        }
        cli_json_end_array(&json);
        cli_buffer_add_byte(&admin->out, '\n');
    } else {
        show_table(&admin->out, stats, count);
    }
    nq_free(stats);
    return NQ_OK;
}

enum nq_status admin_stat(struct admin *admin)
{
    struct nq_queue_stats stats;
    enum nq_status status = nq_stat(admin->client, admin->queue, &stats);
    if (status == NQ_OK) {
        show_stats(admin, &stats);
    }
    return status;
}

static void collect_options(const struct admin *admin, struct nq_queue_options *out)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } bits[] = {
        {"maxsize", NQ_GIVEN_MAXSIZE},   {"max-bytes", NQ_GIVEN_MAX_BYTES},           {"lease", NQ_GIVEN_LEASE},
        {"hold-max", NQ_GIVEN_HOLD_MAX}, {"max-deliveries", NQ_GIVEN_MAX_DELIVERIES}, {"dead-letter", NQ_GIVEN_DEAD_LETTER},
        {"ttl", NQ_GIVEN_TTL},           {"temporary", NQ_GIVEN_TEMPORARY},
    };
    const struct admin_options *options = &admin->options;
    *out = (struct nq_queue_options){
        .maxsize = options->maxsize,
        .max_bytes = options->max_bytes,
        .lease_ms = options->lease_ms,
        .hold_max_ms = options->hold_max_ms,
        .max_deliveries = (uint32_t)options->max_deliveries,
        .dead_letter = options->dead_letter,
        .ttl_ms = options->ttl_ms,
        .temporary = options->temporary,
    };
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        out->given |= cli_given(&admin->command->program, &admin->arguments, bits[i].name) ? bits[i].bit : 0;
    }
}

// As text, success says nothing.
static enum nq_status end_change(struct admin *admin, enum nq_status status, const struct nq_queue_stats *stats)
{
    if (status == NQ_OK && admin->options.common.format == CLI_FORMAT_JSON) {
        show_stats(admin, stats);
    }
    return status;
}

enum nq_status admin_declare(struct admin *admin)
{
    struct nq_queue_options options;
    struct nq_queue_stats stats;
    collect_options(admin, &options);
    return end_change(admin, nq_declare(admin->client, admin->queue, &options, admin->options.initial, &stats), &stats);
}

enum nq_status admin_update(struct admin *admin)
{
    struct nq_queue_options options;
    struct nq_queue_stats stats;
    collect_options(admin, &options);
    return end_change(admin, nq_update(admin->client, admin->queue, &options, &stats), &stats);
}

enum nq_status admin_delete(struct admin *admin)
{
    uint64_t count = 0;
    enum nq_status status = nq_delete(admin->client, admin->queue, &count);
    if (status == NQ_OK) {
        show_count(admin, "deleted", count, "deleted with the queue");
    }
    return status;
}

enum nq_status admin_backup(struct admin *admin)
{
    uint64_t bytes = 0;
    enum nq_status status = nq_backup(admin->client, admin->queue, &bytes);
    if (status != NQ_OK) {
        return status;
    }
    if (admin->options.common.format == CLI_FORMAT_JSON) {
        struct cli_json json = {.out = &admin->out};
        cli_json_begin_object(&json, NULL);
        cli_json_text(&json, "backup", admin->queue);
        cli_json_number(&json, "bytes", bytes);
        cli_json_end_object(&json);
        cli_buffer_add_byte(&admin->out, '\n');
    } else if (!admin->options.common.quiet) {
        cli_buffer_format(&admin->out, "%" PRIu64 " bytes in backup %s\n", bytes, admin->queue);
    }
    return NQ_OK;
}

static void add_store_id(char *out, size_t size, const struct nq_broker_info *info)
{
    size_t len = 0;
    for (size_t i = 0; i < sizeof(info->store_id) && len + 3 <= size; i++) {
        len += (size_t)snprintf(out + len, size - len, "%02x", info->store_id[i]);
    }
}

enum nq_status admin_ping(struct admin *admin)
{
    struct nq_broker_info info;
    enum nq_status status = nq_ping(admin->client, &info);
    if (status != NQ_OK) {
        return status;
    }
    char store[40] = "";
    char up[32];
    add_store_id(store, sizeof(store), &info);
    cli_format_seconds((double)info.uptime_ms / 1000, up, sizeof(up));
    if (admin->options.common.format == CLI_FORMAT_JSON) {
        struct cli_json json = {.out = &admin->out};
        cli_json_begin_object(&json, NULL);
        cli_json_text(&json, "version", info.version);
        cli_json_number(&json, "uptime_ms", info.uptime_ms);
        cli_json_number(&json, "epoch", info.epoch);
        cli_json_number(&json, "queues", info.queues);
        cli_json_number(&json, "sessions", info.sessions);
        cli_json_text(&json, "store_id", store);
        cli_json_number(&json, "body_bytes_max", info.body_bytes_max);
        cli_json_number(&json, "headers_bytes_max", info.headers_bytes_max);
        cli_json_end_object(&json);
        cli_buffer_add_byte(&admin->out, '\n');
    } else if (!admin->options.common.quiet) {
        cli_buffer_format(&admin->out, "version %s, uptime %s, epoch %" PRIu64 ", %u queues, %u sessions, store %s\n", info.version,
                          up, info.epoch, info.queues, info.sessions, store);
    }
    return NQ_OK;
}
