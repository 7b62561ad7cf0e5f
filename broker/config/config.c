#include "config.h"

#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "file.h"
#include "options.h"

static const char *const default_data_dir = "./netqueue-data";

enum { LONG_BASE = 256 }; // what getopt returns for the first of the table: no letter

static enum nq_status refuse(struct config_error *error, enum nq_status status, const char *what, const char *value,
                             const char *why)
{
    if (value == NULL) {
        snprintf(error->text, sizeof(error->text), "%s: %s", what, why);
    } else {
        snprintf(error->text, sizeof(error->text), "%s '%.100s': %s", what, value, why);
    }
    error->status = status;
    return status;
}

static enum nq_status set_presets(struct config *config, struct config_error *error)
{
    for (size_t i = 0; i < option_count; i++) {
        char why[128] = "";
        if (option_specs[i].preset == NULL) {
            continue;
        }
        enum nq_status status = option_set(config, &option_specs[i], CONFIG_DEFAULT, option_specs[i].preset, why, sizeof(why));
        if (status != NQ_OK) {
            return refuse(error, status, option_specs[i].name, option_specs[i].preset, why);
        }
    }
    return NQ_OK;
}

static void environment_name(const struct option_spec *spec, char *out, size_t size)
{
    snprintf(out, size, "NETQUEUE_BROKER_%s", spec->name);
    for (char *at = out; *at != '\0'; at++) {
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
    }
}

// A list in the environment is separated by commas.
static enum nq_status set_from_environment(struct config *config, const struct option_spec *spec, struct config_error *error)
{
    char name[64];
    environment_name(spec, name, sizeof(name));
    const char *value = getenv(name);
    if (value == NULL) {
        return NQ_OK;
    }
    char *copy = strdup(value);
    if (copy == NULL) {
        return NQ_NO_MEMORY;
    }
    enum nq_status status = NQ_OK;
    char why[128] = "";
    char *rest = NULL;
    char *part = spec->kind == OPTION_LIST ? strtok_r(copy, ",", &rest) : copy;
    while (part != NULL && status == NQ_OK) {
        status = option_set(config, spec, CONFIG_ENVIRONMENT, part, why, sizeof(why));
        part = spec->kind == OPTION_LIST ? strtok_r(NULL, ",", &rest) : NULL;
    }
    free(copy);
    return status == NQ_BAD_REQUEST ? refuse(error, NQ_BAD_CONFIG, name, value, why) : status;
}

static enum nq_status read_environment(struct config *config, struct config_error *error)
{
    enum nq_status status = NQ_OK;
    for (size_t i = 0; i < option_count && status == NQ_OK; i++) {
        if (!option_specs[i].command_line_only || strcmp(option_specs[i].name, "config") == 0) {
            status = set_from_environment(config, &option_specs[i], error);
        }
    }
    return status;
}

static enum nq_status set_from_flag(struct config *config, const struct option_spec *spec, const char *value,
                                    struct config_error *error)
{
    char why[128] = "";
    char name[64];
    snprintf(name, sizeof(name), "--%s", spec->name);
    enum nq_status status = option_set(config, spec, CONFIG_FLAG, value, why, sizeof(why));
    return status == NQ_BAD_REQUEST ? refuse(error, status, name, value, why) : status;
}

static void make_long_options(struct option *options)
{
    for (size_t i = 0; i < option_count; i++) {
        options[i] = (struct option){.name = option_specs[i].name,
                                     .has_arg = option_specs[i].kind == OPTION_FLAG ? no_argument : required_argument,
                                     .val = LONG_BASE + (int)i};
    }
}

static enum nq_status read_action(struct config *config, int argc, char *const argv[], struct config_error *error)
{
    if (optind == argc) {
        return NQ_OK;
    }
    const char *word = argv[optind];
    if (strcmp(word, "check") == 0) {
        config->action = CONFIG_CHECK;
    } else if (strcmp(word, "compact") == 0) {
        config->action = CONFIG_COMPACT;
    } else {
        return refuse(error, NQ_BAD_REQUEST, "unknown word", word, "see netqueue-broker --help");
    }
    if (argc - optind != 2 || argv[optind + 1][0] == '\0') { // of nothing it would be that of the root
        return refuse(error, NQ_BAD_REQUEST, word, NULL, "expects one directory");
    }
    config->action_dir = argv[optind + 1];
    return NQ_OK;
}

