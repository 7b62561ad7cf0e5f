#include "buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cli_buffer_reserve(struct cli_buffer *buffer, size_t more)
{
    if (more <= buffer->capacity - buffer->len) {
        return true;
    }
    if (more > SIZE_MAX / 2 - buffer->len) {
        buffer->failed = true;
        return false;
    }
    size_t capacity = buffer->capacity < 128 ? 256 : buffer->capacity * 2;
    if (capacity < buffer->len + more) {
        capacity = buffer->len + more;
    }
    char *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void cli_buffer_add(struct cli_buffer *buffer, const void *data, size_t len)
{
    if (len == 0 || buffer->failed || !cli_buffer_reserve(buffer, len)) {
        return;
    }
    memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
}

void cli_buffer_add_text(struct cli_buffer *buffer, const char *text)
{
    cli_buffer_add(buffer, text, strlen(text));
}

void cli_buffer_add_byte(struct cli_buffer *buffer, char byte)
{
    cli_buffer_add(buffer, &byte, 1);
}

void cli_buffer_format(struct cli_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (len < 0 || buffer->failed || !cli_buffer_reserve(buffer, (size_t)len + 1)) {
        buffer->failed = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(buffer->data + buffer->len, (size_t)len + 1, format, arguments);
    va_end(arguments);
    buffer->len += (size_t)len;
}

void cli_buffer_drop_front(struct cli_buffer *buffer, size_t count)
{
    if (count >= buffer->len) {
        buffer->len = 0;
        return;
    }
    if (count > 0) {
        memmove(buffer->data, buffer->data + count, buffer->len - count);
        buffer->len -= count;
    }
}

void cli_buffer_fini(struct cli_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct cli_buffer){0};
}
