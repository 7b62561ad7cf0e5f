// The functions that return when the thing is definite, against a fake broker.
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "test_client_fixture.h"

Test(client, rejects_a_malformed_endpoint)
{
    const char *servers[] = {"nonsense"};
    struct nq_client_options options = {.servers = servers, .servers_count = 1};
    struct nq_client *client;
    const char *why = NULL;
    cr_assert_eq(nq_client_create(&options, &client, &why), NQ_BAD_REQUEST);
    cr_assert_null(client);
    cr_assert_str_eq(why, "server 'nonsense': expected tcp://HOST:PORT or ipc://PATH");
}

Test(client, nobody_there_is_unreachable)
{
    struct fake_broker *broker = fake_broker_start();
    char endpoint[64];
    (void)strcpy(endpoint, fake_broker_endpoint(broker));
    fake_broker_stop(&broker); // nobody listens there any more
    const char *servers[] = {endpoint};
    struct nq_client_options options = {.servers = servers, .servers_count = 1, .timeout_ms = 200};
    struct nq_client *client;
    cr_assert_eq(nq_client_create(&options, &client, NULL), NQ_OK);
    cr_assert_eq(nq_put(client, "q", "x", 1, NULL, NULL), NQ_UNREACHABLE);
    cr_assert_not_null(strstr(nq_error_text(client), endpoint));
    nq_client_destroy(&client);
}

Test(client, finds_the_second_server)
{
    struct fake_broker *dead = fake_broker_start();
    char endpoint[64];
    (void)strcpy(endpoint, fake_broker_endpoint(dead));
    struct fake_broker *broker = fake_broker_start();
    fake_broker_stop(&dead);
    const char *servers[] = {endpoint, fake_broker_endpoint(broker)};
    struct nq_client_options options = {.servers = servers, .servers_count = 2};
    struct nq_client *client;
    cr_assert_eq(nq_client_create(&options, &client, NULL), NQ_OK);
    cr_assert_eq(nq_put(client, "q", "x", 1, NULL, NULL), NQ_OK);
    nq_client_destroy(&client);
    fake_broker_stop(&broker);
}

Test(client, next_finishes_one_item_and_gets_another)
{
    struct rig rig = rig_make();
    struct nq_get_options at_once = {.wait_ms = 0};
    struct nq_item *item = NULL;
    struct nq_item *stale;
    enum nq_status done = NQ_FULL;
    struct nq_queue_stats stats;
    cr_assert_eq(nq_put(rig.client, "q", "one", 3, NULL, NULL), NQ_OK);
    cr_assert_eq(nq_put(rig.client, "q", "two", 3, NULL, NULL), NQ_OK);
    cr_assert_eq(nq_next(rig.client, "q", &at_once, &item, &done), NQ_OK);
    cr_assert_eq(done, NQ_OK, "there was none to finish");
    cr_assert(item_is(item, "one"));
    stale = item;
    cr_assert_eq(nq_next(rig.client, "q", &at_once, &item, &done), NQ_OK);
    cr_assert_eq(done, NQ_OK);
    cr_assert_neq(item, stale);
    cr_assert(item_is(item, "two"));
    cr_assert_eq(nq_next(rig.client, "q", &at_once, &item, &done), NQ_EMPTY, "and the second one is finished all the same");
    cr_assert_eq(done, NQ_OK);
    cr_assert_null(item);
    cr_assert_eq(nq_stat(rig.client, "q", &stats), NQ_OK);
    cr_assert_eq(stats.unfinished, 0);
    cr_assert_eq(nq_put(rig.client, "q", "three", 5, NULL, NULL), NQ_OK);
    cr_assert_eq(nq_get(rig.client, "q", &at_once, &item), NQ_OK);
    cr_assert_eq(nq_next(rig.client, "bad name!", &at_once, &item, &done), NQ_BAD_NAME, "the item is finished before");
    cr_assert_eq(done, NQ_OK);
    cr_assert_eq(nq_stat(rig.client, "q", &stats), NQ_OK);
    cr_assert_eq(stats.unfinished, 0);
    rig_end(&rig);
}

Test(client, put_get_done)
{
    struct rig rig = rig_make();
    uint64_t seq = 0;
    cr_assert_eq(nq_put(rig.client, "q", "hello", 5, NULL, &seq), NQ_OK);
    cr_assert_eq(seq, 1);
    struct nq_item *item;
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    cr_assert(item_is(item, "hello"));
    cr_assert_str_eq(nq_item_queue(item), "q");
    cr_assert_eq(nq_item_seq(item), 1);
    cr_assert_eq(nq_item_deliveries(item), 1);
    cr_assert_eq(nq_task_done(rig.client, &item), NQ_OK);
    cr_assert_null(item);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").done, 1);
    rig_end(&rig);
}

