// Commands that change a queue, wait for it, or ask the broker for a sign of life.
#include <inttypes.h>
#include <stdio.h>

#include "admin.h"
#include "json.h"
#include "units.h"

static struct nq_queue_options options_given(const struct admin *admin)
{
    const struct admin_options *options = admin->options;
    struct nq_queue_options out = {
        .maxsize = options->maxsize,
        .max_bytes = options->max_bytes,
        .lease_ms = options->lease_ms,
        .hold_max_ms = options->hold_max_ms,
        .max_deliveries = (uint32_t)options->max_deliveries,
        .dead_letter = options->dead_letter,
        .ttl_ms = options->ttl_ms,
        .temporary = options->temporary,
    };
    static const struct {
        const char *name;
        uint32_t bit;
    } bits[] = {{"maxsize", NQ_GIVEN_MAXSIZE},
                {"max-bytes", NQ_GIVEN_MAX_BYTES},
                {"lease", NQ_GIVEN_LEASE},
                {"hold-max", NQ_GIVEN_HOLD_MAX},
                {"max-deliveries", NQ_GIVEN_MAX_DELIVERIES},
                {"dead-letter", NQ_GIVEN_DEAD_LETTER},
                {"ttl", NQ_GIVEN_TTL},
                {"temporary", NQ_GIVEN_TEMPORARY}};
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        out.given |= admin_given(admin, bits[i].name) ? bits[i].bit : 0;
    }
    return out;
}

static void show(const struct admin *admin, const struct nq_queue_stats *stats)
{
    if (admin->options->common.format == CLI_FORMAT_JSON) {
        admin_print_stats(admin, stats);
    }
}

enum nq_status admin_declare(const struct admin *admin)
{
    struct nq_queue_options options = options_given(admin);
    struct nq_queue_stats stats;
    enum nq_status status = nq_declare(admin->client, admin->queue, &options, admin->options->initial, &stats);
    if (status == NQ_OK) {
        show(admin, &stats);
    }
    return status;
}

enum nq_status admin_update(const struct admin *admin)
{
    struct nq_queue_options options = options_given(admin);
    struct nq_queue_stats stats;
    enum nq_status status = nq_update(admin->client, admin->queue, &options, &stats);
    if (status == NQ_OK) {
        show(admin, &stats);
    }
    return status;
}

static void print_count(const struct admin *admin, const char *what, uint64_t count)
{
    if (admin->options->common.format == CLI_FORMAT_JSON) {
        printf("{\"queue\":\"%s\",\"%s\":%" PRIu64 "}\n", admin->queue, what, count); // a name needs no escaping
    } else if (!admin->options->common.quiet) {
        printf("%" PRIu64 " item%s %s\n", count, count == 1 ? "" : "s", what);
    }
}

enum nq_status admin_purge(const struct admin *admin)
{
    uint64_t count = 0;
    enum nq_status status = nq_purge(admin->client, admin->queue, &count);
    if (status == NQ_OK) {
        print_count(admin, "purged", count);
    }
    return status;
}

enum nq_status admin_delete(const struct admin *admin)
{
    uint64_t count = 0;
    enum nq_status status = nq_delete(admin->client, admin->queue, &count);
    if (status == NQ_OK) {
        print_count(admin, "deleted", count);
    }
    return status;
}

enum nq_status admin_shutdown(const struct admin *admin)
{
    uint64_t count = 0;
    enum nq_status status = nq_shutdown(admin->client, admin->queue, admin->options->immediate, &count);
    if (status == NQ_OK && admin->options->immediate) {
        print_count(admin, "dropped", count);
    }
    return status;
}

enum nq_status admin_join(const struct admin *admin)
{
    return nq_join(admin->client, admin->queue, admin->options->wait_ms);
}

enum nq_status admin_redrive(const struct admin *admin)
{
    uint64_t moved = 0;
    enum nq_status status = nq_redrive(admin->client, admin->queue, admin->options->to, admin->options->count, &moved);
    if (status == NQ_OK || moved > 0) {
        print_count(admin, "moved", moved);
    }
    return status;
}

enum nq_status admin_ping(const struct admin *admin)
{
    struct nq_broker_info info;
    enum nq_status status = nq_ping(admin->client, &info);
    if (status != NQ_OK) {
        return status;
    }
    if (admin->options->common.format == CLI_FORMAT_JSON) {
        printf("{\"version\":\"%s\",\"epoch\":%" PRIu64 ",\"uptime_ms\":%" PRIu64 ",\"queues\":%" PRIu32 ",\"sessions\":%" PRIu32
               ",\"body_bytes_max\":%" PRIu64 "}\n",
               info.version, info.epoch, info.uptime_ms, info.queues, info.sessions, info.body_bytes_max);
    } else if (!admin->options->common.quiet) {
        char uptime[32];
        cli_format_seconds((double)info.uptime_ms / 1000, uptime, sizeof(uptime));
        printf("broker %s, up %s, start %" PRIu64 " of its store, %" PRIu32 " queues, %" PRIu32 " sessions\n", info.version, uptime,
               info.epoch, info.queues, info.sessions);
    }
    return NQ_OK;
}
