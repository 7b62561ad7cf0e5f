// Items on their way to stdout, and then done: an item is finished only after its bytes are written.
#pragma once
#include "buffer.h"
#include "consumer.h"

enum { OUTPUT_ITEMS = 1000, OUTPUT_BYTES = 64 * 1024 };

struct output {
    struct worker *worker;
    struct cli_buffer bytes;
    struct nq_item *items[OUTPUT_ITEMS]; // whose bytes they are
    size_t count;
};

void output_add(struct output *output, struct nq_item *item); // takes it; not when output_is_full
bool output_is_full(const struct output *output);
// Write. False: stdout is closed or broken, or the grace is over; worker_fail has been called unless it is the grace.
bool output_write(struct output *output);
void output_fini(struct output *output);

// "Consumer notify : ..." for a command's item, and the like. The caller writes.
void output_add_item_text(struct cli_buffer *bytes, const struct worker *worker, const struct nq_item *item);
bool output_write_bytes(struct worker *worker, const char *data, size_t len);
