// Makes frames of answers that may leave: several answers for one connection go in one frame, within the frame limit.
// Knows no socket: frames go to a sink.
#pragma once
#include "answer.h"
#include "reader.h"
#include "table.h"

struct outbox_sink {
    void *context;
    bool (*send)(void *context, uint64_t connection, const struct wire_packer *packer); // false: nobody is there
    void (*gone)(void *context, uint64_t connection);                                   // told after all that was not sent
    // An item of a get that is about to leave cannot be read. It is left out of the answer.
    void (*unreadable)(void *context, uint64_t queue_id, uint64_t seq, enum nq_status why);
    // So many bytes of items may be sent to it now; what is beyond is BUSY.
    uint64_t (*room)(void *context, uint64_t connection);
    void (*unsent)(void *context, const struct answer *answer); // a get's; its items are not on their way
};

struct outbox {
    struct engine *engine;
    struct reader *reader;
    struct outbox_sink sink;
    size_t frame_bytes_max;
    struct nq_arena *scratch;
    struct table bundles; // (connection, 0) -> struct bundle
    struct bundle *first, *last;
    bool out_of_memory;
};

bool outbox_init(struct outbox *self, struct engine *engine, struct reader *reader, size_t frame_bytes_max,
                 const struct outbox_sink *sink);
void outbox_fini(struct outbox *self);

// Send all and clear the list. False: out of memory.
bool outbox_send(struct outbox *self, struct answer_list *answers);
// A frame that only asks whether the connection lives.
bool outbox_send_probe(struct outbox *self, uint64_t connection);
