// What becomes of an item after its command.
#include <stdio.h>
#include <sys/wait.h>

#include "backoff.h"
#include "run.h"

enum { EXIT_TRY_LATER = 75, EXIT_DEAD = 100 };

void finish_item(struct runner *runner, struct nq_item **item, size_t source, const struct nq_requeue_options *back)
{
    struct nq_client *client = runner->worker->client;
    if (runner->worker->options->at_most_once) {
        nq_item_destroy(item); // done before it came
        return;
    }
    if (back != NULL && !back->dead) {
        runner->sources[source].shut_down = false; // it can be got again, also from a queue that was drained
    }
    uint64_t request = back == NULL ? nq_start_task_done(client, item, NULL) : nq_start_requeue(client, item, back, NULL);
    if (request == 0) {
        worker_fail(runner->worker, NQ_NO_MEMORY, nq_error_text(client));
        nq_item_destroy(item);
        return;
    }
    runner->finishing++;
}

void finish_back(struct runner *runner, struct nq_item **item, size_t source)
{
    static const struct nq_requeue_options at_once = {0};
    finish_item(runner, item, source, &at_once);
}

void finish_command(struct runner *runner, struct command *command, int status)
{
    struct worker *worker = runner->worker;
    const struct consumer_options *options = worker->options;
    if (command->item == NULL) {
        return; // it was killed, and its item has gone back
    }
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    char reason[64];
    if (code == 0) {
        finish_item(runner, &command->item, command->source, NULL);
    } else if (code == EXIT_TRY_LATER) {
        struct nq_requeue_options later = {.delay_ms = options->requeue_delay_ms};
        finish_item(runner, &command->item, command->source, &later);
    } else if (code == EXIT_DEAD) {
        worker->failed_commands++;
        struct nq_requeue_options dead = {.dead = true, .reason = "rejected"};
        finish_item(runner, &command->item, command->source, &dead);
    } else {
        worker->failed_commands++;
        struct nq_requeue_options failed = {
            .failed = true, .delay_ms = backoff_ms(options->backoff_ms, nq_item_failures(command->item)), .reason = reason};
        if (code > 0) {
            snprintf(reason, sizeof(reason), "exit code %d", code);
        } else {
            snprintf(reason, sizeof(reason), "killed by signal %d", WTERMSIG(status));
        }
        finish_item(runner, &command->item, command->source, &failed);
    }
}

void finish_completion(struct runner *runner, const struct nq_completion *completion)
{
    runner->finishing--;
    switch (completion->status) {
    case NQ_OK:
        break;
    case NQ_LEASE_LOST:
    case NQ_NOT_LEASED:
        runner->worker->lost++;
        break;
    default: {
        char text[320];
        snprintf(text, sizeof(text), "finishing an item: %s", nq_error_text(runner->worker->client));
        worker_fail(runner->worker, completion->status, text);
    }
    }
}
