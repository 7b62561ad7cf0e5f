// A backup of the store while the broker serves: on a thread of its own, one at a time.
#pragma once
#include "store_disk.h"
#include "wire.h"

typedef enum nq_status backup_function(struct store *store, const struct store_backup *order, uint64_t *bytes,
                                       struct store_error *error);

struct backup_config {
    struct store *store;
    const char *dir;      // below which backups are made; NULL: none are
    backup_function *run; // NULL: this store cannot be copied
    bool (*random)(void *out, size_t len);
};

// How one ended. `error.text` says why not; `bytes` when it is whole.
struct backup_end {
    uint64_t connection, request_id;
    char name[NQ_BACKUP_NAME_BYTES_MAX + 1];
    uint64_t bytes;
    struct store_error error;
};

struct backup;

struct backup *backup_create(const struct backup_config *config); // NULL: out of memory or descriptors
// One under way goes on, and uses the store: unless there is none, the process must end without closing that. Accepts NULL.
void backup_destroy(struct backup **self_p);

// OK: it has begun, and backup_take will tell of it. BUSY: one is under way; NOT_AUTHORISED, NO_MEMORY; *why: static text, or NULL.
enum nq_status backup_start(struct backup *self, uint64_t connection, uint64_t request_id, struct nq_bytes name, const char **why);
int backup_fd(const struct backup *self);                      // becomes readable when one has ended
bool backup_take(struct backup *self, struct backup_end *end); // true: one has ended, in this way (once)
bool backup_is_under_way(struct backup *self);
