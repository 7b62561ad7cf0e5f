// What a queue may be called. Names are compared byte by byte; there is one way to write each.
#pragma once
#include <stdbool.h>
#include <stddef.h>

// True for 1 .. NQ_NAME_BYTES_MAX bytes of [A-Za-z0-9._:/-] (no space, no control byte, no NUL, ASCII only), not starting with
// '.' , '-' or '/', not ending with '/' and without "//" or "..". Borrows `name`, which need not be terminated.
bool nq_name_is_valid(const void *name, size_t len);

// What a backup may be called, which becomes the name of a folder: 1 .. NQ_BACKUP_NAME_BYTES_MAX bytes of [A-Za-z0-9._-], not
// starting with '.', '_' or '-'.
bool nq_backup_name_is_valid(const void *name, size_t len);

// A pattern of queue names: their bytes, '*' (any run of bytes) and '?' (one byte); as long as a name at most.
bool nq_pattern_is_valid(const char *pattern, size_t len);
