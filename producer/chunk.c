#include "chunk.h"

#include <stdlib.h>
#include <string.h>

struct chunk *chunk_create(void)
{
    return calloc(1, sizeof(struct chunk));
}

void chunk_destroy(struct chunk **chunk_p)
{
    struct chunk *chunk = *chunk_p;
    if (chunk == NULL) {
        return;
    }
    *chunk_p = NULL;
    free(chunk->items);
    free(chunk->headers);
    cli_buffer_fini(&chunk->bytes);
    free(chunk);
}

static bool grow(void **array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) {
        return true;
    }
    size_t wanted = *capacity == 0 ? 16 : *capacity * 2;
    void *grown = reallocarray(*array, wanted, size);
    if (grown == NULL) {
        return false;
    }
    *array = grown;
    *capacity = wanted;
    return true;
}

bool chunk_add(struct chunk *chunk, const void *body, size_t len, uint64_t delay_ms)
{
    void *items = chunk->items;
    bool ok = grow(&items, &chunk->capacity, chunk->count, sizeof(*chunk->items));
    chunk->items = items;
    size_t at = chunk->bytes.len;
    cli_buffer_add(&chunk->bytes, body, len);
    if (!ok || chunk->bytes.failed) {
        return false;
    }
    chunk->items[chunk->count++] = (struct chunk_item){at, len, chunk->headers_count, 0, delay_ms};
    return true;
}

bool chunk_add_header(struct chunk *chunk, const char *name, const void *value, size_t len)
{
    void *headers = chunk->headers;
    bool ok = grow(&headers, &chunk->headers_capacity, chunk->headers_count, sizeof(*chunk->headers));
    chunk->headers = headers;
    size_t name_at = chunk->bytes.len;
    cli_buffer_add(&chunk->bytes, name, strlen(name) + 1);
    size_t value_at = chunk->bytes.len;
    cli_buffer_add(&chunk->bytes, value, len);
    if (!ok || chunk->bytes.failed) {
        return false;
    }
    chunk->headers[chunk->headers_count++] = (struct chunk_header){name_at, value_at, len};
    chunk->items[chunk->count - 1].headers_count++;
    return true;
}
