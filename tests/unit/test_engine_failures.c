// Failures: who counts, dead letters, redrive.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

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

TestSuite(failures, .init = start, .fini = end);

static void get_many(struct queue *queue, uint64_t session, uint64_t get_id, uint32_t max)
{
    struct engine_grant grant;
    cr_assert_eq(rig_get(&rig, queue, session, get_id, max, &grant), ENGINE_OK);
    engine_grant_clear(&grant);
}

static struct queue *with_dead_letter(const char *name, uint32_t max_deliveries, const char *dead_letter)
{
    return rig_declare(&rig, name,
                       &(struct engine_options){.given = ENGINE_OPTION_MAX_DELIVERIES | ENGINE_OPTION_DEAD_LETTER,
                                                .max_deliveries = max_deliveries,
                                                .dead_letter = rig_text(dead_letter)});
}

Test(failures, of_a_prefetched_batch_only_the_oldest_counts)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 4);
    get_many(queue, session, 1, 4);
    engine_session_end(rig.engine, rig.now_ms, session, false);
    cr_assert_eq(queue->record.failed, 1u);
    cr_assert_eq(queue->record.requeued, 3u);
    session = rig_session(&rig, 2);
    struct engine_grant grant;
    rig_get(&rig, queue, session, 1, 4, &grant);
    cr_assert_eq(grant.items[0].failures, 1u);
    cr_assert_eq(grant.items[1].failures, 0u);
    engine_grant_clear(&grant);
}

Test(failures, taken_and_workers)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 8);
    get_many(queue, session, 1, 4);
    get_many(queue, session, 2, 4);
    engine_session_workers(rig.engine, session, 3);
    engine_session_taken(rig.engine, session, 2, 2);
    engine_session_end(rig.engine, rig.now_ms, session, false);
    cr_assert_eq(queue->record.failed, 3u, "two reported and the oldest of the rest");
    uint64_t other = rig_session(&rig, 2);
    struct engine_grant grant;
    rig_get(&rig, queue, other, 1, 8, &grant);
    const uint32_t expected[] = {1, 0, 0, 0, 1, 1, 0, 0};
    for (size_t i = 0; i < 8; i++) {
        cr_assert_eq(grant.items[i].failures, expected[i], "item %zu", i);
    }
    engine_grant_clear(&grant);
}

Test(failures, gets_of_one_item_are_taken)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 3);
    for (uint64_t get_id = 1; get_id <= 3; get_id++) {
        rig_get_one(&rig, queue, session, get_id);
    }
    engine_session_end(rig.engine, rig.now_ms, session, false);
    cr_assert_eq(queue->record.failed, 3u);
}

Test(failures, leases_that_end_together_count_as_one_session_end_would)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 6);
    for (uint64_t get_id = 1; get_id <= 3; get_id++) {
        get_many(queue, session, get_id, 2);
    }
    rig_tick(&rig, 60000);
    cr_assert_eq(queue->leased, 0u);
    cr_assert_eq(queue->record.failed, 1u);
    cr_assert_eq(queue->record.requeued, 5u);
}

Test(failures, goodbye_and_voluntary_returns_are_free)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 2);
    rig_get_one(&rig, queue, session, 1);
    struct engine_token token = rig_token(&rig, session, 1, 1);
    engine_requeue(rig.engine, rig.now_ms, queue, &token, &(struct engine_requeue){0});
    rig_get_one(&rig, queue, session, 2);
    engine_session_end(rig.engine, rig.now_ms, session, true);
    cr_assert_eq(queue->record.failed, 0u);
    cr_assert_eq(queue->record.requeued, 2u);
}

static void fail_head(struct queue *queue, uint64_t session, uint64_t get_id, uint32_t delivery)
{
    uint64_t seq = rig_get_one(&rig, queue, session, get_id);
    struct engine_token token = rig_token(&rig, session, seq, delivery);
    cr_assert_eq(engine_requeue(rig.engine, rig.now_ms, queue, &token, &(struct engine_requeue){.failed = true}), ENGINE_OK);
}

static bool contains(struct engine_bytes all, const char *part)
{
    return memmem(all.data, all.len, part, strlen(part)) != NULL;
}

