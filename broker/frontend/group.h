// Commit groups: changes, the memory that bodies live in, and the answers that may leave only when the changes are durable.
// One group is open, at most one is in flight (ARCHITECTURE.md).
#pragma once
#include "answer.h"
#include "arena.h"
#include "dispatch.h"

enum { GROUP_BYTES_MAX = 16 * 1024 * 1024, GROUP_ITEMS_MAX = 20000, GROUP_LOOKS_PER_ITEM = 16 };

struct group {
    struct nq_arena *arena;
    struct changes *changes;
    struct answer_list answers;
    size_t items;  // how much was done in it: items put, got and finished
    size_t leased; // of these: got
};

struct groups {
    struct engine *engine;
    struct dispatch *dispatch;
    struct group pair[2];
    struct group *open, *flying; // flying: NULL, or sealed and not yet durable
    bool flying_waited;          // somebody waits for what is in flight
    uint64_t flying_put_bytes;   // as engine_put_bytes
    uint64_t bytes_max;          // of a group; GROUP_BYTES_MAX unless set to less
    struct answer_list now;      // these wait for nothing
};

bool groups_init(struct groups *self, struct engine *engine, struct dispatch *dispatch); // false: out of memory
void groups_fini(struct groups *self);

// The memory of the group that requests arriving now belong to.
struct nq_arena *groups_arena(const struct groups *self);
bool groups_open_is_full(const struct groups *self);
// As much has been done in it as may be, whatever memory that takes. Between two frames that is looked at; within one, by those whose work
// may be much larger than their requests.
bool groups_open_has_enough(const struct groups *self);
bool groups_open_moves_enough(const struct groups *self); // from queue to queue: its commit will hold copies of all that

// What the items that were put and are not stored yet will take of memory.
uint64_t groups_put_bytes(const struct groups *self);
// So many items were looked at in vain: that takes time, too, though less than to do something with one.
void groups_note_looks(struct groups *self, uint64_t looks);

// The group that an answer must wait for which writes nothing: the youngest one with changes that somebody waits for.
enum engine_durability groups_youngest(const struct groups *self);
// A new answer that leaves when `when` is durable: the open group, the one in flight, or nothing. NULL: out of memory.
struct answer *groups_answer(struct groups *self, enum engine_durability when);
struct nq_arena *groups_arena_of(const struct groups *self, enum engine_durability when);

// Close the open group, which becomes the one in flight. There must be none. Returns what is to be committed.
const struct changes *groups_seal(struct groups *self, uint64_t now_ms, bool clean);
// After the answers of the durable group have left: forget it, its bodies included.
void groups_landed(struct groups *self);
// At the end of a turn: when nothing refers to the memory of the open group, start it anew.
void groups_recycle(struct groups *self);
