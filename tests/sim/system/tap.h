// Reads along what goes into the broker and what comes out of it, with the wire's own decoder, and holds each answer against what
// was asked and what is on the disk.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct link;

void tap_begin(void);
void tap_end(void);
void tap_request(struct link *link, const void *data, size_t len); // the broker has taken it
void tap_reply(struct link *link, const void *data, size_t len);   // the broker has given it away

uint64_t tap_requests(void), tap_replies(void);