Test(failures, max_deliveries_moves_to_the_dead_letter_queue)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = with_dead_letter("q", 2, "dead");
    rig_put(&rig, queue, 0, 1, 2);
    fail_head(queue, session, 1, 1);
    cr_assert_eq(queue_ready(queue), 2u);
    fail_head(queue, session, 2, 2);
    cr_assert_eq(queue_ready(queue), 1u);
    struct queue *dead = engine_queue_find(rig.engine, rig_text("dead"));
    cr_assert_not_null(dead);
    cr_assert_eq(queue_ready(dead), 1u);
    cr_assert_eq(queue->record.dead_lettered, 1u);
    rig_settle(&rig);
    struct store_item item;
    cr_assert_eq(store_read(rig.store, dead->record.queue_id, 1, &item), NQ_OK);
    cr_assert_arr_eq(item.body.data, "q-1", 3);
    cr_assert(contains(item.headers, "nq-origin-queue") && contains(item.headers, "nq-origin-seq"));
    cr_assert(contains(item.headers, "max-deliveries") && contains(item.headers, "nq-failures"));
    cr_assert_eq(engine_queue_ready_bytes(dead), item.body.len + item.headers.len);
    cr_assert_eq(rig_stored_items(&rig, queue->record.queue_id), (size_t)1);
}

Test(failures, without_a_dead_letter_queue_it_is_dropped)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue =
        rig_declare(&rig, "q", &(struct engine_options){.given = ENGINE_OPTION_MAX_DELIVERIES, .max_deliveries = 1});
    rig_put(&rig, queue, 0, 1, 1);
    fail_head(queue, session, 1, 1);
    cr_assert_eq(queue_unfinished(queue), 0u);
    cr_assert_eq(queue->record.dropped, 1u);
}

Test(failures, a_consumer_may_reject)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = with_dead_letter("q", 0, "dead");
    rig_put(&rig, queue, 0, 1, 1);
    rig_get_one(&rig, queue, session, 1);
    struct engine_token token = rig_token(&rig, session, 1, 1);
    const struct engine_requeue reject = {.dead = true, .reason = rig_text("no good")};
    cr_assert_eq(engine_requeue(rig.engine, rig.now_ms, queue, &token, &reject), ENGINE_OK);
    rig_settle(&rig);
    struct store_item item;
    struct queue *dead = engine_queue_find(rig.engine, rig_text("dead"));
    cr_assert_eq(store_read(rig.store, dead->record.queue_id, 1, &item), NQ_OK);
    cr_assert(contains(item.headers, "no good"));
}

static enum engine_status declare_dead(const char *name, const char *dead_letter, bool update)
{
    struct queue *queue;
    bool created;
    return engine_declare(rig.engine, rig.now_ms, rig_text(name),
                          &(struct engine_options){.given = ENGINE_OPTION_DEAD_LETTER, .dead_letter = rig_text(dead_letter)},
                          update, &queue, &created);
}

Test(failures, cycles_are_refused)
{
    cr_assert_eq(declare_dead("a", "a", false), ENGINE_BAD_DEAD_LETTER);
    cr_assert_null(engine_queue_find(rig.engine, rig_text("a")), "a refusal changes nothing");
    cr_assert_eq(declare_dead("a", "b", false), ENGINE_OK);
    cr_assert_eq(declare_dead("b", "c", false), ENGINE_OK);
    size_t queues = engine_queue_count(rig.engine);
    cr_assert_eq(declare_dead("c", "a", false), ENGINE_BAD_DEAD_LETTER);
    cr_assert_eq(engine_queue_count(rig.engine), queues);
    cr_assert_eq(declare_dead("b", "", true), ENGINE_OK);
    cr_assert_eq(declare_dead("c", "a", false), ENGINE_OK);
    cr_assert_eq(declare_dead("b", "c", true), ENGINE_BAD_DEAD_LETTER);
}

static void name_of_link(unsigned number, char name[8])
{
    snprintf(name, 8, "q%u", number);
}

// Each declare looks along the whole chain.
Test(failures, chains_of_dead_letter_queues_have_an_end)
{
    enum { LONGEST = 100 };
    char name[8];
    char next[8];
    for (unsigned i = 1; i <= LONGEST; i++) { // each leads to one that is not there yet
        name_of_link(i, name);
        name_of_link(i + 1, next);
        cr_assert_eq(declare_dead(name, next, false), ENGINE_OK);
    }
    cr_assert_eq(declare_dead("a", "q2", false), ENGINE_OK);
    cr_assert_eq(declare_dead("b", "q1", false), ENGINE_BAD_DEAD_LETTER);
}

