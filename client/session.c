// The session of a client with its broker: frames out, answers in, signs of life. HELLO is in hello.c.
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "finish.h"
#include "retry.h"

#define HELLO_MS_MAX 15000u      // for its answer
#define FRAME_SOFT_BYTES 262144u // enough for one frame; further requests go into the next
#define KEEPER_INTERVAL_MIN_MS 10u
#define REPORTS_PER_FRAME 2000u // take less than half of a frame's slack, whatever their numbers

static void open_server(struct nq_client *client)
{
    struct session *session = &client->session;
    session->state = SESSION_DOWN;
    session->refused = false;
    session->opened_ms = client->now_ms;
    (void)connection_open(client->connection, client->servers[session->server]); // checked when the client was made
}

void session_start(struct nq_client *client)
{
    struct session *session = &client->session;
    session->limits = (struct wire_limits){
        .body_bytes = NQ_BODY_BYTES_DEFAULT,
        .headers_bytes = NQ_HEADERS_BYTES_DEFAULT,
        // What every broker takes that has its defaults, however little memory.
        .frame_bytes = NQ_BODY_BYTES_DEFAULT + NQ_HEADERS_BYTES_DEFAULT + NQ_FRAME_SLACK_BYTES,
        .items = NQ_ITEMS_PER_REQUEST_MAX,
        .requests = NQ_REQUESTS_PER_FRAME_MAX,
        .session_timeout_ms = NQ_SESSION_TIMEOUT_MS_DEFAULT,
        .session_grace_ms = NQ_SESSION_GRACE_MS_DEFAULT,
    };
    client->now_ms = connection_now_ms();
    client->again_ms = UINT64_MAX;
    open_server(client);
}

static bool send_packed(struct nq_client *client, const struct wire_packer *packer)
{
    void *out = packer != NULL ? connection_prepare(client->connection, wire_packed_size(packer)) : NULL;
    if (out == NULL) {
        return false;
    }
    wire_pack(packer, out);
    if (!connection_send(client->connection)) {
        return false;
    }
    client->session.sent_ms = client->now_ms;
    return true;
}

bool session_send_packed(struct nq_client *client, const struct wire_request_frame *frame)
{
    return send_packed(client, wire_prepare_requests(client->scratch, frame));
}

// --------------------------------------------------------------------------------------------------------- receiving

// On the connection that there is.
static void greet_again(struct nq_client *client)
{
    client->session.state = SESSION_GREETING;
    client->session.opened_ms = client->now_ms;
}

void session_disown(struct nq_client *client)
{
    if (client->session.state == SESSION_UP) {
        greet_again(client);
    }
}

static void session_is_unknown(struct nq_client *client, uint64_t id)
{
    tracker_is_unread(&client->tracker, id);
    if (client->session.state == SESSION_UP) {
        greet_again(client);
    }
}

// Whoever gets the status may not get the reply: its reason is kept.
static void note_refusal(struct nq_client *client, const struct wire_reply *reply)
{
    size_t len = reply->detail.len < sizeof client->refusal ? reply->detail.len : sizeof client->refusal - 1;
    if (len > 0) {
        memcpy(client->refusal, reply->detail.data, len);
    }
    client->refusal[len] = '\0';
}

static void take_frame(struct nq_client *client, struct frame *frame)
{
    client->session.heard_ms = client->now_ms;
    client->session.forgiven = false;
    for (size_t i = 0; i < frame->replies.count; i++) {
        const struct wire_reply *reply = &frame->replies.replies[i];
        if (reply->status == NQ_NOT_AUTHORISED) {
            note_refusal(client, reply);
        }
        if (reply->id == client->session.hello_id) {
            session_take_hello_reply(client, reply);
        } else if (reply->status == NQ_NO_SESSION) {
            session_is_unknown(client, reply->id);
        } else {
            tracker_reply(&client->tracker, reply, frame, client->now_ms);
        }
    }
}

