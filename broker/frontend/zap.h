// Our own handler of ZeroMQ's authentication protocol (RFC 27): a thread that answers for each handshake whether the key is authorised.
//
// It fails closed: without it, or when it ends, the ROUTER refuses everybody (ZAP domain set and enforced). Signals must be blocked
// before it starts, and it is started before the ROUTER listens.
#pragma once
#include "authorised.h"

#define ZAP_DOMAIN "netqueue"

struct zap;

struct zap *zap_start(void *context, struct authorised *authorised); // NULL: errno says why
// After every other socket of the context is closed. Shuts the context down for new calls; the caller still terminates it.
void zap_stop(struct zap **self_p);

// RFC 27: what a request's frames hold. Pure, for the tests.
enum { ZAP_FRAMES = 7, ZAP_FRAME_BYTES = 256 };
struct zap_frame {
    size_t len;
    uint8_t data[ZAP_FRAME_BYTES];
};
// The key of a well-formed CURVE request for our domain, as text. False: not one.
bool zap_read_key(const struct zap_frame frames[ZAP_FRAMES], size_t count, char key[KEYS_TEXT_BYTES]);
