// The inside of a client: one session, its unanswered requests, its items. What the files of the library share.
#pragma once
#include <stdarg.h>
#include <stdatomic.h>

#include "connection.h"
#include "frame.h"
#include "item.h"
#include "keeper.h"
#include "netqueue.h"
#include "stream.h"
#include "tracker.h"

struct token_batch;

enum session_state {
    SESSION_DOWN,
    SESSION_GREETING, // connected, HELLO is to be sent
    SESSION_GREETED,  // HELLO is sent
    SESSION_UP,
};

#define MEMORY_AGAIN_MS 20u // what there was no memory for is tried again after so long
#define AWAY_MS 1000u       // nobody looked for so long: silence until now says nothing about the broker

struct session {
    enum session_state state;
    uint8_t id[NQ_SESSION_ID_BYTES];
    uint8_t resume_token[NQ_RESUME_TOKEN_BYTES];
    size_t resume_token_len;
    uint8_t store_id[NQ_STORE_ID_BYTES];
    bool store_known;
    struct wire_limits limits;
    uint64_t hello_id;
    uint64_t heard_ms;      // the last sign of life of the broker
    bool forgiven;          // a silence since then is not held against it: nobody looked
    uint64_t sent_ms;       // the last frame to it
    uint64_t opened_ms;     // when the present endpoint was tried first
    bool refused;           // it has said that it cannot be reached, or will not have us
    uint32_t tried;         // endpoints in vain since a session was up
    uint64_t not_before_ms; // HELLO was refused, or there was no memory for it: not again before
    size_t server;          // index of the present endpoint
};

struct queue_stream {
    struct stream stream;
    struct queue_stream *older, *newer; // by use
    uint32_t lane;
    char queue[NQ_NAME_BYTES_MAX + 1];
};

struct completion_entry;

struct nq_client {
    struct connection_keys *keys; // NULL: none
    struct connection *connection;
    struct keeper *keeper; // NULL until there is a lease or a wait
    struct tracker tracker;
    struct session session;
    struct frame_pool frames;
    struct nq_arena *scratch; // for one outgoing frame
    uint64_t now_ms;          // of the present step
    uint64_t again_ms;        // what there was no memory for is tried again then; UINT64_MAX: nothing waits for that
    uint64_t tick_ms;         // connection_tick_ms then

    char **servers;
    size_t servers_count;
    uint64_t timeout_ms;
    uint32_t workers;
    char name[NQ_CLIENT_NAME_BYTES_MAX + 1];

    struct answer *answers; // all of which items are left
    size_t leased_count;    // of them: those whose items are on lease
    uint64_t lease_ms_min;
    struct answer *reports; // answers of which items were taken since the last frame
    size_t reports_count;
    struct token_batch *returns; // items given up, to be sent with the next frame
    void *streams;               // a tree of struct queue_stream (search.h)
    size_t streams_count;
    struct queue_stream *streams_oldest;
    struct queue_stream *streams_newest; // by use
    struct nq_consumer *consumers;       // their gathered dones travel along with whatever is sent

    struct completion_entry *completions_first, *completions_last;
    size_t background; // requests in the tracker that nobody waits for inside the library

    atomic_bool interrupted;
    bool woken;            // the descriptor has been made readable already
    char refusal[128];     // why the broker would not have us
    uint64_t limit_met_ms; // when a request was ended last because no frame may be as large as it is
    char error[256];
    enum nq_status error_status;
};

// ---------------------------------------------------------------------------------------------------------- client.c

