#include "run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PRINT_SLOTS = 32,    // without a command: items taken at once
    EMPTY_LOOK_MS = 200, // with --exit-when-empty: how often the broker is asked
    TERM_TO_KILL_MS = 1000,
    END_MS = 2000, // for the last answers after a second signal
    EXIT_USAGE = 64,
};

static bool begin_command(struct runner *runner, struct taken taken)
{
    struct worker *worker = runner->worker;
    struct command *command = runner->commands;
    while (command->pid != 0) {
        command++;
    }
    command->source = taken.source;
    int error = command_start(command, worker->options->command, taken.item);
    if (error == 0) {
        runner->running++;
        return true;
    }
    finish_back(runner, &taken.item, taken.source);
    char text[256];
    snprintf(text, sizeof(text), "cannot run '%.150s': %s", worker->options->command[0], strerror(error));
    worker->exit_code = EXIT_USAGE;
    worker_fail(worker, NQ_CLOSED, text);
    return false;
}

static void notify_of(struct runner *runner, const struct nq_item *item)
{
    struct cli_buffer line = {0};
    output_add_item_text(&line, runner->worker, item);
    output_write_bytes(runner->worker, line.data, line.len);
    cli_buffer_fini(&line);
}

// What was done as it left the broker can go nowhere else: it is worked on after a signal, too, and beyond --count.
static bool works_on(const struct runner *runner)
{
    const struct worker *worker = runner->worker;
    if (worker->options->at_most_once) {
        return !runner->stopping || (worker->status == NQ_OK && !runner->killed);
    }
    return !runner->stopping && worker->taken < worker->limit; // of several queues one more may have come than was asked of any
}

static void begin_commands(struct runner *runner)
{
    struct taken taken;
    while (works_on(runner) && runner->running < runner->commands_count && take_next(runner, &taken)) {
        runner->worker->taken++;
        if (runner->worker->options->notify) {
            notify_of(runner, taken.item);
        }
        if (!begin_command(runner, taken)) {
            return;
        }
    }
}

static void print_ready(struct runner *runner)
{
    struct taken taken;
    size_t sources[PRINT_SLOTS];
    while (works_on(runner) && runner->ready_count > 0) {
        struct output *output = runner->output;
        while (output->count < PRINT_SLOTS && works_on(runner) && take_next(runner, &taken)) {
            sources[output->count] = taken.source;
            output_add(output, taken.item);
            runner->worker->taken++;
        }
        bool ok = output_write(output);
        for (size_t i = 0; i < output->count; i++) {
            if (ok) {
                finish_item(runner, &output->items[i], sources[i], NULL);
            } else {
                finish_back(runner, &output->items[i], sources[i]);
            }
        }
        output->count = 0;
        if (!ok) {
            return;
        }
    }
}

static void collect_completions(struct runner *runner)
{
    struct nq_completion completion;
    nq_client_process(runner->worker->client);
    while (nq_next_completion(runner->worker->client, &completion) == NQ_OK) {
        if (completion.user != NULL) {
            take_completion(runner, &completion);
        } else {
            finish_completion(runner, &completion);
        }
    }
}

static bool is_idle(const struct runner *runner)
{
    return runner->running == 0 && runner->ready_count == 0 && runner->finishing == 0;
}

// Has the work come to its end?
static bool is_over(struct runner *runner)
{
    struct worker *worker = runner->worker;
    const struct consumer_options *options = worker->options;
    if (worker->status != NQ_OK || worker_is_stopping(worker) || worker->taken >= worker->limit) {
        return true;
    }
    if (!is_idle(runner)) {
        runner->idle_since_ms = cli_now_ms();
        return false;
    }
    uint64_t now_ms = cli_now_ms();
    if (take_is_over(runner) || (options->max_idle_given && now_ms - runner->idle_since_ms >= options->max_idle_ms)) {
        return true;
    }
    if (!options->exit_when_empty || now_ms < runner->empty_look_ms) {
        return false;
    }
    runner->empty_look_ms = now_ms + EMPTY_LOOK_MS;
    if (!take_finds_empty(runner)) {
        return false;
    }
    collect_completions(runner); // what was answered before the look
    return is_idle(runner);
}

static void begin_stop(struct runner *runner)
{
    runner->stopping = true;
    if (runner->worker->stop_ms == 0) {
        runner->worker->stop_ms = UINT64_MAX; // no signal: what runs may take its time
    }
    if (runner->worker->status != NQ_OK) {
        runner->worker->stop_ms = cli_now_ms() + runner->worker->options->grace_ms;
    }
    take_cancel(runner);
}

static void give_back_ready(struct runner *runner)
{
    struct taken taken;
    while (take_next(runner, &taken)) {
        finish_back(runner, &taken.item, taken.source);
    }
}