// An answer that there was no memory for is a lost one: after a new HELLO what is unanswered is asked again.
static void lose_connection(struct nq_client *client)
{
    if (client->session.state == SESSION_UP) {
        client->session.heard_ms = client->now_ms;
    }
    open_server(client);
}

static void receive(struct nq_client *client)
{
    const void *data;
    size_t len;
    while (connection_receive(client->connection, &data, &len)) {
        struct frame *frame;
        enum nq_status status = frame_decode(&client->frames, data, len, &frame);
        if (status == NQ_NO_MEMORY) {
            lose_connection(client);
            return;
        }
        if (status == NQ_OK) {
            take_frame(client, frame);
            frame_unref(&client->frames, frame);
        }
    }
}

static void take_events(struct nq_client *client)
{
    struct session *session = &client->session;
    for (;;) {
        switch (connection_next_event(client->connection, client->now_ms)) {
        case CONNECTION_NOTHING:
            return;
        case CONNECTION_UP:
            session->state = SESSION_GREETING;
            session->not_before_ms = 0;
            break;
        case CONNECTION_DOWN:
            if (session->state == SESSION_UP) {
                session->heard_ms = client->now_ms; // the time without a broker begins now
            }
            session->state = SESSION_DOWN;
            session->opened_ms = client->now_ms;
            break;
        case CONNECTION_REFUSED:
            session->state = SESSION_DOWN;
            session->refused = true;
            break;
        case CONNECTION_FORBIDDEN:
            session->state = SESSION_DOWN;
            session->refused = true;
            (void)snprintf(client->refusal, sizeof client->refusal, "%s", connection_trouble(client->connection));
            session_refused(client, NQ_NOT_AUTHORISED);
            break;
        }
    }
}

// ----------------------------------------------------------------------------------------------------------- sending

static bool fill_reports(struct nq_client *client, struct wire_request_frame *frame)
{
    size_t count = client->reports_count < REPORTS_PER_FRAME ? client->reports_count : REPORTS_PER_FRAME;
    uint64_t *gets = nq_arena_alloc(client->scratch, (count + 1) * sizeof *gets);
    uint32_t *counts = nq_arena_alloc(client->scratch, (count + 1) * sizeof *counts);
    if (gets == NULL || counts == NULL) {
        return false;
    }
    size_t i = 0;
    for (const struct answer *answer = client->reports; i < count; answer = answer->report_next) {
        gets[i] = answer->get_id;
        counts[i++] = answer->taken;
    }
    frame->taken_gets = gets;
    frame->taken_counts = counts;
    frame->taken_count = i;
    return true;
}

static void clear_reports(struct nq_client *client, size_t count)
{
    client->reports_count -= count;
    for (; count > 0; count--) {
        struct answer *answer = client->reports;
        client->reports = answer->report_next;
        answer->to_report = false;
    }
}

// For requests; the other half of the slack is for what a frame carries besides.
static uint64_t frame_room(const struct nq_client *client)
{
    return client->session.limits.frame_bytes - NQ_FRAME_SLACK_BYTES / 2;
}

// How many of the unsent requests, from the front, go into one frame.
static size_t choose(const struct nq_client *client)
{
    size_t count = 0;
    size_t bytes = 0;
    uint64_t bytes_max = frame_room(client);
    for (const struct request *r = client->tracker.unsent.first; r != NULL && count < client->session.limits.requests;
         r = r->next) {
        if (count > 0 && (bytes >= FRAME_SOFT_BYTES || bytes + r->size > bytes_max)) {
            break;
        }
        bytes += r->size;
        count++;
    }
    return count;
}

// So many items of the first put, which is too large for a frame of the broker that there is now; 0: all, and of what cannot be cut.
static size_t part_of_first(const struct nq_client *client)
{
    const struct request *first = client->tracker.unsent.first;
    if (first->size <= frame_room(client) || first->wire.op != WIRE_PUT || first->wire.as.put.atomic) {
        return 0;
    }
    size_t fitting = stream_fitting(first, frame_room(client));
    return fitting < first->wire.as.put.count ? fitting : 0;
}

