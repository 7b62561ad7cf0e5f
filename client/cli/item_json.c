#include "item_json.h"

#include "json.h"
#include "text.h"

static bool is_text(struct nq_header_field header)
{
    return cli_is_utf8(header.value, header.value_len);
}

static void add_headers(struct cli_json *json, const struct nq_item *item, bool text)
{
    size_t count = nq_item_headers_count(item);
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++) {
        wanted += is_text(nq_item_header(item, i)) == text;
    }
    if (wanted == 0 && !text) {
        return;
    }
    cli_json_begin_object(json, text ? "headers" : "headers_base64");
    for (size_t i = 0; i < count; i++) {
        struct nq_header_field header = nq_item_header(item, i);
        if (is_text(header) != text) {
            continue;
        }
        if (text) {
            cli_json_string(json, header.name, header.value, header.value_len);
        } else {
            cli_json_base64(json, header.name, header.value, header.value_len);
        }
    }
    cli_json_end_object(json);
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
    add_headers(&json, item, true);
    add_headers(&json, item, false);
    if (cli_is_utf8(nq_item_body(item), nq_item_len(item))) {
        cli_json_string(&json, "body", nq_item_body(item), nq_item_len(item));
    } else {
        cli_json_base64(&json, "body_base64", nq_item_body(item), nq_item_len(item));
    }
    cli_json_end_object(&json);
    cli_buffer_add_byte(out, '\n');
}
