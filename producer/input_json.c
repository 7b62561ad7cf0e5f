// --json-lines: {"body": "..", "headers": {"k": "v"}, "delay": 1.5}. What netqueue-consumer --json prints is taken back.
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "input.h"
#include "splitter.h"
#include "text.h"
#include "units.h"

#define BROKERS_HEADERS "nq-" // the broker's own, of dead letters: a put with them would be refused

struct input_json {
    struct input input;
    struct splitter splitter;
    size_t body_max;
    uint64_t delay_ms;
    struct cli_buffer decoded;
    struct cli_buffer name; // of a header, decoded
};

static enum input_result wrong(struct input_json *self, const char *what)
{
    return input_fail(&self->input, "line %" PRIu64 " of the input: %s", self->splitter.line, what);
}

static bool read_delay(const json_t *value, uint64_t *delay_ms)
{
    if (json_is_string(value)) {
        return units_parse_duration_ms(json_string_value(value), delay_ms);
    }
    double seconds = json_number_value(value);
    if (!json_is_number(value) || seconds < 0 || seconds > 1e12) {
        return false;
    }
    *delay_ms = (uint64_t)(seconds * 1000 + 0.5);
    return true;
}

// Whether `key` is one that an item may have; those the consumer prints and a put does not need are passed over.
static bool is_known(const char *key)
{
    static const char *const keys[] = {"body",  "body_base64", "headers",  "headers_base64", "more_headers_base64", "delay",
                                       "queue", "seq",         "failures", "deliveries",     "redelivered"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(key, keys[i]) == 0) {
            return true;
        }
    }
    return false;
}

// A JSON string as it is, or decoded; false with `why`.
static bool read_bytes(struct input_json *self, const json_t *value, bool base64, const char **data, size_t *len, const char **why)
{
    *why = "a body or header that is not a string";
    if (!json_is_string(value)) {
        return false;
    }
    *data = json_string_value(value);
    *len = json_string_length(value);
    if (!base64) {
        return true;
    }
    self->decoded.len = 0;
    *why = "malformed base64";
    if (!cli_base64_decode(&self->decoded, *data, *len) || !cli_buffer_reserve(&self->decoded, 1)) {
        return false;
    }
    *data = self->decoded.data;
    *len = self->decoded.len;
    return true;
}

// A header of the item added last, unless it is the broker's.
static bool keep_header(struct chunk *chunk, const char *name, const char *data, size_t len, const char **why)
{
    *why = "out of memory";
    return strncmp(name, BROKERS_HEADERS, strlen(BROKERS_HEADERS)) == 0 || chunk_add_header(chunk, name, data, len);
}

static bool add_headers(struct input_json *self, json_t *headers, bool base64, struct chunk *chunk, const char **why)
{
    const char *name;
    json_t *value;
    *why = "\"headers\" is not an object";
    if (headers != NULL && !json_is_object(headers)) {
        return false;
    }
    json_object_foreach(headers, name, value)
    {
        const char *data;
        size_t len;
        if (!read_bytes(self, value, base64, &data, &len, why) || !keep_header(chunk, name, data, len, why)) {
            return false;
        }
    }
    return true;
}

static const char not_pairs[] = "\"more_headers_base64\" is not a list of pairs";

static bool add_pair(struct input_json *self, const json_t *pair, struct chunk *chunk, const char **why)
{
    const char *data;
    size_t len;
    *why = not_pairs;
    if (json_array_size(pair) != 2 || !read_bytes(self, json_array_get(pair, 0), true, &data, &len, why)) {
        return false;
    }
    self->name.len = 0;
    cli_buffer_add(&self->name, data, len);
    cli_buffer_add_byte(&self->name, '\0');
    *why = "out of memory";
    return !self->name.failed && read_bytes(self, json_array_get(pair, 1), true, &data, &len, why) &&
           keep_header(chunk, self->name.data, data, len, why);
}

// What cannot stand in an object: a name that is not UTF-8, or that is there already.
static bool add_pairs(struct input_json *self, const json_t *pairs, struct chunk *chunk, const char **why)
{
    size_t at;
    json_t *pair;
    *why = not_pairs;
    if (pairs != NULL && !json_is_array(pairs)) {
        return false;
    }
    json_array_foreach(pairs, at, pair)
    {
        if (!add_pair(self, pair, chunk, why)) {
            return false;
        }
    }
    return true;
}

static enum input_result add_item(struct input_json *self, json_t *object, struct chunk *chunk)
{
    json_t *plain = json_object_get(object, "body");
    json_t *encoded = json_object_get(object, "body_base64");
    json_t *delay = json_object_get(object, "delay");
    uint64_t delay_ms = self->delay_ms;
    const char *data;
    size_t len;
    const char *why;
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (!is_known(key)) {
            return input_fail(&self->input, "line %" PRIu64 " of the input: unknown key \"%.40s\"", self->splitter.line, key);
        }
    }
    if ((plain == NULL) == (encoded == NULL)) {
        return wrong(self, "one of \"body\" and \"body_base64\" is needed");
    }
    if (delay != NULL && !read_delay(delay, &delay_ms)) {
        return wrong(self, "\"delay\" is not a number of seconds or a time like \"5m\"");
    }
    if (!read_bytes(self, plain != NULL ? plain : encoded, plain == NULL, &data, &len, &why)) {
        return wrong(self, why);
    }
    if (len > self->body_max) {
        return input_fail(&self->input, "line %" PRIu64 " of the input: the body is too long: the broker takes up to %zu bytes",
                          self->splitter.line, self->body_max);
    }
    if (!chunk_add(chunk, data, len, delay_ms)) {
        return wrong(self, "out of memory");
    }
    if (!add_headers(self, json_object_get(object, "headers"), false, chunk, &why) ||
        !add_headers(self, json_object_get(object, "headers_base64"), true, chunk, &why) ||
        !add_pairs(self, json_object_get(object, "more_headers_base64"), chunk, &why)) {
        chunk->count--; // not an item after all
        return wrong(self, why);
    }
    return INPUT_ITEM;
}

static enum input_result json_next(struct input *input, struct chunk *chunk)
{
    struct input_json *self = (struct input_json *)input;
    const char *line;
    size_t len;
    enum input_result result = input_read_line(input, &self->splitter, &line, &len);
    if (result != INPUT_ITEM) {
        return result;
    }
    json_error_t error;
    json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (object == NULL) {
        return input_fail(input, "line %" PRIu64 " of the input is not JSON: %.100s", self->splitter.line, error.text);
    }
    result = json_is_object(object) ? add_item(self, object, chunk) : wrong(self, "not a JSON object");
    json_decref(object);
    return result;
}

static void json_destroy(struct input *input)
{
    struct input_json *self = (struct input_json *)input;
    splitter_fini(&self->splitter);
    cli_buffer_fini(&self->decoded);
    cli_buffer_fini(&self->name);
    free(self);
}

struct input *input_json_create(const struct producer_options *options, size_t body_max)
{
    struct input_json *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->input = (struct input){.next = json_next, .destroy = json_destroy, .fd = STDIN_FILENO};
    // Six characters may stand for one byte; headers and the rest come on top.
    self->splitter = (struct splitter){.delimiter = '\n', .len_max = body_max * 6 + (size_t)64 * 1024};
    self->body_max = body_max;
    self->delay_ms = options->delay_ms;
    return &self->input;
}
