// From the command line to the load generator of bench/.
#include "admin.h"

// What is wrong with the command line is said as everywhere.
static enum nq_status refuse(struct admin *admin, const char *why)
{
    cli_report("%s (try --help)", why);
    admin->reported = true;
    return NQ_BAD_REQUEST;
}

enum nq_status admin_bench(struct admin *admin)
{
    struct bench_options *options = &admin->options.bench;
    const struct cli_arguments *arguments = &admin->arguments;
    const struct {
        const char *name;
        bool *given;
    } given[] = {{"duration", &options->duration_given},
                 {"warmup", &options->warmup_given},
                 {"producers", &options->producers_given},
                 {"consumers", &options->consumers_given},
                 {"rate", &options->rate_given}};
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        *given[i].given = cli_given(&admin->command->program, arguments, given[i].name);
    }
    options->count = admin->options.count;
    options->format = admin->options.common.format;
    options->quiet = admin->options.common.quiet;
    const char *words[2] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < arguments->words_count; i++) {
        words[count++] = arguments->words[i];
    }
    for (size_t i = 0; i < arguments->rest_count; i++) {
        words[count++] = arguments->rest[i];
    }
    char why[160];
    if (!bench_take_words(options, words, count, why, sizeof(why)) || !bench_options_settle(options, why, sizeof(why))) {
        return refuse(admin, why);
    }
    admin->reported = true;
    return bench_execute(options, admin->client, &admin->options.common, &admin->out);
}
