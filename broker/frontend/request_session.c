// HELLO, RENEW, GOODBYE, PING, CANCEL.
#include <inttypes.h>
#include <string.h>

#include "keys.h"
#include "service.h"

// Takes as long wherever the first difference is.
static bool token_matches(const uint8_t *own, struct nq_bytes given)
{
    uint8_t difference = given.len == NQ_RESUME_TOKEN_BYTES ? 0 : 1;
    for (size_t i = 0; i < NQ_RESUME_TOKEN_BYTES && i < given.len; i++) {
        difference |= (uint8_t)(own[i] ^ given.data[i]);
    }
    return difference == 0;
}

// The engine's id of the client's session. With keys it is made of the key, too: nobody else's client can name it, before and after
// a restart.
static bool own_id(const struct request *request, struct nq_bytes id, uint8_t out[NQ_SESSION_ID_BYTES])
{
    if (request->principal != NULL) {
        return keys_bind_session(request->principal->key, id.data, out);
    }
    memcpy(out, id.data, NQ_SESSION_ID_BYTES);
    return true;
}

static bool is_idle(const struct service *self, uint64_t session_no)
{
    return engine_session_leases(self->engine, session_no) == 0 && !dispatch_session_waits(self->dispatch, session_no);
}

static struct nq_bytes copy_into(struct request *request, const uint8_t *data, size_t len)
{
    uint8_t *copy = service_alloc(request->service, groups_youngest(&request->service->groups), len, 1);
    if (copy == NULL) {
        return (struct nq_bytes){0};
    }
    memcpy(copy, data, len);
    return (struct nq_bytes){.len = len, .data = copy};
}

static struct nq_bytes own_store_id(struct request *request)
{
    uint8_t id[NQ_STORE_ID_BYTES];
    store_id(request->service->store, id);
    return copy_into(request, id, sizeof(id));
}

static struct nq_bytes own_version(void)
{
    static const char version[] = NQ_VERSION;
    return (struct nq_bytes){.len = sizeof(version) - 1, .data = (const uint8_t *)version};
}

static void answer_hello(struct request *request, uint64_t session_no, bool resumed)
{
    struct service *self = request->service;
    struct wire_reply *reply;
    struct answer *answer = request_answer_whole(request, NQ_OK, &reply);
    if (answer == NULL) {
        return;
    }
    reply->result = WIRE_HELLO;
    reply->as.hello = (struct wire_hello_reply){
        .resume_token = copy_into(request, engine_session_token(self->engine, session_no), NQ_RESUME_TOKEN_BYTES),
        .store_id = own_store_id(request),
        .resumed = resumed,
        .epoch = engine_epoch(self->engine),
        .limits = self->config.limits,
        .broker_version = own_version(),
    };
}

// The session that a HELLO may take up again; 0: none. False: it is somebody else's.
static bool find_resumable(const struct request *request, const uint8_t *id, uint64_t *session_no)
{
    struct service *self = request->service;
    const struct wire_hello *hello = &request->wire->as.hello;
    uint64_t found = engine_session_find(self->engine, id);
    *session_no = found;
    if (found == 0) {
        return true;
    }
    if (hello->resume_token.len > 0) {
        return token_matches(engine_session_token(self->engine, found), hello->resume_token);
    }
    if (request->peer != NULL && request->peer->session_no == found) {
        return true; // asked twice on one connection
    }
    // Its reply may have been lost with its connection. Where there is nothing to lose, it may start over.
    struct peer *peer = sessions_find(&self->sessions, found);
    if (peer == NULL || !is_idle(self, found)) {
        return false;
    }
    sessions_end(&self->sessions, request->now_ms, peer, false);
    *session_no = 0;
    return true;
}

static enum nq_status open_session(const struct request *request, const uint8_t *id, uint64_t *session_no)
{
    struct service *self = request->service;
    uint8_t token[NQ_RESUME_TOKEN_BYTES];
    if (request->principal != NULL && request->principal->sessions >= self->config.sessions_per_key_max) {
        return NQ_LIMIT_REACHED;
    }
    if (!self->config.random(token, sizeof(token))) {
        return NQ_BUSY;
    }
    return status_of_engine(engine_session_open(self->engine, request->now_ms, id, token, session_no));
}

