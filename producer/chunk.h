// A run of items on its way from the input to a sender.
#pragma once
#include "buffer.h"
#include "netqueue.h"

struct chunk_item {
    size_t at, len; // of the body, in bytes
    size_t header_first, headers_count;
    uint64_t delay_ms;
};

struct chunk_header {
    size_t name_at, value_at, value_len; // in bytes; the name is terminated
};

struct chunk {
    struct chunk *next;
    uint64_t first;       // index of its first item in the input
    uint64_t local_first; // and among those of its sender
    uint64_t notified;    // so many from its front have been told of
    size_t count, capacity;
    struct chunk_item *items;
    size_t headers_count, headers_capacity;
    struct chunk_header *headers;
    struct cli_buffer bytes;
};

struct chunk *chunk_create(void); // NULL: out of memory
void chunk_destroy(struct chunk **chunk_p);

// Add one item. False: out of memory.
bool chunk_add(struct chunk *chunk, const void *body, size_t len, uint64_t delay_ms);
// Add a header to the item added last.
bool chunk_add_header(struct chunk *chunk, const char *name, const void *value, size_t len);
