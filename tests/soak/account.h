// The account of the soak's load: what its putters and getters were told. All of them share one file that is mapped into memory, so
// what one has noted outlives its kill -9. Knows nothing of the library or the broker.
//
// Every item has a place of its own in the account. A putter process is one run; its items are numbered from 0 in the order in which they
// are put, and their places come from chunks that it takes as it goes.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"

enum { CHUNK_ITEMS = 16384, RUNS_MAX = 65536, WORKERS_MAX = 16, LATENCIES = 2 };
enum latency { LATENCY_PUT, LATENCY_PUT_TO_GET }; // put to confirmation; put to delivery

// What is known of an item: bits, and below them the ticket of the moment at which its task_done had been answered (0: it has not).
#define ITEM_FRESH (1u << 31)     // it came without the flag "redelivered"
#define ITEM_DELIVERED (1u << 30) // it came
#define ITEM_FINISHING (1u << 29) // task_done was sent
#define ITEM_TICKET (ITEM_FINISHING - 1)

struct run {
    _Atomic uint64_t sent;     // items handed to the library
    _Atomic uint64_t accepted; // of these, from the first on, answered
};

struct chunk {
    uint64_t first; // number, within its run, of the item at its first place
    uint32_t run;
    uint32_t used; // 0: taken by a process that died before it said so
};

// One process at a time counts here; when it dies its successor goes on.
struct worker {
    uint64_t got, done, again, leases_lost;
    uint64_t latency[LATENCIES][HISTOGRAM_COUNTERS];
};

struct account {
    uint64_t layout; // as this program has it, else it is no account
    uint64_t items_max;
    _Atomic uint64_t chunks_used, runs_used;
    _Atomic uint32_t ticket; // rises with each answer to task_done
    struct run runs[RUNS_MAX];
    struct worker workers[WORKERS_MAX];
    uint64_t sampled[LATENCIES][HISTOGRAM_COUNTERS]; // as of the last report_sample
};

// A new file of at most 4 bytes an item and some MiB. False: errno says why.
bool account_create(const char *path, uint64_t items_max);
// Stays mapped until the process ends. NULL: it is none, or errno says why.
struct account *account_open(const char *path);
struct chunk *account_chunk(struct account *self, uint64_t chunk);
_Atomic uint32_t *account_item(struct account *self, uint64_t place);
// The first place of a chunk of its own for this run's items from `first` on; UINT64_MAX: the account is full.
uint64_t account_take_chunk(struct account *self, uint32_t run, uint64_t first);
uint64_t account_sent(struct account *self);
uint64_t account_got(const struct account *self);
