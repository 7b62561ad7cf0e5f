// Numbers as people write them on a command line. Strict: no sign, no space, nothing behind the number; too large is an error.
#pragma once
#include <stdbool.h>
#include <stdint.h>

bool cli_parse_count(const char *text, uint64_t *out);
bool cli_parse_duration_ms(const char *text, uint64_t *out); // "250ms", "1.5s", "5m", "2h"; bare: seconds
bool cli_parse_size(const char *text, uint64_t *out);        // "64", "1.5K", "16M", "1G": powers of 1024
bool cli_parse_rate(const char *text, double *out);          // "50", "0.5", "50/s": a second, above 0

// For people: "80 ms", "12.3 s", "4 min 05 s".
void cli_format_seconds(double seconds, char *out, unsigned long size);
