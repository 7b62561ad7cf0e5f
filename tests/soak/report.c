// What the account says.
#include <inttypes.h>
#include <stdio.h>

#include "load.h"

#define MS 1e6

struct totals {
    uint64_t sent, accepted, got, done, again, leases_lost;
};

static struct totals totals_of(struct account *account)
{
    struct totals totals = {0};
    uint64_t runs = atomic_load(&account->runs_used);
    for (uint64_t i = 0; i < runs && i < RUNS_MAX; i++) {
        totals.accepted += atomic_load(&account->runs[i].accepted);
        totals.sent += atomic_load(&account->runs[i].sent);
    }
    for (unsigned i = 0; i < WORKERS_MAX; i++) {
        const struct worker *worker = &account->workers[i];
        totals.got += worker->got;
        totals.done += worker->done;
        totals.again += worker->again;
        totals.leases_lost += worker->leases_lost;
    }
    return totals;
}

static void print_totals(const struct totals *totals)
{
    printf("\"sent\": %" PRIu64 ", \"accepted\": %" PRIu64 ", \"got\": %" PRIu64 ", \"done\": %" PRIu64 ", \"again\": %" PRIu64
           ", \"leases_lost\": %" PRIu64,
           totals->sent, totals->accepted, totals->got, totals->done, totals->again, totals->leases_lost);
}

// What all workers have counted since the last time.
static bool latency_since(struct account *account, enum latency latency, struct histogram *out)
{
    if (!histogram_init(out)) {
        return false;
    }
    for (unsigned i = 0; i < HISTOGRAM_COUNTERS; i++) {
        uint64_t now = 0;
        for (unsigned worker = 0; worker < WORKERS_MAX; worker++) {
            now += account->workers[worker].latency[latency][i];
        }
        out->counts[i] = now - account->sampled[latency][i];
        out->count += out->counts[i];
        account->sampled[latency][i] = now;
    }
    out->max_ns = HISTOGRAM_NS_MAX; // not known, but by its counter
    return true;
}

int report_sample(struct account *account)
{
    static const char *const names[LATENCIES] = {"put", "put_to_get"};
    const struct totals totals = totals_of(account);
    printf("{");
    print_totals(&totals);
    for (unsigned i = 0; i < LATENCIES; i++) {
        struct histogram since;
        if (!latency_since(account, i, &since)) {
            return load_fail("sample", "out of memory");
        }
        printf(", \"%s\": [%.3f, %.3f, %.3f, %.3f]", names[i], (double)histogram_percentile_ns(&since, 50) / MS,
               (double)histogram_percentile_ns(&since, 99) / MS, (double)histogram_percentile_ns(&since, 99.9) / MS,
               (double)histogram_percentile_ns(&since, 100) / MS);
        histogram_fini(&since);
    }
    printf("}\n");
    return 0;
}

// Of what was accepted: not answered but about to be by a getter that was killed; never finished. Of what nobody knows: came all the same.
struct judgement {
    uint64_t finishing, lost, unanswered_came, stray;
    uint64_t first_lost_run, first_lost_number;
};

static void judge_item(struct judgement *out, struct account *account, const struct chunk *chunk, uint64_t place, uint64_t number)
{
    const struct run *run = &account->runs[chunk->run];
    uint32_t state = atomic_load_explicit(account_item(account, place), memory_order_relaxed);
    if (number >= run->sent) {
        out->stray += state != 0 ? 1 : 0;
    } else if (number >= run->accepted) {
        out->unanswered_came += state != 0 ? 1 : 0;
    } else if ((state & ITEM_TICKET) == 0 && (state & ITEM_FINISHING) != 0) {
        out->finishing++;
    } else if ((state & ITEM_TICKET) == 0 && out->lost++ == 0) {
        out->first_lost_run = chunk->run;
        out->first_lost_number = number;
    }
}

int report_judgement(struct account *account)
{
    const struct totals totals = totals_of(account);
    struct judgement found = {0};
    uint64_t chunks = atomic_load(&account->chunks_used);
    for (uint64_t i = 0; i < chunks; i++) {
        const struct chunk *chunk = account_chunk(account, i);
        for (uint64_t k = 0; chunk->used != 0 && k < CHUNK_ITEMS; k++) {
            judge_item(&found, account, chunk, i * CHUNK_ITEMS + k, chunk->first + k);
        }
    }
    printf("{");
    print_totals(&totals);
    printf(", \"finishing\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"unanswered_came\": %" PRIu64 ", \"stray\": %" PRIu64
           ", \"first_lost\": [%" PRIu64 ", %" PRIu64 "]}\n",
           found.finishing, found.lost, found.unanswered_came, found.stray, found.first_lost_run, found.first_lost_number);
    return 0;
}
