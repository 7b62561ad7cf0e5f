#include "splitter.h"

#include <string.h>

char *splitter_space(struct splitter *splitter, size_t size)
{
    cli_buffer_drop_front(&splitter->buffer, splitter->begin); // never more than one unfinished line is moved
    splitter->scanned -= splitter->begin;
    splitter->begin = 0;
    return cli_buffer_reserve(&splitter->buffer, size) ? splitter->buffer.data + splitter->buffer.len : NULL;
}

void splitter_added(struct splitter *splitter, size_t count)
{
    splitter->buffer.len += count;
}

static enum splitter_result found(struct splitter *splitter, size_t end, size_t skip, const char **line, size_t *len)
{
    *line = splitter->buffer.data + splitter->begin;
    *len = end - splitter->begin;
    splitter->line++;
    if (*len > splitter->len_max) {
        return SPLITTER_TOO_LONG;
    }
    splitter->begin = end + skip;
    splitter->scanned = splitter->begin;
    return SPLITTER_LINE;
}

enum splitter_result splitter_next(struct splitter *splitter, const char **line, size_t *len)
{
    size_t end = splitter->buffer.len;
    const char *data = splitter->buffer.data;
    const char *at =
        end > splitter->scanned ? memchr(data + splitter->scanned, splitter->delimiter, end - splitter->scanned) : NULL;
    if (at != NULL) {
        return found(splitter, (size_t)(at - data), 1, line, len);
    }
    splitter->scanned = end;
    if (end - splitter->begin > splitter->len_max) {
        return found(splitter, end, 0, line, len);
    }
    if (!splitter->ended) {
        return SPLITTER_MORE;
    }
    return end == splitter->begin ? SPLITTER_END : found(splitter, end, 0, line, len);
}

void splitter_fini(struct splitter *splitter)
{
    cli_buffer_fini(&splitter->buffer);
    splitter->begin = splitter->scanned = 0;
}
