// Bytes that grow. The first failed allocation is kept in `failed`; what is added after it is dropped.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct cli_buffer {
    char *data;
    size_t len, capacity;
    bool failed;
};

void cli_buffer_add(struct cli_buffer *buffer, const void *data, size_t len);
void cli_buffer_add_text(struct cli_buffer *buffer, const char *text);
void cli_buffer_add_byte(struct cli_buffer *buffer, char byte);
void cli_buffer_format(struct cli_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
// At least `more` bytes can be written behind data + len. False: out of memory.
bool cli_buffer_reserve(struct cli_buffer *buffer, size_t more);
void cli_buffer_drop_front(struct cli_buffer *buffer, size_t count);
void cli_buffer_fini(struct cli_buffer *buffer); // empty again, usable again
