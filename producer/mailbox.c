#include "mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

enum { CHUNKS_MAX = 4 };

void event_set(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof(one));
    (void)written; // full is set
}

void event_clear(int fd)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof(count));
    (void)got;
}

bool mailbox_init(struct mailbox *mailbox, int room_fd)
{
    *mailbox = (struct mailbox){.room_fd = room_fd};
    pthread_mutex_init(&mailbox->lock, NULL);
    mailbox->arrived_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return mailbox->arrived_fd >= 0;
}

void mailbox_fini(struct mailbox *mailbox)
{
    while (mailbox->first != NULL) {
        struct chunk *chunk = mailbox->first;
        mailbox->first = chunk->next;
        chunk_destroy(&chunk);
    }
    if (mailbox->arrived_fd >= 0) {
        close(mailbox->arrived_fd);
    }
    pthread_mutex_destroy(&mailbox->lock);
}

bool mailbox_put(struct mailbox *mailbox, struct chunk *chunk)
{
    pthread_mutex_lock(&mailbox->lock);
    bool ok = mailbox->count < CHUNKS_MAX;
    if (ok) {
        chunk->next = NULL;
        *(mailbox->first == NULL ? &mailbox->first : &mailbox->last->next) = chunk;
        mailbox->last = chunk;
        mailbox->count++;
    }
    pthread_mutex_unlock(&mailbox->lock);
    if (ok) {
        event_set(mailbox->arrived_fd);
    }
    return ok;
}

void mailbox_close(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    mailbox->closed = true;
    pthread_mutex_unlock(&mailbox->lock);
    event_set(mailbox->arrived_fd);
}

struct chunk *mailbox_take(struct mailbox *mailbox, bool *over)
{
    event_clear(mailbox->arrived_fd);
    pthread_mutex_lock(&mailbox->lock);
    struct chunk *chunk = mailbox->first;
    if (chunk != NULL) {
        mailbox->first = chunk->next;
        mailbox->count--;
    }
    *over = chunk == NULL && mailbox->closed;
    pthread_mutex_unlock(&mailbox->lock);
    if (chunk != NULL) {
        event_set(mailbox->room_fd);
    }
    return chunk;
}
