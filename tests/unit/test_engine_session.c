// Sessions: resume, answers given again.
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

TestSuite(session, .init = start, .fini = end);

static void get_many(struct queue *queue, uint64_t session, uint64_t get_id, uint32_t max)
{
    struct engine_grant grant;
    cr_assert_eq(rig_get(&rig, queue, session, get_id, max, &grant), ENGINE_OK);
    engine_grant_clear(&grant);
}

Test(session, open_and_find)
{
    const uint8_t id[ENGINE_SESSION_ID_BYTES] = {0, 1};
    const uint8_t token[ENGINE_RESUME_TOKEN_BYTES] = {0};
    uint64_t no = rig_session(&rig, 1);
    uint64_t other;
    cr_assert_eq(engine_session_find(rig.engine, id), no);
    cr_assert_eq(engine_session_open(rig.engine, rig.now_ms, id, token, &other), ENGINE_NO_SESSION);
    cr_assert_eq(engine_session_token(rig.engine, no)[0], 7);
    cr_assert_eq(engine_session_id(rig.engine, no)[1], 1);
    engine_session_end(rig.engine, rig.now_ms, no, true);
    cr_assert_eq(engine_session_find(rig.engine, id), 0u);
    cr_assert_eq(engine_session_count(rig.engine), (size_t)0);
}

Test(session, resume_takes_back_the_answered_gets_that_are_not_named)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 6);
    for (uint64_t get_id = 1; get_id <= 3; get_id++) {
        get_many(queue, session, get_id, 2);
    }
    const uint64_t waiting[] = {3, 9};
    const uint64_t held[] = {1};
    engine_session_resume(rig.engine, rig.now_ms, session, waiting, 2, held, 1);
    cr_assert_eq(queue->leased, 4u);
    cr_assert_eq(queue->record.failed, 0u, "uncounted");
    struct engine_grant grant;
    cr_assert_eq(engine_session_grant(rig.engine, session, 3, &grant), ENGINE_OK);
    cr_assert(grant.count == 2 && grant.items[0].seq == 5 && grant.items[1].seq == 6 && grant.highest_seq == 6);
    engine_grant_clear(&grant);
    cr_assert_eq(engine_session_grant(rig.engine, session, 2, &grant), ENGINE_EMPTY);
    cr_assert_eq(engine_session_grant(rig.engine, session, 9, &grant), ENGINE_EMPTY);
    engine_session_resume(rig.engine, rig.now_ms, session, NULL, 0, NULL, 0);
    cr_assert_eq(queue->leased, 0u);
}

Test(session, the_same_answer_after_some_were_done_and_one_extended)
{
    bool gone;
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 4);
    get_many(queue, session, 1, 4);
    struct engine_token first = rig_token(&rig, session, 1, 1);
    struct engine_token third = rig_token(&rig, session, 3, 1);
    engine_task_done(rig.engine, rig.now_ms, queue, &first, &gone);
    engine_extend(rig.engine, rig.now_ms, queue, &third, 0);
    for (int restart = 0; restart < 2; restart++) {
        struct engine_grant grant;
        cr_assert_eq(engine_session_grant(rig.engine, session, 1, &grant), ENGINE_OK);
        cr_assert(grant.count == 3 && grant.items[0].seq == 2 && grant.items[1].seq == 3 && grant.items[2].seq == 4);
        engine_grant_clear(&grant);
        rig_restart(&rig, true);
        queue = rig_queue(&rig, "q");
        session = 1;
    }
}

Test(session, taken_reaches_extended_items)
{
    bool gone;
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 4);
    get_many(queue, session, 1, 4);
    struct engine_token second = rig_token(&rig, session, 2, 1);
    engine_extend(rig.engine, rig.now_ms, queue, &second, 0);
    for (uint64_t seq = 3; seq <= 4; seq++) {
        struct engine_token token = rig_token(&rig, session, seq, 1);
        engine_task_done(rig.engine, rig.now_ms, queue, &token, &gone);
    }
    engine_session_taken(rig.engine, session, 1, 2);
    struct engine_token first = rig_token(&rig, session, 1, 1);
    engine_task_done(rig.engine, rig.now_ms, queue, &first, &gone);
    engine_session_taken(rig.engine, session, 1, 4);
    engine_session_end(rig.engine, rig.now_ms, session, false);
    cr_assert_eq(queue->record.failed, 1u);
}

Test(session, sessions_are_limited)
{
    rig.config.sessions_max = 1;
    dispatch_destroy(&rig.dispatch);
    engine_destroy(&rig.engine);
    rig_start(&rig);
    rig_session(&rig, 1);
    const uint8_t id[ENGINE_SESSION_ID_BYTES] = {9};
    const uint8_t token[ENGINE_RESUME_TOKEN_BYTES] = {0};
    uint64_t no;
    cr_assert_eq(engine_session_open(rig.engine, rig.now_ms, id, token, &no), ENGINE_LIMIT_REACHED);
}