// The grace is over, or a second signal has come.
static void kill_commands(struct runner *runner)
{
    bool at_once = cli_signals_count() > 1;
    uint64_t now_ms = cli_now_ms();
    if (!runner->killed) {
        runner->killed = true;
        runner->kill_ms = now_ms + TERM_TO_KILL_MS;
        for (size_t i = 0; i < runner->commands_count; i++) {
            struct command *command = &runner->commands[i];
            if (command->pid != 0) {
                command_kill(command, SIGTERM);
                finish_back(runner, &command->item, command->source);
            }
        }
    }
    for (size_t i = 0; i < runner->commands_count && (at_once || now_ms >= runner->kill_ms); i++) {
        command_kill(&runner->commands[i], SIGKILL);
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int wait_ms(const struct runner *runner)
{
    const struct consumer_options *options = runner->worker->options;
    uint64_t now_ms = cli_now_ms();
    uint64_t until_ms = UINT64_MAX;
    uint64_t client_ms = nq_client_timeout_ms(runner->worker->client);
    if (!runner->stopping && is_idle(runner)) {
        until_ms = options->max_idle_given ? runner->idle_since_ms + options->max_idle_ms : until_ms;
        until_ms = options->exit_when_empty ? earlier(until_ms, runner->empty_look_ms) : until_ms;
    }
    if (runner->stopping) {
        until_ms = runner->killed ? runner->kill_ms : runner->worker->stop_ms;
        if (runner->killed && now_ms >= runner->kill_ms) {
            until_ms = now_ms + 100;
        }
    }
    uint64_t left_ms = until_ms > now_ms ? until_ms - now_ms : 0;
    left_ms = earlier(until_ms == UINT64_MAX ? UINT64_MAX : left_ms, client_ms);
    return left_ms > 3600000 ? 3600000 : (int)left_ms;
}

static void wait_and_serve(struct runner *runner)
{
    struct worker *worker = runner->worker;
    struct pollfd *polls = runner->polls;
    polls[0] = (struct pollfd){.fd = nq_client_fd(worker->client), .events = POLLIN};
    polls[1] = (struct pollfd){.fd = worker->listener.fd, .events = POLLIN};
    for (size_t i = 0; i < runner->commands_count; i++) {
        const struct command *command = &runner->commands[i];
        polls[2 + 2 * i] = (struct pollfd){.fd = command->pid != 0 ? command->exit_fd : -1, .events = POLLIN};
        polls[3 + 2 * i] = (struct pollfd){.fd = command->pid != 0 ? command->body_fd : -1, .events = POLLOUT};
    }
    if (poll(polls, 2 + 2 * runner->commands_count, wait_ms(runner)) <= 0) {
        return;
    }
    cli_listener_clear(&worker->listener);
    for (size_t i = 0; i < runner->commands_count; i++) {
        struct command *command = &runner->commands[i];
        if (polls[3 + 2 * i].revents != 0) {
            command_feed(command);
        }
        if (polls[2 + 2 * i].revents != 0) {
            int status = command_reap(command);
            runner->running--;
            finish_command(runner, command, status);
        }
    }
}

static void loop(struct runner *runner)
{
    uint64_t end_ms = UINT64_MAX;
    for (;;) {
        collect_completions(runner);
        if (!runner->stopping && is_over(runner)) {
            begin_stop(runner);
        }
        if (runner->output != NULL) {
            print_ready(runner);
        } else {
            begin_commands(runner);
        }
        if (!runner->stopping && runner->worker->taken >= runner->worker->limit) {
            begin_stop(runner); // what is too much goes back before the last has ended
        }
        if (!runner->stopping) {
            take_more(runner);
        } else {
            if (!works_on(runner)) {
                give_back_ready(runner);
            }
            if (runner->worker->stop_ms == UINT64_MAX && cli_signals_count() > 0) {
                runner->worker->stop_ms = 0; // the grace begins with the signal
            }
            if (worker_must_end(runner->worker)) {
                kill_commands(runner);
                end_ms = end_ms == UINT64_MAX ? cli_now_ms() + TERM_TO_KILL_MS + END_MS : end_ms;
            }
            bool answered = runner->finishing == 0 && runner->ready_count == 0 && !take_is_waiting(runner);
            if (runner->running == 0 && (answered || cli_now_ms() >= end_ms)) {
                break;
            }
        }
        wait_and_serve(runner);
    }
    if (runner->finishing > 0) {
        worker_fail_unknown(runner->worker);
    }
}

static bool prepare(struct runner *runner, struct worker *worker)
{
    const struct consumer_options *options = worker->options;
    runner->worker = worker;
    runner->sources_count = options->queues_count;
    runner->commands_count = options->command != NULL ? (size_t)options->jobs : PRINT_SLOTS;
    runner->sources = calloc(runner->sources_count, sizeof(*runner->sources));
    runner->commands = calloc(runner->commands_count, sizeof(*runner->commands));
    runner->polls = calloc(2 + 2 * runner->commands_count, sizeof(*runner->polls));
    runner->output = options->command == NULL ? calloc(1, sizeof(*runner->output)) : NULL;
    runner->idle_since_ms = cli_now_ms();
    if (runner->sources == NULL || runner->commands == NULL || runner->polls == NULL ||
        (options->command == NULL && runner->output == NULL)) {
        return false;
    }
    for (size_t i = 0; i < runner->sources_count; i++) {
        runner->sources[i].queue = options->queues[i];
    }
    if (runner->output != NULL) {
        runner->output->worker = worker;
    }
    return true;
}

void run_run(struct worker *worker)
{
    struct runner runner = {0};
    if (prepare(&runner, worker)) {
        loop(&runner);
    } else {
        worker_fail(worker, NQ_NO_MEMORY, "out of memory");
    }
    if (runner.output != NULL) {
        output_fini(runner.output);
    }
    free(runner.output);
    free(runner.sources);
    free(runner.commands);
    free(runner.polls);
    free(runner.ready);
}
