#include "broker.h"

#include "disk.h"
#include "frontend.h"
#include "host.h"
#include "log.h"
#include "plan.h"
#include "state.h"
#include "world.h"

static struct {
    struct store *store;
    struct runner *runner;
    bool healed, stopping;
    uint64_t starts;
} broker;

static struct frontend_config config_of_plan(void)
{
    static const char *const endpoints[] = {"sim://broker"};
    return (struct frontend_config){
        .endpoints = endpoints,
        .endpoint_count = 1,
        .limits = {.body_bytes = NQ_BODY_BYTES_DEFAULT,
                   .headers_bytes = NQ_HEADERS_BYTES_DEFAULT,
                   .frame_bytes = NQ_FRAME_BYTES_DEFAULT,
                   .items = NQ_ITEMS_PER_REQUEST_MAX,
                   .requests = NQ_REQUESTS_PER_FRAME_MAX,
                   .session_timeout_ms = plan.session_timeout_ms,
                   .session_grace_ms = plan.session_grace_ms},
        .engine = {.lease_ms = plan.lease_ms,
                   .hold_max_ms = plan.hold_max_ms,
                   .dedup_keep_ms = plan.dedup_keep_ms,
                   .orphan_ms = plan.session_timeout_ms,
                   .queues_max = 100,
                   .sessions_max = 1000,
                   .streams_max = 1000,
                   .delayed_max = 1000,
                   .leases_per_session_max = plan.leases_max},
        .dispatch = {.waiters_per_session_max = plan.waiters_max,
                     .parked_bytes_per_session_max = plan.parked_bytes_max,
                     .parked_bytes_max = plan.parked_bytes_max * 3},
        .intake = {.share_bytes = plan.share_bytes, .lane_bytes_max = plan.lane_bytes_max, .bytes_max = plan.lane_bytes_max * 3},
    };
}

static uint64_t draw_crash(void)
{
    return broker.healed || plan.crash_steps == 0 ? UINT64_MAX : world_spread(plan.crash_steps);
}

static void serve(void)
{
    const struct frontend_config config = config_of_plan();
    struct frontend *frontend = NULL;
    struct frontend_error error = {0};
    host_process_started(draw_crash());
    broker.starts++;
    world_trace("the broker starts");
    enum nq_status status = frontend_open(&config, broker.store, &frontend, &error);
    if (status == NQ_OK) {
        status = frontend_run(frontend, &error);
    }
    bool disk_failed = host_disk_has_failed() || host_read_has_failed();
    if (status == NQ_OK && !host_has_crashed() && !disk_failed) {
        state_check_stopped();
    }
    frontend_close(&frontend);
    if (disk_failed && status != NQ_STORAGE_FAILED && !host_has_crashed()) {
        world_fail("the disk has failed, and the broker ends with %s", nq_status_name(status));
    }
    if (status != NQ_OK && !host_has_crashed() && !disk_failed) {
        world_fail("the broker ends: %s", error.text);
    }
    world_trace("the broker is gone");
}

static void broker_main(void *argument)
{
    (void)argument;
    while (!broker.stopping) {
        serve();
        if (!broker.stopping) {
            runner_wait_us(broker.healed ? 1000 : world_spread(3000) * 1000);
        }
    }
}

void broker_begin(void)
{
    log_start(LOG_ERROR);
    broker.store = disk_begin();
    broker.healed = broker.stopping = false;
    broker.starts = 0;
    broker.runner = runner_start("broker", broker_main, NULL);
}

void broker_end(void)
{
    disk_end(&broker.store);
}

void broker_terminate(void)
{
    host_terminate();
}

void broker_crash(uint64_t steps)
{
    host_set_crash(steps);
}

void broker_heal(void)
{
    broker.healed = true;
    host_set_crash(UINT64_MAX);
}

void broker_stop(void)
{
    broker.stopping = true;
    host_terminate();
}

bool broker_has_stopped(void)
{
    return runner_has_ended(broker.runner);
}

uint64_t broker_starts(void)
{
    return broker.starts;
}