static enum nq_status refuse_option(const char *word, struct config_error *error)
{
    char name[64];
    if (optopt >= LONG_BASE) {
        snprintf(name, sizeof(name), "--%s", option_specs[optopt - LONG_BASE].name);
        return refuse(error, NQ_BAD_REQUEST, name, NULL, "takes no value");
    }
    if (optopt != 0) { // getopt may not be through with the word
        snprintf(name, sizeof(name), "-%c", optopt);
        word = name;
    }
    return refuse(error, NQ_BAD_REQUEST, "unknown option", word, "see netqueue-broker --help");
}

static enum nq_status read_flags(struct config *config, int argc, char *const argv[], struct config_error *error)
{
    struct option options[CONFIG_OPTIONS_MAX + 1] = {0};
    make_long_options(options);
    opterr = 0;
    optind = 0; // start anew, also when called twice
    int found;
    while ((found = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (found == ':') {
            return refuse(error, NQ_BAD_REQUEST, argv[optind - 1], NULL, "needs a value");
        }
        if (found == '?') {
            return refuse_option(argv[optind - 1], error);
        }
        const struct option_spec *spec = found == 'h' ? option_find("help") : &option_specs[found - LONG_BASE];
        enum nq_status status = set_from_flag(config, spec, optarg, error);
        if (status != NQ_OK) {
            return status;
        }
    }
    return read_action(config, argc, argv, error);
}

static enum config_source source_of(const struct config *config, const char *name)
{
    return (enum config_source)config->source[option_index(option_find(name))];
}

// --data and --memory exclude each other; the one from the higher source wins.
static enum nq_status settle_store(struct config *config, struct config_error *error)
{
    enum config_source data = source_of(config, "data");
    enum config_source memory = source_of(config, "memory");
    if (config->data != NULL && config->memory && data == memory) {
        enum nq_status status = data == CONFIG_FLAG ? NQ_BAD_REQUEST : NQ_BAD_CONFIG;
        return refuse(error, status, "data, memory", NULL, "only one of them can be given");
    }
    if (config->data != NULL && config->memory) {
        config->memory = memory > data;
        if (config->memory) { // what --print-config prints is accepted again
            free(config->data);
            config->data = NULL;
        }
    }
    config->data_is_default = config->data == NULL && !config->memory;
    if (!config->memory) {
        config->data_dir = config->data == NULL ? default_data_dir : config->data;
    }
    return NQ_OK;
}

static enum nq_status settle_listen(const struct config *config, struct config_error *error)
{
    for (size_t i = 0; i < config->listen_count; i++) {
        if (!config->insecure && config->keys == NULL && !endpoint_is_loopback(config->listen[i])) {
            return refuse(error, NQ_BAD_CONFIG, "listen", config->listen[i],
                          "reachable from other machines without protection; give --keys, or --insecure to allow it");
        }
    }
    return NQ_OK;
}

static enum nq_status settle(struct config *config, struct config_error *error)
{
    if (config->help || config->version || config->print) {
        config->action = config->help ? CONFIG_HELP : config->version ? CONFIG_VERSION : CONFIG_PRINT;
    }
    if (config->action == CONFIG_HELP || config->action == CONFIG_VERSION) {
        return NQ_OK;
    }
    enum nq_status status = settle_store(config, error);
    if (status == NQ_OK && config->action == CONFIG_RUN) {
        status = settle_listen(config, error);
    }
    return status;
}

enum nq_status config_load(struct config *out, int argc, char *const argv[], struct config_error *error)
{
    *out = (struct config){0};
    *error = (struct config_error){0};
    enum nq_status status = set_presets(out, error);
    if (status == NQ_OK) {
        status = read_flags(out, argc, argv, error);
    }
    if (status == NQ_OK && !out->help && !out->version) {
        status = read_environment(out, error);
    }
    if (status == NQ_OK && !out->help && !out->version && out->file != NULL) {
        status = config_file_read(out, out->file, error);
    }
    if (status == NQ_OK) {
        status = settle(out, error);
    }
    if (status == NQ_NO_MEMORY) {
        refuse(error, status, "options", NULL, nq_status_text(status));
    }
    if (status != NQ_OK) {
        config_fini(out);
    }
    return status;
}

void config_fini(struct config *self)
{
    for (size_t i = 0; i < self->listen_count; i++) {
        free(self->listen[i]);
    }
    free(self->data);
    free(self->file);
    free(self->endpoint_file);
    free(self->backup_dir);
    free(self->keys);
    *self = (struct config){0};
}

int config_exit_code(enum nq_status status)
{
    return nq_status_exit_code(status); // BAD_REQUEST: 64, BAD_CONFIG: 78
}
