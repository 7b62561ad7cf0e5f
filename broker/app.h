// The composition root: makes the parts of the broker from its configuration and runs them.
#pragma once
#include "config.h"

int app_run(const struct config *config);     // serve; the exit code
int app_check(const struct config *config);   // netqueue-broker check DIR
int app_compact(const struct config *config); // netqueue-broker compact DIR
