#include "schedule.h"

#define NS 1e9
enum { LEAD_WINDOWS = 10, LEAD_ITEMS = 1000, LEAD_BYTES = 256 * 1024 * 1024 };

uint64_t schedule_due_ns(const struct schedule *self, uint64_t producer, uint64_t k)
{
    double place = (double)(k * self->producers + producer);
    return self->start_ns + (uint64_t)(place * NS / self->rate);
}

uint64_t schedule_due_count(const struct schedule *self, uint64_t until_ns)
{
    if (until_ns <= self->start_ns) {
        return 0;
    }
    double places = (double)(until_ns - self->start_ns) * self->rate / NS;
    uint64_t whole = (uint64_t)places;
    return (double)whole < places ? whole + 1 : whole; // the first is due at the start itself
}

uint64_t share_of(uint64_t total, uint64_t parts, uint64_t index)
{
    return total / parts + (index < total % parts ? 1 : 0);
}

uint64_t thread_queue_count(uint64_t queues, uint64_t threads, uint64_t thread)
{
    return queues <= threads ? 1 : share_of(queues, threads, thread);
}

uint64_t thread_queue(uint64_t queues, uint64_t threads, uint64_t thread, uint64_t k)
{
    return (thread + k * threads) % queues;
}

uint64_t lead_max(uint64_t window, uint64_t threads, uint64_t item_bytes)
{
    uint64_t items = LEAD_WINDOWS * window * threads + LEAD_ITEMS;
    uint64_t fitting = LEAD_BYTES / (item_bytes > 0 ? item_bytes : 1);
    uint64_t least = 2 * threads; // each has one on its way and one more
    fitting = fitting > least ? fitting : least;
    return items < fitting ? items : fitting;
}
