// Numbers as people write them: durations with ms, s, m, h (bare: seconds), sizes with K, M, G (powers of 1024), counts.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// False: not such a number, or too large. A fraction ("0.5s", "1.5G") is taken to the nearest whole ms or byte below.
bool units_parse_duration_ms(const char *text, uint64_t *out);
bool units_parse_size(const char *text, uint64_t *out);
bool units_parse_count(const char *text, uint64_t *out);

// The shortest text that parses to the same number.
void units_format_duration_ms(uint64_t ms, char *out, size_t size);
void units_format_size(uint64_t bytes, char *out, size_t size);
