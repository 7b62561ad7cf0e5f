// The queues of a run: what is there before it, what is put into them for it, what is deleted behind it.
#pragma once
#include "bench.h"

struct prepared {
    bool *ours; // one for each queue: it was not there before; NULL: nothing has been looked at
};

// In mode get, options->count becomes the number of items that are there to be got. What goes wrong is said on stderr.
enum nq_status prepare_queues(struct prepared *self, struct bench_options *options, struct nq_client *client);
// Delete the queues that were not there before, unless they are to be kept.
enum nq_status prepare_clean_up(struct prepared *self, const struct bench_options *options, struct nq_client *client);
