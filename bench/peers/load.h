// What the load programs for all peers share: options, threads, windows, a fixed-rate schedule, latencies, and the same JSON as
// `netqueue bench` prints. A peer says how its server puts, gets and finishes; everything that is measured stands in load.c.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker; // one thread with a connection of its own

struct load {
    int port; // on 127.0.0.1
    const char *variant;
    size_t size, window; // window: items on their way at most, in each direction
    unsigned producers, consumers;
    double rate; // items a second of all producers together; 0: as fast as it goes
    double duration, warmup;
    uint64_t count; // end after so many items; 0: after `duration`
};

struct peer {
    const char *name;
    const char *variants; // "list|stream"
    // Make the queue, empty. Called once, before the workers, unless the run only gets.
    void (*prepare)(const struct load *load);
    // A connection of its own for a worker; `index` counts producers and consumers apart.
    void *(*open)(const struct load *load, struct worker *worker, unsigned index, bool consumes);
    // Start `count` puts of worker_body(), each a new body.
    void (*send)(void *connection, size_t count);
    // Wait until `count` more puts are accepted. false: the client library cannot tell, it bounds the window itself.
    bool (*settle)(void *connection, size_t count);
    // Get up to `count` items, waiting 100 ms for the first, and finish them: worker_got for each, worker_done once they are finished.
    // What is left to be finished may travel with the next call.
    void (*take)(void *connection, size_t count);
    void (*close)(void *connection);
};

// Run the program: parse options, run the load, print JSON. Returns the exit code.
int load_main(const struct peer *peer, int argc, char **argv);

// The body of the next item, with its time stamp in front; valid until the next call.
const void *worker_body(struct worker *worker);
size_t worker_body_len(const struct worker *worker);
// An item has arrived.
void worker_got(struct worker *worker, const void *body, size_t len);
// `count` items are finished, as asked for at `asked_ns`; 0: the server does not confirm it.
void worker_done(struct worker *worker, uint64_t asked_ns, size_t count);

uint64_t now_ns(void);
// One line on stderr, exit 1.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
