// Purge, delete, shutdown, temporary queues: what is gone is gone at once, and its space follows.
#include <criterion/criterion.h>
#include <stdio.h>

#include "engine_rig.h"

static struct rig rig;

static void start(void)
{
    rig_init(&rig);
    rig_start(&rig);
}

static void end(void)
{
    rig_fini(&rig);
}

TestSuite(gone, .init = start, .fini = end);

static void get_many(struct queue *queue, uint64_t session, uint64_t get_id, uint32_t max)
{
    struct engine_grant grant;
    cr_assert_eq(rig_get(&rig, queue, session, get_id, max, &grant), ENGINE_OK);
    engine_grant_clear(&grant);
}

// 3 leased, 1 returned, 1 delayed by a requeue, the rest fresh.
static struct queue *mixed(uint64_t session, size_t fresh)
{
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 5 + fresh);
    get_many(queue, session, 1, 5);
    struct engine_token returned = rig_token(&rig, session, 2, 1);
    struct engine_token delayed = rig_token(&rig, session, 4, 1);
    engine_requeue(rig.engine, rig.now_ms, queue, &returned, &(struct engine_requeue){0});
    engine_requeue(rig.engine, rig.now_ms, queue, &delayed, &(struct engine_requeue){.delay_ms = 1000});
    return queue;
}

Test(gone, purge_leaves_what_is_leased)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = mixed(session, 9000);
    cr_assert_eq(engine_purge(rig.engine, rig.now_ms, queue), 9002u);
    cr_assert_eq(queue_ready(queue), 0u);
    cr_assert_eq(queue_unfinished(queue), 3u);
    cr_assert_eq(engine_queue_ready_bytes(queue), 0u);
    cr_assert_eq(rig_put(&rig, queue, 0, 1, 1), ENGINE_OK);
    cr_assert_eq(queue_ready(queue), 1u);
    rig_settle(&rig);
    cr_assert_eq(rig_stored_items(&rig, queue->record.queue_id), (size_t)4);
    engine_session_end(rig.engine, rig.now_ms, session, true);
    cr_assert_eq(queue_unfinished(queue), 1u);
    cr_assert_eq(queue->record.purged, 9005u);
    rig_settle(&rig);
    cr_assert_eq(rig_stored_items(&rig, queue->record.queue_id), (size_t)1);
    rig_tick(&rig, 2000);
    cr_assert_eq(queue_ready(queue), 1u, "the purged delayed one does not come back");
}

Test(gone, reclaiming_goes_on_after_a_crash)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = mixed(session, 9000);
    rig_commit(&rig);
    engine_purge(rig.engine, rig.now_ms, queue);
    rig_commit(&rig);
    rig_restart(&rig, false);
    queue = rig_queue(&rig, "q");
    cr_assert_eq(queue_ready(queue), 0u);
    cr_assert_eq(queue->leased, 3u);
    rig_settle(&rig);
    cr_assert_eq(rig_stored_items(&rig, queue->record.queue_id), (size_t)3);
}

// So that nobody waits for the removal of millions of items: each commit group takes some of them along.
Test(gone, a_commit_group_reclaims_no_more_than_a_slice)
{
    enum { ITEMS = 20000, SLICE_MAX = 5000 };
    struct queue *queue = rig_queue(&rig, "q");
    uint64_t queue_id = queue->record.queue_id;
    rig_put(&rig, queue, 0, 1, ITEMS);
    rig_commit(&rig);
    cr_assert_eq(engine_purge(rig.engine, rig.now_ms, queue), (uint64_t)ITEMS);
    rig_commit(&rig);
    size_t left = rig_stored_items(&rig, queue_id);
    cr_assert_eq(left, (size_t)ITEMS, "the purge itself is a mark");
    int groups = 0;
    for (; left > 0; groups++) {
        size_t before = left;
        engine_tick(rig.engine, rig.now_ms);
        rig_commit(&rig);
        left = rig_stored_items(&rig, queue_id);
        cr_assert_lt(left, before, "it goes on");
        cr_assert_leq(before - left, (size_t)SLICE_MAX);
    }
    cr_assert_geq(groups, ITEMS / SLICE_MAX);
}

