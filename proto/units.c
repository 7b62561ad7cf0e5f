#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {"", 1000}};
static const struct unit sizes[] = {{"G", 1ull << 30}, {"M", 1ull << 20}, {"K", 1ull << 10}, {"", 1}};

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
        uint64_t factor = units[i].factor;
        if (strcmp(text, units[i].name) != 0) {
            continue;
        }
        uint64_t part = factor / MILLION * millionths + factor % MILLION * millionths / MILLION;
        if (whole > (UINT64_MAX - part) / factor) {
            return false;
        }
        *out = whole * factor + part;
        return true;
    }
    return false;
}

bool units_parse_duration_ms(const char *text, uint64_t *out)
{
    return parse_with_units(text, durations, sizeof(durations) / sizeof(durations[0]), out);
}

bool units_parse_size(const char *text, uint64_t *out)
{
    return parse_with_units(text, sizes, sizeof(sizes) / sizeof(sizes[0]), out);
}

bool units_parse_count(const char *text, uint64_t *out)
{
    return parse_digits(&text, out) && *text == '\0';
}

bool units_parse_rate(const char *text, double *out)
{
    uint64_t whole;
    uint64_t millionths;
    if (!parse_digits(&text, &whole) || !parse_fraction(&text, &millionths)) {
        return false;
    }
    *out = (double)whole + (double)millionths / MILLION;
    return *out > 0 && (*text == '\0' || strcmp(text, "/s") == 0);
}

static void format_with_units(uint64_t value, const struct unit *units, size_t count, char *out, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        if (value >= units[i].factor && value % units[i].factor == 0) {
            snprintf(out, size, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
            return;
        }
    }
    snprintf(out, size, "0");
}

void units_format_duration_ms(uint64_t ms, char *out, size_t size)
{
    format_with_units(ms, durations, sizeof(durations) / sizeof(durations[0]), out, size);
}

void units_format_size(uint64_t bytes, char *out, size_t size)
{
    format_with_units(bytes, sizes, sizeof(sizes) / sizeof(sizes[0]), out, size);
}
