#include "bench.h"

#include <inttypes.h>

#include "prepare.h"
#include "report.h"
#include "run.h"

static enum nq_status check_size(const struct bench_options *options, struct nq_client *client)
{
    struct nq_broker_info info;
    enum nq_status status = nq_ping(client, &info);
    if (status != NQ_OK) {
        cli_report("%s", nq_error_text(client));
    } else if (options->size > info.body_bytes_max) {
        cli_report("--size: the broker takes items of up to %" PRIu64 " bytes", info.body_bytes_max);
        status = NQ_TOO_LARGE;
    }
    return status;
}

static bool figures_init(struct figures *figures)
{
    *figures = (struct figures){0};
    bool ok = true;
    for (size_t i = 0; i < LATENCIES; i++) {
        ok = histogram_init(&figures->latency[i]) && ok;
    }
    return ok;
}

static enum nq_status measure(const struct bench_options *options, const struct cli_common *common, struct cli_buffer *out)
{
    struct figures figures;
    enum nq_status status = NQ_NO_MEMORY;
    if (figures_init(&figures)) {
        struct bench_run *run = bench_run_create(options, common, &status);
        if (run != NULL) {
            status = bench_run_all(run, &figures);
            figures_add(out, options, &figures);
        }
        bench_run_destroy(&run);
    }
    for (size_t i = 0; i < LATENCIES; i++) {
        histogram_fini(&figures.latency[i]);
    }
    return status;
}

enum nq_status bench_execute(const struct bench_options *asked, struct nq_client *client, const struct cli_common *common,
                             struct cli_buffer *out)
{
    struct bench_options options = *asked;
    struct prepared prepared = {0};
    enum nq_status status = check_size(&options, client);
    if (status == NQ_OK) {
        status = prepare_queues(&prepared, &options, client);
    }
    if (status == NQ_OK) {
        status = measure(&options, common, out);
    }
    enum nq_status cleaned = prepare_clean_up(&prepared, &options, client);
    return status != NQ_OK ? status : cleaned;
}
