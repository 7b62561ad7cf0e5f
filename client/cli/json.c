#include "json.h"

#include <inttypes.h>
#include <string.h>

#include "text.h"

static const char *escape_of(unsigned char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

void cli_json_add_string(struct cli_buffer *out, const char *data, size_t len)
{
    cli_buffer_add_byte(out, '"');
    size_t plain = 0; // start of what needs no escape
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            continue;
        }
        cli_buffer_add(out, data + plain, i - plain);
        plain = i + 1;
        const char *escape = escape_of(c);
        if (escape != NULL) {
            cli_buffer_add_text(out, escape);
        } else {
            cli_buffer_format(out, "\\u%04x", c);
        }
    }
    cli_buffer_add(out, data + plain, len - plain);
    cli_buffer_add_byte(out, '"');
}

static void start_value(struct cli_json *json, const char *name)
{
    if (json->comma) {
        cli_buffer_add_byte(json->out, ',');
    }
    json->comma = true;
    if (name != NULL) {
        cli_json_add_string(json->out, name, strlen(name));
        cli_buffer_add_byte(json->out, ':');
    }
}

static void begin(struct cli_json *json, const char *name, char bracket)
{
    start_value(json, name);
    cli_buffer_add_byte(json->out, bracket);
    json->comma = false;
}

static void end(struct cli_json *json, char bracket)
{
    cli_buffer_add_byte(json->out, bracket);
    json->comma = true;
}

void cli_json_begin_object(struct cli_json *json, const char *name)
{
    begin(json, name, '{');
}

void cli_json_end_object(struct cli_json *json)
{
    end(json, '}');
}

void cli_json_begin_array(struct cli_json *json, const char *name)
{
    begin(json, name, '[');
}

void cli_json_end_array(struct cli_json *json)
{
    end(json, ']');
}

void cli_json_string(struct cli_json *json, const char *name, const char *data, size_t len)
{
    start_value(json, name);
    cli_json_add_string(json->out, data, len);
}

void cli_json_base64(struct cli_json *json, const char *name, const void *data, size_t len)
{
    start_value(json, name);
    cli_buffer_add_byte(json->out, '"');
    cli_base64_encode(json->out, data, len);
    cli_buffer_add_byte(json->out, '"');
}

void cli_json_text(struct cli_json *json, const char *name, const char *text)
{
    cli_json_string(json, name, text, strlen(text));
}

void cli_json_number(struct cli_json *json, const char *name, uint64_t number)
{
    start_value(json, name);
    cli_buffer_format(json->out, "%" PRIu64, number);
}

void cli_json_real(struct cli_json *json, const char *name, double number)
{
    start_value(json, name);
    cli_buffer_format(json->out, "%.3f", number);
}

void cli_json_bool(struct cli_json *json, const char *name, bool value)
{
    start_value(json, name);
    cli_buffer_add_text(json->out, value ? "true" : "false");
}
