#include "space.h"

#include <inttypes.h>

void space_init(struct space *self, struct store *store, uint64_t reserve_bytes, struct memory_room (*memory)(void))
{
    *self = (struct space){.store = store, .reserve_bytes = reserve_bytes, .memory = memory, .state = NQ_OK};
}

static void say(const struct space *self, const struct store_space *now, const struct memory_room *memory)
{
    if (self->state == NQ_OK) {
        log_info("there is room again, items are accepted");
    } else if (self->state == NQ_BUSY) {
        log_warning("%" PRIu64 " bytes of memory are taken of %" PRIu64 " allowed: no more items are accepted", memory->used_bytes,
                    memory->limit_bytes);
    } else if (now->limit_bytes > 0 && now->used_bytes >= now->limit_bytes) {
        log_warning("the store holds %" PRIu64 " bytes of %" PRIu64
                    " allowed (--max-disk, or the limit of address space): no more items are accepted",
                    now->used_bytes, now->limit_bytes);
    } else {
        log_warning("only %" PRIu64 " bytes are free, %" PRIu64 " are reserved (--disk-reserve): no more items are accepted",
                    now->free_bytes, self->reserve_bytes);
    }
}

static struct memory_room with(struct memory_room room, uint64_t under_way)
{
    room.used_bytes += under_way;
    return room;
}

static struct memory_room look_at_memory(const struct space *self, uint64_t under_way)
{
    if (self->memory == NULL) {
        return (struct memory_room){0};
    }
    struct memory_room room = with(self->memory(), under_way);
    if (memory_is_short(room)) {
        memory_give_back();
        room = with(self->memory(), under_way);
    }
    return room;
}

enum nq_status space_state(struct space *self, uint64_t now_ms, uint64_t bytes, uint64_t under_way)
{
    self->bytes_since += self->state == NQ_OK ? bytes : 0; // else they are refused
    if (now_ms < self->next_look_ms && self->bytes_since < SPACE_LOOK_BYTES) {
        return self->state;
    }
    struct store_space now;
    self->next_look_ms = now_ms + SPACE_LOOK_MS;
    self->bytes_since = 0;
    if (store_space(self->store, &now) != NQ_OK) {
        return self->state; // the commit will tell
    }
    struct memory_room memory = look_at_memory(self, under_way);
    bool full =
        (now.limit_bytes > 0 && now.used_bytes >= now.limit_bytes) || now.free_bytes < self->reserve_bytes || now.reserve_in_use;
    enum nq_status state = full ? NQ_NO_SPACE : memory_is_short(memory) ? NQ_BUSY : NQ_OK;
    if (state != self->state) {
        self->state = state;
        say(self, &now, &memory);
    }
    return state;
}
