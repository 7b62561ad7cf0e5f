// What the files of keys/ share.
#pragma once
#include "keys.h"

enum { KEYS_PATH_MAX = 4096 };

enum nq_status keys_fail(struct keys_error *error, enum nq_status status, const char *path, const char *what);
bool keys_path(char out[KEYS_PATH_MAX], const char *dir, const char *name, const char *suffix); // false: too long
