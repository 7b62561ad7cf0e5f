// The configuration file: ZPL, one option a line ("max-disk = 10G"), `listen` as often as wanted.
#pragma once
#include "config.h"

enum nq_status config_file_read(struct config *config, const char *path, struct config_error *error);
