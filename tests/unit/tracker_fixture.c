#include "tracker_fixture.h"

static uint64_t next_random = 7000;

uint64_t fake_random(void)
{
    return next_random++;
}

void ended(struct request *request, const struct outcome *outcome)
{
    struct end *end = request->user;
    end->count++;
    end->status = outcome->status;
    end->accepted = request->accepted;
}

static struct nq_bytes bodies[100];

struct request *add(struct tracker *t, enum wire_op op, struct end *end, uint64_t now_ms)
{
    struct request *request = request_create(op);
    request->ended = ended;
    request->user = end;
    *end = (struct end){0};
    tracker_add(t, request, now_ms);
    return request;
}

struct request *add_put(struct tracker *t, struct stream *stream, size_t count, uint64_t wait_ms, struct end *end, uint64_t now_ms)
{
    struct request *request = request_create(WIRE_PUT);
    request->ended = ended;
    request->user = end;
    request->stream = stream;
    request->wait_ms = wait_ms;
    request->wire.as.put = (struct wire_put){.bodies = bodies, .count = count, .wait_ms = wait_ms};
    *end = (struct end){0};
    tracker_add(t, request, now_ms);
    return request;
}

void send_all(struct tracker *t, uint64_t now_ms)
{
    while (t->unsent.first != NULL) {
        tracker_before_send(t->unsent.first, now_ms);
        tracker_sent(t, t->unsent.first);
    }
}

void reply_put(struct tracker *t, uint64_t id, enum nq_status status, uint64_t accepted, uint64_t last_number, uint64_t now_ms)
{
    struct wire_reply reply = {.id = id, .status = status, .result = WIRE_PUT};
    reply.as.put.accepted = accepted;
    reply.as.put.last_number = last_number;
    tracker_reply(t, &reply, NULL, now_ms);
}

uint64_t first_number(const struct request *request)
{
    return request->wire.as.put.first_number;
}
