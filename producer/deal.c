#include "deal.h"

#include <inttypes.h>
#include <poll.h>

enum { CHUNK_ITEMS = 1000, CHUNK_BYTES = 256 * 1024, PROGRESS_MS = 250 };

static bool must_end(const struct dealer *dealer)
{
    bool ended = cli_signals_count() > 0;
    for (size_t i = 0; i < dealer->senders_count; i++) {
        ended = ended || atomic_load(&dealer->senders[i].ended);
    }
    return ended;
}

uint64_t deal_confirmed(const struct dealer *dealer)
{
    uint64_t confirmed = 0;
    for (size_t i = 0; i < dealer->senders_count; i++) {
        confirmed += atomic_load(&dealer->senders[i].confirmed);
    }
    return confirmed;
}

static void show_progress(struct dealer *dealer)
{
    uint64_t now_ms = cli_now_ms();
    if (dealer->shows_progress && now_ms - dealer->shown_ms >= PROGRESS_MS) {
        dealer->shown_ms = now_ms;
        cli_progress("%" PRIu64 " items taken, %" PRIu64 " stored", dealer->items, deal_confirmed(dealer));
    }
}

// Wait for the descriptor (-1: none), a signal or a sender, at most so long (-1: without end).
static void wait_for(struct dealer *dealer, int fd, int wait_ms)
{
    if (dealer->shows_progress && (wait_ms < 0 || wait_ms > PROGRESS_MS)) {
        wait_ms = PROGRESS_MS;
    }
    struct pollfd waits[3] = {
        {.fd = fd, .events = POLLIN}, {.fd = dealer->listener.fd, .events = POLLIN}, {.fd = dealer->room_fd, .events = POLLIN}};
    poll(waits, 3, wait_ms);
    cli_listener_clear(&dealer->listener);
    event_clear(dealer->room_fd);
    show_progress(dealer);
}

static bool any_takes(struct dealer *dealer, struct chunk *chunk)
{
    for (size_t i = 0; i < dealer->senders_count; i++) {
        struct sender *sender = &dealer->senders[(dealer->next_sender + i) % dealer->senders_count];
        if (!atomic_load(&sender->ended) && mailbox_put(&sender->mailbox, chunk)) {
            dealer->next_sender = (dealer->next_sender + i + 1) % dealer->senders_count;
            return true;
        }
    }
    return false;
}

static bool any_lives(const struct dealer *dealer)
{
    for (size_t i = 0; i < dealer->senders_count; i++) {
        if (!atomic_load(&dealer->senders[i].ended)) {
            return true;
        }
    }
    return false;
}

// What has been read is dealt even after a signal: it is the senders' to store or to give up.
static void deal_chunk(struct dealer *dealer)
{
    if (dealer->chunk == NULL || dealer->chunk->count == 0) {
        return;
    }
    while (!any_takes(dealer, dealer->chunk)) {
        if (!any_lives(dealer)) {
            chunk_destroy(&dealer->chunk);
            return;
        }
        wait_for(dealer, -1, -1);
    }
    dealer->chunk = NULL;
    dealer->chunks++;
}

// Several senders get small chunks at first: few items are to be shared, too.
static size_t chunk_items_max(const struct dealer *dealer)
{
    uint64_t round = dealer->chunks / dealer->senders_count;
    return dealer->senders_count == 1 || round >= 10 ? CHUNK_ITEMS : (size_t)1 << round;
}

// How long until the next item may be taken.
static uint64_t rate_wait_ms(const struct dealer *dealer)
{
    if (dealer->options->rate <= 0) {
        return 0;
    }
    double due_ms = (double)dealer->items * 1000 / dealer->options->rate;
    double now_ms = (double)(cli_now_ms() - dealer->started_ms);
    return due_ms > now_ms ? (uint64_t)(due_ms - now_ms) + 1 : 0;
}

static bool ensure_chunk(struct dealer *dealer)
{
    if (dealer->chunk == NULL) {
        dealer->chunk = chunk_create();
        if (dealer->chunk == NULL) {
            input_fail(dealer->input, "out of memory");
            dealer->input_failed = true;
            return false;
        }
        dealer->chunk->first = dealer->items;
    }
    return true;
}

// Take one item. False: the input is over.
static bool take_item(struct dealer *dealer)
{
    if (!ensure_chunk(dealer)) {
        return false;
    }
    switch (dealer->input->next(dealer->input, dealer->chunk)) {
    case INPUT_ITEM:
        dealer->items++;
        if (dealer->chunk->count >= chunk_items_max(dealer) || dealer->chunk->bytes.len >= CHUNK_BYTES) {
            deal_chunk(dealer);
        }
        return true;
    case INPUT_WAIT:
        deal_chunk(dealer); // an item does not wait for the next one
        wait_for(dealer, dealer->input->fd, -1);
        return true;
    case INPUT_FAILED:
        dealer->input_failed = true;
        return false;
    case INPUT_END:
    default:
        return false;
    }
}

void deal_all(struct dealer *dealer)
{
    dealer->started_ms = cli_now_ms();
    bool more = true;
    while (more && !must_end(dealer)) {
        uint64_t wait_ms = rate_wait_ms(dealer);
        if (wait_ms > 0) {
            deal_chunk(dealer);
            wait_for(dealer, -1, wait_ms < 3600000 ? (int)wait_ms : 3600000);
        } else {
            more = take_item(dealer);
        }
    }
    deal_chunk(dealer);
    chunk_destroy(&dealer->chunk);
    for (size_t i = 0; i < dealer->senders_count; i++) {
        mailbox_close(&dealer->senders[i].mailbox);
    }
}

void deal_wait(struct dealer *dealer)
{
    while (any_lives(dealer)) {
        wait_for(dealer, -1, -1);
    }
    for (size_t i = 0; i < dealer->senders_count; i++) {
        sender_join(&dealer->senders[i]);
    }
}
