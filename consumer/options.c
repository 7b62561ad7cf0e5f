#include <string.h>

#include "consumer.h"

#define AT(field) offsetof(struct consumer_options, field)
#define DAYS_MS (24ull * 3600 * 1000)
static const struct cli_option table[] = {
    {'j', "jobs", "N", "commands at once (in each thread)", CLI_COUNT, AT(jobs), 1, 4096},
    {0, "threads", "N", "consumers at work at once", CLI_COUNT, AT(threads), 1, 1024},
    {'n', "count", "N", "end after N items", CLI_COUNT, AT(count), 1, 0},
    {0, "exit-when-empty", NULL, "end when nothing is ready or delayed", CLI_FLAG, AT(exit_when_empty), 0, 0},
    {0, "max-idle", "TIME", "end when no item has come for so long", CLI_DURATION, AT(max_idle_ms), 0, 0},
    {0, "round-robin", NULL, "queues in turn (else: the first with an item)", CLI_FLAG, AT(round_robin), 0, 0},
    {'0', "null", NULL, "bodies end with NUL, not with a newline", CLI_FLAG, AT(null_ended), 0, 0},
    {0, "json", NULL, "one JSON object a line", CLI_FLAG, AT(json), 0, 0},
    {0, "peek", NULL, "look at what is ready, take nothing", CLI_FLAG, AT(peek), 0, 0},
    {0, "at-most-once", NULL, "items are done as they leave the broker", CLI_FLAG, AT(at_most_once), 0, 0},
    {0, "lease", "TIME", "of the items taken (the queue's)", CLI_DURATION, AT(lease_ms), 1, 366 * DAYS_MS},
    {0, "hold-max", "TIME", "longest time for one item (the queue's)", CLI_DURATION, AT(hold_max_ms), 1, 366 * DAYS_MS},
    {0, "prefetch", "N", "items taken ahead (by use; none for a CMD)", CLI_COUNT, AT(prefetch), 0, 100000},
    {0, "requeue-delay", "TIME", "after exit code 75 of CMD (1s)", CLI_DURATION, AT(requeue_delay_ms), 0, 366 * DAYS_MS},
    {0, "backoff", "TIME", "after a failure of CMD, doubled each time (1s)", CLI_DURATION, AT(backoff_ms), 0, 366 * DAYS_MS},
    {0, "grace", "TIME", "after SIGINT or SIGTERM, for what runs (10s)", CLI_DURATION, AT(grace_ms), 0, 0},
    {0, "notify", NULL, "say what has been taken by whom", CLI_FLAG, AT(notify), 0, 0},
    {0, "name", "NAME", "of this consumer (consumer-PID)", CLI_TEXT, AT(name), 0, 0},
};
#undef AT

static const struct cli_program program = {
    .name = "netqueue-consumer",
    .usage = "[OPTION...] QUEUE... [-- CMD ARG...]",
    .purpose = "Print items or run CMD for each, the body on its standard input.",
    .options = table,
    .options_count = sizeof(table) / sizeof(table[0]),
};

static const char *find_conflict(const struct consumer_options *options, const struct cli_arguments *arguments)
{
    if (options->queues_count == 0) {
        return "which QUEUE?";
    }
    if (arguments->has_rest && arguments->rest_count == 0) {
        return "which CMD? Nothing stands behind the --";
    }
    if (options->json && options->null_ended) {
        return "--json and --null do not go together";
    }
    if (options->command != NULL && (options->json || options->null_ended || options->peek)) {
        return "--json, --null and --peek do not go together with a CMD";
    }
    if (options->notify && (options->json || options->null_ended || options->peek)) {
        return "--notify does not go together with --json, --null or --peek";
    }
    if (options->peek && (options->at_most_once || options->threads > 1)) {
        return "--peek takes nothing: it does not go together with --at-most-once or --threads";
    }
    return NULL;
}

int consumer_options_read(int argc, char **argv, struct consumer_options *options, struct cli_arguments *arguments)
{
    *options = (struct consumer_options){
        .common = CLI_COMMON_DEFAULTS, .jobs = 1, .threads = 1, .requeue_delay_ms = 1000, .backoff_ms = 1000, .grace_ms = 10000};
    int code = cli_start(&program, argc, argv, options, arguments);
    if (code != CLI_GO_ON) {
        return code;
    }
    options->queues = arguments->words;
    options->queues_count = arguments->words_count;
    options->command = arguments->rest_count > 0 ? arguments->rest : NULL;
    options->count_given = cli_given(&program, arguments, "count");
    options->max_idle_given = cli_given(&program, arguments, "max-idle");
    options->prefetch_given = cli_given(&program, arguments, "prefetch");
    const char *conflict = find_conflict(options, arguments);
    if (conflict != NULL) {
        cli_report("%s (try --help)", conflict);
        return 64;
    }
    bool plain = options->command == NULL && !options->null_ended && !options->notify;
    options->json = options->json || (plain && options->common.format == CLI_FORMAT_JSON);
    return CLI_GO_ON;
}
