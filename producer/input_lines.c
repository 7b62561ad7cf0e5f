// Items on stdin, one a line or NUL-ended; and what the other sources share.
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "input.h"
#include "report.h"
#include "splitter.h"

enum { READ_BYTES = 256 * 1024 };

struct input_lines {
    struct input input;
    struct splitter splitter;
    uint64_t delay_ms;
};

enum input_result input_fail(struct input *input, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(input->error, sizeof(input->error), format, arguments);
    va_end(arguments);
    cli_one_line(input->error); // it may quote what was read
    return INPUT_FAILED;
}

enum input_result input_added(struct input *input, bool ok)
{
    return ok ? INPUT_ITEM : input_fail(input, "out of memory");
}

void input_destroy(struct input **input_p)
{
    struct input *input = *input_p;
    *input_p = NULL;
    if (input != NULL) {
        input->destroy(input);
    }
}

struct input *input_create(const struct producer_options *options, size_t body_max)
{
    if (options->files.count > 0 || options->whole) {
        return input_files_create(options, body_max);
    }
    if (options->json_lines) {
        return input_json_create(options, body_max);
    }
    if (options->bodies_count > 0) {
        return input_bodies_create(options, body_max);
    }
    if (options->count_given || options->size_given || options->random) {
        return input_generate_create(options, body_max);
    }
    return input_lines_create(options, body_max);
}

enum input_result input_read(struct input *input, int fd, char *data, size_t size, size_t *count)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int found = poll(&ready, 1, 0);
    if (found == 0 || (found < 0 && errno == EINTR)) {
        return INPUT_WAIT;
    }
    ssize_t got = read(fd, data, size);
    if (got < 0) {
        bool later = errno == EINTR || errno == EAGAIN;
        return later ? INPUT_WAIT : input_fail(input, "reading: %s", strerror(errno));
    }
    *count = (size_t)got;
    return got == 0 ? INPUT_END : INPUT_ITEM;
}

enum input_result input_read_line(struct input *input, struct splitter *splitter, const char **line, size_t *len)
{
    for (;;) {
        switch (splitter_next(splitter, line, len)) {
        case SPLITTER_LINE:
            return INPUT_ITEM;
        case SPLITTER_END:
            return INPUT_END;
        case SPLITTER_TOO_LONG:
            return input_fail(input, "%s %" PRIu64 " of the input is too long: the broker takes up to %zu bytes",
                              splitter->delimiter == '\n' ? "line" : "item", splitter->line, splitter->len_max);
        case SPLITTER_MORE:
        default:
            break;
        }
        char *space = splitter_space(splitter, READ_BYTES);
        if (space == NULL) {
            return input_fail(input, "out of memory");
        }
        size_t count;
        enum input_result result = input_read(input, input->fd, space, READ_BYTES, &count);
        if (result == INPUT_ITEM) {
            splitter_added(splitter, count);
        } else if (result == INPUT_END) {
            splitter->ended = true;
        } else {
            return result;
        }
    }
}

static enum input_result lines_next(struct input *input, struct chunk *chunk)
{
    struct input_lines *self = (struct input_lines *)input;
    const char *line;
    size_t len;
    enum input_result result = input_read_line(input, &self->splitter, &line, &len);
    return result == INPUT_ITEM ? input_added(input, chunk_add(chunk, line, len, self->delay_ms)) : result;
}

static void lines_destroy(struct input *input)
{
    struct input_lines *self = (struct input_lines *)input;
    splitter_fini(&self->splitter);
    free(self);
}

struct input *input_lines_create(const struct producer_options *options, size_t body_max)
{
    struct input_lines *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->input = (struct input){.next = lines_next, .destroy = lines_destroy, .fd = STDIN_FILENO};
    self->splitter = (struct splitter){.delimiter = options->null_ended ? '\0' : '\n', .len_max = body_max};
    self->delay_ms = options->delay_ms;
    return &self->input;
}
