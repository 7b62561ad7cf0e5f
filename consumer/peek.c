// Looking: what is ready is printed and stays where it is.
#include <stdlib.h>

#include "output.h"

enum { PAGE = 100 };

// False: there is no more, or it went wrong.
static bool print_page(struct worker *worker, struct output *output, const char *queue, uint64_t *from)
{
    struct nq_item *items[PAGE];
    uint64_t left = worker->limit - worker->taken;
    size_t count = 0;
    enum nq_status status = nq_peek(worker->client, queue, *from, left < PAGE ? (size_t)left : PAGE, items, &count);
    if (status != NQ_OK && status != NQ_EMPTY) {
        if (status != NQ_INTERRUPTED) {
            worker_fail(worker, status, nq_error_text(worker->client));
        }
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        output_add_item_text(&output->bytes, worker, items[i]);
        *from = nq_item_seq(items[i]) + 1;
        nq_item_destroy(&items[i]);
    }
    worker->taken += count;
    return output_write(output) && count > 0;
}

void peek_run(struct worker *worker)
{
    const struct consumer_options *options = worker->options;
    struct output *output = calloc(1, sizeof(*output));
    if (output == NULL) {
        worker_fail(worker, NQ_NO_MEMORY, "out of memory");
        return;
    }
    output->worker = worker;
    for (size_t i = 0; i < options->queues_count && worker->status == NQ_OK; i++) {
        uint64_t from = 0;
        while (worker->taken < worker->limit && !worker_is_stopping(worker) &&
               print_page(worker, output, options->queues[i], &from)) {
        }
    }
    output_fini(output);
    free(output);
}
