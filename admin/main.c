#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "report.h"
#include "setup.h"
#include "signals.h"

#define AT(field) offsetof(struct admin_options, field)
static const struct cli_option queue_options[] = {
    {0, "maxsize", "N", "items ready at most; 0: no bound", CLI_COUNT, AT(maxsize), 0, 0},
    {0, "max-bytes", "SIZE", "bytes of ready items at most; 0: no bound", CLI_SIZE, AT(max_bytes), 0, 0},
    {0, "lease", "TIME", "how long a consumer holds an item without a sign of life", CLI_DURATION, AT(lease_ms), 1, 0},
    {0, "hold-max", "TIME", "how long it may hold one in all", CLI_DURATION, AT(hold_max_ms), 1, 0},
    {0, "max-deliveries", "N", "failures after which an item leaves; 0: never", CLI_COUNT, AT(max_deliveries), 0, UINT32_MAX},
    {0, "dead-letter", "QUEUE", "where it goes then; empty: it is dropped", CLI_TEXT, AT(dead_letter), 0, 0},
    {0, "ttl", "TIME", "items expire after it; 0: never", CLI_DURATION, AT(ttl_ms), 0, 0},
    {0, "temporary", NULL, "deleted when nobody uses it any more", CLI_FLAG, AT(temporary), 0, 0},
    {0, "initial", "N", "empty items put as the queue is created", CLI_COUNT, AT(initial), 0, 0}, // last: not of update
};
enum { QUEUE_OPTIONS = sizeof(queue_options) / sizeof(queue_options[0]) };

static const struct cli_option join_options[] = {
    {0, "wait", "TIME", "give up after it (75); default: never", CLI_DURATION, AT(wait_ms), 0, 0}};
static const struct cli_option shutdown_options[] = {
    {0, "immediate", NULL, "drop what is ready or delayed", CLI_FLAG, AT(immediate), 0, 0}};
static const struct cli_option redrive_options[] = {
    {'n', "count", "N", "at most N items; default: all", CLI_COUNT, AT(count), 0, 0},
    {0, "to", "QUEUE", "to this queue, not to each one's origin", CLI_TEXT, AT(to), 0, 0}};
static const struct cli_option peek_options[] = {
    {'n', "count", "N", "at most N items (10)", CLI_COUNT, AT(count), 1, 10000},
    {0, "from", "SEQ", "from this seq on", CLI_COUNT, AT(from_seq), 0, 0},
    {'0', "null", NULL, "end each body with NUL, not with a newline", CLI_FLAG, AT(null_ended), 0, 0},
    {0, "json", NULL, "each item as one line of JSON", CLI_FLAG, AT(json), 0, 0}};
#undef AT

#define COMMAND(word, usage_text, purpose_text, table, count, takes, function)                                                     \
    {                                                                                                                              \
        .program = {.name = "netqueue " word,                                                                                      \
                    .usage = usage_text,                                                                                           \
                    .purpose = purpose_text,                                                                                       \
                    .options = (table),                                                                                            \
                    .options_count = (count)},                                                                                     \
        .takes_queue = (takes), .run = (function)                                                                                  \
    }
