#include "admin.h"

#define AT(field) offsetof(struct admin_options, field)
#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))
#define YEAR_MS (366ull * 24 * 3600 * 1000)

#define QUEUE_OPTIONS                                                                                                              \
    {0, "maxsize", "N", "ready or put with a delay, at most; 0: any", CLI_COUNT, AT(maxsize), 0, 0},                               \
        {0, "max-bytes", "SIZE", "of them; 0: any", CLI_SIZE, AT(max_bytes), 0, 0},                                                \
        {0, "lease", "TIME", "of an item, without a renewal", CLI_DURATION, AT(lease_ms), 1, YEAR_MS},                             \
        {0, "hold-max", "TIME", "of an item, with renewals", CLI_DURATION, AT(hold_max_ms), 1, YEAR_MS},                           \
        {0, "max-deliveries", "N", "failures before it is a dead letter; 0: any", CLI_COUNT, AT(max_deliveries), 0, UINT32_MAX},   \
        {0, "dead-letter", "QUEUE", "where dead letters go; '': nowhere", CLI_TEXT, AT(dead_letter), 0, 0},                        \
        {0, "ttl", "TIME", "items not got by then are dropped; 0: never", CLI_DURATION, AT(ttl_ms), 0, YEAR_MS},                   \
    {                                                                                                                              \
        0, "temporary", NULL, "deleted when nobody uses it any more", CLI_FLAG, AT(temporary), 0, 0                                \
    }

static const struct cli_option update_options[] = {QUEUE_OPTIONS};
static const struct cli_option declare_options[] = {
    QUEUE_OPTIONS,
    {0, "initial", "N", "put N empty items as the queue is created", CLI_COUNT, AT(initial), 0, 100000},
};
static const struct cli_option join_options[] = {
    {0, "wait", "TIME", "at most (exit code 75); else without end", CLI_DURATION, AT(wait_ms), 0, 0},
};
static const struct cli_option shutdown_options[] = {
    {0, "immediate", NULL, "drop what is ready or delayed, too", CLI_FLAG, AT(immediate), 0, 0},
};
static const struct cli_option redrive_options[] = {
    {0, "to", "QUEUE", "where to; else each to where it came from", CLI_TEXT, AT(to), 0, 0},
    {'n', "count", "N", "at most so many", CLI_COUNT, AT(count), 1, 0},
};
static const struct cli_option peek_options[] = {
    {'n', "count", "N", "at most so many (10)", CLI_COUNT, AT(count), 1, 0},
    {0, "from", "SEQ", "from that place on", CLI_COUNT, AT(from), 0, 0},
    {'0', "null", NULL, "bodies end with NUL, not with a newline", CLI_FLAG, AT(null_ended), 0, 0},
    {0, "json", NULL, "one JSON object a line", CLI_FLAG, AT(json), 0, 0},
};
static const struct cli_option bench_options[] = {
    {0, "size", "SIZE", "of an item (100)", CLI_SIZE, AT(bench.size), 0, 1u << 30},
    {0, "window", "N", "items on their way; 1: in lock-step (1000)", CLI_COUNT, AT(bench.window), 1, BENCH_WINDOW_MAX},
    {0, "producers", "N", "each with a connection of its own (1)", CLI_COUNT, AT(bench.producers), 1, BENCH_THREADS_MAX},
    {0, "consumers", "N", "the same (1)", CLI_COUNT, AT(bench.consumers), 1, BENCH_THREADS_MAX},
    {0, "queues", "N", "QUEUE.0, QUEUE.1.. instead of QUEUE", CLI_COUNT, AT(bench.queues), 1, BENCH_QUEUES_MAX},
    {0, "rate", "N[/s]", "of all puts, on a fixed schedule; 0: as fast as it goes", CLI_RATE_0, AT(bench.rate), 0, 0},
    {0, "duration", "TIME", "of what is measured (10s)", CLI_DURATION, AT(bench.duration_ms), 1, YEAR_MS},
    {'n', "count", "N", "items in all; ends when they are through", CLI_COUNT, AT(count), 1, 0},
    {0, "warmup", "TIME", "before it, not counted (1s; with -n and get 0)", CLI_DURATION, AT(bench.warmup_ms), 0, YEAR_MS},
    {0, "keep", NULL, "leave the queues at the end", CLI_FLAG, AT(bench.keep), 0, 0},
    {0, "force", NULL, "run on queues that hold items", CLI_FLAG, AT(bench.force), 0, 0},
    {0, "format", "text|json|csv", NULL, CLI_FORMAT, AT(common.format), 0, CLI_FORMAT_CSV},
};
static const struct cli_option keygen_options[] = {
    {0, "put", "PATTERNS", "queues the clients may put to: names with * and ?", CLI_TEXT, AT(put), 0, 0},
    {0, "get", "PATTERNS", "queues they may get from ('*' both, if none is given)", CLI_TEXT, AT(get), 0, 0},
    {0, "admin", "PATTERNS", "queues they may declare, purge, delete, ...", CLI_TEXT, AT(admin), 0, 0},
};
#undef AT

