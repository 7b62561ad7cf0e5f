// Frames, part by part: protobuf-c packs the leaves, the two levels above them are written here. Packing a nested message with
// protobuf-c moves all that is inside it once per level, which for a batch of bodies costs as much as the packing.
#include "wire_internal.h"
#include "wire_varint.h"

#define LIST_TAG 0x12u // field 2 of either frame, length-delimited
#define LENGTH_DELIMITED 2u

void *wire_message_new(struct nq_arena *arena, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = nq_arena_alloc(arena, descriptor->sizeof_message);
    if (message)
        protobuf_c_message_init(descriptor, message);
    return message;
}

struct wire_packer *wire_packer_new(struct nq_arena *arena, ProtobufCMessage *frame, size_t part_count)
{
    struct wire_packer *self = nq_arena_calloc(arena, 1, sizeof *self);
    if (!self)
        return NULL;
    self->frame = frame;
    self->part_count = part_count;
    self->parts = nq_arena_calloc(arena, part_count, sizeof *self->parts);
    return self->parts ? self : NULL;
}

static uint64_t leaf_tag(const struct wire_part *part)
{
    return ((uint64_t)part->leaf_field << 3) | LENGTH_DELIMITED;
}

static size_t part_size(const struct wire_part *part)
{
    if (!part->leaf)
        return part->head_size;
    return part->head_size + wire_varint_size(leaf_tag(part)) + wire_varint_size(part->leaf_size) + part->leaf_size;
}

void wire_packer_measure(struct wire_packer *self)
{
    self->frame_size = protobuf_c_message_get_packed_size(self->frame);
    self->size = self->frame_size;
    for (size_t i = 0; i < self->part_count; i++) {
        struct wire_part *part = &self->parts[i];
        part->head_size = protobuf_c_message_get_packed_size(part->head);
        part->leaf_size = part->leaf ? protobuf_c_message_get_packed_size(part->leaf) : 0;
        size_t size = part_size(part);
        self->size += 1 + wire_varint_size(size) + size;
    }
}

size_t wire_packed_size(const struct wire_packer *packer)
{
    return packer->size;
}

static uint8_t *pack_part(const struct wire_part *part, uint8_t *at)
{
    *at++ = LIST_TAG;
    at += wire_varint_write(at, part_size(part));
    at += protobuf_c_message_pack(part->head, at);
    if (!part->leaf)
        return at;
    at += wire_varint_write(at, leaf_tag(part));
    at += wire_varint_write(at, part->leaf_size);
    return at + protobuf_c_message_pack(part->leaf, at);
}

void wire_pack(const struct wire_packer *packer, void *out)
{
    uint8_t *at = out;
    at += protobuf_c_message_pack(packer->frame, at);
    for (size_t i = 0; i < packer->part_count; i++)
        at = pack_part(&packer->parts[i], at);
}

struct wire_packer *wire_prepare_requests(struct nq_arena *arena, const struct wire_request_frame *frame)
{
    Nq__Wire__ClientFrame *message = wire_message_new(arena, &nq__wire__client_frame__descriptor);
    struct wire_packer *packer = message ? wire_packer_new(arena, &message->base, frame->count) : NULL;
    if (!packer)
        return NULL;
    message->version = frame->version;
    message->n_taken_gets = frame->taken_count;
    message->taken_gets = wire_unconst(frame->taken_gets);
    message->n_taken_counts = frame->taken_count;
    message->taken_counts = wire_unconst(frame->taken_counts);
    message->workers = frame->workers > 1 ? frame->workers : 0; // 0 is 1, and costs nothing
    for (size_t i = 0; i < frame->count; i++) {
        struct wire_part *part = &packer->parts[i];
        Nq__Wire__Request *head = wire_message_new(arena, &nq__wire__request__descriptor);
        if (!head || !wire_request_message(arena, &frame->requests[i], &part->leaf))
            return NULL;
        head->id = frame->requests[i].id;
        part->head = &head->base;
        part->leaf_field = (uint32_t)frame->requests[i].op + WIRE_OP_FIELD_OFFSET;
    }
    wire_packer_measure(packer);
    return packer;
}

struct wire_packer *wire_prepare_replies(struct nq_arena *arena, const struct wire_reply_frame *frame)
{
    Nq__Wire__BrokerFrame *message = wire_message_new(arena, &nq__wire__broker_frame__descriptor);
    struct wire_packer *packer = message ? wire_packer_new(arena, &message->base, frame->count) : NULL;
    if (!packer)
        return NULL;
    message->version = frame->version;
    message->probe = frame->probe;
    for (size_t i = 0; i < frame->count; i++) {
        const struct wire_reply *reply = &frame->replies[i];
        struct wire_part *part = &packer->parts[i];
        Nq__Wire__Reply *head = wire_message_new(arena, &nq__wire__reply__descriptor);
        if (!head || !wire_reply_message(arena, reply, &part->leaf, &part->leaf_field))
            return NULL;
        head->id = reply->id;
        head->status = (uint32_t)reply->status;
        head->detail = wire_binary(reply->detail);
        part->head = &head->base;
    }
    wire_packer_measure(packer);
    return packer;
}
