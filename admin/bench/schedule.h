// When an item is due, and who puts it; pure. Item k of producer p among P is item k * P + p of all.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct schedule {
    uint64_t start_ns;
    double rate; // items a second over all producers; above 0
    uint64_t producers;
};

// The time at which the k-th item (from 0) of a producer is to be put.
uint64_t schedule_due_ns(const struct schedule *self, uint64_t producer, uint64_t k);
// How many items of all producers are due before that time.
uint64_t schedule_due_count(const struct schedule *self, uint64_t until_ns);

// `total` in `parts`, as even as can be: how many the part with this index gets.
uint64_t share_of(uint64_t total, uint64_t parts, uint64_t index);

// Of `queues`, thread `thread` of `threads` has: the k-th of its queues, and how many. Each queue has a thread, each thread a queue.
uint64_t thread_queue_count(uint64_t queues, uint64_t threads, uint64_t thread);
uint64_t thread_queue(uint64_t queues, uint64_t threads, uint64_t thread, uint64_t k);

// How far puts may run ahead of gets, in items: as a queue of this maxsize and max_bytes would let them.
uint64_t lead_max(uint64_t window, uint64_t threads, uint64_t item_bytes);
