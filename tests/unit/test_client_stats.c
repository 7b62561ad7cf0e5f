// The numbers of a queue, from the broker's reply to the caller's struct: written out field by field there, so none may be forgotten.
#include <criterion/criterion.h>
#include <stddef.h>

#include "client.h"

#define PAIR(field)                                                                                                                \
    {                                                                                                                              \
#field, offsetof(struct nq_queue_stats, field), offsetof(struct wire_queue_stats, field)                                   \
    }

struct pair {
    const char *name;
    size_t out, in;
};

static const struct pair numbers[] = {
    PAIR(queue_id),
    PAIR(ready),
    PAIR(delayed),
    PAIR(leased),
    PAIR(unfinished),
    PAIR(ready_bytes),
    PAIR(next_seq),
    PAIR(puts),
    PAIR(gets),
    PAIR(dones),
    PAIR(redelivered),
    PAIR(requeued),
    PAIR(failed),
    PAIR(expired),
    PAIR(purged),
    PAIR(dropped),
    PAIR(dead_lettered),
    PAIR(quarantined),
    PAIR(options.ttl_ms),
    PAIR(options.maxsize),
    PAIR(options.lease_ms),
    PAIR(options.max_bytes),
    PAIR(options.hold_max_ms),
};

static const struct pair small_numbers[] = {
    PAIR(waiting_gets), PAIR(waiting_puts), PAIR(waiting_joins), PAIR(consumers), PAIR(options.given), PAIR(options.max_deliveries),
};

enum { NUMBERS = sizeof(numbers) / sizeof(numbers[0]), SMALL_NUMBERS = sizeof(small_numbers) / sizeof(small_numbers[0]) };

Test(client_stats, each_number_of_a_queue_reaches_its_caller)
{
    struct wire_queue_stats in = {.name = {4, (const uint8_t *)"jobs"}, .state = 2};
    in.options.dead_letter = (struct nq_bytes){3, (const uint8_t *)"bad"};
    in.options.temporary = true;
    for (size_t i = 0; i < NUMBERS; i++) {
        *(uint64_t *)(void *)((char *)&in + numbers[i].in) = UINT64_MAX - i;
    }
    for (size_t i = 0; i < SMALL_NUMBERS; i++) {
        *(uint32_t *)(void *)((char *)&in + small_numbers[i].in) = UINT32_MAX - (uint32_t)i;
    }
    struct nq_queue_stats out;
    queue_stats_copy(&out, &in);
    for (size_t i = 0; i < NUMBERS; i++) {
        cr_expect_eq(*(uint64_t *)(void *)((char *)&out + numbers[i].out), UINT64_MAX - i, "%s", numbers[i].name);
    }
    for (size_t i = 0; i < SMALL_NUMBERS; i++) {
        cr_expect_eq(*(uint32_t *)(void *)((char *)&out + small_numbers[i].out), UINT32_MAX - (uint32_t)i, "%s",
                     small_numbers[i].name);
    }
    cr_expect_str_eq(out.name, "jobs");
    cr_expect_str_eq(out.options.dead_letter, "bad");
    cr_expect(out.options.temporary);
    cr_expect_eq(out.state, 2);
}
