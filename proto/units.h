// Numbers as people write them, the same in every program: durations with ms, s, m, h (bare: seconds), sizes with K, M, G (powers of
// 1024), rates, counts. Strict: no sign, no space, nothing behind the number.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// False: not such a number, or too large. A fraction ("0.5s", "1.5G") is taken to the nearest whole ms or byte below.
bool units_parse_duration_ms(const char *text, uint64_t *out);
bool units_parse_size(const char *text, uint64_t *out);
bool units_parse_count(const char *text, uint64_t *out);
bool units_parse_rate(const char *text, double *out); // "50", "0.5", "50/s": a second, above 0

// The shortest text that parses to the same number.
void units_format_duration_ms(uint64_t ms, char *out, size_t size);
void units_format_size(uint64_t bytes, char *out, size_t size);
