// Values that outlive one command line: from the environment and from a file of `key = value` lines.
#pragma once
#include <stdbool.h>

#include "options.h"

// $NETQUEUE_CONFIG, else $XDG_CONFIG_HOME/netqueue/config, else ~/.config/netqueue/config (the last two need not exist), then the
// environment. A setting that this program has no option for is skipped; one that no program has is an error.
// False: arguments->error says what is wrong.
bool cli_settings_apply(const struct cli_program *program, void *options, struct cli_arguments *arguments);

// The file alone. A missing file is an error only when `required`.
bool cli_settings_load(const struct cli_program *program, const char *path, bool required, void *options,
                       struct cli_arguments *arguments);