// A session's temporary queues, or those of a client that makes and deletes one for each request.
Test(gone, a_commit_group_reclaims_many_deleted_queues)
{
    int groups = 0;
    for (int i = 0; i < 1000; i++) {
        engine_delete(rig.engine, rig.now_ms, rig_queue(&rig, "q"));
    }
    for (; engine_next_deadline_ms(rig.engine) <= rig.now_ms; groups++) {
        engine_tick(rig.engine, rig.now_ms);
        rig_commit(&rig);
    }
    cr_assert_leq(groups, 2);
}

Test(gone, two_purges_before_anything_is_reclaimed)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 9000);
    engine_purge(rig.engine, rig.now_ms, queue);
    rig_put(&rig, queue, 0, 1, 5);
    get_many(queue, session, 1, 2);
    engine_purge(rig.engine, rig.now_ms, queue);
    rig_put(&rig, queue, 0, 1, 1);
    rig_settle(&rig);
    cr_assert_eq(rig_stored_items(&rig, queue->record.queue_id), (size_t)3);
}

Test(gone, delete_removes_everything)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = mixed(session, 9000);
    rig_put(&rig, queue, session, 1, 2);
    uint64_t queue_id = queue->record.queue_id;
    rig_commit(&rig);
    cr_assert_eq(engine_delete(rig.engine, rig.now_ms, queue), 9007u);
    cr_assert_null(engine_queue_find(rig.engine, rig_text("q")));
    cr_assert_null(engine_queue_by_id(rig.engine, queue_id));
    cr_assert(engine_queue_id_was_used(rig.engine, queue_id));
    struct queue *again = rig_queue(&rig, "q");
    cr_assert_neq(again->record.queue_id, queue_id);
    rig_settle(&rig);
    cr_assert_eq(rig_stored_items(&rig, queue_id), (size_t)0);
    cr_assert_eq(engine_session_leases(rig.engine, session), (size_t)0);
    rig_restart(&rig, false);
    cr_assert_eq(engine_queue_count(rig.engine), (size_t)1);
}

Test(gone, shutdown_drains)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = mixed(session, 0);
    struct engine_grant grant;
    engine_shutdown(rig.engine, rig.now_ms, queue, false);
    cr_assert_eq(rig_put(&rig, queue, 0, 1, 1), ENGINE_SHUT_DOWN);
    cr_assert_eq(rig_get_one(&rig, queue, session, 2), 2u);
    cr_assert_eq(rig_get(&rig, queue, session, 3, 1, &grant), ENGINE_EMPTY, "one is delayed");
    rig_tick(&rig, 1000);
    cr_assert_eq(rig_get_one(&rig, queue, session, 4), 4u);
    cr_assert_eq(rig_get(&rig, queue, session, 5, 1, &grant), ENGINE_SHUT_DOWN);
    struct engine_token token = rig_token(&rig, session, 1, 1);
    engine_requeue(rig.engine, rig.now_ms, queue, &token, &(struct engine_requeue){0});
    cr_assert_eq(rig_get_one(&rig, queue, session, 6), 1u, "one that comes back can be got");
}

Test(gone, immediate_shutdown_drops)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = mixed(session, 3);
    struct engine_grant grant;
    cr_assert_eq(engine_shutdown(rig.engine, rig.now_ms, queue, true), 5u);
    cr_assert_eq(queue_unfinished(queue), 3u);
    cr_assert_eq(rig_get(&rig, queue, session, 2, 1, &grant), ENGINE_SHUT_DOWN);
    struct engine_token token = rig_token(&rig, session, 1, 1);
    engine_requeue(rig.engine, rig.now_ms, queue, &token, &(struct engine_requeue){0});
    cr_assert_eq(queue_unfinished(queue), 2u);
    cr_assert_eq(queue->record.dropped, 6u);
    engine_shutdown(rig.engine, rig.now_ms, queue, false);
    cr_assert_eq(queue->record.state, QUEUE_SHUT_DOWN_AT_ONCE, "one way");
    rig_restart(&rig, true);
    cr_assert_eq(rig_queue(&rig, "q")->record.state, QUEUE_SHUT_DOWN_AT_ONCE);
}

