// The broker's log: one line each on stderr, "netqueue-broker: warning: ...". Control bytes in it are shown as '?'.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR = 0, LOG_WARNING, LOG_INFO, LOG_DEBUG };

// Lines above this level are left out. Under a journal each line begins with its priority. Call before there are threads.
void log_start(enum log_level level);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

// One line as it would be written, with its newline. Returns its length, cut to fit. log_line: as log_write here would; for a signal's
// handler, which may write what was made ready but not make it.
int log_line(char *out, int size, enum log_level level, const char *text);
int log_format(char *out, int size, bool journal, enum log_level level, const char *text);

// For lines that a client can cause at will: lets LOG_BURST of them through in LOG_WINDOW_MS.
enum { LOG_BURST = 5, LOG_WINDOW_MS = 10000 };
struct log_limit {
    uint64_t window_ms; // when the window began
    uint32_t passed, left_out;
};
// True: write it. `left_out` is how many were not written since the last one that was.
bool log_limit_pass(struct log_limit *self, uint64_t now_ms, uint32_t *left_out);

// " (7 more not logged)", or nothing for 0; into `out` of at least LOG_NOTE_BYTES. Returns `out`.
enum { LOG_NOTE_BYTES = 48 };
const char *log_limit_note(uint32_t left_out, char *out);
