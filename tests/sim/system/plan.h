// What one seed is about: which queues there are, who works, how bad the weather is. All of it is drawn from the seed.
#pragma once
#include "host.h"
#include "net.h"
#include "netqueue.h"
#include "oracle.h"

enum { PLAN_QUEUES = 7, PLAN_WORKERS = 8 };

struct plan_queue {
    struct oracle_queue known;
    struct nq_queue_options options;
    char dead_letter[16];
    uint64_t initial; // items that it is born with
};
enum { PLAN_TEMPORARY = 5, PLAN_INITIAL = 6 };

struct plan {
    struct plan_queue queues[PLAN_QUEUES];
    struct oracle_queue known[PLAN_QUEUES];
    struct net_config net;
    struct host_config host;
    unsigned workers;
    uint64_t steps;       // of each worker
    bool calm;            // no faults at all
    uint64_t fault_us;    // between two, mostly at most
    uint64_t crash_steps; // a crash comes within so many steps of a start, mostly; 0: none by itself
    uint64_t lease_ms, hold_max_ms, session_grace_ms, session_timeout_ms, dedup_keep_ms;
    uint64_t timeout_ms; // of clients
    uint64_t leases_max, waiters_max, parked_bytes_max;
    uint64_t share_bytes, lane_bytes_max; // of the broker's intake
};

extern struct plan plan;

void plan_draw(uint64_t steps);
const char *plan_queue(unsigned queue);
