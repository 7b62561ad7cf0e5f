#include <stdbool.h>

#include "drain.h"

#include "body.h"
#include "netqueue.h"
#include "oracle.h"
#include "plan.h"
#include "worker.h"
#include "world.h"

enum { MANY = 16, PATIENCE = 5000 };

static struct runner *runner;

static void must(enum nq_status status, const char *what, const char *queue)
{
    if (status != NQ_OK) {
        world_fail("at the end: %s %s: %s", what, queue, nq_status_name(status));
    }
}

// Until leases and delays are over. False: there is no such queue.
static bool wait_for_calm(struct nq_client *client, const char *queue, struct nq_queue_stats *stats)
{
    for (int i = 0; i < PATIENCE; i++) {
        enum nq_status status = nq_stat(client, queue, stats);
        if (status == NQ_NO_SUCH_QUEUE) {
            return false;
        }
        must(status, "stat", queue);
        if (stats->leased == 0 && stats->delayed == 0) {
            return true;
        }
        runner_wait_us(100 * 1000);
    }
    world_fail("queue %s: %llu items stay on lease, %llu stay delayed", queue, (unsigned long long)stats->leased,
               (unsigned long long)stats->delayed);
}

static void take(struct nq_item *item, unsigned queue, uint64_t *last_seq)
{
    uint64_t id = worker_item_id(item);
    if (nq_item_seq(item) <= *last_seq) {
        world_fail("queue %s: seq %llu comes after %llu", plan_queue(queue), (unsigned long long)nq_item_seq(item),
                   (unsigned long long)*last_seq);
    }
    *last_seq = nq_item_seq(item);
    if (id != 0) {
        oracle_drained(id, queue, nq_item_seq(item));
        oracle_done_asked(id);
    }
}

// To look at it is not to use it: it must go when the last who have used it are gone. False: there is none now.
static bool temporary_remains(struct nq_client *client, const char *queue)
{
    struct nq_queue_stats stats;
    for (int i = 0; i < PATIENCE; i++) {
        enum nq_status status = nq_stat(client, queue, &stats);
        if (status == NQ_NO_SUCH_QUEUE) {
            return false;
        }
        must(status, "stat", queue);
        if (!stats.options.temporary) { // born again by use, and not declared since
            return true;
        }
        runner_wait_us(100 * 1000);
    }
    world_fail("queue %s is temporary, and stays when nobody is there any more", queue);
}

static void drain_queue(struct nq_client *client, unsigned queue)
{
    const char *name = plan_queue(queue);
    struct nq_queue_stats stats;
    if (!wait_for_calm(client, name, &stats)) {
        return;
    }
    uint64_t left = stats.unfinished;
    uint64_t last_seq = 0;
    const struct nq_get_options options = {.wait_ms = 0, .lease_ms = 100 * 1000, .hold_max_ms = 100 * 1000};
    struct nq_item *items[MANY];
    size_t count;
    uint64_t got = 0;
    while (nq_get_many(client, name, world_between(1, MANY), &options, items, &count) == NQ_OK) {
        for (size_t i = 0; i < count; i++) {
            take(items[i], queue, &last_seq);
        }
        got += count;
        must(nq_task_done_many(client, items, count, NULL), "task_done", name);
    }
    if (got > left || (got < left && !plan.known[queue].lossy)) {
        world_fail("queue %s: %llu items were unfinished, %llu came", name, (unsigned long long)left, (unsigned long long)got);
    }
    must(nq_stat(client, name, &stats), "stat", name);
    if (stats.unfinished != 0) {
        world_fail("queue %s: all is done, and %llu are unfinished", name, (unsigned long long)stats.unfinished);
    }
    must(nq_join(client, name, 0), "join", name);
}

static void drain_main(void *argument)
{
    const struct nq_client_options options = {.timeout_ms = 60000, .name = "drain"};
    struct nq_client *client;
    (void)argument;
    must(nq_client_create(&options, &client, NULL), "client", "");
    for (unsigned queue = 0; queue < PLAN_QUEUES; queue++) {
        if (queue != PLAN_TEMPORARY || temporary_remains(client, plan_queue(queue))) {
            drain_queue(client, queue);
        }
    }
    nq_client_destroy(&client);
}

void drain_start(void)
{
    runner = runner_start("drain", drain_main, NULL);
}

bool drain_has_ended(void)
{
    return runner_has_ended(runner);
}
