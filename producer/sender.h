// One producer: a thread with a client of its own that puts the chunks of its mailbox, in their order.
#pragma once
#include <stdatomic.h>

#include "mailbox.h"
#include "producer.h"
#include "signals.h"

struct sender {
    const struct producer_options *options;
    struct mailbox mailbox;
    struct nq_client *client;
    struct cli_listener listener;
    pthread_t thread;
    bool is_running;                 // the thread is to be joined
    char name[96];                   // in --notify
    struct nq_header_field *headers; // of one item: its own and those of the command line
    size_t headers_capacity;

    struct nq_producer *handle;
    uint64_t handle_delay_ms;
    uint64_t handle_first;                    // local index of the handle's first item
    uint64_t put_count;                       // local index of the next item
    struct chunk *unsettled, *unsettled_last; // put, not all confirmed
    uint64_t deadline_ms;                     // after a signal; 0: none

    atomic_uint_fast64_t confirmed; // read by the main thread, too
    atomic_bool ended;
    // The first failure. Read by the main thread when the sender has ended.
    enum nq_status status;
    char error[300];
    uint64_t failed_item; // in the input, from 0; UINT64_MAX: not about one item
    uint64_t unknown;     // items that may be stored or not
};

// Takes the client in every case. `number`: from 1.
bool sender_start(struct sender *sender, const struct producer_options *options, struct nq_client *client, unsigned number,
                  int room_fd);
void sender_join(struct sender *sender); // wait for its end
void sender_fini(struct sender *sender);

// ---- settle.c, for sender.c
void sender_settle(struct sender *sender); // take note of what is confirmed: tell of it, free it
uint64_t sender_input_index(const struct sender *sender, uint64_t local_index); // UINT64_MAX: not known any more
// False: the sender has failed or must stop.
bool sender_work(struct sender *sender, bool until_mail); // send and take in what there is, then wait for more to do
bool sender_settle_all(struct sender *sender);            // until all that was put is confirmed
void sender_fail(struct sender *sender, enum nq_status status, const char *text, uint64_t local_index);
bool sender_must_stop(struct sender *sender); // a second signal, or the grace after the first is over
