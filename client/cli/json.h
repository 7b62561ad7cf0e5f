// Writing JSON, compact, into a buffer. Commas are put by the writer; the caller keeps begin and end in balance.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

struct cli_json {
    struct cli_buffer *out;
    bool comma; // the next value needs one
};

void cli_json_begin_object(struct cli_json *json, const char *name); // name NULL: not in an object
void cli_json_end_object(struct cli_json *json);
void cli_json_begin_array(struct cli_json *json, const char *name);
void cli_json_end_array(struct cli_json *json);
void cli_json_text(struct cli_json *json, const char *name, const char *text);
void cli_json_number(struct cli_json *json, const char *name, uint64_t number);
void cli_json_real(struct cli_json *json, const char *name, double number);
void cli_json_bool(struct cli_json *json, const char *name, bool value);
void cli_json_string(struct cli_json *json, const char *name, const char *data, size_t len); // the bytes must be UTF-8
void cli_json_base64(struct cli_json *json, const char *name, const void *data, size_t len);

// A string with its quotes. The bytes must be UTF-8.
void cli_json_add_string(struct cli_buffer *out, const char *data, size_t len);