static const struct admin_command commands[] = {
    COMMAND("list", "[OPTION...]", "All queues.", NULL, 0, false, admin_list),
    COMMAND("stat", "[OPTION...] QUEUE", "What one queue holds and has done.", NULL, 0, true, admin_stat),
    COMMAND("declare", "[OPTION...] QUEUE", "Create a queue, or see that it exists with these options.", queue_options,
            QUEUE_OPTIONS, true, admin_declare),
    COMMAND("update", "[OPTION...] QUEUE", "Change options of a queue.", queue_options, QUEUE_OPTIONS - 1, true, admin_update),
    COMMAND("purge", "[OPTION...] QUEUE", "Drop all ready and delayed items.", NULL, 0, true, admin_purge),
    COMMAND("delete", "[OPTION...] QUEUE", "Delete a queue and all in it.", NULL, 0, true, admin_delete),
    COMMAND("peek", "[OPTION...] QUEUE", "Look at ready items, take none.", peek_options, 4, true, admin_peek),
    COMMAND("join", "[OPTION...] QUEUE", "Wait until every item is done.", join_options, 1, true, admin_join),
    COMMAND("shutdown", "[OPTION...] QUEUE", "No more puts; consumers drain it. Cannot be taken back.", shutdown_options, 1, true,
            admin_shutdown),
    COMMAND("redrive", "[OPTION...] QUEUE", "Dead letters of QUEUE back to where they came from.", redrive_options, 2, true,
            admin_redrive),
    COMMAND("ping", "[OPTION...]", "Is there a broker?", NULL, 0, false, admin_ping),
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct cli_program general = {
    .name = "netqueue",
    .usage = "[OPTION...] COMMAND [ARGUMENT...]",
    .purpose = "Look at and look after the queues of a broker. `netqueue COMMAND --help` tells more.",
};

const char *admin_command_name(const struct admin_command *command)
{
    return command->program.name + strlen("netqueue ");
}

bool admin_given(const struct admin *admin, const char *option)
{
    return cli_given(&admin->command->program, admin->arguments, option);
}

static void print_commands(void)
{
    cli_help(&general, stdout);
    puts("Commands:");
    for (size_t i = 0; i < COMMANDS; i++) {
        printf("  %-9s %s\n", admin_command_name(&commands[i]), commands[i].program.purpose);
    }
}

static const struct admin_command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(admin_command_name(&commands[i]), name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int check_words(const struct admin_command *command, const struct cli_arguments *arguments)
{
    size_t wanted = command->takes_queue ? 1 : 0;
    size_t given = arguments->words_count + arguments->rest_count;
    if (given < wanted) {
        cli_report("which QUEUE? (try --help)");
        return 64;
    }
    if (given > wanted) {
        cli_report("'%s' is too much (try --help)",
                   arguments->words_count > wanted ? arguments->words[wanted] : arguments->rest[0]);
        return 64;
    }
    return CLI_GO_ON;
}

static int run_with_client(struct admin *admin)
{
    enum nq_status status;
    struct cli_listener listener = {-1, -1};
    admin->client = cli_client_create(&admin->options->common, NULL, 1, &status);
    if (admin->client == NULL) {
        return nq_status_exit_code(status);
    }
    if (!cli_listen(&listener, admin->client)) {
        status = NQ_NO_MEMORY;
        cli_report("%s", nq_status_text(status));
    } else {
        status = admin->command->run(admin);
        if (status == NQ_INTERRUPTED) {
            cli_report("interrupted");
        } else if (status != NQ_OK) {
            cli_report("%s", nq_error_text(admin->client));
        }
    }
    cli_unlisten(&listener);
    nq_client_destroy(&admin->client);
    int closed = cli_close_stdout();
    return status != NQ_OK ? nq_status_exit_code(status) : closed;
}

static int run_command(const struct admin_command *command, int argc, char **argv)
{
    struct admin_options options = {.common = CLI_COMMON_DEFAULTS, .wait_ms = NQ_WAIT_FOREVER};
    struct cli_arguments arguments = {0};
    int code = cli_start(&command->program, argc, argv, &options, &arguments);
    if (code == CLI_GO_ON) {
        code = check_words(command, &arguments);
    }
    if (code == CLI_GO_ON) {
        struct admin admin = {.command = command, .options = &options, .arguments = &arguments};
        if (command->takes_queue) {
            admin.queue = arguments.words_count > 0 ? arguments.words[0] : arguments.rest[0];
        }
        code = cli_signals_install() ? run_with_client(&admin) : 1;
    }
    cli_arguments_fini(&arguments);
    return code;
}

// The command's word goes; the options before it stand with those behind it.
static int run_word(int argc, char **argv, int at)
{
    const char *word = argv[at];
    bool wants_help = strcmp(word, "help") == 0;
    if (wants_help && at + 1 == argc) {
        print_commands();
        return cli_close_stdout();
    }
    const struct admin_command *command = find_command(wants_help ? argv[at + 1] : word);
    if (command == NULL) {
        cli_report("unknown command '%s' (try --help)", wants_help ? argv[at + 1] : word);
        return 64;
    }
    if (wants_help) {
        cli_help(&command->program, stdout);
        return cli_close_stdout();
    }
    memmove(argv + at, argv + at + 1, (size_t)(argc - at) * sizeof(*argv));
    return run_command(command, argc - 1, argv);
}

int main(int argc, char **argv)
{
    cli_report_name("netqueue");
    int at = cli_find_word(argc, argv);
    if (at < argc) {
        return run_word(argc, argv, at);
    }
    struct admin_options options = {.common = CLI_COMMON_DEFAULTS};
    struct cli_arguments arguments = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            print_commands();
            return cli_close_stdout();
        }
    }
    int code = cli_start(&general, argc, argv, &options, &arguments);
    if (code == CLI_GO_ON) {
        cli_report("which COMMAND? (try --help)");
        code = 64;
    }
    cli_arguments_fini(&arguments);
    return code;
}
