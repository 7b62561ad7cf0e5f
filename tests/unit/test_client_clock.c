// A clock that jumps: the process was stopped, or the host slept. What nobody looked for meanwhile has not failed to come.
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "client.h"
#include "test_client_fixture.h"

static _Atomic int64_t ahead_s;      // of the library's clock; all others are as they are
static _Thread_local int looks_left; // of this thread at that clock, until an hour has passed; 0: none does
static struct timespec stopped_at;
static atomic_bool stopped;

int __real_clock_gettime(clockid_t which, struct timespec *out);
int __wrap_clock_gettime(clockid_t which, struct timespec *out);

int __wrap_clock_gettime(clockid_t which, struct timespec *out)
{
    int result = __real_clock_gettime(which, out);
    if (which == CLOCK_BOOTTIME && looks_left > 0 && --looks_left == 0) {
        (void)atomic_fetch_add(&ahead_s, 3600);
    }
    out->tv_sec += which == CLOCK_BOOTTIME ? atomic_load(&ahead_s) : 0;
    if (which == CLOCK_BOOTTIME && atomic_load(&stopped)) {
        *out = stopped_at;
    }
    return result;
}

static void an_hour_passes(void)
{
    (void)atomic_fetch_add(&ahead_s, 3600);
}

// No wait of the library ends for its time any more, however slow the machine is.
static void time_stops(void)
{
    (void)clock_gettime(CLOCK_BOOTTIME, &stopped_at);
    atomic_store(&stopped, true);
}

static bool is_asked(const struct fake_counts *counts)
{
    return counts->gets == 1;
}

static bool is_renewed(const struct fake_counts *counts)
{
    return counts->renews > 0;
}

static void *get_one(void *argument)
{
    struct rig *rig = argument;
    struct nq_item *item;
    enum nq_status status = nq_get(rig->client, "q", NULL, &item);
    if (status == NQ_OK) {
        status = nq_task_done(rig->client, &item);
    }
    return (void *)(uintptr_t)status;
}

Test(clock, a_wait_goes_on_when_the_host_has_stood_still)
{
    struct rig rig = rig_make();
    pthread_t thread;
    void *status;
    cr_assert_eq(pthread_create(&thread, NULL, get_one, &rig), 0);
    cr_assert(rig_wait(&rig, "q", is_asked));
    an_hour_passes();
    connection_wake(rig.client->connection);
    cr_assert(rig_wait(&rig, "q", is_renewed), "the broker is not asked whether it is there");
    struct nq_client *other;
    const char *servers[] = {fake_broker_endpoint(rig.broker)};
    struct nq_client_options options = {.servers = servers, .servers_count = 1};
    cr_assert_eq(nq_client_create(&options, &other, NULL), NQ_OK);
    cr_assert_eq(nq_put(other, "q", "a", 1, NULL, NULL), NQ_OK);
    cr_assert_eq(pthread_join(thread, &status), 0);
    cr_assert_eq((uintptr_t)status, NQ_OK);
    nq_client_destroy(&other);
    rig_end(&rig);
}

Test(clock, a_call_goes_on_wherever_in_it_the_host_has_stood_still)
{
    struct rig rig = rig_make();
    struct nq_get_options soon = {.wait_ms = 10};
    struct nq_item *item;
    for (int looks = 1; looks <= 20; looks++) {
        looks_left = looks;
        cr_assert_eq(nq_get(rig.client, "q", &soon, &item), NQ_EMPTY, "at look %d: %s", looks, nq_error_text(rig.client));
    }
    rig_end(&rig);
}

static uint64_t start_get(struct rig *rig)
{
    uint64_t request = nq_start_get(rig->client, "q", 1, NULL, NULL);
    cr_assert_neq(request, 0);
    while (fake_broker_counts(rig->broker, "q").gets == 0) {
        cr_assert_eq(nq_client_process(rig->client), NQ_OK);
    }
    return request;
}

