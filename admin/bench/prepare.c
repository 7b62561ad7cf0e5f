#include "prepare.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "schedule.h"
#include "signals.h"

enum { BATCH_ITEMS = 1000, BATCH_BYTES = 4 * 1024 * 1024 };

static enum nq_status complain(const struct nq_client *client, enum nq_status status)
{
    if (status != NQ_OK) {
        cli_report("%s", nq_error_text(client));
    }
    return status;
}

static enum nq_status look_at(struct prepared *self, const struct bench_options *options, struct nq_client *client, uint64_t *ready)
{
    for (uint64_t i = 0; i < options->queues; i++) {
        struct nq_queue_stats stats;
        char name[192];
        bench_queue_name(options, i, name, sizeof(name));
        enum nq_status status = nq_stat(client, name, &stats);
        if (status != NQ_OK && status != NQ_NO_SUCH_QUEUE) {
            return complain(client, status);
        }
        self->ours[i] = status == NQ_NO_SUCH_QUEUE;
        if (!self->ours[i] && stats.unfinished > 0 && !options->force) {
            cli_report("queue '%s' holds %" PRIu64 " items (with --force %s)", name, stats.unfinished,
                       options->mode == BENCH_PUT ? "items are put all the same" : "they are got and finished, too");
            return NQ_DIFFERENT_OPTIONS;
        }
        *ready += self->ours[i] ? 0 : stats.ready;
    }
    return NQ_OK;
}

static enum nq_status fill_queue(struct nq_client *client, const char *name, uint64_t count, const struct nq_body *bodies,
                                 size_t batch)
{
    enum nq_status status = NQ_OK;
    while (count > 0 && status == NQ_OK) {
        size_t accepted = 0;
        status = nq_put_many(client, name, bodies, count < batch ? (size_t)count : batch, NULL, &accepted);
        count -= accepted;
        if (status == NQ_INTERRUPTED && cli_signals_count() == 0) {
            status = NQ_OK;
        }
    }
    return complain(client, status);
}

static enum nq_status fill(const struct bench_options *options, struct nq_client *client)
{
    struct nq_body bodies[BATCH_ITEMS];
    uint8_t *data = calloc(1, (size_t)options->size + 1);
    if (data == NULL) {
        return NQ_NO_MEMORY;
    }
    memset(data, 'x', (size_t)options->size);
    for (size_t i = 0; i < BATCH_ITEMS; i++) {
        bodies[i] = (struct nq_body){.data = data, .len = (size_t)options->size};
    }
    size_t fitting = BATCH_BYTES / ((size_t)options->size + 1);
    size_t batch = fitting < 1 ? 1 : fitting < BATCH_ITEMS ? fitting : BATCH_ITEMS;
    enum nq_status status = NQ_OK;
    for (uint64_t i = 0; i < options->queues && status == NQ_OK; i++) {
        char name[192];
        bench_queue_name(options, i, name, sizeof(name));
        status = fill_queue(client, name, share_of(options->fill, options->queues, i), bodies, batch);
    }
    free(data);
    return status;
}

enum nq_status prepare_queues(struct prepared *self, struct bench_options *options, struct nq_client *client)
{
    uint64_t ready = 0;
    self->ours = calloc((size_t)options->queues, sizeof(*self->ours));
    if (self->ours == NULL) {
        cli_report("out of memory");
        return NQ_NO_MEMORY;
    }
    enum nq_status status = look_at(self, options, client, &ready);
    if (status != NQ_OK || options->mode != BENCH_GET) {
        return status;
    }
    if (ready > 0) {
        options->count = options->count > 0 && options->count < ready ? options->count : ready;
        return NQ_OK;
    }
    options->count = options->fill;
    return fill(options, client);
}

enum nq_status prepare_clean_up(struct prepared *self, const struct bench_options *options, struct nq_client *client)
{
    enum nq_status status = NQ_OK;
    for (uint64_t i = 0; self->ours != NULL && !options->keep && i < options->queues; i++) {
        char name[192];
        bench_queue_name(options, i, name, sizeof(name));
        enum nq_status one = self->ours[i] ? nq_delete(client, name, NULL) : NQ_OK;
        while (one == NQ_INTERRUPTED && cli_signals_count() <= 1) {
            one = nq_delete(client, name, NULL);
        }
        if (one != NQ_OK && one != NQ_NO_SUCH_QUEUE) {
            status = complain(client, one);
            break;
        }
    }
    free(self->ours);
    self->ours = NULL;
    return status;
}