static enum engine_status redrive(struct queue *from, uint64_t seq, struct queue *to)
{
    return engine_redrive(rig.engine, rig.now_ms, from, seq, to, 3);
}

Test(failures, redrive_appends_with_the_count_reset_and_stops_at_full)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = with_dead_letter("q", 1, "dead");
    rig_put(&rig, queue, 0, 1, 3);
    for (uint64_t get_id = 1; get_id <= 3; get_id++) {
        fail_head(queue, session, get_id, 1);
    }
    struct queue *dead = engine_queue_find(rig.engine, rig_text("dead"));
    rig_settle(&rig);
    struct queue *updated;
    bool created;
    engine_declare(rig.engine, rig.now_ms, rig_text("q"), &(struct engine_options){.given = ENGINE_OPTION_MAXSIZE, .maxsize = 2},
                   true, &updated, &created);
    cr_assert_eq(redrive(dead, 9, queue), ENGINE_EMPTY);
    cr_assert_eq(redrive(dead, 2, queue), ENGINE_OK, "also past one that stays");
    cr_assert_eq(redrive(dead, 1, queue), ENGINE_OK);
    cr_assert_eq(redrive(dead, 3, queue), ENGINE_FULL);
    cr_assert_eq(queue_ready(dead), 1u);
    rig_settle(&rig);
    struct store_item item;
    cr_assert_eq(store_read(rig.store, queue->record.queue_id, 4, &item), NQ_OK);
    cr_assert_arr_eq(item.body.data, "q-2", 3);
    cr_assert_eq(item.headers.len, (size_t)0, "what the move had added is gone");
    struct engine_grant grant;
    rig_get(&rig, queue, session, 9, 2, &grant);
    cr_assert_eq(grant.items[0].failures, 0u);
    cr_assert_eq(grant.items[0].seq, 4u);
    engine_grant_clear(&grant);
    engine_shutdown(rig.engine, rig.now_ms, queue, false);
    cr_assert_eq(redrive(dead, 3, queue), ENGINE_SHUT_DOWN);
}

Test(failures, redrive_does_not_bring_a_whole_backlog_into_memory)
{
    struct queue *from = rig_queue(&rig, "from");
    struct queue *to = rig_queue(&rig, "to");
    for (uint64_t first = 1; first <= ENGINE_PASSED_OVER_MAX; first += 1000) {
        rig_put(&rig, from, 0, first, 1000);
        rig_settle(&rig);
    }
    rig_put(&rig, from, 0, ENGINE_PASSED_OVER_MAX + 1, 3);
    rig_settle(&rig);
    cr_assert_eq(redrive(from, ENGINE_PASSED_OVER_MAX + 3, to), ENGINE_LIMIT_REACHED);
    cr_assert_eq(queue_ready(from), ENGINE_PASSED_OVER_MAX + 3);
    cr_assert_eq(redrive(from, 50001, to), ENGINE_OK);
    cr_assert_eq(redrive(from, ENGINE_PASSED_OVER_MAX + 3, to), ENGINE_LIMIT_REACHED, "those that were passed over before count");
    cr_assert_eq(redrive(from, 1, to), ENGINE_OK, "what comes first goes");
}

Test(failures, a_damaged_item_is_set_aside)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 2);
    rig_get_one(&rig, queue, session, 1);
    engine_quarantine(rig.engine, rig.now_ms, queue, 1);
    cr_assert_eq(queue->record.quarantined, 1u);
    cr_assert_eq(queue_unfinished(queue), 1u);
    rig_settle(&rig);
    cr_assert_eq(rig_stored_items(&rig, queue->record.queue_id), (size_t)1);
}

// The store fails, or there is no memory to begin a read: all items are there when the broker is started again.
Test(failures, an_item_that_cannot_be_read_now_is_not_taken_for_damaged)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 3);
    rig_settle(&rig);
    rig.is_unreadable = true;
    struct engine_grant grant;
    cr_assert_eq(rig_get(&rig, queue, session, 1, 2, &grant), ENGINE_NO_MEMORY);
    cr_assert(engine_failed(rig.engine), "nothing may be stored from here on");
    cr_assert_eq(queue->record.quarantined, 0u);
    cr_assert_eq(queue->record.cursor, 1u);
    for (size_t i = 0; i < changes_count(rig.open->changes); i++) {
        cr_assert_neq(changes_at(rig.open->changes, i)->kind, CHANGE_QUARANTINE);
    }
}

