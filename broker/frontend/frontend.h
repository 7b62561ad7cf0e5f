// The broker's loop: frames in, commit groups, answers out. One thread; it owns the ROUTER, the engine and the reads of the store.
#pragma once
#include "authorised.h"
#include "engine.h"
#include "lanes.h"
#include "service.h"
#include "store.h"

struct frontend;

struct frontend_config {
    const char *const *endpoints;
    size_t endpoint_count;
    struct wire_limits limits;
    struct engine_config engine;
    struct dispatch_config dispatch;
    struct lanes_limits intake;                // how frames that have come take turns, and how much of them may wait
    uint64_t group_bytes_max;                  // 0: GROUP_BYTES_MAX
    uint64_t link_bytes_max, answer_bytes_max; // as in router_config
    uint64_t disk_reserve_bytes;
    struct memory_room (*memory)(void); // NULL: what memory may be taken is not looked at
    backup_function *backup;            // NULL: the store cannot be copied
    const char *backup_dir;             // NULL: no backups
    int signal_fd;                      // SIGTERM and SIGINT come from here, and SIGHUP: the authorised keys are read again
    const struct keys_pair *keys;       // NULL: no encryption, anybody may do anything
    struct authorised *authorised;      // with keys; the caller's, until frontend_close
    bool exit_when_shut_down; // serve no longer when there are queues, all are shut down and drained, and no session is left
    uint64_t sessions_per_key_max, requests_per_key_max;
};

struct frontend_error {
    enum nq_status status;
    char text[400];
};

// Load the store and listen. The store stays the caller's, and open until frontend_close.
enum nq_status frontend_open(const struct frontend_config *config, struct store *store, struct frontend **out,
                             struct frontend_error *error);
void frontend_close(struct frontend **self_p); // accepts NULL

// True: a backup is under way. The thread that makes it goes on after frontend_close: the process must end without closing the store.
bool frontend_makes_backup(const struct frontend *self);

const char *frontend_endpoint(const struct frontend *self, size_t index); // NULL: no more
size_t frontend_queue_count(const struct frontend *self);

// Serve until a signal has come and all that was accepted is stored and answered (OK), a second signal has come (INTERRUPTED), or the
// store or the memory failed.
enum nq_status frontend_run(struct frontend *self, struct frontend_error *error);
