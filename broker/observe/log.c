#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The one mutable state of the broker that belongs to the file: written by log_start, before there are threads.
static enum log_level highest = LOG_INFO;
static bool to_journal = false;

// The service manager names the device and inode of the stream it reads; ours may have been redirected since.
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    if (stream == NULL || fstat(STDERR_FILENO, &status) != 0) {
        return false;
    }
    char own[64];
    snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    return strcmp(own, stream) == 0;
}

void log_start(enum log_level level)
{
    highest = level;
    to_journal = stderr_is_journal();
}

int log_format(char *out, int size, bool journal, enum log_level level, const char *text)
{
    static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
    static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};
    const char *priority = journal ? priorities[level] : "";
    int len = snprintf(out, (size_t)size, "%snetqueue-broker: %s%s", priority, names[level], text);
    if (len > size - 2) {
        len = size - 2;
    }
    for (int i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)out[i];
        if (byte < 0x20 || byte == 0x7f) {
            out[i] = '?';
        }
    }
    out[len] = '\n';
    out[len + 1] = '\0';
    return len + 1;
}

int log_line(char *out, int size, enum log_level level, const char *text)
{
    return log_format(out, size, to_journal, level, text);
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level > highest) {
        return;
    }
    char text[900];
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    int len = log_line(line, (int)sizeof(line), level, text);
    ssize_t written = write(STDERR_FILENO, line, (size_t)len); // one call, so that lines of threads do not mix
    (void)written;                                             // there is nowhere to say it
}

bool log_limit_pass(struct log_limit *self, uint64_t now_ms, uint32_t *left_out)
{
    if (now_ms - self->window_ms >= LOG_WINDOW_MS) {
        self->window_ms = now_ms;
        self->passed = 0;
    }
    if (self->passed >= LOG_BURST) {
        self->left_out++;
        return false;
    }
    self->passed++;
    *left_out = self->left_out;
    self->left_out = 0;
    return true;
}

const char *log_limit_note(uint32_t left_out, char *out)
{
    out[0] = '\0';
    if (left_out > 0) {
        snprintf(out, LOG_NOTE_BYTES, " (%" PRIu32 " more not logged)", left_out);
    }
    return out;
}
