#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "consumer.h"
#include "setup.h"

void worker_fail(struct worker *worker, enum nq_status status, const char *text)
{
    if (worker->status == NQ_OK) {
        worker->status = status;
        cli_report("%s", text);
    }
}

void worker_fail_unknown(struct worker *worker)
{
    worker_fail(worker, NQ_OUTCOME_UNKNOWN, "stopped before the broker had answered: whether the last items are done is not known");
}

bool worker_is_stopping(struct worker *worker)
{
    if (cli_signals_count() > 0 && worker->stop_ms == 0) {
        worker->stop_ms = cli_now_ms() + worker->options->grace_ms;
    }
    return cli_signals_count() > 0;
}

bool worker_must_end(struct worker *worker)
{
    worker_is_stopping(worker);
    return cli_signals_count() > 1 || (worker->stop_ms != 0 && cli_now_ms() >= worker->stop_ms);
}

uint64_t worker_grace_left_ms(struct worker *worker)
{
    if (!worker_is_stopping(worker)) {
        return NQ_WAIT_FOREVER;
    }
    uint64_t now_ms = cli_now_ms();
    return worker->stop_ms > now_ms ? worker->stop_ms - now_ms : 0;
}

static void work(struct worker *worker)
{
    const struct consumer_options *options = worker->options;
    if (options->peek) {
        peek_run(worker);
    } else if (options->command == NULL && options->queues_count == 1) {
        print_run(worker);
    } else {
        run_run(worker);
    }
    cli_unlisten(&worker->listener);
    nq_client_destroy(&worker->client);
}

static void *thread_main(void *user)
{
    work(user);
    return NULL;
}

static bool prepare(struct worker *worker, const struct consumer_options *options, unsigned number)
{
    *worker = (struct worker){.options = options, .limit = UINT64_MAX, .listener = {-1, -1}};
    cli_worker_name(worker->name, sizeof(worker->name), "consumer", options->name, options->threads, number);
    if (options->count_given) { // each its share: together exactly as many
        worker->limit = options->count / options->threads + (number <= options->count % options->threads ? 1 : 0);
    }
    uint32_t at_once = options->command != NULL ? (uint32_t)options->jobs : 1;
    worker->client = cli_client_create(&options->common, options->name, at_once, &worker->status);
    if (worker->client == NULL) {
        return false;
    }
    if (!cli_listen(&worker->listener, worker->client)) {
        worker_fail(worker, NQ_NO_MEMORY, "out of descriptors");
        return false;
    }
    return true;
}

static int exit_code(const struct worker *workers, size_t count)
{
    uint64_t lost = 0;
    bool failed = false;
    for (size_t i = 0; i < count; i++) {
        if (workers[i].status != NQ_OK) {
            return workers[i].exit_code != 0 ? workers[i].exit_code : nq_status_exit_code(workers[i].status);
        }
        lost += workers[i].lost;
        failed = failed || workers[i].failed_commands > 0;
    }
    if (lost > 0) {
        cli_report("the lease of %" PRIu64 " item%s was over before the work was done: another consumer gets or has got %s", lost,
                   lost == 1 ? "" : "s", lost == 1 ? "it" : "them");
    }
    return failed ? 1 : 0;
}

// All or none: those that have begun would work on, and nobody would see that some are missing.
static size_t prepare_all(struct worker *workers, const struct consumer_options *options, bool *ok)
{
    size_t prepared = 0;
    *ok = true;
    while (*ok && prepared < options->threads) {
        *ok = prepare(&workers[prepared], options, (unsigned)prepared + 1);
        prepared++;
    }
    return prepared;
}

static int consume(const struct consumer_options *options)
{
    size_t prepared = 0;
    size_t started = 0;
    bool ok = false;
    struct worker *workers = calloc((size_t)options->threads, sizeof(*workers));
    pthread_t *threads = calloc((size_t)options->threads, sizeof(*threads));
    if (workers != NULL && threads != NULL) {
        prepared = prepare_all(workers, options, &ok);
    } else {
        cli_report("out of memory");
    }
    while (ok && started < prepared) {
        ok = pthread_create(&threads[started], NULL, thread_main, &workers[started]) == 0;
        started += ok ? 1 : 0;
        if (!ok) {
            worker_fail(&workers[started], NQ_NO_MEMORY, "cannot start a thread");
            raise(SIGTERM); // the others end as at any signal
        }
    }
    for (size_t i = started; i < prepared; i++) {
        cli_unlisten(&workers[i].listener);
        nq_client_destroy(&workers[i].client);
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    int code = prepared > 0 ? exit_code(workers, prepared) : nq_status_exit_code(NQ_NO_MEMORY);
    free(workers);
    free(threads);
    return code;
}

int main(int argc, char **argv)
{
    struct consumer_options options;
    struct cli_arguments arguments;
    cli_keep_standard_streams();
    int code = consumer_options_read(argc, argv, &options, &arguments);
    if (code == CLI_GO_ON) {
        code = cli_signals_install() ? consume(&options) : 1;
    }
    cli_arguments_fini(&arguments);
    return code;
}