static void frame_is_sent(struct nq_client *client, const struct wire_request_frame *frame, size_t part)
{
    struct tracker *tracker = &client->tracker;
    struct request *first = tracker->unsent.first;
    if (tracker->sent.count == 0) { // nothing was asked for: that nothing was heard says nothing about the broker
        client->session.heard_ms = client->now_ms;
        client->session.forgiven = false;
    }
    for (size_t i = 0; i < frame->count; i++) {
        tracker_sent(tracker, tracker->unsent.first);
    }
    if (part > 0) {
        stream_part_sent(tracker, first, part);
    }
    clear_reports(client, frame->taken_count);
}

// Only ever a request alone: those that go together were chosen to fit, by sizes that are rather too large.
static void refuse_first(struct nq_client *client)
{
    client->limit_met_ms = client->now_ms;
    tracker_give_up(&client->tracker, client->tracker.unsent.first, NQ_TOO_LARGE, client->now_ms);
    finish_send_returns(client); // of a requeue: its item
}

static bool send_frame(struct nq_client *client)
{
    size_t count = choose(client);
    nq_arena_reset(client->scratch);
    struct wire_request *requests = nq_arena_alloc(client->scratch, count * sizeof *requests);
    struct wire_request_frame frame = {
        .version = NQ_PROTOCOL_VERSION, .requests = requests, .count = count, .workers = client->workers};
    if (requests == NULL || !fill_reports(client, &frame)) {
        return false;
    }
    struct request *request = client->tracker.unsent.first;
    for (size_t i = 0; i < count; i++, request = request->next) {
        tracker_before_send(request, client->now_ms);
        requests[i] = request->wire;
    }
    size_t part = part_of_first(client);
    if (part > 0) {
        requests[0].as.put.count = part;
    }
    struct wire_packer *packer = wire_prepare_requests(client->scratch, &frame);
    if (packer != NULL && wire_packed_size(packer) > client->session.limits.frame_bytes) {
        refuse_first(client);
        return true;
    }
    if (!send_packed(client, packer)) {
        return false;
    }
    frame_is_sent(client, &frame, part);
    return true;
}

void client_try_again(struct nq_client *client)
{
    client->again_ms = client->now_ms + MEMORY_AGAIN_MS;
}

void client_send(struct nq_client *client)
{
    bool sent = true;
    if (client->session.state != SESSION_UP) {
        return;
    }
    if (client->tracker.unsent.count == 0 && client->returns == NULL && client->again_ms == UINT64_MAX) {
        return;
    }
    client->again_ms = UINT64_MAX;
    for (struct nq_consumer *consumer = client->consumers; consumer != NULL; consumer = consumer_next(consumer)) {
        consumer_contribute(consumer);
    }
    finish_send_returns(client);
    if (client->returns != NULL) {
        client_try_again(client);
    }
    while (client->tracker.unsent.count > 0 && sent && connection_is_writable(client->connection)) {
        sent = send_frame(client);
    }
    if (!sent && connection_is_writable(client->connection)) { // it is not the connection, which would tell: there was no memory
        client_try_again(client);
    }
}

// ------------------------------------------------------------------------------------------------------ signs of life

static uint64_t keeper_interval_ms(const struct nq_client *client)
{
    uint64_t interval_ms = client->session.limits.session_timeout_ms / 3;
    if (client->lease_ms_min / 3 < interval_ms) {
        interval_ms = client->lease_ms_min / 3;
    }
    return interval_ms > KEEPER_INTERVAL_MIN_MS ? interval_ms : KEEPER_INTERVAL_MIN_MS;
}

