// Bytes as they come -> lines. Pure: the caller reads.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

struct splitter {
    char delimiter;
    size_t len_max; // of a line, without its delimiter
    bool ended;     // no more bytes come: what is left is the last line
    uint64_t line;  // number of the line found last, from 1
    size_t begin;   // of the next line, in buffer
    size_t scanned; // no delimiter before that
    struct cli_buffer buffer;
};

enum splitter_result { SPLITTER_LINE, SPLITTER_MORE, SPLITTER_TOO_LONG, SPLITTER_END };

// Where to read to: at least `size` bytes; NULL: out of memory. Then say how many came.
char *splitter_space(struct splitter *splitter, size_t size);
void splitter_added(struct splitter *splitter, size_t count);
// The next line, valid until the next splitter_space. TOO_LONG: splitter->line is its number; it is final.
enum splitter_result splitter_next(struct splitter *splitter, const char **line, size_t *len);
void splitter_fini(struct splitter *splitter);
