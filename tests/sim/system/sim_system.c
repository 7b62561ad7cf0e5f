// The whole system in one process and in virtual time: clients with the real library, a network, the broker with its real front end,
// and a disk that keeps what was flushed; with faults and crashes drawn from a seed. A seed that fails replays exactly:
//     sim_system --seed 17 [--steps N] [--verbose] [--trace]
#include <malloc.h>
#include <stdio.h>

#include "broker.h"
#include "drain.h"
#include "leases.h"
#include "library_os.h"
#include "net_client.h"
#include "oracle.h"
#include "plan.h"
#include "queues.h"
#include "seeds.h"
#include "state.h"
#include "tap.h"
#include "worker.h"
#include "world.h"

#define LONGEST_US (1800ull * 1000 * 1000)

static struct worker workers[PLAN_WORKERS];
static bool faults_are_over;
static struct {
    uint64_t items, requests, replies, starts;
} totals;

// --------------------------------------------------------------------------------------------------------------------- faults

static void any_fault(void)
{
    uint64_t which = world_random(100);
    if (which < 5) {
        host_fail_disk();
    } else if (which < 10) {
        host_fill_disk((world_chance(500) ? world_spread(3000) : world_between(300, 5000)) * 1000);
    } else if (which < 45) {
        net_cut_any();
    } else if (which < 55) {
        broker_terminate();
    } else if (which < 80) {
        broker_crash(world_spread(60));
    } else if (which < 90) {
        net_block(world_spread(2000) * 1000);
    } else {
        host_step_wall_clock((int64_t)world_random(20000) - 10000);
    }
}

static void on_fault(void *context, uint64_t value)
{
    (void)context;
    (void)value;
    if (!faults_are_over) {
        any_fault();
        world_after(world_spread(plan.fault_us), on_fault, NULL, 0);
    }
}

static void on_heal(void *context, uint64_t value)
{
    (void)context;
    (void)value;
    world_trace("no more faults");
    faults_are_over = true;
    net_heal();
    host_fill_disk(0);
    broker_heal();
}

// ---------------------------------------------------------------------------------------------------------------------- a run

static struct runner *setup;

static bool queues_are_there(void)
{
    return runner_has_ended(setup);
}

static bool workers_have_ended(void)
{
    for (unsigned i = 0; i < plan.workers; i++) {
        if (!worker_has_ended(&workers[i])) {
            return false;
        }
    }
    return true;
}

static void run_until(bool (*over)(void), const char *what)
{
    if (!world_run(over, LONGEST_US)) {
        world_fail("%s", what);
    }
}

_Noreturn static void say_who_waits(void)
{
    unsigned waits = 0;
    while (worker_has_ended(&workers[waits])) {
        waits++;
    }
    world_fail("worker %u, %s, waits for ever in its life %llu", waits, workers[waits].kind,
               (unsigned long long)workers[waits].life);
}

static void begin(uint64_t seed, const struct seeds_options *options)
{
    world_begin(seed, options->trace);
    plan_draw(options->steps);
    oracle_begin(plan.known, PLAN_QUEUES);
    leases_begin();
    queues_begin(plan.session_timeout_ms);
    tap_begin();
    net_begin(&plan.net);
    host_begin(&plan.host);
    state_begin();
    library_os_begin();
    broker_begin();
    faults_are_over = plan.calm;
    if (!plan.calm) {
        world_after(world_spread(plan.fault_us), on_fault, NULL, 0);
        world_after(world_between(1000, 20000) * 1000, on_heal, NULL, 0);
    }
}

static void end(void)
{
    totals.items += oracle_items();
    totals.requests += tap_requests();
    totals.replies += tap_replies();
    totals.starts += broker_starts();
    world_end();
    tap_end();
    net_end();
    net_client_end();
    state_end();
    broker_end();
}

static void run_seed(uint64_t seed, const struct seeds_options *options)
{
    begin(seed, options);
    setup = worker_setup();
    run_until(queues_are_there, "the queues cannot be declared");
    for (unsigned i = 0; i < plan.workers; i++) {
        worker_start(&workers[i], i);
    }
    if (!world_run(workers_have_ended, LONGEST_US)) {
        say_who_waits();
    }
    on_heal(NULL, 0);
    broker_terminate();
    drain_start();
    run_until(drain_has_ended, "the queues cannot be drained");
    broker_stop();
    run_until(broker_has_stopped, "the broker does not stop");
    oracle_end();
    if (options->verbose) {
        printf("seed %llu: %zu items, %llu requests, %llu answers, %llu starts, %llu ms\n", (unsigned long long)seed,
               oracle_items(), (unsigned long long)tap_requests(), (unsigned long long)tap_replies(),
               (unsigned long long)broker_starts(), (unsigned long long)world_now_ms());
    }
    end();
}

static void summary(const struct seeds_options *options)
{
    printf("%llu seeds from %llu: nothing wrong with %llu items, %llu requests, %llu answers, %llu starts of the broker\n",
           (unsigned long long)options->seeds, (unsigned long long)options->from, (unsigned long long)totals.items,
           (unsigned long long)totals.requests, (unsigned long long)totals.replies, (unsigned long long)totals.starts);
}

int main(int argc, char **argv)
{
    static const struct seeds_program program = {.name = "sim_system", .steps = 60, .run = run_seed, .summary = summary};
    (void)mallopt(M_MMAP_THRESHOLD, 256 * 1024 * 1024); // the same memory again and again, not the kernel's
    (void)mallopt(M_TRIM_THRESHOLD, 512 * 1024 * 1024);
    return seeds_main(&program, argc, argv);
}
