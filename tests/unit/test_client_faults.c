// Lost answers, broken connections, brokers that have forgotten: nothing is done twice, nothing is lost in silence.
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "client.h"
#include "connection.h"
#include "test_client_fixture.h"
#include "wire_limits.h"

Test(faults, a_put_whose_answer_is_lost_is_stored_once)
{
    struct rig rig = rig_make();
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    fake_broker_disconnect_after(rig.broker, 1);
    cr_assert_eq(rig_put(&rig, "q", "b"), NQ_OK);
    cr_assert_eq(rig_put(&rig, "q", "c"), NQ_OK);
    struct fake_counts counts = fake_broker_counts(rig.broker, "q");
    cr_assert_eq(counts.puts, 3);
    cr_assert_eq(counts.hellos, 2);
    rig_end(&rig);
}

Test(faults, a_get_whose_answer_is_lost_gets_the_same_item)
{
    struct rig rig = rig_make();
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    cr_assert_eq(rig_put(&rig, "q", "b"), NQ_OK);
    fake_broker_disconnect_after(rig.broker, 1);
    struct nq_item *item;
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    cr_assert(item_is(item, "a"));
    cr_assert_eq(nq_item_deliveries(item), 1);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").leased, 1);
    fake_broker_disconnect_after(rig.broker, 1);
    cr_assert_eq(nq_task_done(rig.client, &item), NQ_OK);
    rig_end(&rig);
}

Test(faults, a_requeue_whose_answer_is_lost_is_ok)
{
    struct rig rig = rig_make();
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    struct nq_item *item;
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    fake_broker_disconnect_after(rig.broker, 1);
    cr_assert_eq(nq_requeue(rig.client, &item, NULL), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").ready, 1);
    rig_end(&rig);
}

Test(faults, held_items_stay_held_over_a_reconnect)
{
    struct rig rig = rig_make();
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    struct nq_item *item;
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    fake_broker_disconnect_after(rig.broker, 1);
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").leased, 1);
    cr_assert_eq(nq_task_done(rig.client, &item), NQ_OK);
    rig_end(&rig);
}

Test(faults, another_store_ends_leases_and_unanswered_puts)
{
    struct rig rig = rig_make();
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    struct nq_item *item;
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    fake_broker_change_store(rig.broker);
    fake_broker_disconnect(rig.broker);
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK);
    cr_assert_eq(nq_task_done(rig.client, &item), NQ_LEASE_LOST);
    cr_assert_null(item);
    cr_assert_eq(rig_put(&rig, "q", "b"), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 1);
    rig_end(&rig);
}

static void *change_store(void *argument)
{
    struct rig *rig = argument;
    while (fake_broker_counts(rig->broker, "q").puts < 2) {
    }
    fake_broker_change_store(rig->broker);
    fake_broker_disconnect(rig->broker);
    return NULL;
}

Test(faults, a_put_that_was_on_its_way_to_another_store_has_an_unknown_outcome)
{
    struct rig rig = rig_make();
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    fake_broker_drop_answers(rig.broker, 1);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, change_store, &rig), 0);
    cr_assert_eq(rig_put(&rig, "q", "b"), NQ_OUTCOME_UNKNOWN);
    (void)pthread_join(thread, NULL);
    rig_end(&rig);
}

struct silence {
    enum nq_status put_before, put, stat, put_after;
};

static struct silence meet_silence(uint64_t timeout_ms)
{
    struct rig rig = rig_make_with(timeout_ms);
    struct nq_queue_stats stats;
    struct silence met = {.put_before = rig_put(&rig, "q", "a")};
    fake_broker_pause(rig.broker, true);
    met.put = rig_put(&rig, "q", "b");
    met.stat = nq_stat(rig.client, "q", &stats);
    fake_broker_pause(rig.broker, false);
    met.put_after = rig_put(&rig, "q", "c"); // on a new stream
    rig_end(&rig);
    return met;
}

