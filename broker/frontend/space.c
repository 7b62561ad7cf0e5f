#include "space.h"

#include <inttypes.h>

void space_init(struct space *self, struct store *store, uint64_t reserve_bytes)
{
    *self = (struct space){.store = store, .reserve_bytes = reserve_bytes};
}

static void say(const struct space *self, const struct store_space *now)
{
    if (!self->is_full) {
        log_info("there is room again, items are accepted");
    } else if (now->limit_bytes > 0 && now->used_bytes >= now->limit_bytes) {
        log_warning("the store holds %" PRIu64 " bytes of %" PRIu64 " allowed (--max-disk): no more items are accepted",
                    now->used_bytes, now->limit_bytes);
    } else {
        log_warning("only %" PRIu64 " bytes are free, %" PRIu64 " are reserved (--disk-reserve): no more items are accepted",
                    now->free_bytes, self->reserve_bytes);
    }
}

bool space_is_full(struct space *self, uint64_t now_ms, uint64_t bytes)
{
    self->bytes_since += bytes;
    if (now_ms < self->next_look_ms && self->bytes_since < SPACE_LOOK_BYTES) {
        return self->is_full;
    }
    struct store_space now;
    self->next_look_ms = now_ms + SPACE_LOOK_MS;
    self->bytes_since = 0;
    if (store_space(self->store, &now) != NQ_OK) {
        return self->is_full; // the commit will tell
    }
    bool full =
        (now.limit_bytes > 0 && now.used_bytes >= now.limit_bytes) || now.free_bytes < self->reserve_bytes || now.reserve_in_use;
    if (full != self->is_full) {
        self->is_full = full;
        say(self, &now);
    }
    return full;
}
