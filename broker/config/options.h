// The one table of options. Flags, environment, file, defaults, --help and --print-config all come from it.
#pragma once
#include "config.h"

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_LIST, OPTION_CHOICE, OPTION_DURATION, OPTION_SIZE, OPTION_COUNT };

struct option_spec {
    const char *name; // "max-disk": --max-disk, NETQUEUE_BROKER_MAX_DISK, max-disk in the file
    enum option_kind kind;
    size_t offset;            // in struct config
    const char *preset;       // default, as text; NULL: none
    const char *choices;      // OPTION_CHOICE: "always|none", the value is the index
    uint64_t lowest, highest; // of numbers
    const char *argument;     // as in --help; NULL for a flag
    const char *help;         // NULL: listed among the limits
    bool command_line_only;
};

extern const struct option_spec option_specs[];
extern const size_t option_count;

const struct option_spec *option_find(const char *name); // NULL: none
size_t option_index(const struct option_spec *spec);

// Give an option a value, unless a higher source has given one. A list grows within one source.
// Errors: BAD_REQUEST the value is wrong (why: in `why`); NO_MEMORY.
enum nq_status option_set(struct config *config, const struct option_spec *spec, enum config_source source, const char *value,
                          char *why, size_t why_size);

// The value as text, as option_set takes it. False: it has none.
bool option_text(const struct config *config, const struct option_spec *spec, char *out, size_t size);