// Its lease had ended, and a purge has gone over it, before the answer that it could not be read for had left.
Test(failures, a_damaged_item_that_was_purged_meanwhile_is_left_to_be_reclaimed)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 2);
    rig_get_one(&rig, queue, session, 1);
    engine_session_end(rig.engine, rig.now_ms, session, true);
    cr_assert_eq(engine_purge(rig.engine, rig.now_ms, queue), 2u);
    engine_quarantine(rig.engine, rig.now_ms, queue, 1);
    cr_assert_eq(queue->record.quarantined, 0u);
    rig_settle(&rig);
    cr_assert_eq(queue_unfinished(queue), 0u);
    cr_assert_eq(rig_stored_items(&rig, queue->record.queue_id), (size_t)0);
}

// What a client has taken of an answer it counts from the answer's front, also when the broker was started anew meanwhile.
Test(failures, a_restart_does_not_make_more_of_an_answer_taken_than_is)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 3);
    get_many(queue, session, 1, 3);
    engine_session_end(rig.engine, rig.now_ms, session, true);
    rig_put(&rig, queue, 0, 4, 3);
    session = rig_session(&rig, 2);
    get_many(queue, session, 1, 6); // three that have come back, and three that nobody had
    rig_restart(&rig, true);
    engine_session_taken(rig.engine, session, 1, 2);
    rig_restart(&rig, true);
    engine_session_taken(rig.engine, session, 1, 4);
    engine_session_end(rig.engine, rig.now_ms, session, false);
    queue = rig_queue(&rig, "q");
    cr_assert_eq(queue->record.failed, 4u);
    session = rig_session(&rig, 3);
    struct engine_grant grant;
    cr_assert_eq(rig_get(&rig, queue, session, 1, 6, &grant), ENGINE_OK);
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(grant.items[i].failures, i < 4 ? 1u : 0u, "item %zu", i);
    }
    engine_grant_clear(&grant);
}

// They told where the others stand.
Test(failures, nor_where_the_first_of_it_were_done_before)
{
    bool gone;
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 2);
    get_many(queue, session, 1, 2);
    engine_session_end(rig.engine, rig.now_ms, session, true);
    rig_put(&rig, queue, 0, 3, 3);
    session = rig_session(&rig, 2);
    get_many(queue, session, 1, 5);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        struct engine_token token = rig_token(&rig, session, seq, 2);
        cr_assert_eq(engine_task_done(rig.engine, rig.now_ms, queue, &token, &gone), ENGINE_OK);
    }
    engine_session_taken(rig.engine, session, 1, 2);
    for (int start = 0; start < 2; start++) {
        rig_restart(&rig, true);
        engine_session_taken(rig.engine, session, 1, 3);
    }
    engine_session_end(rig.engine, rig.now_ms, session, false);
    cr_assert_eq(rig_queue(&rig, "q")->record.failed, 1u);
}

// Nobody has it on lease: the get that comes to it finds that it cannot be read.
Test(failures, answers_wait_for_a_damaged_item_to_be_set_aside)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 1);
    rig_settle(&rig);
    rig_lose(&rig, queue->record.queue_id, 1);
    struct engine_grant grant;
    cr_assert_eq(rig_get(&rig, queue, session, 1, 1, &grant), ENGINE_EMPTY);
    cr_assert_eq(queue->record.quarantined, 1u);
    cr_assert_eq(queue_unfinished(queue), 0u, "a join is answered now");
    cr_assert_eq(engine_pending(rig.engine), ENGINE_PENDING_WAITED);
}

// The store copies them, all of a commit at once.
Test(failures, leases_that_end_move_no_more_bytes_to_dead_letters_than_a_commit_takes)
{
    rig.config.moved_bytes_max = 1;
    rig_restart(&rig, true);
    struct queue *queue = with_dead_letter("q", 1, "dead");
    struct queue *dead = rig_queue(&rig, "dead");
    rig_put(&rig, queue, 0, 1, 3);
    for (unsigned i = 1; i <= 3; i++) {
        rig_get_one(&rig, queue, rig_session(&rig, i), 1);
    }
    for (uint64_t moved = 1; moved <= 3; moved++) {
        rig_tick(&rig, moved == 1 ? 60000 : 0);
        cr_assert_eq(dead->record.puts, moved);
        cr_assert_gt(engine_next_deadline_ms(rig.engine), rig.now_ms);
        rig_commit(&rig);
    }
}
