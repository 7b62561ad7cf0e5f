// Which connection a session lives on, whether its client is still there, and when it ends if it is not.
//
// Sessions with leases or waiters are probed once a second, the others once per session_timeout: a probe that cannot be delivered
// says that the connection is gone. Then the session ends after `grace` unless it is resumed, or is renewed over another connection, which
// stands: its client is at work and will see later. A session with leases or waiters ends after `timeout` of silence; a connected one without
// is nobody's concern while its connection lives.
#pragma once
#include "access.h"
#include "dispatch.h"
#include "heap.h"
#include "table.h"

enum { SESSIONS_PROBE_MS = 1000, SESSIONS_LATE_MS = 1000 };

struct peer {
    uint64_t session_no;
    uint64_t connection; // 0: none at the moment
    uint64_t renewer;    // another, over which it was renewed last; 0: none
    uint64_t heard_ms;   // when its client last sent anything
    uint64_t ends_ms;    // while it has no connection
    uint32_t workers;
    struct principal *principal;  // whose session it is; NULL: without keys, or not resumed since the start
    uint64_t parked_bytes;        // of its waiting puts, as its key's sum has them
    struct permit_cache *permits; // malloc'd; what the key may do, as far as it was asked
    struct heap_node timer;
};

struct sessions_config {
    uint64_t grace_ms, timeout_ms;
    void *context;
    bool (*probe)(void *context, uint64_t connection); // false: that connection is gone
};

struct sessions {
    struct sessions_config config;
    struct engine *engine;
    struct dispatch *dispatch;
    struct table by_connection, by_no;
    struct heap timers;
};

void sessions_init(struct sessions *self, struct engine *engine, struct dispatch *dispatch, const struct sessions_config *config);
void sessions_fini(struct sessions *self);

struct peer *sessions_on(const struct sessions *self, uint64_t connection);   // NULL: no session
struct peer *sessions_find(const struct sessions *self, uint64_t session_no); // NULL: no such session

// The session lives on this connection from now on; another session that did so has no connection any more.
// NULL: out of memory.
struct peer *sessions_bind(struct sessions *self, uint64_t now_ms, uint64_t session_no, uint64_t connection);
// After a restart: every session that the engine knows has session_timeout to come back, and its leases run anew until then. False: out
// of memory.
bool sessions_expect_restored(struct sessions *self, uint64_t now_ms);

void sessions_heard(struct peer *peer, uint64_t now_ms);
void sessions_renewed(struct peer *peer, uint64_t now_ms, uint64_t connection);
// It may hold leases or wait from now on: probe it within a second.
void sessions_watch(struct sessions *self, uint64_t now_ms, struct peer *peer);
void sessions_connection_gone(struct sessions *self, uint64_t now_ms, uint64_t connection);
// Its waiters vanish, its leases return. `peer` is gone afterwards.
void sessions_end(struct sessions *self, uint64_t now_ms, struct peer *peer, bool goodbye);

// The session is this key's (NULL: nobody's); what was known of its rights is forgotten.
void sessions_belong(struct peer *peer, struct principal *principal);
// Some of its puts may wait, or have ended: its key's sum of what is parked is brought up to date.
void sessions_note_parked(const struct sessions *self, struct peer *peer);
// Every session; `visit` may end the one it is given. False: out of memory, none was visited.
bool sessions_each(struct sessions *self, void *context, void (*visit)(void *context, struct peer *peer));

// The broker itself came round so much later than it was to. When that is long it has heard nobody, who may all have spoken: their time
// runs anew, and that of their leases. True: it was long.
bool sessions_excuse(struct sessions *self, uint64_t now_ms, uint64_t late_ms);

bool sessions_tick(struct sessions *self, uint64_t now_ms);      // looks after one whose time has come; false: there is none
uint64_t sessions_next_deadline_ms(const struct sessions *self); // UINT64_MAX: none