Test(session, a_get_of_the_highest_number_is_given_back_like_any_other)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 1);
    get_many(queue, session, UINT64_MAX, 1);
    engine_session_resume(rig.engine, rig.now_ms, session, NULL, 0, NULL, 0);
    cr_assert_eq(queue->leased, 0u);
}

// GOODBYE and HELLO are answered, and then nobody names these items any more: after a crash they must not be on lease again, to count
// as failed when nobody comes.
Test(session, the_answer_to_what_gives_leases_back_waits_for_the_store)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 2);
    get_many(queue, session, 1, 1);
    get_many(queue, session, 2, 1);
    rig_commit(&rig);
    const uint64_t held[] = {2};
    engine_session_resume(rig.engine, rig.now_ms, session, NULL, 0, held, 1);
    cr_assert_eq(engine_pending(rig.engine), ENGINE_PENDING_WAITED);
    rig_commit(&rig);
    engine_session_resume(rig.engine, rig.now_ms, session, NULL, 0, held, 1);
    cr_assert_neq(engine_pending(rig.engine), ENGINE_PENDING_WAITED, "nothing was given back");
    engine_session_end(rig.engine, rig.now_ms, session, true);
    cr_assert_eq(engine_pending(rig.engine), ENGINE_PENDING_WAITED);
}

// How many queues know of how many sessions.
static size_t attachments(void)
{
    size_t count = 0;
    for (struct queue *queue = engine_queue_after(rig.engine, rig_text("")); queue != NULL;) {
        count += queue->attachments.count;
        queue = engine_queue_after(rig.engine, (struct engine_bytes){queue->record.name_len, (const uint8_t *)queue->record.name});
    }
    return count;
}

static struct queue *numbered_queue(unsigned number)
{
    char name[16];
    snprintf(name, sizeof(name), "q%u", number);
    return rig_queue(&rig, name);
}

// Whoever asks one queue after the other must not make the broker remember each of them for as long as he stays.
Test(session, that_asks_one_queue_after_the_other_leaves_nothing_behind)
{
    enum { QUEUES = 900, KEPT_MAX = 100 };
    const struct engine_options temporary = {.given = ENGINE_OPTION_TEMPORARY, .temporary = true};
    uint64_t session = rig_session(&rig, 1);
    struct queue *held = rig_queue(&rig, "held");
    struct queue *awaited = rig_queue(&rig, "awaited");
    struct queue *own = rig_declare(&rig, "own", &temporary);
    rig_put(&rig, held, 0, 1, 1);
    get_many(held, session, 1, 1);
    engine_session_waits(rig.engine, session, awaited, 1);
    cr_assert_eq(rig_get_one(&rig, own, session, 2), 0u);
    for (unsigned i = 0; i < QUEUES; i++) {
        cr_assert_eq(rig_get_one(&rig, numbered_queue(i), session, 3 + i), 0u);
    }
    cr_assert_leq(attachments(), (size_t)KEPT_MAX);
    cr_assert_eq(engine_queue_consumers(held), 1u);
    cr_assert_eq(engine_queue_consumers(awaited), 1u);
    engine_session_waits(rig.engine, session, awaited, -1);
    cr_assert_eq(engine_queue_consumers(awaited), 0u);
    engine_session_end(rig.engine, rig.now_ms, session, false);
    cr_assert_eq(held->returned.count, (size_t)1, "the item is back");
    cr_assert_null(engine_queue_find(rig.engine, rig_text("own")), "it lived by that session");
    cr_assert_eq(attachments(), (size_t)0);
}

Test(session, holds_items_of_many_queues_over_a_restart)
{
    enum { QUEUES = 200 };
    uint64_t session = rig_session(&rig, 1);
    for (unsigned i = 0; i < QUEUES; i++) {
        rig_put(&rig, numbered_queue(i), 0, 1, 1);
        get_many(numbered_queue(i), session, 1 + i, 1);
    }
    rig_restart(&rig, true);
    for (unsigned i = 0; i < QUEUES; i++) {
        cr_assert_eq(numbered_queue(i)->leased, 1u);
        cr_assert_eq(engine_queue_consumers(numbered_queue(i)), 1u);
    }
    engine_session_end(rig.engine, rig.now_ms, session, true);
    for (unsigned i = 0; i < QUEUES; i++) {
        cr_assert_eq(numbered_queue(i)->returned.count, (size_t)1);
    }
    cr_assert_eq(attachments(), (size_t)0);
}
