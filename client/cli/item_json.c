#include "item_json.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "text.h"

// How a header is written: under its name, or, where that is no text or stands there already, in a list of pairs.
enum form { AS_TEXT, AS_BASE64, AS_PAIR };

struct place {
    struct nq_header_field header;
    size_t at; // in the item
    enum form form;
};

static int by_name(const void *a, const void *b)
{
    const struct place *left = a;
    const struct place *right = b;
    int order = strcmp(left->header.name, right->header.name);
    return order != 0 ? order : (left->at > right->at) - (left->at < right->at);
}

static int by_place(const void *a, const void *b)
{
    const struct place *left = a;
    const struct place *right = b;
    return (left->at > right->at) - (left->at < right->at);
}

// Sorted once each way: an item may have as many as its sender likes. NULL: out of memory.
static struct place *choose_forms(const struct nq_item *item, size_t count)
{
    struct place *places = calloc(count + 1, sizeof(*places));
    if (places == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        places[i] = (struct place){nq_item_header(item, i), i, AS_PAIR};
    }
    qsort(places, count, sizeof(*places), by_name);
    for (size_t i = 0; i < count; i++) {
        struct nq_header_field header = places[i].header;
        bool first = i == 0 || strcmp(places[i - 1].header.name, header.name) != 0;
        if (first && cli_is_utf8(header.name, strlen(header.name))) {
            places[i].form = cli_is_utf8(header.value, header.value_len) ? AS_TEXT : AS_BASE64;
        }
    }
    qsort(places, count, sizeof(*places), by_place);
    return places;
}

static void add_header(struct cli_json *json, const struct place *place)
{
    struct nq_header_field header = place->header;
    switch (place->form) {
    case AS_TEXT:
        cli_json_string(json, header.name, header.value, header.value_len);
        return;
    case AS_BASE64:
        cli_json_base64(json, header.name, header.value, header.value_len);
        return;
    case AS_PAIR:
    default:
        cli_json_begin_array(json, NULL);
        cli_json_base64(json, NULL, header.name, strlen(header.name));
        cli_json_base64(json, NULL, header.value, header.value_len);
        cli_json_end_array(json);
    }
}

// Those of one form; nothing when there are none, but for text.
static void add_form(struct cli_json *json, const char *name, const struct place *places, size_t count, enum form form)
{
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++) {
        wanted += places[i].form == form;
    }
    if (wanted == 0 && form != AS_TEXT) {
        return;
    }
    form == AS_PAIR ? cli_json_begin_array(json, name) : cli_json_begin_object(json, name);
    for (size_t i = 0; i < count; i++) {
        if (places[i].form == form) {
            add_header(json, &places[i]);
        }
    }
    form == AS_PAIR ? cli_json_end_array(json) : cli_json_end_object(json);
}

static void add_headers(struct cli_json *json, const struct nq_item *item)
{
    size_t count = nq_item_headers_count(item);
    struct place *places = choose_forms(item, count);
    if (places == NULL) {
        json->out->failed = true;
        return;
    }
    add_form(json, "headers", places, count, AS_TEXT);
    add_form(json, "headers_base64", places, count, AS_BASE64);
    add_form(json, "more_headers_base64", places, count, AS_PAIR);
    free(places);
}

void cli_item_json(struct cli_buffer *out, const struct nq_item *item)
{
    struct cli_json json = {.out = out};
    cli_json_begin_object(&json, NULL);
    cli_json_text(&json, "queue", nq_item_queue(item));
    cli_json_number(&json, "seq", nq_item_seq(item));
    cli_json_number(&json, "deliveries", nq_item_deliveries(item));
    cli_json_number(&json, "failures", nq_item_failures(item));
    cli_json_bool(&json, "redelivered", nq_item_redelivered(item));
    add_headers(&json, item);
    if (cli_is_utf8(nq_item_body(item), nq_item_len(item))) {
        cli_json_string(&json, "body", nq_item_body(item), nq_item_len(item));
    } else {
        cli_json_base64(&json, "body_base64", nq_item_body(item), nq_item_len(item));
    }
    cli_json_end_object(&json);
    cli_buffer_add_byte(out, '\n');
}
