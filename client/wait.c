// Waiting: the loop inside every function that returns only when something has happened.
#include "client.h"

#define CANCEL_WAIT_MS 1000u // for the answer to what nobody wants to wait for any more

static void look_at_clock(struct nq_client *client)
{
    uint64_t now_ms = connection_now_ms();
    // The application was away. Once: one that comes back every now and then would wait without end for a broker that says nothing.
    if (now_ms - client->now_ms > AWAY_MS && !client->session.forgiven) {
        client->session.forgiven = client->tracker.count > 0; // else it has not been waited for
        client->session.heard_ms = now_ms;
    }
    client->now_ms = now_ms;
}

uint64_t client_until(struct nq_client *client, uint64_t wait_ms)
{
    look_at_clock(client);
    return wait_ms < UINT64_MAX - client->now_ms ? client->now_ms + wait_ms : UINT64_MAX;
}

static bool take_interrupt(struct nq_client *client)
{
    return atomic_load_explicit(&client->interrupted, memory_order_relaxed) && atomic_exchange(&client->interrupted, false);
}

enum nq_status client_wait(struct nq_client *client, bool (*ready)(void *user), void *user, uint64_t until_ms, enum wait_kind kind)
{
    look_at_clock(client);
    for (;;) {
        client_step(client);
        if (ready(user)) {
            return NQ_OK;
        }
        if (kind == WAIT_INTERRUPTIBLE && take_interrupt(client)) {
            return NQ_INTERRUPTED;
        }
        look_at_clock(client); // the host may have stood still in here, too
        if (client->now_ms >= until_ms) {
            return NQ_TIMED_OUT;
        }
        if (connection_is_readable(client->connection)) {
            continue;
        }
        uint64_t deadline_ms = client_next_deadline_ms(client);
        deadline_ms = until_ms < deadline_ms ? until_ms : deadline_ms;
        uint64_t wait_ms = deadline_ms > client->now_ms ? deadline_ms - client->now_ms : 0;
        connection_wait(client->connection, deadline_ms == UINT64_MAX ? UINT64_MAX : wait_ms + 1);
    }
}

static void call_ended(struct request *request, const struct outcome *outcome)
{
    struct call *call = request->user;
    call->ended = true;
    call->resent = request->resent;
    call->status = outcome->status;
    call->accepted = request->accepted;
    if (outcome->reply != NULL && outcome->frame != NULL) {
        call->reply = *outcome->reply;
        call->frame = frame_ref(outcome->frame);
    }
}

static bool call_is_over(void *user)
{
    return ((struct call *)user)->ended;
}

static bool has_no_effect(enum wire_op op)
{
    switch (op) {
    case WIRE_JOIN:
    case WIRE_STAT:
    case WIRE_LIST:
    case WIRE_PEEK:
    case WIRE_PING:
    case WIRE_DECLARE:
        return true;
    default:
        return false;
    }
}

struct request *cancel_request(uint64_t id)
{
    struct request *request = request_create(WIRE_CANCEL);
    if (request != NULL) {
        request->wire.as.cancel_id = id;
    }
    return request;
}

static void interrupt_call(struct nq_client *client, struct request *request, struct call *call)
{
    enum wire_op op = request->wire.op;
    bool sent = request_was_sent(request);
    struct request *cancel =
        sent && (op == WIRE_PUT || op == WIRE_GET || op == WIRE_JOIN) ? cancel_request(request->wire.id) : NULL;
    request->cancelled = true;
    if (cancel != NULL) {
        tracker_add(&client->tracker, cancel, client->now_ms);
    }
    if (!sent || has_no_effect(op)) {
        call->accepted = request->accepted; // of a put that was refused in part and waits to be sent again
        tracker_drop(&client->tracker, request, client->now_ms);
        client_send(client);
        call->ended = true;
        call->status = NQ_INTERRUPTED;
        return;
    }
    // Sent: its answer decides. Only of a put, which ends by its CANCEL, it is worth a long wait; items that come later go back.
    uint64_t until_ms = client_until(client, op == WIRE_PUT ? UINT64_MAX : CANCEL_WAIT_MS);
    if (client_wait(client, call_is_over, call, until_ms, WAIT_THROUGH) != NQ_OK) {
        call->ended = true;
        call->status = op == WIRE_GET ? NQ_INTERRUPTED : NQ_OUTCOME_UNKNOWN;
        if (op == WIRE_GET) {
            get_abandon(client, request);
        } else {
            tracker_drop(&client->tracker, request, client->now_ms);
        }
        return;
    }
    if (call->status == NQ_CANCELLED || op == WIRE_GET) {
        call->status = NQ_INTERRUPTED;
    }
}

static void give_back(struct nq_client *client, struct call *call, struct nq_bytes queue, uint64_t id)
{
    if (call->frame != NULL && call->reply.result == WIRE_GET) {
        get_return_items(client, &call->reply, call->frame, queue, id);
        client_send(client);
    }
}

enum nq_status call_run(struct nq_client *client, struct request *request, struct call *call, enum wait_kind kind)
{
    *call = (struct call){0};
    request->ended = call_ended;
    request->user = call;
    tracker_add(&client->tracker, request, client_until(client, 0));
    enum nq_status waited = client_wait(client, call_is_over, call, UINT64_MAX, kind);
    if (waited == NQ_INTERRUPTED) {
        bool is_get = request->wire.op == WIRE_GET;
        bool at_most_once = is_get && request->wire.as.get.at_most_once;
        struct nq_bytes queue = is_get ? request->wire.as.get.queue : (struct nq_bytes){0, NULL};
        uint64_t id = request->wire.id;
        interrupt_call(client, request, call);
        if (is_get && at_most_once && call->frame != NULL && call->reply.status == NQ_OK) {
            call->status = NQ_OK; // gone from the broker: it can only be handed over
        } else if (is_get) {
            give_back(client, call, queue, id);
        }
    }
    return call->status;
}

void call_end(struct nq_client *client, struct call *call)
{
    frame_unref(&client->frames, call->frame);
    call->frame = NULL;
}

void client_add_background(struct nq_client *client, struct request *request)
{
    request->background = true;
    client->background++;
    tracker_add(&client->tracker, request, client_until(client, 0));
}

void client_wake(struct nq_client *client)
{
    if (!client->woken) {
        client->woken = true;
        connection_wake(client->connection);
    }
}
