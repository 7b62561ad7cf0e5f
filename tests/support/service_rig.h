// The broker between decoder and encoder, without sockets, threads and a clock: bytes of frames go in, reply frames come out, time is
// a number, a commit ends when its driver says so. It knows no test framework, and whatever fails is a status: fuzz targets, tests
// that let memory run out, and the fixture of the unit tests are built on it.
#pragma once
#include "outbox.h"
#include "service.h"

enum { SERVICE_RIG_START_MS = 1000000 };

struct service_rig_config {
    struct engine_config engine;
    struct dispatch_config dispatch;
    struct wire_limits limits;
    void *context;
    // A frame for a connection. False: that connection is gone.
    bool (*frame)(void *context, uint64_t connection, const struct wire_packer *packer);
};

struct service_rig {
    struct service_rig_config config;
    struct store *store;
    struct reader reader;
    struct engine *engine;
    struct dispatch *dispatch;
    struct service service;
    struct outbox outbox;
    uint64_t now_ms;
    bool has_service;
    bool gone;         // the frame sent last found nobody
    bool has_no_room;  // connections take no more items
    bool room_returns; // when they were asked once
};

// Limits small enough that a test reaches them; the caller adds `frame` and changes what it likes.
struct service_rig_config service_rig_small(void);

// What passes for random (resume tokens) is one byte, repeated, and rises with each; the next one is this.
void service_rig_seed_random(uint8_t next);

// Start on a store as the broker does. On an error it is closed again.
enum nq_status service_rig_open(struct service_rig *self, struct store *store, const struct service_rig_config *config,
                                struct store_error *error);
void service_rig_close(struct service_rig *self); // all but the store; accepts one that is not open

// A frame's bytes, decoded and served as the broker's loop does it. The status is that of the decoder.
enum nq_status service_rig_receive(struct service_rig *self, uint64_t connection, const void *data, size_t len);
// The end of a turn: what is due happens, answers that wait for nothing leave. False: the broker would end here.
bool service_rig_end_turn(struct service_rig *self);
bool service_rig_seal(struct service_rig *self);                             // true: a commit is on its way
enum nq_status service_rig_land(struct service_rig *self);                   // it has ended, durable if OK, and a turn follows
enum nq_status service_rig_commit(struct service_rig *self, int rounds_max); // both, until nothing is left to store