Test(client, an_empty_body_is_an_item)
{
    struct rig rig = rig_make();
    cr_assert_eq(rig_put(&rig, "q", ""), NQ_OK);
    struct nq_item *item;
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    cr_assert_eq(nq_item_len(item), 0);
    cr_assert_not_null(nq_item_body(item));
    cr_assert_eq(nq_task_done(rig.client, &item), NQ_OK);
    rig_end(&rig);
}

Test(client, headers_travel_and_are_terminated)
{
    struct rig rig = rig_make();
    struct nq_header_field headers[] = {{"colour", "red", 3}, {"empty", "", 0}};
    struct nq_body bodies[] = {{.data = "a", .len = 1}, {.data = "b", .len = 1, .headers = headers, .headers_count = 2}};
    cr_assert_eq(nq_put_many(rig.client, "q", bodies, 2, NULL, NULL), NQ_OK);
    struct nq_item *items[2];
    size_t count;
    cr_assert_eq(nq_get_many(rig.client, "q", 2, NULL, items, &count), NQ_OK);
    cr_assert_eq(count, 2);
    cr_assert_eq(nq_item_headers_count(items[0]), 0);
    cr_assert_eq(nq_item_headers_count(items[1]), 2);
    struct nq_header_field field = nq_item_header(items[1], 0);
    cr_assert_str_eq(field.name, "colour");
    cr_assert_str_eq((const char *)field.value, "red");
    cr_assert_eq(field.value_len, 3);
    enum nq_status statuses[2];
    cr_assert_eq(nq_task_done_many(rig.client, items, 2, statuses), NQ_OK);
    cr_assert_eq(statuses[1], NQ_OK);
    rig_end(&rig);
}

Test(client, put_many_says_how_many_were_accepted)
{
    struct rig rig = rig_make();
    fake_broker_set_maxsize(rig.broker, "q", 2);
    struct nq_body bodies[5] = {
        {.data = "1", .len = 1}, {.data = "2", .len = 1}, {.data = "3", .len = 1}, {"4", 1, NULL, 0}, {"5", 1, NULL, 0}};
    struct nq_put_options options = {.wait_ms = 0};
    size_t accepted = 0;
    cr_assert_eq(nq_put_many(rig.client, "q", bodies, 5, &options, &accepted), NQ_FULL);
    cr_assert_eq(accepted, 2);
    fake_broker_set_maxsize(rig.broker, "q", 0);
    cr_assert_eq(nq_put_many(rig.client, "q", bodies + 2, 3, &options, &accepted), NQ_OK); // the stream goes on
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 5);
    rig_end(&rig);
}

Test(client, put_many_cuts_long_runs_into_requests)
{
    struct rig rig = rig_make();
    static struct nq_body bodies[15000];
    for (size_t i = 0; i < 15000; i++) {
        bodies[i] = (struct nq_body){.data = "x", .len = 1};
    }
    size_t accepted = 0;
    cr_assert_eq(nq_put_many(rig.client, "q", bodies, 15000, NULL, &accepted), NQ_OK);
    cr_assert_eq(accepted, 15000);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 15000);
    rig_end(&rig);
}

