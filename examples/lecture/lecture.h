// What the listings in C share: a client for each thread, threads and processes by role, lines that are not torn.
#pragma once
#include <netqueue.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LECTURE_TEXT_BYTES 128

// One role of a listing, as a thread or a process of its own. `name` is what it calls itself.
struct role {
    void (*run)(struct nq_client *client, const char *name, long number);
    const char *name;
    long number;
};

struct nq_client *lecture_client(void);                              // ends the program when there is none
void lecture_check(struct nq_client *client, enum nq_status status); // ends the program with a line when it is not NQ_OK
void lecture_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void lecture_pause_ms(long ms);

// Start all and wait for all; each has a client of its own.
void lecture_threads(struct role *roles, size_t count);
void lecture_processes(struct role *roles, size_t count);
pid_t lecture_start_process(struct role *role);
void lecture_join_process(pid_t pid);

// A name that no other run of the program uses; static storage, call it before threads and processes start.
const char *lecture_queue_name(void);
void lecture_put(struct nq_client *client, const char *queue, const char *format, ...) __attribute__((format(printf, 3, 4)));
// The next item's text; false: the queue is shut down and drained, or (wait_ms over) empty. The item is done.
bool lecture_get(struct nq_client *client, const char *queue, uint64_t wait_ms, char text[LECTURE_TEXT_BYTES]);
// The same, on lease.
struct nq_item *lecture_get_item(struct nq_client *client, const char *queue, char text[LECTURE_TEXT_BYTES]);

// How many bytes the page at http://HOST:PORT/PATH has; ends the program when it cannot be had.
long lecture_fetch(const char *url);
