#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "deal.h"
#include "json.h"
#include "report.h"
#include "setup.h"

struct outcome {
    enum nq_status status;
    int exit_code;
    uint64_t puts, unknown;
    double seconds;
};

static enum nq_status ping(struct nq_client *client, struct nq_broker_info *info)
{
    struct cli_listener listener;
    if (!cli_listen(&listener, client)) {
        return NQ_NO_MEMORY;
    }
    enum nq_status status = nq_ping(client, info);
    cli_unlisten(&listener);
    return status;
}

// The first sender takes the client that has asked for the limits.
static bool start_senders(struct dealer *dealer, struct nq_client *first, enum nq_status *status)
{
    const struct producer_options *options = dealer->options;
    for (size_t i = 0; i < options->threads; i++) {
        struct nq_client *client = i == 0 ? first : cli_client_create(&options->common, options->name, 1, status);
        if (client == NULL) {
            return false;
        }
        dealer->senders_count++;
        if (!sender_start(&dealer->senders[i], options, client, (unsigned)i + 1, dealer->room_fd)) {
            atomic_store(&dealer->senders[i].ended, true);
            cli_report("cannot start thread %zu", i + 1);
            *status = NQ_NO_MEMORY;
            return false;
        }
    }
    return true;
}

static void report_failure(const struct dealer *dealer, const struct sender *failed, struct outcome *outcome)
{
    char item[48] = "";
    if (failed->failed_item != UINT64_MAX) {
        snprintf(item, sizeof(item), " (item %" PRIu64 ")", failed->failed_item + 1);
    }
    char unknown[64] = "";
    if (outcome->unknown > 0) {
        snprintf(unknown, sizeof(unknown), ", %" PRIu64 " more may be", outcome->unknown);
    }
    cli_report("%s%s; %" PRIu64 " item%s known to be stored in '%s'%s", failed->error, item, outcome->puts,
               outcome->puts == 1 ? " is" : "s are", dealer->options->queue, unknown);
    outcome->status = failed->status;
    outcome->exit_code = nq_status_exit_code(failed->status);
}

static void sum_up(const struct dealer *dealer, struct outcome *outcome)
{
    const struct sender *failed = NULL;
    outcome->puts = deal_confirmed(dealer);
    outcome->seconds = (double)(cli_now_ms() - dealer->started_ms) / 1000;
    for (size_t i = 0; i < dealer->senders_count; i++) {
        const struct sender *sender = &dealer->senders[i];
        outcome->unknown += sender->unknown;
        if (sender->status != NQ_OK && (failed == NULL || sender->failed_item < failed->failed_item)) {
            failed = sender;
        }
    }
    cli_progress("%s", "");
    if (failed != NULL) {
        report_failure(dealer, failed, outcome);
    } else if (dealer->input_failed) {
        cli_report("%s; %" PRIu64 " item%s known to be stored in '%s'", dealer->input->error, outcome->puts,
                   outcome->puts == 1 ? " is" : "s are", dealer->options->queue);
        outcome->status = NQ_BAD_REQUEST;
        outcome->exit_code = EXIT_INPUT;
    } else if (!dealer->options->common.quiet) {
        char took[32];
        char rate[48] = "";
        cli_format_seconds(outcome->seconds, took, sizeof(took));
        if (outcome->seconds >= 0.1) { // of less, a rate says nothing
            snprintf(rate, sizeof(rate), ", %.0f/s", (double)outcome->puts / outcome->seconds);
        }
        cli_report("%" PRIu64 " item%s stored in '%s' in %s%s", outcome->puts, outcome->puts == 1 ? "" : "s",
                   dealer->options->queue, took, rate);
    }
}

