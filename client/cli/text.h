// Whether bytes are text, and what to do when they are not.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct cli_buffer;

// Well-formed UTF-8 (no surrogates, nothing overlong, nothing above U+10FFFF); NUL is allowed.
bool cli_is_utf8(const void *data, size_t len);

// RFC 4648, with padding.
void cli_base64_encode(struct cli_buffer *out, const void *data, size_t len);
// Strict: whole groups, padding required. False leaves `out` longer by some bytes.
bool cli_base64_decode(struct cli_buffer *out, const char *text, size_t len);
