// --file: each file is one item. --whole: all of stdin is one.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "input.h"

enum { READ_BYTES = 64 * 1024 };

struct input_files {
    struct input input;
    const struct producer_options *options;
    size_t body_max;
    size_t next; // file
    struct cli_buffer body;
};

static const char *path_at(const struct input_files *self, size_t i)
{
    const struct producer_options *options = self->options;
    if (options->whole) {
        return i == 0 ? "-" : NULL;
    }
    if (i < options->files.count) {
        return options->files.values[i];
    }
    i -= options->files.count; // `--file *.txt`: the shell's further names are words
    return i < options->bodies_count ? options->bodies[i] : NULL;
}

// Files may wait; stdin and pipes must not keep a signal from being seen.
static enum input_result fill(struct input_files *self, const char *path)
{
    size_t count = 0;
    do {
        if (self->body.len > self->body_max) {
            return input_fail(&self->input, "%.150s: too long: the broker takes up to %zu bytes", path, self->body_max);
        }
        if (!cli_buffer_reserve(&self->body, READ_BYTES)) {
            return input_fail(&self->input, "out of memory");
        }
        enum input_result result = input_read(&self->input, self->input.fd, self->body.data + self->body.len, READ_BYTES, &count);
        if (result == INPUT_WAIT) {
            return result;
        }
        if (result == INPUT_FAILED) {
            return input_fail(&self->input, "%.150s: %s", path, strerror(errno));
        }
        self->body.len += result == INPUT_ITEM ? count : 0;
    } while (count > 0);
    return INPUT_END;
}

static void close_file(struct input_files *self)
{
    if (self->input.fd > STDIN_FILENO) {
        close(self->input.fd);
    }
    self->input.fd = -1;
}

static enum input_result files_next(struct input *input, struct chunk *chunk)
{
    struct input_files *self = (struct input_files *)input;
    const char *path = path_at(self, self->next);
    if (path == NULL) {
        return INPUT_END;
    }
    if (input->fd < 0) {
        // A named pipe whose other end nobody has opened yet is waited for as any other input.
        input->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (input->fd < 0) {
            return input_fail(input, "%.150s: %s", path, strerror(errno));
        }
        self->body.len = 0;
    }
    enum input_result result = fill(self, path);
    if (result != INPUT_END) {
        return result;
    }
    close_file(self);
    self->next++;
    return input_added(input, chunk_add(chunk, self->body.data, self->body.len, self->options->delay_ms));
}

static void files_destroy(struct input *input)
{
    struct input_files *self = (struct input_files *)input;
    close_file(self);
    cli_buffer_fini(&self->body);
    free(self);
}

struct input *input_files_create(const struct producer_options *options, size_t body_max)
{
    struct input_files *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->input = (struct input){.next = files_next, .destroy = files_destroy, .fd = -1};
    self->options = options;
    self->body_max = body_max;
    return &self->input;
}
