// Chunks from the main thread to one sender, a few at most.
#pragma once
#include <pthread.h>
#include <stdbool.h>

#include "chunk.h"

struct mailbox {
    pthread_mutex_t lock;
    struct chunk *first, *last;
    unsigned count;
    bool closed;
    int arrived_fd; // eventfd of this sender: something came, or it was closed
    int room_fd;    // eventfd of all senders, borrowed: one was taken
};

bool mailbox_init(struct mailbox *mailbox, int room_fd);
void mailbox_fini(struct mailbox *mailbox);
bool mailbox_put(struct mailbox *mailbox, struct chunk *chunk); // false: full, the chunk stays the caller's
void mailbox_close(struct mailbox *mailbox);
// The next chunk. NULL: none yet, or (*over) none any more.
struct chunk *mailbox_take(struct mailbox *mailbox, bool *over);

void event_set(int fd);
void event_clear(int fd);
