// A received frame: its answers in decoded form, kept as long as somebody points into it.
#pragma once
#include <stddef.h>

#include "wire.h"

struct frame {
    struct wire_reply_frame replies;
    struct nq_arena *arena;
    size_t refs;
    size_t class_index;
    struct frame *next; // while it waits to be used again
};

#define FRAME_CLASSES 2u
#define FRAME_SPARE_MAX 8u

// Frames that are free for the next answers. Small answers get small arenas: an application may keep many of them.
struct frame_pool {
    struct frame *spare[FRAME_CLASSES];
    size_t spare_count[FRAME_CLASSES];
};

// Errors: those of wire_decode_replies, but for a version that is not spoken here: its answers have that as their status. The frame comes
// with one reference.
enum nq_status frame_decode(struct frame_pool *pool, const void *data, size_t len, struct frame **out);
struct frame *frame_ref(struct frame *self);
void frame_unref(struct frame_pool *pool, struct frame *self); // pool NULL: freed when it was the last; self may be NULL
void frame_pool_fini(struct frame_pool *pool);
