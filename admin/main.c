#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "setup.h"
#include "signals.h"

enum { EXIT_USAGE = 64 };

static const struct cli_program overview = {
    .name = "netqueue",
    .usage = "[OPTION...] COMMAND [OPTION...] [QUEUE]",
    .purpose = "Look at queues and change them.\n"
               "  list              all queues           stat QUEUE        all about a queue\n"
               "  declare QUEUE     create it            update QUEUE      change its options\n"
               "  peek QUEUE        look at items        join QUEUE        wait until all done\n"
               "  purge QUEUE       drop what is ready   redrive QUEUE     dead letters back\n"
               "  shutdown QUEUE    no more puts         delete QUEUE      the queue is gone\n"
               "  backup NAME       copy the store       bench [MODE]      how fast is it?\n"
               "  keygen DIR        keys for all of them ping              is the broker there?\n"
               "  help COMMAND      its options",
};

static const struct admin_command *find_command(const char *name)
{
    for (size_t i = 0; i < admin_commands_count; i++) {
        if (strcmp(admin_commands[i].name, name) == 0) {
            return &admin_commands[i];
        }
    }
    cli_report("unknown command '%.40s' (try --help)", name);
    return NULL;
}

// "netqueue help", "netqueue help CMD".
static int help(int argc, char **argv, int word)
{
    const struct admin_command *command = word + 1 < argc ? find_command(argv[word + 1]) : NULL;
    if (word + 1 < argc && command == NULL) {
        return EXIT_USAGE;
    }
    cli_help(command != NULL ? &command->program : &overview, stdout);
    return cli_close_stdout();
}

// Needs no broker, and says itself what went wrong.
static bool is_offline(const struct admin_command *command)
{
    return command->run == admin_keygen;
}

// "NAME" of "[OPTION...] NAME [MORE...]": the first word that must be given.
static const char *wanted_word(const char *usage, char out[32])
{
    while (*usage == '[') {
        const char *end = strchr(usage, ' ');
        usage = end == NULL ? "" : end + 1;
    }
    (void)snprintf(out, 32, "%.*s", (int)strcspn(usage, " "), usage);
    return out;
}

static bool check_words(struct admin *admin)
{
    const struct admin_command *command = admin->command;
    const struct cli_arguments *arguments = &admin->arguments;
    size_t count = arguments->words_count + arguments->rest_count;
    if (count < command->words_min || count > command->words_max) {
        if (count < command->words_min) {
            char word[32];
            cli_report("which %s? (try --help)", wanted_word(command->program.usage, word));
        } else {
            size_t extra = command->words_max;
            cli_report("unexpected '%.40s' (try --help)",
                       extra < arguments->words_count ? arguments->words[extra] : arguments->rest[extra - arguments->words_count]);
        }
        return false;
    }
    admin->queue = count == 0 ? NULL : arguments->words_count > 0 ? arguments->words[0] : arguments->rest[0];
    return true;
}

static bool print_out(struct admin *admin)
{
    if (admin->out.failed) {
        cli_report("out of memory");
        return false;
    }
    if (admin->out.len > 0) {
        fwrite(admin->out.data, 1, admin->out.len, stdout); // what goes wrong is told as it is closed
    }
    return cli_close_stdout() == 0;
}

static int execute_offline(struct admin *admin)
{
    enum nq_status status = admin->command->run(admin);
    bool printed = print_out(admin);
    return status != NQ_OK ? nq_status_exit_code(status) : printed ? 0 : 1;
}

static int execute(struct admin *admin)
{
    enum nq_status status;
    admin->client = cli_client_create(&admin->options.common, NULL, 1, &status);
    if (admin->client == NULL) {
        return nq_status_exit_code(status);
    }
    struct cli_listener listener = {-1, -1};
    int code = 1;
    if (cli_signals_install() && cli_listen(&listener, admin->client)) {
        status = admin->command->run(admin);
        bool printed = print_out(admin);
        if (status != NQ_OK && !admin->reported) {
            cli_report("%s", nq_error_text(admin->client));
        }
        code = status != NQ_OK ? nq_status_exit_code(status) : printed ? 0 : 1;
    } else {
        cli_report("signals: %s", strerror(errno));
    }
    cli_unlisten(&listener);
    nq_client_destroy(&admin->client);
    return code;
}

// The command's name is taken out, so that options may stand on both sides of it.
static int run_command(int argc, char **argv, int word)
{
    struct admin admin = {.options = {.common = CLI_COMMON_DEFAULTS, .bench = BENCH_DEFAULTS}};
    admin.command = find_command(argv[word]);
    if (admin.command == NULL) {
        return EXIT_USAGE;
    }
    memmove(&argv[word], &argv[word + 1], sizeof(*argv) * (size_t)(argc - word)); // the NULL at the end, too
    int code = cli_start(&admin.command->program, argc - 1, argv, &admin.options, &admin.arguments);
    if (code == CLI_GO_ON) {
        code = !check_words(&admin) ? EXIT_USAGE : is_offline(admin.command) ? execute_offline(&admin) : execute(&admin);
    }
    cli_buffer_fini(&admin.out);
    cli_arguments_fini(&admin.arguments);
    return code;
}

int main(int argc, char **argv)
{
    cli_report_name("netqueue");
    cli_keep_standard_streams();
    int word = cli_find_word(argc, argv);
    if (word < argc) {
        return strcmp(argv[word], "help") == 0 ? help(argc, argv, word) : run_command(argc, argv, word);
    }
    struct admin_options options = {.common = CLI_COMMON_DEFAULTS};
    struct cli_arguments arguments;
    int code = cli_start(&overview, argc, argv, &options, &arguments); // --help, --version or a mistake
    if (code == CLI_GO_ON) {
        cli_report("which COMMAND? (try --help)");
        code = EXIT_USAGE;
    }
    cli_arguments_fini(&arguments);
    return code;
}