// Keeps a line for nq_error_text and returns the status.
enum nq_status client_fail(struct nq_client *client, enum nq_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// What can be said beyond the status; empty: nothing.
void client_detail(const struct nq_client *client, enum nq_status status, const struct wire_reply *reply, char *out, size_t size);
// "put to 'q': the queue is full: detail"
enum nq_status client_fail_on(struct nq_client *client, enum nq_status status, const char *what, const char *queue,
                              const struct wire_reply *reply);
enum nq_status client_check_queue(struct nq_client *client, const char *queue);
struct nq_bytes bytes_of(const char *text); // NULL: empty

// --------------------------------------------------------------------------------------------------------- session.c

void session_start(struct nq_client *client);
// Take in what has arrived, do what is due, send what can be sent. Never waits.
void client_step(struct nq_client *client);
// Only send.
void client_send(struct nq_client *client);
// There was no memory for something that is to be sent: there will be another step soon.
void client_try_again(struct nq_client *client);
uint64_t client_next_deadline_ms(const struct nq_client *client); // UINT64_MAX: none
void session_goodbye(struct nq_client *client, uint64_t wait_ms);
// There was no memory to hand over what has come on lease, or to give it back: HELLO does not name it, and the broker takes it back.
void session_disown(struct nq_client *client);

// Starts or stops signs of life. Each step does; so does what hands over items after the last one: the application works on them now.
void session_update_keeper(struct nq_client *client);

bool session_send_packed(struct nq_client *client, const struct wire_request_frame *frame);

// ----------------------------------------------------------------------------------------------------------- hello.c

bool session_send_hello(struct nq_client *client); // false: there was no memory, or no room
void session_take_hello_reply(struct nq_client *client, const struct wire_reply *reply);
void session_refused(struct nq_client *client, enum nq_status status); // all that is unanswered ends with it
void session_tell_keeper(struct nq_client *client);                    // who we are

// ------------------------------------------------------------------------------------------------------------ wait.c

enum wait_kind { WAIT_INTERRUPTIBLE, WAIT_THROUGH };
// Steps until ready(user) is true (NQ_OK), until_ms is over (NQ_TIMED_OUT) or nq_interrupt is called (NQ_INTERRUPTED).
enum nq_status client_wait(struct nq_client *client, bool (*ready)(void *user), void *user, uint64_t until_ms, enum wait_kind kind);
uint64_t client_until(struct nq_client *client, uint64_t wait_ms); // the time that is wait_ms from now

// One request of a function that returns when it is answered.
struct call {
    bool ended;
    bool resent;
    enum nq_status status;
    uint64_t accepted;       // of a put
    struct wire_reply reply; // when frame is not NULL
    struct frame *frame;     // held until call_end
};

// Takes the request. NQ_INTERRUPTED: it is gone and has had no effect; if it could not be prevented any more, it is waited for: a put to
// its end, what else has effects for a moment, and then it is NQ_OUTCOME_UNKNOWN.
enum nq_status call_run(struct nq_client *client, struct request *request, struct call *call, enum wait_kind kind);
void call_end(struct nq_client *client, struct call *call);

// Adds a request that nobody waits for inside the library.
void client_add_background(struct nq_client *client, struct request *request);
void client_wake(struct nq_client *client); // makes nq_client_fd readable, once

// ------------------------------------------------------------------------------------------------------ put.c, get.c

struct stream *client_stream(struct nq_client *client, const char *queue, uint32_t lane); // NULL: out of memory
void client_forget_streams(struct nq_client *client);
size_t put_body_size(const struct nq_body *body); // about its bytes in a frame
// A put of bodies borrowed or (copy) copied. Errors (said in nq_error_text): TOO_LARGE, BAD_REQUEST, NO_MEMORY.
enum nq_status put_request(struct nq_client *client, const char *queue, const struct nq_body *bodies, size_t count,
                           const struct nq_put_options *options, bool copy, struct request **out);
struct request *get_request(const char *queue, size_t max, const struct nq_get_options *options, bool keep_name);
void get_abandon(struct nq_client *client, struct request *request); // nobody wants its items any more
void get_return_items(struct nq_client *client, const struct wire_reply *reply, struct frame *frame, struct nq_bytes queue,
                      uint64_t id);
struct request *cancel_request(uint64_t id);

// ---------------------------------------------------------------------------------------------------------- queues.c

void queue_stats_copy(struct nq_queue_stats *out, const struct wire_queue_stats *in);
// A declare or update. NULL: out of memory, said. Names are borrowed, or (copy) kept with the request.
struct request *declare_request(struct nq_client *client, const char *queue, const struct nq_queue_options *options,
                                uint64_t initial, bool update, bool copy);

// ----------------------------------------------------------------------------------------------------------- async.c

// Starts a request that ends with a completion. Takes it, NULL too. 0: out of memory, said.
uint64_t async_start(struct nq_client *client, struct request *request, void *user);

// ---------------------------------------------------------------------------------------------------- the handles

void consumer_contribute(struct nq_consumer *self); // add gathered dones to what is sent next
struct nq_consumer *consumer_next(struct nq_consumer *consumer);
void completions_free(struct nq_client *client);
void async_drop(struct request *request); // frees what a started request keeps for its completion
