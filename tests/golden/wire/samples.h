// One request and one reply of each kind, every field set to a value of its own: for round trips, golden files and fuzz seeds.
// What is here is what the golden files of version 1 hold: add, never change.
#pragma once
#include "wire.h"

struct sample_request {
    const char *name; // of the golden file: v1-request-<name>.bin
    struct wire_request request;
};

struct sample_reply {
    const char *name; // v1-reply-<name>.bin
    struct wire_reply reply;
};

const struct sample_request *sample_requests(size_t *count);
const struct sample_reply *sample_replies(size_t *count);

// What stands around them in a frame.
void sample_request_frame(struct wire_request_frame *out, struct wire_request *requests, size_t count);
void sample_reply_frame(struct wire_reply_frame *out, struct wire_reply *replies, size_t count);

// The frame that holds just this sample; malloc'ed, NULL when out of memory.
void *sample_request_encode(const struct sample_request *sample, size_t *len);
void *sample_reply_encode(const struct sample_reply *sample, size_t *len);
