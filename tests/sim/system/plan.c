#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "world.h"

struct plan plan;

static void draw_queue(unsigned index)
{
    static const char *const names[PLAN_QUEUES] = {"plain", "bounded", "failing", "dead", "mixed", "passing", "tokens"};
    struct plan_queue *queue = &plan.queues[index];
    struct nq_queue_options *options = &queue->options;
    memset(queue, 0, sizeof(*queue));
    snprintf(queue->known.name, sizeof(queue->known.name), "%s", names[index]);
    queue->known.unbounded_moves = index == 3;
    if (index == 1 || (index == 4 && world_chance(500))) {
        options->given |= NQ_GIVEN_MAXSIZE;
        options->maxsize = world_between(1, 8);
    }
    if (index == 1 && world_chance(300)) {
        options->given |= NQ_GIVEN_MAX_BYTES;
        options->max_bytes = world_between(60, 300);
    }
    if (index == 2) {
        options->given |= NQ_GIVEN_MAX_DELIVERIES | NQ_GIVEN_DEAD_LETTER;
        options->max_deliveries = (uint32_t)world_between(1, 3);
        snprintf(queue->dead_letter, sizeof(queue->dead_letter), "%s", names[3]);
        options->dead_letter = queue->dead_letter;
    }
    if (index == 4 && world_chance(300)) {
        options->given |= NQ_GIVEN_TTL;
        options->ttl_ms = world_between(100, 3000);
    }
    if (index == 4 && world_chance(300)) {
        options->given |= NQ_GIVEN_MAX_DELIVERIES;
        options->max_deliveries = 2;
    }
    if (index == PLAN_TEMPORARY) {
        options->given |= NQ_GIVEN_TEMPORARY;
        options->temporary = true;
    }
    queue->initial = index == PLAN_INITIAL ? world_between(1, 6) : 0;
    queue->known.lossy = index == 4;
    if (world_chance(300)) {
        options->given |= NQ_GIVEN_LEASE | NQ_GIVEN_HOLD_MAX;
        options->lease_ms = world_between(50, 1000);
        options->hold_max_ms = world_between(200, 3000);
    }
    plan.known[index] = queue->known;
}

static void draw_weather(void)
{
    plan.calm = world_chance(150);
    plan.net = (struct net_config){.delay_us = world_spread(3000) + 20,
                                   .late_us = world_spread(80000) + 100,
                                   .notice_us = world_spread(100000),
                                   .slow_permille = plan.calm || world_chance(500) ? 0 : world_random(30),
                                   .silent_permille = plan.calm ? 0 : world_random(200)};
    plan.host = (struct host_config){.disk_us = world_spread(20000) + 10, .disk_slow_us = world_spread(500000) + 100};
    plan.fault_us = world_between(20, 1500) * 1000;
    plan.crash_steps = plan.calm || world_chance(300) ? 0 : world_between(50, 3000);
}

void plan_draw(uint64_t steps)
{
    for (unsigned i = 0; i < PLAN_QUEUES; i++) {
        draw_queue(i);
    }
    draw_weather();
    plan.workers = (unsigned)world_between(2, PLAN_WORKERS);
    plan.steps = steps;
    plan.lease_ms = world_between(100, 3000);
    plan.hold_max_ms = world_between(500, 10000);
    plan.session_grace_ms = world_between(50, 2000);
    plan.session_timeout_ms = world_between(1000, 15000);
    plan.timeout_ms = world_chance(500) ? world_between(300, 5000) : 30000;
    plan.dedup_keep_ms = 3600 * 1000; // longer than anybody tries again
    plan.leases_max = world_chance(200) ? world_between(3, 20) : 1000;
    plan.waiters_max = world_chance(200) ? world_between(1, 4) : 1000;
    plan.parked_bytes_max = world_chance(200) ? world_between(100, 1000) : 1000 * 1000;
    plan.share_bytes = world_chance(500) ? world_between(1, 1000) : 64 * 1024;
    plan.lane_bytes_max = world_chance(500) ? world_between(0, 2000) : 1000 * 1000;
}

const char *plan_queue(unsigned queue)
{
    return plan.queues[queue].known.name;
}
