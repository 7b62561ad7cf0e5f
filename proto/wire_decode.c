// Frames of requests: what holds for the frame as a whole. What holds for one request is in wire_decode_ops.c.
#include "wire_internal.h"

size_t wire_decode_budget(size_t frame_len)
{
    if (frame_len > (SIZE_MAX - NQ_DECODE_BYTES_MIN) / NQ_DECODE_AMPLIFICATION)
        return SIZE_MAX;
    return frame_len * NQ_DECODE_AMPLIFICATION + NQ_DECODE_BYTES_MIN;
}

static enum nq_status refuse(struct wire_request *out, enum nq_status status, const char *why)
{
    out->refused = status;
    out->refused_why = why;
    return status;
}

static enum nq_status decode_request(const Nq__Wire__Request *in, const struct wire_decode_limits *limits, struct wire_request *out)
{
    out->id = in->id;
    if (in->op_case > WIRE_OP_FIELD_OFFSET)
        out->op = (enum wire_op)((unsigned)in->op_case - WIRE_OP_FIELD_OFFSET);
    if (in->id == 0)
        return refuse(out, NQ_BAD_REQUEST, "the request has no id");
    if (wire_too_many_unknown(&in->base))
        return refuse(out, NQ_BAD_REQUEST, "too many unknown fields");
    const struct wire_op_decoder *decoder = wire_op_decoder_of(out->op);
    if (!decoder)
        return refuse(out, NQ_BAD_REQUEST, "no operation, or one this broker does not know");
    const ProtobufCMessage *message = &in->hello->base; // whichever it is, it begins with its base
    if (!message)                                       // protobuf-c makes no such thing; cheap to be sure
        return refuse(out, NQ_BAD_REQUEST, "the operation is empty");
    if (wire_too_many_unknown(message))
        return refuse(out, NQ_BAD_REQUEST, "too many unknown fields");
    const char *why = NULL;
    enum nq_status status = decoder->decode(message, limits, out, &why);
    return refuse(out, status, why);
}

static enum nq_status decode_taken(const Nq__Wire__ClientFrame *frame, struct wire_request_frame *out)
{
    if (frame->n_taken_gets != frame->n_taken_counts || frame->n_taken_gets > NQ_ITEMS_PER_REQUEST_MAX)
        return NQ_BAD_REQUEST;
    out->taken_gets = frame->taken_gets;
    out->taken_counts = frame->taken_counts;
    out->taken_count = frame->n_taken_gets;
    out->workers = frame->workers ? frame->workers : 1;
    return NQ_OK;
}

enum nq_status wire_decode_requests(struct nq_arena *arena, const void *data, size_t len, const struct wire_decode_limits *limits,
                                    struct wire_request_frame *out)
{
    *out = (struct wire_request_frame){.workers = 1};
    ProtobufCMessage *message;
    enum nq_status status = wire_unpack(arena, &nq__wire__client_frame__descriptor, data, len, &message);
    if (status != NQ_OK)
        return status;
    const Nq__Wire__ClientFrame *frame = (const Nq__Wire__ClientFrame *)(const void *)message;
    if (frame->n_requests > NQ_REQUESTS_PER_FRAME_MAX || wire_too_many_unknown(message))
        return NQ_BAD_REQUEST;
    bool known = frame->version == NQ_PROTOCOL_VERSION;
    if (known && decode_taken(frame, out) != NQ_OK)
        return NQ_BAD_REQUEST;
    out->requests = nq_arena_calloc(arena, frame->n_requests, sizeof *out->requests);
    if (!out->requests)
        return NQ_NO_MEMORY;
    out->version = frame->version;
    out->count = frame->n_requests;
    for (size_t i = 0; i < out->count; i++) {
        struct wire_request *request = &out->requests[i];
        if (known) {
            decode_request(frame->requests[i], limits, request);
        } else {
            request->id = frame->requests[i]->id;
            refuse(request, NQ_UNSUPPORTED_VERSION, "this broker speaks version 1");
        }
    }
    return known ? NQ_OK : NQ_UNSUPPORTED_VERSION;
}