void session_update_keeper(struct nq_client *client)
{
    bool busy = client->leased_count > 0 || client->background > 0;
    if (client->keeper == NULL && busy && client->session.state == SESSION_UP) {
        client->keeper = keeper_create(client->connection);
        if (client->keeper != NULL) {
            session_tell_keeper(client);
        }
    }
    if (client->keeper == NULL) {
        return;
    }
    keeper_update(client->keeper, busy, keeper_interval_ms(client));
    if (keeper_session_is_lost(client->keeper) && client->session.state == SESSION_UP) {
        greet_again(client);
    }
}

static uint64_t silence_ms_max(const struct nq_client *client)
{
    uint64_t ms = client->timeout_ms > 3 ? client->timeout_ms / 3 : 1; // never 0: then there would be no end of signs of life
    return ms < client->session.limits.session_timeout_ms / 3 ? ms : client->session.limits.session_timeout_ms / 3;
}

// With requests unanswered, neither side should be silent for long: a RENEW shows the broker that we live and asks whether it does.
static void renew_on_silence(struct nq_client *client)
{
    struct session *session = &client->session;
    uint64_t quiet_since = session->sent_ms > session->heard_ms ? session->sent_ms : session->heard_ms;
    bool broker_silent = client->now_ms - quiet_since >= silence_ms_max(client);
    bool we_silent = client->now_ms - session->sent_ms >= session->limits.session_timeout_ms / 3;
    if (session->state != SESSION_UP || client->tracker.sent.count == 0 || (!broker_silent && !we_silent)) {
        return;
    }
    struct request *request = request_create(WIRE_RENEW);
    if (request != NULL) {
        request->wire.as.renew.session_id = (struct nq_bytes){NQ_SESSION_ID_BYTES, session->id};
        request->wire.as.renew.resume_token = (struct nq_bytes){session->resume_token_len, session->resume_token};
        tracker_add(&client->tracker, request, client->now_ms);
        session->sent_ms = client->now_ms;
    }
}

// Whether it is for us to try the next endpoint, or the same one again: of one endpoint libzmq does so, but not after a handshake
// that went wrong, which has ended all requests. Then it is tried when somebody wants something; a key may be authorised by now.
static bool tries_next(const struct nq_client *client)
{
    const struct tracker *tracker = &client->tracker;
    bool waits = tracker->unsent.count + tracker->sent.count + tracker->held.count > 0;
    return client->session.state != SESSION_UP &&
           (client->servers_count > 1 || (waits && connection_is_given_up(client->connection)));
}

// Of which nothing is heard, longer in each round: none behind a slow link would ever be reached.
static uint64_t next_server_at(const struct nq_client *client)
{
    const struct session *session = &client->session;
    uint32_t rounds = session->refused || client->servers_count < 2 ? 0 : session->tried / (uint32_t)client->servers_count;
    return session->opened_ms + retry_pause_ms(&retry_servers, rounds);
}

// A broker that has taken the connection answers HELLO by then; else a host between may have forgotten it.
static uint64_t greeted_until(const struct nq_client *client)
{
    const struct session *session = &client->session;
    uint64_t ms = client->timeout_ms - client->timeout_ms / 3;
    uint64_t pause_ms = retry_pause_ms(&retry_servers, session->tried);
    ms = ms < HELLO_MS_MAX ? ms : HELLO_MS_MAX;
    return session->sent_ms + (ms > pause_ms ? ms : pause_ms);
}

// Another endpoint when this one does not answer; the same one again when a connection has gone silent.
static void change_server(struct nq_client *client)
{
    struct session *session = &client->session;
    bool dead = session->state == SESSION_UP && client->tracker.sent.count > 0 && session->sent_ms > session->heard_ms &&
                client->now_ms - session->heard_ms > client->timeout_ms - client->timeout_ms / 3;
    bool absent = session->state == SESSION_GREETED ? client->now_ms >= greeted_until(client)
                                                    : tries_next(client) && client->now_ms >= next_server_at(client);
    if (dead || absent) {
        session->tried++;
        session->server = (session->server + 1) % client->servers_count;
        open_server(client);
    }
}

