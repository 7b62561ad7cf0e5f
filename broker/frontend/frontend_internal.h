// What the front end's files share.
#pragma once
#include "backup.h"
#include "clock.h"
#include "committer.h"
#include "frontend.h"
#include "gather.h"
#include "intake.h"
#include "outbox.h"
#include "router.h"

struct frontend {
    struct store *store;
    int signal_fd;
    struct clock clock;
    struct engine *engine;
    struct dispatch *dispatch;
    struct reader reader;
    struct service service;
    bool has_service;
    struct outbox outbox;
    struct committer *committer;
    struct gather gather;
    struct router *router;
    struct intake intake;
    struct nq_arena *refused;      // for a frame that is refused; empty between two
    struct authorised *authorised; // NULL: no keys
    struct wire_decode_limits decode_limits;
    uint64_t now_ms;
    uint64_t lazy_since_ms; // since when something waits to be stored that nobody waits for; 0: nothing
    bool more_due;
    bool all_read; // nothing had come, when last looked
    bool stopping;
    bool starts_clean; // the broker before ended by itself, and this one has not served yet
    bool exit_when_shut_down;
    bool failed_probe;
    struct log_limit frame_log;
    enum nq_status ended; // OK: goes on
    struct store_error error;
};

// frontend_sinks.c: what the layers below call; each context is the front end.
struct outbox_sink frontend_outbox_sink(struct frontend *self);
void frontend_connection_gone(void *context, uint64_t connection);
bool frontend_probe(void *context, uint64_t connection);
const char *frontend_sender(void *context);
