// The thread that shows the broker that this client lives while the application works on its items: it sends RENEW on a
// connection of its own, and makes another when one RENEW is unanswered for a second as the next is due. It knows nothing of requests; what it
// has to know is handed over as a small struct.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire_limits.h"

struct connection;
struct keeper;

struct keeper_identity {
    const char *endpoint; // outlives the keeper
    uint8_t session_id[NQ_SESSION_ID_BYTES];
    uint8_t resume_token[NQ_RESUME_TOKEN_BYTES];
    size_t resume_token_len;
};

// Starts the thread, with all signals blocked. It makes its connection only when the first RENEW is due. `owner` is woken when
// the broker no longer knows the session. NULL: no memory or no thread.
struct keeper *keeper_create(struct connection *owner);
void keeper_destroy(struct keeper **self_p); // ends and joins the thread

void keeper_identify(struct keeper *self, const struct keeper_identity *identity);
// Cheap; call as often as you like. interval_ms: between two RENEWs while busy.
void keeper_update(struct keeper *self, bool busy, uint64_t interval_ms);
// True once after the broker has refused a RENEW with NO_SESSION.
bool keeper_session_is_lost(struct keeper *self);