static void join_queue(const struct dealer *dealer, struct outcome *outcome)
{
    struct nq_client *client = dealer->senders[0].client;
    enum nq_status status = NQ_INTERRUPTED;
    while (status == NQ_INTERRUPTED && cli_signals_count() == 0) {
        status = nq_join(client, dealer->options->queue, NQ_WAIT_FOREVER);
    }
    if (status == NQ_OK || (status == NQ_NO_SUCH_QUEUE && outcome->puts == 0)) {
        return;
    }
    cli_report("%s", status == NQ_INTERRUPTED ? "stopped before everything was done" : nq_error_text(client));
    outcome->status = status;
    outcome->exit_code = nq_status_exit_code(status);
}

static void print_json(const struct producer_options *options, const struct outcome *outcome)
{
    struct cli_buffer out = {0};
    struct cli_json json = {.out = &out};
    cli_json_begin_object(&json, NULL);
    cli_json_text(&json, "queue", options->queue);
    cli_json_number(&json, "puts", outcome->puts);
    cli_json_number(&json, "unknown", outcome->unknown);
    cli_json_real(&json, "seconds", outcome->seconds);
    cli_json_text(&json, "status", nq_status_name(outcome->status));
    cli_json_number(&json, "exit_code", (uint64_t)outcome->exit_code);
    cli_json_end_object(&json);
    printf("%.*s\n", (int)out.len, out.data);
    cli_buffer_fini(&out);
}

static void run(const struct producer_options *options, struct nq_client *client, size_t body_max, struct outcome *outcome)
{
    struct dealer dealer = {.options = options, .listener = {-1, -1}, .shows_progress = cli_progress_wanted(options->common.quiet)};
    dealer.room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    dealer.input = input_create(options, body_max);
    dealer.senders = calloc(options->threads, sizeof(*dealer.senders));
    bool ready = dealer.room_fd >= 0 && dealer.input != NULL && dealer.senders != NULL && cli_listen(&dealer.listener, NULL);
    if (!ready) {
        cli_report("out of memory or descriptors");
        outcome->status = NQ_NO_MEMORY;
        nq_client_destroy(&client);
    } else if (start_senders(&dealer, client, &outcome->status)) {
        deal_all(&dealer);
        deal_wait(&dealer);
        sum_up(&dealer, outcome);
        if (outcome->status == NQ_OK && options->join) {
            join_queue(&dealer, outcome);
        }
    }
    for (size_t i = 0; i < dealer.senders_count; i++) {
        mailbox_close(&dealer.senders[i].mailbox);
        sender_fini(&dealer.senders[i]);
    }
    cli_unlisten(&dealer.listener);
    free(dealer.senders);
    if (dealer.input != NULL) {
        input_destroy(&dealer.input);
    }
    if (dealer.room_fd >= 0) {
        close(dealer.room_fd);
    }
}

static int produce(const struct producer_options *options)
{
    struct outcome outcome = {.status = NQ_OK};
    struct nq_broker_info info;
    struct nq_client *client = cli_client_create(&options->common, options->name, 1, &outcome.status);
    if (client != NULL) {
        outcome.status = ping(client, &info);
        if (outcome.status == NQ_OK) {
            run(options, client, (size_t)info.body_bytes_max, &outcome);
        } else {
            if (outcome.status == NQ_INTERRUPTED) {
                outcome.status = NQ_OK; // a signal before anything was taken
            } else {
                cli_report("%s", nq_error_text(client));
            }
            nq_client_destroy(&client);
        }
    }
    if (outcome.exit_code == 0) {
        outcome.exit_code = nq_status_exit_code(outcome.status);
    }
    if (options->common.format == CLI_FORMAT_JSON) {
        print_json(options, &outcome);
    }
    int closed = cli_close_stdout();
    return outcome.exit_code != 0 ? outcome.exit_code : closed;
}

int main(int argc, char **argv)
{
    struct producer_options options;
    struct cli_arguments arguments;
    cli_keep_standard_streams();
    int code = producer_options_read(argc, argv, &options, &arguments);
    if (code == CLI_GO_ON) {
        code = cli_signals_install() ? produce(&options) : 1;
    }
    producer_options_fini(&options, &arguments);
    return code;
}
