// What the files of the wire codec share. Not for use outside proto/.
#pragma once
#include <netqueue.pb-c.h>

#include "wire.h"

// More unknown fields than this in one message are not a newer peer but an attempt to make us keep them.
#define WIRE_UNKNOWN_FIELDS_MAX 32u

// Arrays of bodies and headers are handed from protobuf-c to our structs and back as they are.
_Static_assert(sizeof(struct nq_bytes) == sizeof(ProtobufCBinaryData), "nq_bytes must be laid out as ProtobufCBinaryData");
_Static_assert(offsetof(struct nq_bytes, len) == offsetof(ProtobufCBinaryData, len), "len");
_Static_assert(offsetof(struct nq_bytes, data) == offsetof(ProtobufCBinaryData, data), "data");

static inline const struct nq_bytes *wire_bytes_array(const ProtobufCBinaryData *array)
{
    return (const struct nq_bytes *)(const void *)array;
}

static inline struct nq_bytes wire_bytes(ProtobufCBinaryData data)
{
    return (struct nq_bytes){.len = data.len, .data = data.data};
}

// protobuf-c's structs have no const; packing only reads them.
static inline void *wire_unconst(const void *pointer)
{
    return (void *)(uintptr_t)pointer;
}

static inline ProtobufCBinaryData wire_binary(struct nq_bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.len, .data = wire_unconst(bytes.data)};
}

// ---- wire_alloc.c: the arena as protobuf-c's allocator

#define WIRE_SLABS_MAX 32

struct wire_slab {
    void *block;
    size_t size;
    bool in_use;
};

struct wire_allocator {
    ProtobufCAllocator base;
    struct nq_arena *arena;
    bool exhausted; // some allocation failed: an unpack error is NO_MEMORY, not BAD_REQUEST
    uint8_t *small; // room for small blocks
    size_t small_left;
    struct wire_slab slabs[WIRE_SLABS_MAX];
    size_t slab_count;
};

void wire_allocator_init(struct wire_allocator *self, struct nq_arena *arena);

// Errors: BAD_REQUEST, NO_MEMORY.
enum nq_status wire_unpack(struct nq_arena *arena, const ProtobufCMessageDescriptor *descriptor, const void *data, size_t len,
                           ProtobufCMessage **out);

static inline bool wire_too_many_unknown(const ProtobufCMessage *message)
{
    return message->n_unknown_fields > WIRE_UNKNOWN_FIELDS_MAX;
}

void wire_options_from_message(const Nq__Wire__QueueOptions *in, struct wire_options *out);
void wire_options_to_message(const struct wire_options *in, Nq__Wire__QueueOptions *out);

// ---- wire_decode_ops.c: one function per request

struct wire_op_decoder {
    const ProtobufCMessageDescriptor *descriptor;
    // Checks and maps; on refusal says why in *why.
    enum nq_status (*decode)(const ProtobufCMessage *message, const struct wire_decode_limits *limits, struct wire_request *out,
                             const char **why);
};

// NULL for an operation this version does not know.
const struct wire_op_decoder *wire_op_decoder_of(enum wire_op op);

// In Request the fields of the oneof follow `id` in the order of enum wire_op.
#define WIRE_OP_FIELD_OFFSET 1u

// ---- wire_encode_*.c: a message whose list of requests or replies is added part by part

struct wire_part {
    ProtobufCMessage *head; // a Request or Reply without its oneof
    ProtobufCMessage *leaf; // what the oneof holds, or NULL
    uint32_t leaf_field;
    size_t head_size;
    size_t leaf_size;
};

struct wire_packer {
    const ProtobufCMessage *frame; // a ClientFrame or BrokerFrame without its list
    struct wire_part *parts;
    size_t part_count;
    size_t frame_size;
    size_t size;
};

// A message with its defaults, in the arena; NULL when that is full.
void *wire_message_new(struct nq_arena *arena, const ProtobufCMessageDescriptor *descriptor);
struct wire_packer *wire_packer_new(struct nq_arena *arena, ProtobufCMessage *frame, size_t part_count);
void wire_packer_measure(struct wire_packer *self);

// The message of a request's operation, or of a reply's result. False when the arena is full; *out NULL for none.
bool wire_request_message(struct nq_arena *arena, const struct wire_request *in, ProtobufCMessage **out);
bool wire_reply_message(struct nq_arena *arena, const struct wire_reply *in, ProtobufCMessage **out, uint32_t *field);

// ---- wire_headers.c

// Whether `encoded` is a HeaderList with as many values as names and no empty name; counts them.
// refuse_reserved  also false when a name begins with "nq-"
bool wire_headers_are_valid(struct nq_bytes encoded, bool refuse_reserved, size_t *count);
