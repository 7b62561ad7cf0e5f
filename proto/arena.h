// A bump allocator with a byte budget: what one frame or one commit group needs, freed in one step.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct nq_arena;

// chunk_bytes  how much is taken from malloc at a time
// cap_bytes    what may be handed out in all between two resets; 0: no cap
// NULL when out of memory.
struct nq_arena *nq_arena_create(size_t chunk_bytes, size_t cap_bytes);
void nq_arena_destroy(struct nq_arena **self_p); // accepts NULL

// 16-byte aligned, not zeroed, owned by the arena. NULL when the cap or the memory is used up.
void *nq_arena_alloc(struct nq_arena *self, size_t bytes);
void *nq_arena_calloc(struct nq_arena *self, size_t count, size_t bytes); // zeroed; NULL also on overflow

// Sets the cap for what is handed out from now on, on top of what is already handed out.
void nq_arena_budget(struct nq_arena *self, size_t more_bytes);

// Frees all that was handed out; keeps one chunk for the next round.
void nq_arena_reset(struct nq_arena *self);
size_t nq_arena_used(const struct nq_arena *self); // bytes handed out since the last reset

// True when memory itself was out since the last reset, not only the cap or the budget.
bool nq_arena_failed(const struct nq_arena *self);
