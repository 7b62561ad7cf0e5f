// From the input to the senders, in turn, at the rate asked for.
#pragma once
#include "input.h"
#include "sender.h"

struct dealer {
    const struct producer_options *options;
    struct input *input;
    struct sender *senders;
    size_t senders_count;
    int room_fd;
    struct cli_listener listener; // of the main thread
    size_t next_sender;
    uint64_t chunks, items; // dealt; items includes those in `chunk`
    struct chunk *chunk;    // being filled
    uint64_t started_ms, shown_ms;
    bool shows_progress;
    bool input_failed; // input->error
};

// Returns when the input is over, a signal has come or a sender has failed. Closes the mailboxes.
void deal_all(struct dealer *dealer);
void deal_wait(struct dealer *dealer); // until all senders have ended
uint64_t deal_confirmed(const struct dealer *dealer);
