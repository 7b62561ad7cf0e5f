// Command lines. One table per program drives the parser, the environment, the configuration file, --help and the error texts.
// A value comes from: flag > environment > configuration file > what the options struct held before.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cli_kind {
    CLI_FLAG,     // bool
    CLI_TEXT,     // const char *
    CLI_LIST,     // struct cli_list, one more with each use
    CLI_DURATION, // uint64_t, milliseconds
    CLI_SIZE,     // uint64_t, bytes
    CLI_COUNT,    // uint64_t
    CLI_RATE,     // double, a second
    CLI_RATE_0,   // the same, or 0
    CLI_FORMAT,   // enum cli_format, up to `highest` (0: JSON)
};

enum cli_format { CLI_FORMAT_TEXT, CLI_FORMAT_JSON, CLI_FORMAT_CSV };

struct cli_list {
    const char **values;
    size_t count;
};

struct cli_option {
    char letter; // 0: none
    const char *name;
    const char *argument; // as shown in --help; NULL for a flag
    const char *help;     // NULL: only named in the last line of --help
    enum cli_kind kind;
    size_t offset;            // in the program's options
    uint64_t lowest, highest; // of counts, sizes and durations; highest 0: no limit
};

// What every program takes. The options of each program begin with this.
struct cli_common {
    struct cli_list servers;
    const char *keys;
    uint64_t timeout_ms;
    enum cli_format format;
    bool quiet, help, version;
};
#define CLI_COMMON_DEFAULTS                                                                                                        \
    {                                                                                                                              \
        .timeout_ms = 30000                                                                                                        \
    }

struct cli_program {
    const char *name;  // "netqueue-producer"
    const char *usage; // "[OPTION...] QUEUE [BODY...]"
    const char *purpose;
    const struct cli_option *options; // one of the name of a common one stands in its place
    size_t options_count;
};

struct cli_hit;

struct cli_arguments {
    const char **words; // not options, before a "--"
    size_t words_count;
    char *const *rest; // behind the "--"
    size_t rest_count;
    bool has_rest;  // there was a "--"
    uint64_t given; // one bit per option of the program's own table, wherever the value came from
    char error[384];

    struct cli_hit *hits; // of the parser
    size_t hits_count;
    struct cli_list owned; // texts that are not in argv
    struct cli_list lists; // arrays to be freed
};

#define CLI_GO_ON (-1)

// Parse; do what --help, --version or a mistake asks for. CLI_GO_ON, else what to exit with.
int cli_start(const struct cli_program *program, int argc, char **argv, void *options, struct cli_arguments *arguments);

// The same without printing, the environment and the file: 0 or 64 with the reason in arguments->error.
int cli_parse(const struct cli_program *program, int argc, char **argv, void *options, struct cli_arguments *arguments);

// Was this option of the program's own table given a value?
bool cli_given(const struct cli_program *program, const struct cli_arguments *arguments, const char *name);

void cli_arguments_fini(struct cli_arguments *arguments);

// Where the first word stands in argv when only the options that every program has stand before it; argc: nowhere.
int cli_find_word(int argc, char **argv);

void cli_help(const struct cli_program *program, void *stream);

// --------------------------------------------------------------------------------------- for the other files of this folder

extern const struct cli_option cli_common_options[];
extern const size_t cli_common_options_count;

// The option with that name among the program's own (`*index` is its bit in `given`) and the common ones (64).
const struct cli_option *cli_find_option(const struct cli_program *program, const char *name, size_t *index);

// Store a value given as text. `fresh`: a list starts anew. False: it is wrong, `why` says how.
bool cli_set_value(const struct cli_option *option, void *options, const char *text, bool fresh, struct cli_arguments *arguments,
                   char *why, size_t why_size);
const char *cli_keep_text(struct cli_arguments *arguments, const char *text); // a copy that lives as long; NULL: out of memory
bool cli_list_add(struct cli_list *list, const char *value);
