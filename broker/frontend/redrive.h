// Redrives under way: dead letters go back to the queues they came from in slices, so that nobody else waits for the whole.
#pragma once
#include "engine.h"
#include "status.h"

enum { REDRIVE_SLICE = 1000, REDRIVES_MAX = 64 };

struct service;
struct redrive;

struct redrive_order {
    uint64_t connection, request_id;
    uint64_t from_queue_id;
    uint64_t end_seq;       // items put later are left for another one
    struct engine_bytes to; // empty: each item's origin; copied
    uint64_t max_items;     // 0: all
};

struct redrives {
    struct redrive *first;
    size_t count;
};

enum nq_status redrives_add(struct redrives *self, const struct redrive_order *order); // BUSY: too many, NO_MEMORY
void redrives_fini(struct redrives *self);
bool redrives_run(struct redrives *self, struct service *service, uint64_t now_ms); // true: there is more to do now
void redrives_retry(struct redrives *self); // a commit has ended: what could not be read may be readable