Test(client, busy_is_retried_and_an_unknown_stream_begun_anew)
{
    struct rig rig = rig_make();
    fake_broker_refuse_puts(rig.broker, NQ_BUSY, 3);
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    fake_broker_forget_streams(rig.broker);
    cr_assert_eq(rig_put(&rig, "q", "b"), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").puts, 2);
    rig_end(&rig);
}

Test(client, local_refusals)
{
    struct rig rig = rig_make();
    static char large[1024 * 1024 + 1];
    cr_assert_eq(nq_put(rig.client, "q", large, sizeof large, NULL, NULL), NQ_TOO_LARGE);
    cr_assert_eq(rig_put(&rig, "not a name", "x"), NQ_BAD_NAME);
    struct nq_item *item;
    cr_assert_eq(nq_get(rig.client, "", NULL, &item), NQ_BAD_NAME);
    rig_end(&rig);
}

Test(client, get_of_an_empty_queue)
{
    struct rig rig = rig_make();
    struct nq_item *item;
    struct nq_get_options options = {.wait_ms = 0};
    cr_assert_eq(nq_get(rig.client, "q", &options, &item), NQ_EMPTY);
    options.wait_ms = 30;
    cr_assert_eq(nq_get(rig.client, "q", &options, &item), NQ_EMPTY);
    cr_assert_null(item);
    rig_end(&rig);
}

Test(client, requeue_extend_and_lost_leases)
{
    struct rig rig = rig_make();
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    struct nq_item *item;
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    cr_assert_eq(nq_extend(rig.client, item, 1000), NQ_OK);
    struct nq_requeue_options failed = {.failed = true, .reason = "no"};
    cr_assert_eq(nq_requeue(rig.client, &item, &failed), NQ_OK);
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    cr_assert_eq(nq_item_deliveries(item), 2);
    cr_assert_eq(nq_item_failures(item), 1);
    fake_broker_forget_sessions(rig.broker); // the lease is over; the next get of the item is another delivery
    struct nq_item *again;
    cr_assert_eq(nq_get(rig.client, "q", NULL, &again), NQ_OK);
    cr_assert_eq(nq_extend(rig.client, item, 1000), NQ_LEASE_LOST);
    cr_assert_eq(nq_task_done(rig.client, &item), NQ_LEASE_LOST);
    cr_assert_eq(nq_task_done(rig.client, &again), NQ_OK);
    rig_end(&rig);
}

static bool one_ready(const struct fake_counts *counts)
{
    return counts->ready == 1;
}

// The library renews in time whatever lease it knows of. What the queue's is by now it does not know: it may be a shorter one.
Test(client, extend_asks_for_the_lease_of_the_get_unless_told)
{
    struct rig rig = rig_make();
    struct nq_item *item;
    struct nq_completion completion;
    fake_broker_set_lease_ms(rig.broker, 7000);
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    cr_assert_eq(nq_extend(rig.client, item, 0), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").extend_ms, 7000);
    cr_assert_eq(nq_extend(rig.client, item, 9000), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").extend_ms, 9000);
    cr_assert_neq(nq_start_extend(rig.client, item, 0, NULL), 0);
    cr_assert_eq(nq_wait_completion(rig.client, PATIENCE_MS, &completion), NQ_OK);
    cr_assert_eq(completion.status, NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").extend_ms, 7000);
    cr_assert_eq(nq_task_done(rig.client, &item), NQ_OK);
    rig_end(&rig);
}

static bool is_ready(const struct fake_counts *counts)
{
    return counts->ready == 1;
}

// Else it stayed on lease, renewed along with others, until hold_max.
Test(client, an_item_that_cannot_go_back_as_asked_goes_back_at_once)
{
    struct rig rig = rig_make();
    struct nq_item *item;
    struct nq_requeue_options later = {.delay_ms = 1000};
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    fake_broker_refuse(rig.broker, WIRE_REQUEUE, NQ_LIMIT_REACHED, 1);
    cr_assert_eq(nq_requeue(rig.client, &item, &later), NQ_LIMIT_REACHED);
    cr_assert(rig_wait(&rig, "q", is_ready));
    fake_broker_refuse(rig.broker, WIRE_REQUEUE, NQ_LIMIT_REACHED, 1);
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    cr_assert_eq(nq_requeue(rig.client, &item, NULL), NQ_LIMIT_REACHED); // once is enough
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").leased, 1);
    rig_end(&rig);
}

Test(client, a_destroyed_item_goes_back_with_the_next_request)
{
    struct rig rig = rig_make();
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    struct nq_item *item;
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    nq_item_destroy(&item);
    cr_assert_null(item);
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK);
    cr_assert(rig_wait(&rig, "q", one_ready));
    cr_assert_geq(fake_broker_counts(rig.broker, "q").taken, 1); // it had been handed over
    rig_end(&rig);
}

Test(client, items_may_outlive_their_client)
{
    struct rig rig = rig_make();
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    struct nq_item *item;
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_OK);
    rig_end(&rig);
    cr_assert(item_is(item, "a"));
    nq_item_destroy(&item);
}

Test(client, at_most_once_needs_no_task_done)
{
    struct rig rig = rig_make();
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    struct nq_item *item;
    struct nq_get_options options = {.at_most_once = true};
    cr_assert_eq(nq_get(rig.client, "q", &options, &item), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").done, 1);
    cr_assert_eq(nq_task_done(rig.client, &item), NQ_OK);
    rig_end(&rig);
}

static void *interrupt_soon(void *argument)
{
    struct rig *rig = argument;
    while (fake_broker_counts(rig->broker, "q").gets == 0) { // until the get is parked
    }
    nq_interrupt(rig->client);
    return NULL;
}

Test(client, interrupt_ends_a_get_without_effect)
{
    struct rig rig = rig_make();
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, interrupt_soon, &rig), 0);
    struct nq_item *item;
    cr_assert_eq(nq_get(rig.client, "q", NULL, &item), NQ_INTERRUPTED);
    (void)pthread_join(thread, NULL);
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    cr_assert_eq(fake_broker_counts(rig.broker, "q").ready, 1);
    nq_interrupt(rig.client); // ends the next wait
    cr_assert_eq(nq_join(rig.client, "q", NQ_WAIT_FOREVER), NQ_INTERRUPTED);
    rig_end(&rig);
}

// No broker: it would wait for its limits first, for half of the time that one may be away.
Test(client, interrupt_ends_a_put_of_many_that_waits_for_a_broker, .timeout = 60)
{
    const char *servers[] = {"ipc:///nonexistent/netqueue-nobody"};
    struct nq_client_options options = {.servers = servers, .servers_count = 1, .timeout_ms = 3600000};
    struct nq_client *client;
    const struct nq_body body = {.data = "a", .len = 1};
    size_t accepted = 1;
    cr_assert_eq(nq_client_create(&options, &client, NULL), NQ_OK);
    nq_interrupt(client);
    cr_assert_eq(nq_put_many(client, "q", &body, 1, NULL, &accepted), NQ_INTERRUPTED);
    cr_assert_eq(accepted, 0);
    cr_assert_eq(nq_error_status(client), NQ_INTERRUPTED);
    nq_client_destroy(&client);
}

// As a backup that takes an hour.
Test(client, interrupt_ends_a_call_that_cannot_be_taken_back, .timeout = 60)
{
    struct rig rig = rig_make_with(3600000);
    cr_assert_eq(rig_put(&rig, "q", "a"), NQ_OK);
    fake_broker_pause(rig.broker, true);
    nq_interrupt(rig.client);
    cr_assert_eq(nq_purge(rig.client, "q", NULL), NQ_OUTCOME_UNKNOWN);
    fake_broker_pause(rig.broker, false);
    cr_assert_eq(nq_ping(rig.client, NULL), NQ_OK); // whose answer comes behind that to the purge
    rig_end(&rig);
}

Test(client, queues)
{
    struct rig rig = rig_make();
    struct nq_queue_options options = {.given = NQ_GIVEN_MAXSIZE, .maxsize = 3};
    struct nq_queue_stats stats;
    cr_assert_eq(nq_declare(rig.client, "a", &options, 0, &stats), NQ_OK);
    cr_assert_eq(stats.options.maxsize, 3);
    cr_assert_str_eq(stats.name, "a");
    for (const char *name = "bcde"; *name != '\0'; name++) {
        char queue[2] = {*name, '\0'};
        cr_assert_eq(rig_put(&rig, queue, "x"), NQ_OK);
    }
    struct nq_queue_stats *list;
    size_t count;
    cr_assert_eq(nq_list(rig.client, &list, &count), NQ_OK);
    cr_assert_eq(count, 5); // over three pages
    cr_assert_str_eq(list[4].name, "e");
    nq_free(list);
    cr_assert_eq(nq_stat(rig.client, "b", &stats), NQ_OK);
    cr_assert_eq(stats.ready, 1);
    cr_assert_eq(nq_stat(rig.client, "none", &stats), NQ_NO_SUCH_QUEUE);
    struct nq_item *items[4];
    cr_assert_eq(nq_peek(rig.client, "b", 1, 4, items, &count), NQ_OK);
    cr_assert_eq(count, 1);
    cr_assert(item_is(items[0], "x"));
    nq_item_destroy(&items[0]);
    uint64_t purged;
    cr_assert_eq(nq_purge(rig.client, "b", &purged), NQ_OK);
    cr_assert_eq(purged, 1);
    cr_assert_eq(nq_join(rig.client, "b", 1000), NQ_OK);
    cr_assert_eq(nq_join(rig.client, "c", 20), NQ_TIMED_OUT);
    cr_assert_eq(nq_shutdown(rig.client, "b", false, NULL), NQ_OK);
    cr_assert_eq(rig_put(&rig, "b", "x"), NQ_SHUT_DOWN);
    struct nq_broker_info info;
    cr_assert_eq(nq_ping(rig.client, &info), NQ_OK);
    rig_end(&rig);
}