// A machine that stands still for as long as a broker may be away makes an unreachable one of any: then with more time.
Test(faults, a_silent_broker_is_unreachable_and_a_put_to_it_unknown)
{
    struct silence met = {0};
    for (uint64_t timeout_ms = 300; timeout_ms < 10000 && (met.put_before != NQ_OK || met.put != NQ_OUTCOME_UNKNOWN ||
                                                           met.stat != NQ_UNREACHABLE || met.put_after != NQ_OK);
         timeout_ms *= 2) {
        met = meet_silence(timeout_ms);
    }
    cr_assert_eq(met.put_before, NQ_OK);
    cr_assert_eq(met.put, NQ_OUTCOME_UNKNOWN);
    cr_assert_eq(met.stat, NQ_UNREACHABLE);
    cr_assert_eq(met.put_after, NQ_OK);
}

Test(faults, a_broker_of_another_version_is_told_at_once)
{
    struct rig rig = rig_make_with(600000);
    fake_broker_speak_version(rig.broker, 2);
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_UNSUPPORTED_VERSION);
    fake_broker_speak_version(rig.broker, NQ_PROTOCOL_VERSION);
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    rig_end(&rig);
}

Test(faults, what_was_sent_before_a_hello_that_is_refused_has_an_unknown_outcome)
{
    struct rig rig = rig_make();
    uint64_t count;
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    fake_broker_disconnect_after(rig.broker, 1);
    fake_broker_refuse(rig.broker, WIRE_HELLO, NQ_LIMIT_REACHED, 1);
    cr_assert_eq(nq_purge(rig.client, "q", &count), NQ_OUTCOME_UNKNOWN);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").done, 1);
    rig_end(&rig);
}

Test(faults, a_client_that_waits_for_ever_waits_out_a_busy_broker)
{
    struct rig rig = rig_make_with(NQ_WAIT_FOREVER);
    struct nq_queue_stats stats;
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    fake_broker_refuse(rig.broker, WIRE_STAT, NQ_BUSY, 2);
    cr_assert_eq(nq_stat(rig.client, "q", &stats), NQ_OK);
    rig_end(&rig);
}

Test(faults, a_forgotten_session_is_opened_anew_and_waiting_gets_go_on)
{
    struct rig rig = rig_make();
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK);
    fake_broker_forget_sessions(rig.broker);
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    struct nq_item *item;
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").hellos, 2);
    cr_assert_eq(nq_task_done(rig.client, &item), NQ_OK);
    rig_end(&rig);
}

static bool two_renews(const struct fake_counts *counts)
{
    return counts->renews >= 2;
}

static uint64_t renews_before;

static bool renews_since(const struct fake_counts *counts)
{
    return counts->renews > renews_before;
}

// An item on a lease that is short.
static struct nq_item *get_one(struct rig *rig)
{
    struct nq_item *item;
    fake_broker_set_lease_ms(rig->broker, 150);
    cr_assert_eq(rig_put(rig, "q", "a"), NQ_OK);
    cr_assert_eq(nq_get(rig->client, "q", NULL, &item), NQ_OK);
    return item;
}

Test(faults, the_keeper_renews_short_leases_by_itself)
{
    struct rig rig = rig_make();
    struct nq_item *item = get_one(&rig);
    cr_assert(rig_wait(&rig, "q", two_renews)); // and the application does nothing
    cr_assert_eq(nq_task_done(rig.client, &item), NQ_OK);
    rig_end(&rig);
}

Test(faults, the_keeper_renews_what_came_with_the_next)
{
    struct rig rig = rig_make();
    struct nq_item *item = get_one(&rig);
    enum nq_status done;
    cr_assert(rig_wait(&rig, "q", two_renews));
    cr_assert_eq(rig_put(&rig, "q", "b"), NQ_OK);
    cr_assert_eq(nq_next(rig.client, "q", NULL, &item, &done), NQ_OK);
    renews_before = fake_broker_counts(rig.broker, "q").renews;
    cr_assert(rig_wait(&rig, "q", renews_since));
    nq_item_destroy(&item);
    rig_end(&rig);
}

