#include "frontend_internal.h"

static bool on_send(void *context, uint64_t connection, const struct wire_packer *packer)
{
    struct frontend *self = context;
    bool sent = router_send(self->router, connection, packer);
    self->failed_probe |= !sent;
    return sent;
}

static void on_unreadable(void *context, uint64_t queue_id, uint64_t seq, enum nq_status why)
{
    struct frontend *self = context;
    service_unreadable(&self->service, self->now_ms, queue_id, seq, why);
}

void frontend_connection_gone(void *context, uint64_t connection)
{
    struct frontend *self = context;
    sessions_connection_gone(&self->service.sessions, self->now_ms, connection);
}

bool frontend_probe(void *context, uint64_t connection)
{
    struct frontend *self = context;
    self->failed_probe = false;
    if (!outbox_send_probe(&self->outbox, connection)) {
        self->service.out_of_memory = true;
    }
    return !self->failed_probe;
}

const char *frontend_sender(void *context)
{
    struct frontend *self = context;
    return router_sender(self->router);
}

static uint64_t on_room(void *context, uint64_t connection)
{
    const struct frontend *self = context;
    return router_room(self->router, connection);
}

static void on_unsent(void *context, const struct answer *answer)
{
    struct frontend *self = context;
    service_unsent(&self->service, self->now_ms, answer);
}

struct outbox_sink frontend_outbox_sink(struct frontend *self)
{
    return (struct outbox_sink){.context = self,
                                .send = on_send,
                                .gone = frontend_connection_gone,
                                .unreadable = on_unreadable,
                                .room = on_room,
                                .unsent = on_unsent};
}
