// nq_soak_load ROLE ACCOUNT ...: the load of tests/integration/test_soak.py, on the client library.
//
//   create  ACCOUNT ITEMS_MAX                                    a new account
//   putter  ACCOUNT ENDPOINT QUEUE WORKER RATE LEAD_MAX COUNT    puts until SIGTERM or COUNT items, then waits for all answers
//   getter  ACCOUNT ENDPOINT QUEUE WORKER                        gets and finishes until SIGTERM; checks what it gets
//   sample  ACCOUNT                                              counts, and the percentiles since the last sample
//   judge   ACCOUNT                                              at the end: what became of all items
//
// WORKER: a number below 16 that no other living process of this account has. Ends with 1 and one line when something is wrong.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "body.h"
#include "load.h"

enum { TIMEOUT_MS = 180000, USAGE = 64 };

volatile sig_atomic_t load_stops;

static void stop(int number)
{
    (void)number;
    load_stops = 1;
}

uint64_t load_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int load_fail(const char *what, const char *why)
{
    fprintf(stderr, "nq_soak_load: %s: %s\n", what, why);
    return 1;
}

int load_fail_by(const struct load *self, const char *what)
{
    return load_fail(what, nq_error_text(self->client));
}

static uint64_t number_of(char **args, int index)
{
    return strtoull(args[index], NULL, 10);
}

static int work(struct account *account, char **args, int (*role)(struct load *self), bool puts)
{
    const char *server = args[0];
    const struct nq_client_options options = {.servers = &server, .servers_count = 1, .timeout_ms = TIMEOUT_MS, .keys = ""};
    struct load self = {.account = account, .queue = args[1], .worker = &account->workers[number_of(args, 2) % WORKERS_MAX]};
    const struct sigaction action = {.sa_handler = stop};
    if (puts) {
        self.rate = number_of(args, 3);
        self.lead_max = number_of(args, 4);
        self.count = number_of(args, 5);
    }
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    body_init();
    enum nq_status status = nq_client_create(&options, &self.client, NULL);
    if (status != NQ_OK) {
        return load_fail(server, nq_status_text(status));
    }
    int code = role(&self);
    nq_client_destroy(&self.client);
    return code;
}

static int usage(void)
{
    fprintf(stderr, "usage: nq_soak_load create|putter|getter|sample|judge ACCOUNT ...\n");
    return USAGE;
}

int main(int argc, char **argv)
{
    const char *role = argc > 2 ? argv[1] : "";
    if (argc == 4 && strcmp(role, "create") == 0) {
        return account_create(argv[2], number_of(argv, 3)) ? 0 : load_fail(argv[2], strerror(errno));
    }
    struct account *account = argc > 2 ? account_open(argv[2]) : NULL;
    if (account == NULL) {
        return argc > 2 ? load_fail(argv[2], strerror(errno)) : usage();
    }
    if (argc == 9 && strcmp(role, "putter") == 0) {
        return work(account, argv + 3, putter_work, true);
    }
    if (argc == 6 && strcmp(role, "getter") == 0) {
        return work(account, argv + 3, getter_work, false);
    }
    if (argc == 3 && strcmp(role, "sample") == 0) {
        return report_sample(account);
    }
    if (argc == 3 && strcmp(role, "judge") == 0) {
        return report_judgement(account);
    }
    return usage();
}