// Gets that were answered before are answered again, with what is still on lease from them: no more than all leases in all, however often
// a get is named. `same`: the session was on this connection before, over which the earlier answers have gone.
static void answer_waiting_gets(const struct request *request, const struct peer *peer, bool same)
{
    struct service *self = request->service;
    const struct wire_hello *hello = &request->wire->as.hello;
    size_t left = engine_session_leases(self->engine, peer->session_no);
    for (size_t i = 0; i < hello->waiting_gets_count && left > 0; i++) {
        struct engine_grant grant;
        if (engine_session_grant(self->engine, peer->session_no, hello->waiting_gets[i], &grant) != ENGINE_OK) {
            continue;
        }
        left -= grant.count < left ? grant.count : left;
        self->groups.open->items += grant.count;
        const struct queue *queue = engine_queue_by_id(self->engine, grant.queue_id);
        enum engine_durability when = queue == NULL ? ENGINE_OPEN : engine_durability(queue, grant.highest_seq);
        struct answer *answer = groups_answer(&self->groups, when);
        if (answer == NULL) {
            engine_grant_clear(&grant);
            self->out_of_memory = true;
            return;
        }
        answer->connection = peer->connection;
        answer->id = grant.get_id;
        answer->kind = ANSWER_GET;
        answer->as.items = (struct answer_items){.queue_id = grant.queue_id,
                                                 .items = grant.items,
                                                 .count = grant.count,
                                                 .lease_ms = grant.lease_ms,
                                                 .hold_max_ms = grant.hold_max_ms,
                                                 .again = same};
    }
}

void request_hello(struct request *request)
{
    struct service *self = request->service;
    const struct wire_hello *hello = &request->wire->as.hello;
    uint64_t session_no;
    uint8_t id[NQ_SESSION_ID_BYTES];
    if (!own_id(request, hello->session_id, id)) {
        self->out_of_memory = true;
        return;
    }
    if (!find_resumable(request, id, &session_no)) {
        request_answer(request, NQ_NO_SESSION);
        return;
    }
    bool resumed = session_no != 0;
    enum nq_status status = resumed ? NQ_OK : open_session(request, id, &session_no);
    if (status != NQ_OK) {
        request_answer(request, status);
        return;
    }
    const struct peer *before = sessions_find(&self->sessions, session_no);
    bool same = before != NULL && before->connection == request->connection;
    struct peer *peer = sessions_bind(&self->sessions, request->now_ms, session_no, request->connection);
    if (peer == NULL) {
        self->out_of_memory = true;
        return;
    }
    if (peer->principal != request->principal) {
        sessions_belong(peer, request->principal);
    }
    log_debug("session %" PRIu64 " %s by '%.*s'", session_no, resumed ? "resumed" : "opened", (int)hello->client_name.len,
              hello->client_name.len == 0 ? "" : (const char *)hello->client_name.data);
    if (resumed) {
        dispatch_session_resume(self->dispatch, session_no);
        sessions_note_parked(&self->sessions, peer);
        engine_session_resume(self->engine, request->now_ms, session_no, hello->waiting_gets, hello->waiting_gets_count,
                              hello->held_gets, hello->held_gets_count);
    }
    answer_hello(request, session_no, resumed);
    answer_waiting_gets(request, peer, same);
}

void request_renew(struct request *request)
{
    struct service *self = request->service;
    const struct wire_renew *renew = &request->wire->as.renew;
    uint8_t id[NQ_SESSION_ID_BYTES];
    if (!own_id(request, renew->session_id, id)) {
        self->out_of_memory = true;
        return;
    }
    uint64_t session_no = engine_session_find(self->engine, id);
    if (session_no == 0 || !token_matches(engine_session_token(self->engine, session_no), renew->resume_token)) {
        request_answer(request, NQ_NO_SESSION);
        return;
    }
    struct peer *peer = sessions_find(&self->sessions, session_no);
    if (peer != NULL) {
        sessions_renewed(peer, request->now_ms, request->connection);
    }
    engine_session_renew(self->engine, request->now_ms, session_no);
    request_answer(request, NQ_OK);
}

void request_goodbye(struct request *request)
{
    sessions_end(&request->service->sessions, request->now_ms, request->peer, true);
    request->peer = NULL;
    request_answer(request, NQ_OK);
}

void request_ping(struct request *request)
{
    struct service *self = request->service;
    struct wire_reply *reply;
    struct answer *answer = request_answer_whole(request, NQ_OK, &reply);
    if (answer == NULL) {
        return;
    }
    reply->result = WIRE_PING;
    reply->as.ping = (struct wire_ping_reply){
        .broker_version = own_version(),
        .store_id = own_store_id(request),
        .epoch = engine_epoch(self->engine),
        .uptime_ms = request->now_ms - self->config.started_ms,
        .queues = (uint32_t)engine_queue_count(self->engine),
        .sessions = (uint32_t)engine_session_count(self->engine),
    };
}

void request_cancel(struct request *request)
{
    struct service *self = request->service;
    dispatch_cancel(self->dispatch, request->peer->session_no, request->wire->as.cancel_id); // answered meanwhile: as good
    service_take_answers(self, request->now_ms);
    request_answer(request, NQ_OK);
}
