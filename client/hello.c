// HELLO, the first frame on every connection: opens the session or takes it up again, and decides what becomes of what was
// under way.
#include <string.h>

#include "client.h"
#include "finish.h"

#define HELLO_AGAIN_MS 200u // after a refusal

static void fill_held(const struct nq_client *client, uint64_t *ids)
{
    for (const struct answer *answer = client->answers; answer != NULL; answer = answer->next) {
        if (answer->leased) {
            *ids++ = answer->get_id;
        }
    }
}

bool session_send_hello(struct nq_client *client)
{
    struct session *session = &client->session;
    nq_arena_reset(client->scratch);
    size_t waiting = tracker_waiting_gets(&client->tracker, NULL, 0);
    uint64_t *waiting_ids = nq_arena_alloc(client->scratch, (waiting + 1) * sizeof *waiting_ids);
    uint64_t *held_ids = nq_arena_alloc(client->scratch, (client->leased_count + 1) * sizeof *held_ids);
    if (waiting_ids == NULL || held_ids == NULL) {
        return false;
    }
    (void)tracker_waiting_gets(&client->tracker, waiting_ids, waiting);
    fill_held(client, held_ids);
    session->hello_id = tracker_new_id(&client->tracker);
    struct wire_request request = {.id = session->hello_id, .op = WIRE_HELLO};
    request.as.hello = (struct wire_hello){
        .session_id = {NQ_SESSION_ID_BYTES, session->id},
        .resume_token = {session->resume_token_len, session->resume_token},
        .waiting_gets = waiting_ids,
        .waiting_gets_count = waiting,
        .held_gets = held_ids,
        .held_gets_count = client->leased_count,
        .client_name = bytes_of(client->name),
    };
    struct wire_request_frame frame = {
        .version = NQ_PROTOCOL_VERSION, .requests = &request, .count = 1, .workers = client->workers};
    if (!session_send_packed(client, &frame)) {
        return false;
    }
    session->state = SESSION_GREETED;
    return true;
}

static void lose_leases(struct nq_client *client, bool store_gone)
{
    for (struct nq_consumer *consumer = client->consumers; consumer != NULL && store_gone; consumer = consumer_next(consumer)) {
        consumer_contribute(consumer); // what was gathered ends with what is under way
    }
    for (struct answer *answer = client->answers; answer != NULL; answer = answer->next) {
        answer_lose(answer, store_gone);
    }
    while (store_gone && client->returns != NULL) {
        struct token_batch *batch = client->returns;
        client->returns = batch->next;
        token_batch_free(batch);
    }
}

void session_tell_keeper(struct nq_client *client)
{
    const struct session *session = &client->session;
    struct keeper_identity identity = {.endpoint = client->servers[session->server], .resume_token_len = session->resume_token_len};
    memcpy(identity.session_id, session->id, sizeof identity.session_id);
    memcpy(identity.resume_token, session->resume_token, sizeof identity.resume_token);
    keeper_identify(client->keeper, &identity);
}

// Whatever the broker says, a frame must be able to carry something, and signs of life must not be all that is sent.
static void take_limits(struct wire_limits *own, const struct wire_limits *told)
{
    own->body_bytes = told->body_bytes > 0 ? told->body_bytes : own->body_bytes;
    own->headers_bytes = told->headers_bytes;
    own->frame_bytes = told->frame_bytes > NQ_FRAME_SLACK_BYTES ? told->frame_bytes : own->frame_bytes;
    own->items = told->items > 0 && told->items <= NQ_ITEMS_PER_REQUEST_MAX ? told->items : own->items;
    own->requests = told->requests > 0 && told->requests <= NQ_REQUESTS_PER_FRAME_MAX ? told->requests : own->requests;
    own->session_timeout_ms = told->session_timeout_ms > 0 ? told->session_timeout_ms : own->session_timeout_ms;
    own->session_timeout_ms =
        own->session_timeout_ms < NQ_SESSION_TIMEOUT_MS_MIN ? NQ_SESSION_TIMEOUT_MS_MIN : own->session_timeout_ms;
    own->session_grace_ms = told->session_grace_ms;
}

// Reports that were on their way when the connection broke may be lost: they are made once more.
static void report_again(struct nq_client *client)
{
    for (struct answer *answer = client->answers; answer != NULL; answer = answer->next) {
        uint32_t taken = answer->taken;
        answer->taken = 0;
        answer_is_taken(answer, taken);
    }
}

static void take_hello(struct nq_client *client, const struct wire_hello_reply *hello)
{
    struct session *session = &client->session;
    bool other_store = session->store_known && (hello->store_id.len != NQ_STORE_ID_BYTES ||
                                                memcmp(hello->store_id.data, session->store_id, NQ_STORE_ID_BYTES) != 0);
    if (hello->store_id.len == NQ_STORE_ID_BYTES) {
        memcpy(session->store_id, hello->store_id.data, NQ_STORE_ID_BYTES);
        session->store_known = true;
    }
    if (hello->resume_token.len <= NQ_RESUME_TOKEN_BYTES) {
        memcpy(session->resume_token, hello->resume_token.data, hello->resume_token.len);
        session->resume_token_len = hello->resume_token.len;
    }
    take_limits(&session->limits, &hello->limits);
    enum tracker_session kind = other_store ? TRACKER_NEW_STORE : hello->resumed ? TRACKER_RESUMED : TRACKER_NEW_SESSION;
    if (kind == TRACKER_RESUMED) {
        report_again(client);
    } else {
        lose_leases(client, other_store);
    }
    session->state = SESSION_UP;
    session->tried = 0;
    session->refused = false;
    if (client->keeper != NULL) {
        session_tell_keeper(client);
    }
    tracker_reconnected(&client->tracker, kind, client->now_ms);
}

void session_refused(struct nq_client *client, enum nq_status status)
{
    struct tracker *tracker = &client->tracker;
    struct request_list *lists[] = {&tracker->unsent, &tracker->sent, &tracker->held};
    for (size_t i = 0; i < 3; i++) {
        for (size_t left = lists[i]->count; left > 0 && lists[i]->first != NULL; left--) {
            struct request *request = lists[i]->first;
            if (request->stream != NULL) {
                stream_in_doubt(tracker, request->stream);
            }
            tracker_give_up(tracker, request, status, client->now_ms);
        }
    }
}

void session_take_hello_reply(struct nq_client *client, const struct wire_reply *reply)
{
    struct session *session = &client->session;
    if (reply->status == NQ_OK && reply->result == WIRE_HELLO) {
        take_hello(client, &reply->as.hello);
        return;
    }
    session->state = SESSION_GREETING;
    session->not_before_ms = client->now_ms + HELLO_AGAIN_MS;
    if (reply->status == NQ_NO_SESSION) {
        session->resume_token_len = 0; // unknown or taken by another: open one anew
    } else if (reply->status != NQ_BUSY) {
        session_refused(client, reply->status);
    }
}