Test(gone, temporary_goes_with_its_last_user)
{
    uint64_t a = rig_session(&rig, 1);
    uint64_t b = rig_session(&rig, 2);
    struct queue *queue = rig_declare(&rig, "q", &(struct engine_options){.given = ENGINE_OPTION_TEMPORARY, .temporary = true});
    rig_put(&rig, queue, a, 1, 2);
    rig_get_one(&rig, queue, b, 1);
    engine_session_end(rig.engine, rig.now_ms, a, true);
    cr_assert_not_null(engine_queue_find(rig.engine, rig_text("q")));
    engine_session_end(rig.engine, rig.now_ms, b, true);
    cr_assert_null(engine_queue_find(rig.engine, rig_text("q")));
    rig_settle(&rig);
}

Test(gone, temporary_waits_for_its_users_after_a_restart)
{
    uint64_t a = rig_session(&rig, 1);
    struct queue *queue = rig_declare(&rig, "q", &(struct engine_options){.given = ENGINE_OPTION_TEMPORARY, .temporary = true});
    rig_put(&rig, queue, a, 1, 2);
    rig_restart(&rig, true);
    rig_tick(&rig, rig.config.orphan_ms - 1);
    cr_assert_not_null(engine_queue_find(rig.engine, rig_text("q")));
    rig_tick(&rig, 1);
    cr_assert_null(engine_queue_find(rig.engine, rig_text("q")));
}

Test(gone, temporary_waits_for_the_others_when_one_has_come_back_and_gone)
{
    uint64_t a = rig_session(&rig, 1);
    struct queue *queue = rig_declare(&rig, "q", &(struct engine_options){.given = ENGINE_OPTION_TEMPORARY, .temporary = true});
    rig_put(&rig, queue, a, 1, 2);
    rig_restart(&rig, true);
    uint64_t b = rig_session(&rig, 2);
    rig_put(&rig, rig_queue(&rig, "q"), b, 1, 1);
    engine_session_end(rig.engine, rig.now_ms, b, true);
    rig_tick(&rig, rig.config.orphan_ms - 1);
    cr_assert_not_null(engine_queue_find(rig.engine, rig_text("q")));
    uint64_t c = rig_session(&rig, 3);
    rig_put(&rig, rig_queue(&rig, "q"), c, 1, 1);
    rig_tick(&rig, 1);
    cr_assert_not_null(engine_queue_find(rig.engine, rig_text("q")));
    engine_session_end(rig.engine, rig.now_ms, c, true);
    cr_assert_null(engine_queue_find(rig.engine, rig_text("q")), "the time is over: the last user takes it along");
}

Test(gone, declare_compares_what_is_named)
{
    struct queue *queue;
    bool created;
    rig_queue(&rig, "q");
    const struct engine_options first = {.given = ENGINE_OPTION_MAXSIZE | ENGINE_OPTION_DEAD_LETTER, .maxsize = 5};
    const struct engine_options other = {.given = ENGINE_OPTION_MAXSIZE, .maxsize = 6};
    const struct engine_options none = {.given = 0};
    cr_assert_eq(engine_declare(rig.engine, rig.now_ms, rig_text("q"), &first, false, &queue, &created), ENGINE_OK, "born by use");
    cr_assert(!created);
    cr_assert_eq(engine_declare(rig.engine, rig.now_ms, rig_text("q"), &first, false, &queue, &created), ENGINE_OK);
    cr_assert_eq(engine_declare(rig.engine, rig.now_ms, rig_text("q"), &none, false, &queue, &created), ENGINE_OK);
    cr_assert_eq(engine_declare(rig.engine, rig.now_ms, rig_text("q"), &other, false, &queue, &created), ENGINE_DIFFERENT_OPTIONS);
    cr_assert_eq(engine_declare(rig.engine, rig.now_ms, rig_text("q"), &other, true, &queue, &created), ENGINE_OK);
    cr_assert_eq(queue->record.maxsize, 6u);
    cr_assert_eq(engine_declare(rig.engine, rig.now_ms, rig_text("x"), &other, true, &queue, &created), ENGINE_NO_SUCH_QUEUE);
}

