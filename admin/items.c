// Items of a queue: purge, peek, redrive.
#include "admin.h"
#include "item_json.h"

enum { PEEK_DEFAULT = 10, PEEK_PAGE = 100 };

enum nq_status admin_purge(struct admin *admin)
{
    uint64_t count = 0;
    enum nq_status status = nq_purge(admin->client, admin->queue, &count);
    if (status == NQ_OK) {
        show_count(admin, "purged", count, "dropped");
    }
    return status;
}

enum nq_status admin_redrive(struct admin *admin)
{
    uint64_t moved = 0;
    enum nq_status status = nq_redrive(admin->client, admin->queue, admin->options.to, admin->options.count, &moved);
    if (status == NQ_OK || moved > 0) {
        show_count(admin, "moved", moved, "moved");
    }
    return status;
}

static void show_item(struct admin *admin, const struct nq_item *item)
{
    const struct admin_options *options = &admin->options;
    if (options->json || (options->common.format == CLI_FORMAT_JSON && !options->null_ended)) {
        cli_item_json(&admin->out, item);
        return;
    }
    cli_buffer_add(&admin->out, nq_item_body(item), nq_item_len(item));
    cli_buffer_add_byte(&admin->out, options->null_ended ? '\0' : '\n');
}

enum nq_status admin_peek(struct admin *admin)
{
    uint64_t left = admin->options.count > 0 ? admin->options.count : PEEK_DEFAULT;
    uint64_t from = admin->options.from;
    enum nq_status status = NQ_OK;
    size_t count = 1;
    while (left > 0 && count > 0 && status == NQ_OK) {
        struct nq_item *items[PEEK_PAGE];
        count = 0;
        status = nq_peek(admin->client, admin->queue, from, left < PEEK_PAGE ? (size_t)left : PEEK_PAGE, items, &count);
        for (size_t i = 0; i < count; i++) {
            show_item(admin, items[i]);
            from = nq_item_seq(items[i]) + 1;
            nq_item_destroy(&items[i]);
        }
        left -= count;
    }
    return status == NQ_EMPTY ? NQ_OK : status;
}