Test(clock, a_started_get_goes_on_when_the_process_has_stood_still)
{
    struct rig rig = rig_make();
    struct nq_completion completion;
    start_get(&rig);
    an_hour_passes();
    cr_assert_eq(nq_client_process(rig.client), NQ_OK);
    cr_assert_eq(nq_next_completion(rig.client, &completion), NQ_EMPTY, "%s", nq_error_text(rig.client));
    rig_end(&rig);
}

// It is asked once whether it is there. Who then looks late again has still got no answer.
Test(clock, a_silent_broker_is_unreachable_however_seldom_one_looks)
{
    struct rig rig = rig_make();
    struct nq_completion completion;
    uint64_t request = start_get(&rig);
    fake_broker_pause(rig.broker, true);
    an_hour_passes();
    cr_assert_eq(nq_client_process(rig.client), NQ_OK);
    an_hour_passes();
    cr_assert_eq(nq_client_process(rig.client), NQ_OK);
    cr_assert_eq(nq_next_completion(rig.client, &completion), NQ_OK);
    cr_assert_eq(completion.request, request);
    cr_assert_eq(completion.status, NQ_UNREACHABLE);
    fake_broker_pause(rig.broker, false);
    rig_end(&rig);
}

// Whoever starts something now and then was not away: the first may not wait for its answer for as long as that goes on.
Test(clock, a_silent_broker_is_unreachable_however_often_something_is_started)
{
    struct rig rig = rig_make();
    struct nq_completion completion;
    uint64_t request = start_get(&rig);
    enum nq_status status = NQ_OK;
    fake_broker_pause(rig.broker, true);
    for (int i = 0; i < 30 && status == NQ_OK; i++) { // a minute; the broker may be away for ten seconds
        (void)atomic_fetch_add(&ahead_s, 2);
        cr_assert_neq(nq_start_get(rig.client, "q", 1, NULL, NULL), 0);
        cr_assert_eq(nq_client_process(rig.client), NQ_OK);
        while (nq_next_completion(rig.client, &completion) == NQ_OK) {
            status = completion.request == request ? completion.status : status;
        }
    }
    cr_assert_eq(status, NQ_UNREACHABLE);
    fake_broker_pause(rig.broker, false);
    rig_end(&rig);
}

// It has been looked for all the time, but nobody has asked for anything: the connection is as good as ever, and a purge is sent once.
Test(clock, a_broker_that_was_not_asked_has_not_been_silent)
{
    struct rig rig = rig_make_with(3600000);
    struct nq_completion completion;
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    an_hour_passes();
    cr_assert_eq(nq_client_process(rig.client), NQ_OK);
    fake_broker_pause(rig.broker, true);
    cr_assert_neq(nq_start_purge(rig.client, "q", NULL), 0);
    cr_assert_eq(nq_client_process(rig.client), NQ_OK); // it is sent
    cr_assert_eq(nq_client_process(rig.client), NQ_OK);
    fake_broker_pause(rig.broker, false);
    cr_assert_eq(nq_wait_completion(rig.client, NQ_WAIT_FOREVER, &completion), NQ_OK);
    cr_assert_eq(completion.status, NQ_OK, "%s", nq_error_text(rig.client));
    cr_assert_eq(fake_broker_counts(rig.broker, "q").hellos, 1);
    rig_end(&rig);
}

// What has come in spite of the interrupt is done already: nobody else will get it.
Test(clock, a_handle_hands_over_what_was_got_at_most_once_when_it_was_interrupted)
{
    struct rig rig = rig_make();
    struct nq_consumer_options options;
    struct nq_consumer *consumer;
    struct nq_item *item;
    nq_consumer_options_init(&options);
    options.at_most_once = true;
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    cr_assert_eq(nq_consumer_open(rig.client, "q", &options, &consumer), NQ_OK);
    time_stops();
    nq_interrupt(rig.client);
    cr_assert_eq(nq_consumer_get(consumer, NQ_WAIT_FOREVER, &item), NQ_OK);
    cr_assert(item_is(item, "a"));
    cr_assert_eq(nq_consumer_done(consumer, &item), NQ_OK);
    cr_assert_eq(nq_consumer_close(&consumer, NQ_WAIT_FOREVER), NQ_OK);
    atomic_store(&stopped, false);
    rig_end(&rig);
}
