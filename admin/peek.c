// peek: look at ready items without taking them.
#include <stdio.h>
#include <stdlib.h>

#include "admin.h"
#include "item_json.h"

enum { PEEK_DEFAULT = 10 };

static void print_item(const struct admin *admin, const struct nq_item *item)
{
    if (admin->options->json || admin->options->common.format == CLI_FORMAT_JSON) {
        struct cli_buffer out = {0};
        cli_item_json(&out, item);
        fwrite(out.data, 1, out.len, stdout);
        cli_buffer_fini(&out);
        return;
    }
    fwrite(nq_item_body(item), 1, nq_item_len(item), stdout);
    putchar(admin->options->null_ended ? '\0' : '\n');
}

enum nq_status admin_peek(const struct admin *admin)
{
    size_t left = admin->options->count == 0 ? PEEK_DEFAULT : (size_t)admin->options->count;
    uint64_t from_seq = admin->options->from_seq;
    struct nq_item **items = calloc(left, sizeof(*items));
    enum nq_status status = items == NULL ? NQ_NO_MEMORY : NQ_OK;
    while (left > 0 && status == NQ_OK) { // one answer holds as many as fit into a frame
        size_t count = 0;
        status = nq_peek(admin->client, admin->queue, from_seq, left, items, &count);
        for (size_t i = 0; i < count; i++) {
            from_seq = nq_item_seq(items[i]) + 1;
            print_item(admin, items[i]);
            nq_item_destroy(&items[i]);
        }
        left -= count < left ? count : left;
        if (count == 0) {
            break;
        }
    }
    free(items);
    return status == NQ_EMPTY ? NQ_OK : status;
}