#define COMMAND(name, usage, purpose, options, count) {"netqueue " name, usage, purpose, options, count}, name

const struct admin_command admin_commands[] = {
    {COMMAND("list", "[OPTION...]", "List all queues.", NULL, 0), 0, 0, admin_list},
    {COMMAND("stat", "[OPTION...] QUEUE", "Show all there is to know about a queue.", NULL, 0), 1, 1, admin_stat},
    {COMMAND("declare", "[OPTION...] QUEUE", "Create a queue, or see that it exists with these options.", declare_options,
             COUNT_OF(declare_options)),
     1, 1, admin_declare},
    {COMMAND("update", "[OPTION...] QUEUE", "Change options of a queue.", update_options, COUNT_OF(update_options)), 1, 1,
     admin_update},
    {COMMAND("purge", "[OPTION...] QUEUE", "Drop all items that are ready or delayed.", NULL, 0), 1, 1, admin_purge},
    {COMMAND("delete", "[OPTION...] QUEUE", "Delete a queue and all its items.", NULL, 0), 1, 1, admin_delete},
    {COMMAND("peek", "[OPTION...] QUEUE", "Look at ready items without taking them.", peek_options, COUNT_OF(peek_options)), 1, 1,
     admin_peek},
    {COMMAND("join", "[OPTION...] QUEUE", "Wait until all items of a queue are done.", join_options, COUNT_OF(join_options)), 1, 1,
     admin_join},
    {COMMAND("shutdown", "[OPTION...] QUEUE", "Take no more items; consumers drain the queue and end. Cannot be taken back.",
             shutdown_options, COUNT_OF(shutdown_options)),
     1, 1, admin_shutdown},
    {COMMAND("redrive", "[OPTION...] QUEUE", "Put the dead letters in QUEUE back to where they came from.", redrive_options,
             COUNT_OF(redrive_options)),
     1, 1, admin_redrive},
    {COMMAND("bench", "[MODE] [OPTION...] [QUEUE]",
             "Load the broker and measure: put, get, or cycle (put, get and task_done at once).", bench_options,
             COUNT_OF(bench_options)),
     0, 2, admin_bench},
    {COMMAND("backup", "[OPTION...] NAME",
             "Copy the broker's store, while it works, into a new folder NAME below its --backup-dir.", NULL, 0),
     1, 1, admin_backup},
    {COMMAND("ping", "[OPTION...]", "Ask the broker for a sign of life.", NULL, 0), 0, 0, admin_ping},
    {COMMAND("keygen", "[OPTION...] DIR [CLIENT...]",
             "Make the broker's keys in DIR, if it has none, and those of clients: DIR/clients/CLIENT is\n"
             "for the client's host, DIR/authorised/CLIENT says what it may do.",
             keygen_options, COUNT_OF(keygen_options)),
     1, 1000, admin_keygen},
};
const size_t admin_commands_count = COUNT_OF(admin_commands);
