// A fake broker and a client of it.
#pragma once
#include "fake_broker.h"
#include "netqueue.h"

// For what comes at once on a machine that does not stand still.
#define PATIENCE_MS 60000u

struct rig {
    struct fake_broker *broker;
    struct nq_client *client;
};

struct rig rig_make(void);
struct rig rig_make_with(uint64_t timeout_ms);
void rig_end(struct rig *rig);
enum nq_status rig_put(struct rig *rig, const char *queue, const char *text);
// Waits, PATIENCE_MS at most, until the broker's counts satisfy the question.
bool rig_wait(struct rig *rig, const char *queue, bool (*ok)(const struct fake_counts *counts));
bool item_is(const struct nq_item *item, const char *text);