// A third of it is no time at all.
Test(faults, a_session_timeout_of_a_millisecond_makes_no_flood_of_signs_of_life)
{
    struct rig rig = rig_make();
    struct nq_item *item;
    const struct nq_get_options options = {.wait_ms = 300};
    fake_broker_set_session_timeout_ms(rig.broker, 1);
    uint64_t began_ms = connection_now_ms();
    cr_assert_eq(nq_get(rig.client, "q", &options, &item), NQ_EMPTY);
    uint64_t took_ms = connection_now_ms() - began_ms;
    uint64_t renews = fake_broker_counts(rig.broker, "q").renews;
    cr_assert_leq(renews, took_ms / (NQ_SESSION_TIMEOUT_MS_MIN / 3) + 1, "%d in %d ms", (int)renews, (int)took_ms);
    rig_end(&rig);
}

Test(faults, the_keeper_goes_along_to_another_broker)
{
    struct rig first = {.broker = fake_broker_start()}, second = {.broker = fake_broker_start()};
    const char *servers[] = {fake_broker_endpoint(first.broker), fake_broker_endpoint(second.broker)};
    struct nq_client_options options = {.servers = servers, .servers_count = 2, .timeout_ms = 20000};
    cr_assert_eq(nq_client_create(&options, &first.client, NULL), NQ_OK);
    second.client = first.client;
    struct nq_item *items[2] = {get_one(&first), NULL};
    cr_assert(rig_wait(&first, "q", two_renews));
    fake_broker_stop(&first.broker); // the next RENEW waits for a connection when the client goes to the other one
    while (first.client->session.state ==
           SESSION_UP) { // a put that was sent to the first could not be told from one that it has stored
        cr_assert_eq(nq_client_process(first.client), NQ_OK);
    }
    items[1] = get_one(&second);
    cr_assert(rig_wait(&second, "q", two_renews));
    nq_item_destroy(&items[0]);
    nq_item_destroy(&items[1]);
    rig_end(&second);
}

Test(faults, the_keeper_leaves_a_connection_on_which_nothing_is_answered)
{
    struct rig rig = rig_make();
    struct nq_item *item = get_one(&rig);
    cr_assert(rig_wait(&rig, "q", two_renews));
    fake_broker_forget_connections(rig.broker);
    renews_before = fake_broker_counts(rig.broker, "q").renews;
    cr_assert(rig_wait(&rig, "q", renews_since));
    nq_item_destroy(&item);
    rig_end(&rig);
}

// A host between has forgotten the connection just then: nothing is heard of its end for a quarter of an hour.
Test(faults, a_hello_that_is_not_answered_is_said_again_on_another_connection)
{
    struct rig rig = rig_make_with(600);
    enum nq_status status = NQ_UNREACHABLE;
    fake_broker_delay_hellos(rig.broker, UINT64_MAX);
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_UNREACHABLE);
    fake_broker_delay_hellos(rig.broker, 0);
    for (int i = 0; i < 100 && status == NQ_UNREACHABLE; i++) { // more than enough, also where half of the time nothing runs
        status = nq_ping(rig.client, NULL);
    }
    cr_assert_eq(status, NQ_OK);
    rig_end(&rig);
}

Test(faults, a_slow_link_is_not_left_for_another_endpoint)
{
    struct rig rig = {.broker = fake_broker_start()};
    const char *servers[] = {fake_broker_endpoint(rig.broker), fake_broker_endpoint(rig.broker)};
    struct nq_client_options options = {.servers = servers, .servers_count = 2, .timeout_ms = 10000};
    fake_broker_delay_hellos(rig.broker, 900);
    cr_assert_eq(nq_client_create(&options, &rig.client, NULL), NQ_OK);
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK);
    rig_end(&rig);
}
