// The bodies of the soak's items: who put it when, and bytes that follow from its place, so that every byte can be checked.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BODY_BYTES_MAX = 8192 };

struct body_head {
    uint64_t place, number, put_ns;
    uint32_t run;
    uint32_t check; // of what stands before it
};

// Once, before the others.
void body_init(void);
// Most have 40 to 200 bytes, one in a thousand up to BODY_BYTES_MAX. Returns how many. `out` has room for that.
size_t body_write(uint8_t *out, struct body_head head);
// False: this is not what was put.
bool body_read(const void *body, size_t len, struct body_head *out);