Test(gone, queues_are_listed_by_name)
{
    const char *names[] = {"b", "a", "c/1", "c"};
    for (size_t i = 0; i < 4; i++) {
        rig_queue(&rig, names[i]);
    }
    engine_delete(rig.engine, rig.now_ms, rig_queue(&rig, "b"));
    struct queue *queue = engine_queue_after(rig.engine, rig_text(""));
    cr_assert_eq(queue->record.name[0], 'a');
    queue = engine_queue_after(rig.engine, rig_text("a"));
    cr_assert(queue->record.name[0] == 'c' && queue->record.name_len == 1);
    queue = engine_queue_after(rig.engine, rig_text("c"));
    cr_assert_eq(queue->record.name_len, 3);
    cr_assert_null(engine_queue_after(rig.engine, rig_text("c/1")));
}

// Names of three letters, after which all others of them are.
static void expect_names_in_order(const bool *there, size_t count)
{
    struct engine_bytes after = rig_text("");
    for (size_t i = 0; i < count; i++) {
        char name[4];
        snprintf(name, sizeof(name), "%03u", (unsigned)i);
        struct queue *queue = there[i] ? engine_queue_after(rig.engine, after) : NULL;
        cr_assert_eq(queue, engine_queue_find(rig.engine, rig_text(name)), "queue %s", name);
        after = queue == NULL ? after : (struct engine_bytes){3, (const uint8_t *)queue->record.name};
    }
    cr_assert_null(engine_queue_after(rig.engine, after));
}

Test(gone, queues_are_listed_by_name_while_they_come_and_go)
{
    enum { NAMES = 97, CHANGES = 1000, LISTS = 7 };
    bool there[NAMES] = {false};
    for (size_t i = 0; i < CHANGES; i++) {
        size_t number = i * i % NAMES;
        char name[4];
        snprintf(name, sizeof(name), "%03u", (unsigned)number);
        there[number] = !there[number];
        struct queue *queue = rig_queue(&rig, name);
        if (!there[number]) {
            engine_delete(rig.engine, rig.now_ms, queue);
        }
        if (i / 100 % 2 == 1 &&
            (i % LISTS == 0 || i % 100 > 80)) { // seldom, each time, and not at all for longer than the order is kept
            expect_names_in_order(there, NAMES);
        }
    }
}

Test(gone, answers_wait_for_the_end_of_a_lease_below_the_mark)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 1);
    get_many(queue, session, 1, 1);
    engine_purge(rig.engine, rig.now_ms, queue);
    rig_settle(&rig);
    cr_assert_eq(queue_unfinished(queue), 1u);
    engine_session_end(rig.engine, rig.now_ms, session, false);
    cr_assert_eq(queue_unfinished(queue), 0u, "a join is answered now");
    cr_assert_eq(engine_pending(rig.engine), ENGINE_PENDING_WAITED);
}

Test(gone, a_queue_that_is_no_longer_temporary_stays_after_a_restart)
{
    uint64_t a = rig_session(&rig, 1);
    struct queue *queue = rig_declare(&rig, "q", &(struct engine_options){.given = ENGINE_OPTION_TEMPORARY, .temporary = true});
    bool created;
    rig_put(&rig, queue, a, 1, 2);
    rig_restart(&rig, true);
    const struct engine_options lasting = {.given = ENGINE_OPTION_TEMPORARY, .temporary = false};
    cr_assert_eq(engine_declare(rig.engine, rig.now_ms, rig_text("q"), &lasting, true, &queue, &created), ENGINE_OK);
    rig_tick(&rig, rig.config.orphan_ms);
    queue = engine_queue_find(rig.engine, rig_text("q"));
    cr_assert_not_null(queue);
    cr_assert_eq(queue_ready(queue), 2u);
    rig_tick(&rig, rig.config.orphan_ms);
    cr_assert_not_null(engine_queue_find(rig.engine, rig_text("q")));
}
