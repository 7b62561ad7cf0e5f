// put: order, bounds, streams; and when bodies may be let go.
#include <criterion/criterion.h>

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

TestSuite(put, .init = start, .fini = end);

static enum engine_status put_bytes(struct queue *queue, uint64_t session_no, uint64_t first, const size_t *lens, size_t count,
                                    bool atomic, struct engine_put_result *result)
{
    struct engine_bytes bodies[16];
    uint8_t zeros[64] = {0};
    for (size_t i = 0; i < count; i++) {
        bodies[i] = rig_keep(&rig, zeros, lens[i]);
    }
    const void *kept = rig_keep(&rig, bodies, count * sizeof(*bodies)).data;
    const struct engine_put put = {.session_no = session_no,
                                   .stream = session_no == 0 ? 0 : 1000 + session_no,
                                   .first_number = first,
                                   .bodies = kept,
                                   .count = count,
                                   .atomic = atomic};
    return engine_put(rig.engine, rig.now_ms, queue, &put, result);
}

static const size_t ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

Test(put, first_in_first_out_over_producers)
{
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    cr_assert_eq(rig_put(&rig, queue, 0, 1, 3), ENGINE_OK);
    cr_assert_eq(rig_put(&rig, queue, session, 1, 2), ENGINE_OK);
    struct engine_grant grant;
    cr_assert_eq(rig_get(&rig, queue, session, 1, 10, &grant), ENGINE_OK);
    cr_assert_eq(grant.count, (size_t)5);
    for (size_t i = 0; i < grant.count; i++) {
        cr_assert_eq(grant.items[i].seq, i + 1);
        cr_assert_eq(grant.items[i].delivery, 1u);
        cr_assert(!grant.items[i].redelivered);
    }
    engine_grant_clear(&grant);
}

Test(put, maxsize_frees_a_slot_at_get)
{
    struct engine_put_result result;
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_declare(&rig, "q", &(struct engine_options){.given = ENGINE_OPTION_MAXSIZE, .maxsize = 2});
    cr_assert_eq(put_bytes(queue, 0, 1, ones, 3, false, &result), ENGINE_FULL);
    cr_assert_eq(result.accepted, (size_t)2);
    cr_assert_eq(rig_get_one(&rig, queue, session, 1), 1u);
    cr_assert_eq(put_bytes(queue, 0, 1, ones, 2, false, &result), ENGINE_FULL);
    cr_assert_eq(result.accepted, (size_t)1);
    cr_assert_eq(result.last_seq, 3u);
}

Test(put, what_comes_back_may_exceed_maxsize)
{
    struct engine_put_result result;
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_declare(&rig, "q", &(struct engine_options){.given = ENGINE_OPTION_MAXSIZE, .maxsize = 1});
    put_bytes(queue, 0, 1, ones, 1, false, &result);
    rig_get_one(&rig, queue, session, 1);
    put_bytes(queue, 0, 1, ones, 1, false, &result);
    struct engine_token token = rig_token(&rig, session, 1, 1);
    cr_assert_eq(engine_requeue(rig.engine, rig.now_ms, queue, &token, &(struct engine_requeue){0}), ENGINE_OK);
    cr_assert_eq(queue_ready(queue), 2u);
    rig_get_one(&rig, queue, session, 2);
    cr_assert_eq(put_bytes(queue, 0, 1, ones, 1, false, &result), ENGINE_FULL, "still one ready");
}

