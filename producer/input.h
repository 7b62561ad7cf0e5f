// Where items come from. One kind of source per file; each adds one item to a chunk at a time.
#pragma once
#include "chunk.h"
#include "producer.h"

enum input_result {
    INPUT_ITEM, // one was added
    INPUT_WAIT, // none yet: poll input->fd
    INPUT_END,
    INPUT_FAILED, // input->error says why
};

struct input {
    enum input_result (*next)(struct input *input, struct chunk *chunk);
    void (*destroy)(struct input *input);
    int fd; // -1: never answers INPUT_WAIT
    char error[256];
};

// body_max: what the broker takes. NULL: out of memory.
struct input *input_lines_create(const struct producer_options *options, size_t body_max);
struct input *input_json_create(const struct producer_options *options, size_t body_max);
struct input *input_files_create(const struct producer_options *options, size_t body_max); // --file and --whole
struct input *input_bodies_create(const struct producer_options *options, size_t body_max);
struct input *input_generate_create(const struct producer_options *options, size_t body_max);

struct input *input_create(const struct producer_options *options, size_t body_max);
void input_destroy(struct input **input_p);

// For the sources: keeps the line and answers INPUT_FAILED.
enum input_result input_fail(struct input *input, const char *format, ...) __attribute__((format(printf, 2, 3)));
// INPUT_ITEM, or INPUT_FAILED when memory is out.
enum input_result input_added(struct input *input, bool ok);

// Read once without waiting when there is nothing yet. INPUT_ITEM: *count bytes; INPUT_END; INPUT_WAIT; INPUT_FAILED.
enum input_result input_read(struct input *input, int fd, char *data, size_t size, size_t *count);

struct splitter;
// The next line of stdin. INPUT_ITEM: it is in *line.
enum input_result input_read_line(struct input *input, struct splitter *splitter, const char **line, size_t *len);
