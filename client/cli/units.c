#include "units.h"

#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
static const struct unit sizes[] = {{"", 1}, {"K", 1ull << 10}, {"M", 1ull << 20}, {"G", 1ull << 30}};

enum { FRACTION_DIGITS_MAX = 6, MILLION = 1000000 };

static bool parse_digits(const char **at, uint64_t *out)
{
    const char *start = *at;
    uint64_t value = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return *at > start;
}

// Nothing, or a point and one to six digits.
static bool parse_fraction(const char **at, uint64_t *millionths)
{
    *millionths = 0;
    if (**at != '.') {
        return true;
    }
    (*at)++;
    uint64_t weight = MILLION / 10;
    int digits = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++, digits++) {
        *millionths += (uint64_t)(**at - '0') * weight;
        weight /= 10;
    }
    return digits > 0 && digits <= FRACTION_DIGITS_MAX;
}

static bool parse_with_units(const char *text, const struct unit *units, size_t count, uint64_t *out)
{
    uint64_t whole;
    uint64_t millionths;
    if (!parse_digits(&text, &whole) || !parse_fraction(&text, &millionths)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, units[i].name) != 0) {
            continue;
        }
        uint64_t factor = units[i].factor;
        uint64_t part = factor / MILLION * millionths + factor % MILLION * millionths / MILLION;
        if (whole > (UINT64_MAX - part) / factor) {
            return false;
        }
        *out = whole * factor + part;
        return true;
    }
    return false;
}

bool cli_parse_count(const char *text, uint64_t *out)
{
    return parse_digits(&text, out) && *text == '\0';
}

bool cli_parse_duration_ms(const char *text, uint64_t *out)
{
    return parse_with_units(text, durations, sizeof(durations) / sizeof(durations[0]), out);
}

bool cli_parse_size(const char *text, uint64_t *out)
{
    return parse_with_units(text, sizes, sizeof(sizes) / sizeof(sizes[0]), out);
}

bool cli_parse_rate(const char *text, double *out)
{
    uint64_t whole;
    uint64_t millionths;
    if (!parse_digits(&text, &whole) || !parse_fraction(&text, &millionths)) {
        return false;
    }
    if (*text != '\0' && strcmp(text, "/s") != 0) {
        return false;
    }
    *out = (double)whole + (double)millionths / MILLION;
    return *out > 0;
}

void cli_format_seconds(double seconds, char *out, unsigned long size)
{
    if (seconds < 1) {
        snprintf(out, size, "%.0f ms", seconds * 1000);
    } else if (seconds < 120) {
        snprintf(out, size, "%.1f s", seconds);
    } else {
        unsigned long whole = (unsigned long)seconds;
        snprintf(out, size, "%lu min %02lu s", whole / 60, whole % 60);
    }
}