Test(put, max_bytes_counts_bodies_and_headers)
{
    struct engine_put_result result;
    struct queue *queue = rig_declare(&rig, "q", &(struct engine_options){.given = ENGINE_OPTION_MAX_BYTES, .max_bytes = 10});
    cr_assert_eq(put_bytes(queue, 0, 1, (size_t[]){6, 4, 1}, 3, false, &result), ENGINE_FULL);
    cr_assert_eq(result.accepted, (size_t)2);
    cr_assert_eq(put_bytes(queue, 0, 1, (size_t[]){11}, 1, false, &result), ENGINE_TOO_LARGE);
    cr_assert_eq(engine_queue_ready_bytes(queue), 10u);
    engine_purge(rig.engine, rig.now_ms, queue);
    const struct engine_bytes *headers =
        (const void *)rig_keep(&rig, &(struct engine_bytes){8, rig_keep(&rig, "12345678", 8).data}, sizeof(struct engine_bytes))
            .data;
    const struct engine_bytes *bodies =
        (const void *)rig_keep(&rig, &(struct engine_bytes){3, rig_keep(&rig, "abc", 3).data}, sizeof(struct engine_bytes)).data;
    const struct engine_put put = {.bodies = bodies, .headers = headers, .count = 1};
    cr_assert_eq(engine_put(rig.engine, rig.now_ms, queue, &put, &result), ENGINE_TOO_LARGE);
}

Test(put, atomic_is_all_or_nothing)
{
    struct engine_put_result result;
    struct queue *queue = rig_declare(&rig, "q", &(struct engine_options){.given = ENGINE_OPTION_MAXSIZE, .maxsize = 4});
    cr_assert_eq(put_bytes(queue, 0, 1, ones, 3, true, &result), ENGINE_OK);
    cr_assert_eq(put_bytes(queue, 0, 1, ones, 2, true, &result), ENGINE_FULL);
    cr_assert_eq(result.accepted, (size_t)0);
    cr_assert_eq(put_bytes(queue, 0, 1, ones, 5, true, &result), ENGINE_TOO_LARGE);
    cr_assert_eq(queue_ready(queue), 3u);
    struct queue *small = rig_declare(&rig, "s", &(struct engine_options){.given = ENGINE_OPTION_MAX_BYTES, .max_bytes = 10});
    cr_assert_eq(put_bytes(small, 0, 1, (size_t[]){6, 6}, 2, true, &result), ENGINE_TOO_LARGE);
}

Test(put, stream_duplicates_overlap_gap_unknown)
{
    struct engine_put_result result;
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    cr_assert_eq(put_bytes(queue, session, 2, ones, 1, false, &result), ENGINE_STREAM_UNKNOWN);
    cr_assert_eq(put_bytes(queue, session, 1, ones, 3, false, &result), ENGINE_OK);
    cr_assert(!result.duplicate);
    cr_assert_eq(put_bytes(queue, session, 1, ones, 3, false, &result), ENGINE_OK);
    cr_assert(result.duplicate && result.accepted == 3 && result.last_number == 3 && result.last_seq == 3);
    cr_assert_eq(put_bytes(queue, session, 2, ones, 4, false, &result), ENGINE_OK);
    cr_assert(result.duplicate && result.accepted == 4 && result.last_number == 5 && result.last_seq == 5);
    cr_assert_eq(put_bytes(queue, session, 7, ones, 1, false, &result), ENGINE_OUT_OF_SEQUENCE);
    cr_assert_eq(result.last_number, 5u);
    cr_assert_eq(queue->record.puts, 5u);
    cr_assert_eq(engine_stream_last(rig.engine, queue, 1000 + session), 5u);
}

Test(put, a_duplicate_is_told_even_when_full_or_shut_down)
{
    struct engine_put_result result;
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_declare(&rig, "q", &(struct engine_options){.given = ENGINE_OPTION_MAXSIZE, .maxsize = 1});
    put_bytes(queue, session, 1, ones, 1, false, &result);
    cr_assert_eq(put_bytes(queue, session, 1, ones, 1, false, &result), ENGINE_OK);
    cr_assert_eq(put_bytes(queue, session, 1, ones, 2, false, &result), ENGINE_FULL);
    cr_assert_eq(result.accepted, (size_t)1);
    engine_shutdown(rig.engine, rig.now_ms, queue, false);
    cr_assert_eq(put_bytes(queue, session, 1, ones, 1, false, &result), ENGINE_OK);
    cr_assert_eq(put_bytes(queue, session, 2, ones, 1, false, &result), ENGINE_SHUT_DOWN);
}

