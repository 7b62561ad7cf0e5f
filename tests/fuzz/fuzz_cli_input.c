#include "fuzz_cli.h"

#include <stdlib.h>
#include <string.h>

#include "splitter.h"

enum { BODY_BYTES_MAX = 300 };

static void check_item(const struct chunk *chunk, size_t index)
{
    const struct chunk_item *item = &chunk->items[index];
    fuzz_require(item->len <= BODY_BYTES_MAX && item->at + item->len <= chunk->bytes.len,
                 "a body is within the limit and the chunk");
    for (size_t i = 0; i < item->headers_count; i++) {
        const struct chunk_header *header = &chunk->headers[item->header_first + i];
        fuzz_require(header->value_at + header->value_len <= chunk->bytes.len, "a header is within the chunk");
        fuzz_require(memchr(chunk->bytes.data + header->name_at, '\0', chunk->bytes.len - header->name_at) != NULL,
                     "its name ends");
    }
}

// All items of a source that reads `bytes`; how many bytes their bodies have.
static size_t read_all(struct input *input, struct fuzz_bytes bytes, size_t *items)
{
    struct fuzz_file file = fuzz_file_open(bytes);
    struct chunk *chunk = chunk_create();
    fuzz_require(input != NULL && chunk != NULL, "memory");
    input->fd = file.fd;
    size_t total = 0;
    enum input_result result = input->next(input, chunk);
    while (result == INPUT_ITEM) {
        check_item(chunk, chunk->count - 1);
        total += chunk->items[chunk->count - 1].len;
        result = input->next(input, chunk);
    }
    fuzz_require(result == INPUT_END || result == INPUT_FAILED, "a file does not make wait");
    fuzz_require(result == INPUT_END || (input->error[0] != '\0' && strchr(input->error, '\n') == NULL), "a refusal is one line");
    *items = chunk->count;
    chunk_destroy(&chunk);
    fuzz_file_close(&file);
    input_destroy(&input);
    return result == INPUT_END ? total : SIZE_MAX;
}

void fuzz_cli_json(struct fuzz_bytes input)
{
    const struct producer_options options = {.json_lines = true};
    size_t items;
    read_all(input_json_create(&options, BODY_BYTES_MAX), input, &items);
}

// Lines and their ends are all there is, unless one is too long.
void fuzz_cli_lines(struct fuzz_bytes input)
{
    const struct producer_options options = {.null_ended = fuzz_byte(&input) % 2 == 1};
    const char delimiter = options.null_ended ? '\0' : '\n';
    size_t ends = 0;
    for (size_t i = 0; i < input.left; i++) {
        ends += (char)input.at[i] == delimiter;
    }
    bool unended = input.left > 0 && (char)input.at[input.left - 1] != delimiter;
    size_t items;
    size_t total = read_all(input_lines_create(&options, BODY_BYTES_MAX), input, &items);
    fuzz_require(total == SIZE_MAX || (items == ends + unended && total == input.left - ends), "no line is lost, made or changed");
}

// Cut anywhere, the lines are the same.
void fuzz_cli_splitter(struct fuzz_bytes input)
{
    struct splitter splitter = {.delimiter = '\n', .len_max = 1 + fuzz_byte(&input)};
    size_t piece = 1 + fuzz_byte(&input) % 64u;
    struct fuzz_bytes left = input;
    size_t at = 0;
    for (;;) {
        const char *line;
        size_t len;
        enum splitter_result result = splitter_next(&splitter, &line, &len);
        if (result == SPLITTER_LINE) {
            fuzz_require(len <= splitter.len_max && at + len <= input.left, "a line is part of the input");
            fuzz_require(len == 0 || (memcmp(line, input.at + at, len) == 0 && memchr(line, '\n', len) == NULL),
                         "and is that part");
            at += len + 1;
        } else if (result == SPLITTER_MORE) {
            const struct fuzz_bytes next = fuzz_take(&left, piece);
            char *space = splitter_space(&splitter, piece);
            fuzz_require(space != NULL, "memory");
            if (next.left > 0) {
                memcpy(space, next.at, next.left);
            }
            splitter_added(&splitter, next.left);
            splitter.ended = left.left == 0;
        } else {
            fuzz_require(result == SPLITTER_TOO_LONG || at >= input.left, "it ends at the end");
            break;
        }
    }
    splitter_fini(&splitter);
}
