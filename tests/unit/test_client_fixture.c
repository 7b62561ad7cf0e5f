#include "test_client_fixture.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"

struct rig rig_make_with(uint64_t timeout_ms)
{
    struct rig rig = {.broker = fake_broker_start()};
    if (rig.broker == NULL) {
        abort();
    }
    const char *servers[] = {fake_broker_endpoint(rig.broker)};
    struct nq_client_options options = {.servers = servers, .servers_count = 1, .timeout_ms = timeout_ms};
    if (nq_client_create(&options, &rig.client, NULL) != NQ_OK) {
        abort();
    }
    return rig;
}

struct rig rig_make(void)
{
    return rig_make_with(10000);
}

void rig_end(struct rig *rig)
{
    nq_client_destroy(&rig->client);
    fake_broker_stop(&rig->broker);
}

enum nq_status rig_put(struct rig *rig, const char *queue, const char *text)
{
    return nq_put(rig->client, queue, text, strlen(text), NULL, NULL);
}

bool rig_wait(struct rig *rig, const char *queue, bool (*ok)(const struct fake_counts *counts))
{
    uint64_t until_ms = connection_now_ms() + PATIENCE_MS;
    while (connection_now_ms() < until_ms) {
        struct fake_counts counts = fake_broker_counts(rig->broker, queue);
        if (ok(&counts)) {
            return true;
        }
        (void)sched_yield(); // the broker wants the lock, too
    }
    return false;
}

bool item_is(const struct nq_item *item, const char *text)
{
    return item != NULL && nq_item_len(item) == strlen(text) && memcmp(nq_item_body(item), text, strlen(text)) == 0;
}
