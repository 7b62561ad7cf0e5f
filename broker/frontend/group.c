#include "group.h"

#include <assert.h>

enum { ARENA_CHUNK_BYTES = 1024 * 1024 };

bool groups_init(struct groups *self, struct engine *engine, struct dispatch *dispatch)
{
    *self = (struct groups){.engine = engine, .dispatch = dispatch, .bytes_max = GROUP_BYTES_MAX};
    for (size_t i = 0; i < 2; i++) {
        self->pair[i].arena = nq_arena_create(ARENA_CHUNK_BYTES, 0);
        self->pair[i].changes = changes_create();
        if (self->pair[i].arena == NULL || self->pair[i].changes == NULL) {
            groups_fini(self);
            return false;
        }
    }
    self->open = &self->pair[0];
    engine_set_changes(engine, self->open->changes);
    return true;
}

void groups_fini(struct groups *self)
{
    answer_list_clear(&self->now);
    for (size_t i = 0; i < 2; i++) {
        answer_list_clear(&self->pair[i].answers);
        changes_destroy(&self->pair[i].changes);
        nq_arena_destroy(&self->pair[i].arena);
    }
    self->open = NULL;
    self->flying = NULL;
}

struct nq_arena *groups_arena(const struct groups *self)
{
    return self->open->arena;
}

bool groups_open_has_enough(const struct groups *self)
{
    return self->open->items >= GROUP_ITEMS_MAX;
}

bool groups_open_is_full(const struct groups *self)
{
    return groups_open_has_enough(self) || nq_arena_used(self->open->arena) + engine_moved_bytes(self->engine) >= self->bytes_max;
}

bool groups_open_moves_enough(const struct groups *self)
{
    return engine_moved_bytes(self->engine) >= self->bytes_max;
}

uint64_t groups_put_bytes(const struct groups *self)
{
    return engine_put_bytes(self->engine) + self->flying_put_bytes;
}

void groups_note_looks(struct groups *self, uint64_t looks)
{
    self->open->items += looks / GROUP_LOOKS_PER_ITEM;
}

enum engine_durability groups_youngest(const struct groups *self)
{
    if (engine_pending(self->engine) == ENGINE_PENDING_WAITED) {
        return ENGINE_OPEN;
    }
    return self->flying != NULL && self->flying_waited ? ENGINE_SEALED : ENGINE_DURABLE;
}

struct nq_arena *groups_arena_of(const struct groups *self, enum engine_durability when)
{
    return when == ENGINE_SEALED && self->flying != NULL ? self->flying->arena : self->open->arena;
}

struct answer *groups_answer(struct groups *self, enum engine_durability when)
{
    if (when == ENGINE_SEALED && self->flying == NULL) {
        when = ENGINE_DURABLE;
    }
    struct answer *answer = nq_arena_calloc(groups_arena_of(self, when), 1, sizeof(*answer));
    if (answer == NULL) {
        return NULL;
    }
    struct answer_list *list = when == ENGINE_OPEN     ? &self->open->answers
                               : when == ENGINE_SEALED ? &self->flying->answers
                                                       : &self->now;
    answer_list_add(list, answer);
    return answer;
}

const struct changes *groups_seal(struct groups *self, uint64_t now_ms, bool clean)
{
    assert(self->flying == NULL);
    self->flying_waited = engine_pending(self->engine) == ENGINE_PENDING_WAITED || self->open->answers.count > 0;
    self->flying_put_bytes = engine_put_bytes(self->engine);
    engine_collect(self->engine, now_ms, clean);
    dispatch_seal(self->dispatch);
    self->flying = self->open;
    self->open = self->open == &self->pair[0] ? &self->pair[1] : &self->pair[0];
    engine_set_changes(self->engine, self->open->changes);
    return self->flying->changes;
}

static void group_restart(struct group *group)
{
    answer_list_clear(&group->answers);
    changes_clear(group->changes);
    nq_arena_reset(group->arena);
    group->items = 0;
    group->leased = 0;
}

void groups_landed(struct groups *self)
{
    assert(self->flying != NULL);
    engine_mark_durable(self->engine);
    dispatch_free_durable(self->dispatch);
    group_restart(self->flying);
    self->flying = NULL;
    self->flying_waited = false;
    self->flying_put_bytes = 0;
}

void groups_recycle(struct groups *self)
{
    enum engine_pending pending = engine_pending(self->engine);
    if (self->open->answers.count > 0 || self->now.count > 0 || pending == ENGINE_PENDING_WAITED) {
        return;
    }
    nq_arena_reset(self->open->arena);
    if (pending == ENGINE_PENDING_NONE) { // nothing will be sealed that would start the count anew
        self->open->items = 0;
        self->open->leased = 0;
    }
}