Test(put, idle_streams_are_dropped)
{
    struct engine_put_result result;
    uint64_t session = rig_session(&rig, 1);
    struct queue *queue = rig_queue(&rig, "q");
    put_bytes(queue, session, 1, ones, 3, false, &result);
    rig_tick(&rig, rig.config.dedup_keep_ms - 1);
    cr_assert_eq(engine_stream_last(rig.engine, queue, 1000 + session), 3u);
    rig_tick(&rig, 1);
    cr_assert_eq(engine_stream_last(rig.engine, queue, 1000 + session), 0u);
    cr_assert_eq(put_bytes(queue, session, 4, ones, 1, false, &result), ENGINE_STREAM_UNKNOWN);
}

Test(put, goodbye_forgets_streams_another_end_does_not)
{
    uint64_t a = rig_session(&rig, 1);
    uint64_t b = rig_session(&rig, 2);
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, a, 1, 2);
    rig_put(&rig, queue, b, 1, 2);
    rig_commit(&rig);
    engine_session_end(rig.engine, rig.now_ms, a, true);
    engine_session_end(rig.engine, rig.now_ms, b, false);
    cr_assert_eq(engine_stream_last(rig.engine, queue, 1000 + a), 0u);
    cr_assert_eq(engine_stream_last(rig.engine, queue, 1000 + b), 2u);
    rig_restart(&rig, true);
    queue = rig_queue(&rig, "q");
    cr_assert_eq(engine_stream_last(rig.engine, queue, 1000 + a), 0u);
    cr_assert_eq(engine_stream_last(rig.engine, queue, 1000 + b), 2u);
}

Test(put, bodies_are_recent_until_durable)
{
    struct engine_bytes body;
    struct engine_bytes headers;
    struct queue *queue = rig_queue(&rig, "q");
    rig_put(&rig, queue, 0, 1, 2);
    cr_assert_eq(engine_durability(queue, 1), ENGINE_OPEN);
    rig_seal(&rig, false);
    rig_put(&rig, queue, 0, 3, 1);
    cr_assert_eq(engine_durability(queue, 2), ENGINE_SEALED);
    cr_assert_eq(engine_durability(queue, 3), ENGINE_OPEN);
    cr_assert(engine_recent_item(queue, 2, &body, &headers));
    cr_assert_eq(body.len, (size_t)3);
    cr_assert_arr_eq(body.data, "q-2", 3);
    rig_land(&rig);
    cr_assert_eq(engine_durability(queue, 2), ENGINE_DURABLE);
    cr_assert(!engine_recent_item(queue, 2, &body, &headers));
    cr_assert(engine_recent_item(queue, 3, &body, &headers));
    cr_assert_arr_eq(body.data, "q-3", 3);
    cr_assert(!engine_recent_item(queue, 4, &body, &headers));
}

// A broker may have a hundred thousand queues.
Test(put, what_many_small_puts_at_once_take_does_not_stay_with_their_queue)
{
    enum { PUTS = 5000, KEPT_MAX = 100 };
    struct engine_bytes body;
    struct engine_bytes headers;
    struct queue *queue = rig_queue(&rig, "q");
    for (uint64_t i = 1; i <= PUTS; i++) {
        rig_put(&rig, queue, 0, i, 1);
    }
    rig_commit(&rig);
    cr_assert_leq(queue->recent_capacity, (size_t)KEPT_MAX);
    rig_put(&rig, queue, 0, PUTS + 1, 1);
    cr_assert(engine_recent_item(queue, PUTS + 1, &body, &headers));
}

Test(put, streams_are_limited)
{
    struct engine_put_result result;
    rig.config.streams_max = 1;
    engine_destroy(&rig.engine);
    dispatch_destroy(&rig.dispatch);
    rig_start(&rig);
    uint64_t a = rig_session(&rig, 1);
    uint64_t b = rig_session(&rig, 2);
    struct queue *queue = rig_queue(&rig, "q");
    cr_assert_eq(put_bytes(queue, a, 1, ones, 1, false, &result), ENGINE_OK);
    cr_assert_eq(put_bytes(queue, b, 1, ones, 1, false, &result), ENGINE_LIMIT_REACHED);
    cr_assert_eq(queue->record.puts, 1u);
}
