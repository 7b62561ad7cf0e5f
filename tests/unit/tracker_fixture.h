// Requests for a tracker that nobody sends: how each ended is written down.
#pragma once
#include "stream.h"
#include "tracker.h"

struct end {
    int count;
    enum nq_status status;
    uint64_t accepted;
};

uint64_t fake_random(void);
void ended(struct request *request, const struct outcome *outcome);
struct request *add(struct tracker *t, enum wire_op op, struct end *end, uint64_t now_ms);
struct request *add_put(struct tracker *t, struct stream *stream, size_t count, uint64_t wait_ms, struct end *end, uint64_t now_ms);
void send_all(struct tracker *t, uint64_t now_ms);
void reply_put(struct tracker *t, uint64_t id, enum nq_status status, uint64_t accepted, uint64_t last_number, uint64_t now_ms);
uint64_t first_number(const struct request *request);