// Something was due long ago: the process stood still, or the whole host, or the application was busy. Once: then silence is silence.
static void forgive_silence(struct nq_client *client, uint64_t now_ms)
{
    struct session *session = &client->session;
    if (!session->forgiven && now_ms - client->now_ms > AWAY_MS && now_ms - AWAY_MS > client_next_deadline_ms(client)) {
        session->forgiven = true;
        session->heard_ms = now_ms;
    }
}

void client_step(struct nq_client *client)
{
    struct session *session = &client->session;
    uint64_t now_ms = connection_now_ms();
    forgive_silence(client, now_ms);
    client->now_ms = now_ms;
    client->tick_ms = connection_tick_ms();
    take_events(client);
    receive(client);
    tracker_run(&client->tracker, client->now_ms, session->heard_ms, client->timeout_ms);
    change_server(client);
    take_events(client); // of a connection that was opened in this step, before it is waited for
    renew_on_silence(client);
    session_update_keeper(client);
    if (session->state == SESSION_GREETING && client->now_ms >= session->not_before_ms) {
        session->not_before_ms = 0; // from now on it waits for the connection only
        if (connection_is_writable(client->connection) && !session_send_hello(client)) {
            session->not_before_ms = client->now_ms + MEMORY_AGAIN_MS;
        }
    }
    client_send(client);
}

static void sooner(uint64_t *deadline_ms, uint64_t at_ms)
{
    *deadline_ms = at_ms < *deadline_ms ? at_ms : *deadline_ms;
}

uint64_t client_next_deadline_ms(const struct nq_client *client)
{
    const struct session *session = &client->session;
    uint64_t deadline_ms = tracker_next_deadline_ms(&client->tracker, session->heard_ms, client->timeout_ms);
    if (session->state == SESSION_GREETING && session->not_before_ms > 0) {
        sooner(&deadline_ms, session->not_before_ms);
    }
    if (session->state == SESSION_UP) {
        sooner(&deadline_ms, client->again_ms);
    }
    if (session->state == SESSION_GREETED) {
        sooner(&deadline_ms, greeted_until(client));
    } else if (tries_next(client)) {
        sooner(&deadline_ms, next_server_at(client));
    }
    if (session->state == SESSION_UP && client->tracker.sent.count > 0) {
        uint64_t quiet_since = session->sent_ms > session->heard_ms ? session->sent_ms : session->heard_ms;
        sooner(&deadline_ms, quiet_since + silence_ms_max(client));
        sooner(&deadline_ms, session->sent_ms + session->limits.session_timeout_ms / 3);
    }
    return deadline_ms;
}

// ---------------------------------------------------------------------------------------------------------- GOODBYE

struct goodbye {
    const struct nq_client *client;
    bool ended;
};

static void goodbye_ended(struct request *request, const struct outcome *outcome)
{
    (void)outcome;
    ((struct goodbye *)request->user)->ended = true;
}

// With another connection all that is unanswered would be sent again, to a broker that may have forgotten the streams of it with the session.
static bool goodbye_is_over(void *user)
{
    const struct goodbye *self = user;
    return self->ended || self->client->session.state != SESSION_UP;
}

void session_goodbye(struct nq_client *client, uint64_t wait_ms)
{
    struct goodbye goodbye = {.client = client};
    struct request *request = client->session.state == SESSION_UP ? request_create(WIRE_GOODBYE) : NULL;
    if (request == NULL) {
        return;
    }
    request->ended = goodbye_ended;
    request->user = &goodbye;
    tracker_add(&client->tracker, request, client_until(client, 0));
    (void)client_wait(client, goodbye_is_over, &goodbye, client_until(client, wait_ms), WAIT_THROUGH);
    if (!goodbye.ended) {
        tracker_drop(&client->tracker, request, client->now_ms);
    }
}
