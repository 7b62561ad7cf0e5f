// The tracker and its streams, in virtual time.
#include <criterion/criterion.h>

#include "retry.h"
#include "tracker_fixture.h"

Test(tracker, finds_many_requests_by_id)
{
    struct tracker t;
    cr_assert(tracker_init(&t, fake_random));
    static struct end ends[1000];
    for (int i = 0; i < 1000; i++) {
        add(&t, WIRE_STAT, &ends[i], 0);
    }
    for (uint64_t id = 1; id <= 1000; id++) {
        cr_assert_eq(tracker_find(&t, id)->wire.id, id);
    }
    cr_assert_null(tracker_find(&t, 1001));
    tracker_fini(&t);
}

Test(tracker, gives_up_after_the_time_without_a_broker)
{
    struct tracker t;
    struct end put, stat, unsent;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    add_put(&t, &s, 1, 0, &put, 1000);
    add(&t, WIRE_STAT, &stat, 1000);
    send_all(&t, 1000);
    add(&t, WIRE_TASK_DONE, &unsent, 1200);
    cr_assert_eq(tracker_next_deadline_ms(&t, 500, 100), 1100);
    tracker_run(&t, 1099, 500, 100);
    cr_assert_eq(put.count + stat.count + unsent.count, 0);
    tracker_run(&t, 1100, 500, 100);
    cr_assert_eq(put.status, NQ_OUTCOME_UNKNOWN);
    cr_assert_eq(stat.status, NQ_UNREACHABLE);
    cr_assert_eq(unsent.count, 0);
    tracker_run(&t, 1300, 500, 100);
    cr_assert_eq(unsent.status, NQ_UNREACHABLE); // never sent: nothing happened
    tracker_fini(&t);
}

Test(tracker, resends_after_a_reconnect_in_the_old_order_with_the_old_ids)
{
    struct tracker t;
    struct end e[4];
    cr_assert(tracker_init(&t, fake_random));
    struct request *get = add(&t, WIRE_GET, &e[0], 0);
    struct request *purge = add(&t, WIRE_PURGE, &e[1], 0);
    struct request *join = add(&t, WIRE_JOIN, &e[2], 0);
    uint64_t get_id = get->wire.id;
    (void)purge;
    send_all(&t, 0);
    struct request *stat = add(&t, WIRE_STAT, &e[3], 0);
    uint64_t ids[4];
    cr_assert_eq(tracker_waiting_gets(&t, ids, 4), 1);
    cr_assert_eq(ids[0], get_id);
    tracker_reconnected(&t, TRACKER_RESUMED, 10);
    cr_assert_eq(e[1].status, NQ_OUTCOME_UNKNOWN); // a purge is not repeated
    cr_assert_eq(t.unsent.first, get);
    cr_assert_eq(get->wire.id, get_id);
    cr_assert(get->resent);
    cr_assert_eq(get->next, join);
    cr_assert_eq(join->next, stat);
    cr_assert_not(stat->resent);
    tracker_fini(&t);
}

Test(tracker, sends_the_remaining_wait_on_a_resend)
{
    struct tracker t;
    struct end e;
    cr_assert(tracker_init(&t, fake_random));
    struct request *get = request_create(WIRE_GET);
    get->ended = ended;
    get->user = &e;
    get->wait_ms = 1000;
    tracker_add(&t, get, 0);
    tracker_before_send(get, 5000); // the wait begins when it is sent first
    cr_assert_eq(get->wire.as.get.wait_ms, 1000);
    tracker_sent(&t, get);
    tracker_reconnected(&t, TRACKER_NEW_SESSION, 5400);
    tracker_before_send(get, 5400);
    cr_assert_eq(get->wire.as.get.wait_ms, 600);
    tracker_before_send(get, 9000);
    cr_assert_eq(get->wire.as.get.wait_ms, 0);
    tracker_fini(&t);
}

Test(tracker, another_store_ends_puts_and_leases_and_restarts_gets)
{
    struct tracker t;
    struct end put, later, done, busy, fresh, get;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    uint64_t number = s.number;
    add_put(&t, &s, 3, 0, &put, 0);
    add(&t, WIRE_TASK_DONE, &done, 0);
    uint64_t busy_id = add(&t, WIRE_REQUEUE, &busy, 0)->wire.id;
    t.patience_ms = 1000;
    struct request *g = add(&t, WIRE_GET, &get, 0);
    uint64_t get_id = g->wire.id;
    send_all(&t, 0);
    tracker_reply(&t, &(struct wire_reply){.id = busy_id, .status = NQ_BUSY}, NULL, 1);
    add(&t, WIRE_TASK_DONE, &fresh, 1); // of an item of the old store
    struct request *unsent = add_put(&t, &s, 2, 0, &later, 0);
    tracker_reconnected(&t, TRACKER_NEW_STORE, 10);
    cr_assert_eq(put.status, NQ_OUTCOME_UNKNOWN);
    cr_assert_eq(done.status, NQ_LEASE_LOST);
    cr_assert_eq(busy.status, NQ_LEASE_LOST);
    cr_assert_eq(fresh.status, NQ_LEASE_LOST);
    cr_assert_eq(get.count, 0);
    cr_assert_neq(g->wire.id, get_id);
    cr_assert_eq(later.count, 0); // was never sent: goes to the new store on a new stream
    cr_assert_eq(unsent->state, REQUEST_UNSENT);
    cr_assert_eq(first_number(unsent), 1);
    cr_assert_neq(unsent->wire.as.put.stream, number);
    tracker_fini(&t);
}

Test(tracker, abandoned_requests_vanish_at_a_reconnect)
{
    struct tracker t;
    struct end e;
    cr_assert(tracker_init(&t, fake_random));
    struct request *get = add(&t, WIRE_GET, &e, 0);
    send_all(&t, 0);
    get->abandoned = true;
    uint64_t ids[1];
    cr_assert_eq(tracker_waiting_gets(&t, ids, 1), 0);
    tracker_reconnected(&t, TRACKER_RESUMED, 0);
    cr_assert_eq(t.count, 0);
    tracker_fini(&t);
}

Test(stream, numbers_items_from_one)
{
    struct tracker t;
    struct end e[2];
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    cr_assert_eq(first_number(add_put(&t, &s, 5, 0, &e[0], 0)), 1);
    cr_assert_eq(first_number(add_put(&t, &s, 2, 0, &e[1], 0)), 6);
    cr_assert_eq(s.next_number, 8);
    tracker_fini(&t);
}

Test(stream, a_refusal_renumbers_what_was_behind_it)
{
    struct tracker t;
    struct end a, b, c;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    uint64_t a_id = add_put(&t, &s, 5, 0, &a, 0)->wire.id;
    struct request *rb = add_put(&t, &s, 2, 0, &b, 0);
    uint64_t b_id = rb->wire.id;
    send_all(&t, 0);
    reply_put(&t, a_id, NQ_FULL, 3, 3, 1);
    cr_assert_eq(a.status, NQ_FULL);
    cr_assert_eq(a.accepted, 3);
    struct request *rc = add_put(&t, &s, 1, 0, &c, 1); // comes while the stream is out of order
    cr_assert_eq(rc->state, REQUEST_HELD);
    tracker_run(&t, 1, 1, 1000);
    cr_assert_eq(rb->state, REQUEST_SENT); // its answer is still to come
    reply_put(&t, b_id, NQ_OUT_OF_SEQUENCE, 0, 3, 2);
    tracker_run(&t, 2, 2, 1000);
    cr_assert_eq(rb->state, REQUEST_UNSENT);
    cr_assert_eq(first_number(rb), 4);
    cr_assert_neq(rb->wire.id, b_id);
    cr_assert_eq(first_number(rc), 6);
    cr_assert_eq(b.count + c.count, 0);
    tracker_fini(&t);
}

Test(retry, pauses_double_up_to_their_limit)
{
    static const uint64_t puts[] = {5, 10, 20, 40, 80, 160, 200, 200};
    static const uint64_t others[] = {10, 20, 40, 80, 160, 320, 640, 1000};
    for (uint32_t i = 0; i < 8; i++) {
        cr_expect_eq(retry_pause_ms(&retry_puts, i), puts[i]);
        cr_expect_eq(retry_pause_ms(&retry_others, i), others[i]);
    }
    cr_assert_eq(retry_pause_ms(&retry_others, UINT32_MAX), 1000);
}

Test(stream, a_broker_that_stays_busy_is_asked_less_and_less_often)
{
    struct tracker t;
    struct end e;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    struct request *r = add_put(&t, &s, 1, 100000, &e, 0);
    uint64_t now_ms = 0;
    for (uint32_t i = 0; i < 8; i++) {
        send_all(&t, now_ms);
        reply_put(&t, r->wire.id, NQ_BUSY, 0, 0, now_ms);
        tracker_run(&t, now_ms, now_ms, 1000);
        uint64_t at_ms = tracker_next_deadline_ms(&t, now_ms, 1000);
        cr_assert_eq(at_ms, now_ms + retry_pause_ms(&retry_puts, i));
        now_ms = at_ms;
        tracker_run(&t, now_ms, now_ms, 1000);
    }
    send_all(&t, now_ms);
    reply_put(&t, r->wire.id, NQ_OK, 1, 1, now_ms);
    cr_assert_eq(s.busy_times, 0, "once a put was accepted it begins anew");
    stream_close(&t, &s);
    tracker_fini(&t);
}

Test(stream, busy_is_tried_again_until_the_deadline)
{
    struct tracker t;
    struct end e;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    struct request *r = add_put(&t, &s, 4, 100, &e, 0);
    send_all(&t, 0);
    reply_put(&t, r->wire.id, NQ_BUSY, 1, 1, 10);
    tracker_run(&t, 10, 10, 1000);
    cr_assert_eq(r->state, REQUEST_HELD);
    uint64_t at_ms = tracker_next_deadline_ms(&t, 10, 1000);
    cr_assert_eq(at_ms, 10 + retry_puts.first_ms);
    tracker_run(&t, at_ms, 10, 1000);
    cr_assert_eq(r->state, REQUEST_UNSENT);
    cr_assert_eq(first_number(r), 2);
    cr_assert_eq(r->wire.as.put.count, 3);
    send_all(&t, at_ms);
    cr_assert_eq(r->wire.as.put.wait_ms, 100 - at_ms);
    reply_put(&t, r->wire.id, NQ_BUSY, 0, 1, 120);
    cr_assert_eq(e.status, NQ_BUSY);
    cr_assert_eq(e.accepted, 1);
    tracker_fini(&t);
}

// The first run waits at the broker while those behind it are refused: when it is accepted after all, its numbers are taken. Once
// they were given out again, and the broker took the items of later runs for duplicates.
Test(stream, a_run_accepted_after_later_ones_were_refused_keeps_its_numbers)
{
    struct tracker t;
    struct end a;
    struct end b;
    struct end c;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    struct request *ra = add_put(&t, &s, 2, 1000, &a, 0);
    struct request *rb = add_put(&t, &s, 3, 1000, &b, 0);
    struct request *rc = add_put(&t, &s, 4, 1000, &c, 0);
    uint64_t a_id = ra->wire.id;
    send_all(&t, 0);
    reply_put(&t, rb->wire.id, NQ_BUSY, 0, 1, 1); // of the first run one item is in, the other waits
    reply_put(&t, rc->wire.id, NQ_OUT_OF_SEQUENCE, 0, 1, 1);
    reply_put(&t, a_id, NQ_OK, 2, 2, 2);
    tracker_run(&t, 100, 100, 1000);
    cr_assert_eq(a.status, NQ_OK);
    cr_assert_eq(rb->state, REQUEST_UNSENT);
    cr_assert_eq(first_number(rb), 3);
    cr_assert_eq(first_number(rc), 6);
    send_all(&t, 100);
    reply_put(&t, rb->wire.id, NQ_OK, 3, 5, 101);
    reply_put(&t, rc->wire.id, NQ_OK, 4, 9, 101);
    cr_assert_eq(b.count + c.count, 2);
    tracker_fini(&t);
}

Test(stream, an_unknown_stream_is_begun_anew_when_the_put_was_sent_once)
{
    struct tracker t;
    struct end e;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    struct request *r = add_put(&t, &s, 4, 0, &e, 0);
    r->wire.as.put.first_number = 50;
    s.next_number = 54;
    uint64_t number = s.number;
    send_all(&t, 0);
    reply_put(&t, r->wire.id, NQ_STREAM_UNKNOWN, 0, 0, 1);
    tracker_run(&t, 1, 1, 1000);
    cr_assert_eq(e.count, 0);
    cr_assert_eq(first_number(r), 1);
    cr_assert_neq(r->wire.as.put.stream, number);
    tracker_fini(&t);
}

Test(stream, an_unknown_stream_after_a_resend_is_an_unknown_outcome)
{
    struct tracker t;
    struct end e;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    struct request *r = add_put(&t, &s, 4, 0, &e, 0);
    uint64_t id = r->wire.id;
    send_all(&t, 0);
    tracker_reconnected(&t, TRACKER_NEW_SESSION, 1);
    send_all(&t, 1);
    reply_put(&t, id, NQ_STREAM_UNKNOWN, 0, 0, 1);
    cr_assert_eq(e.status, NQ_OUTCOME_UNKNOWN);
    tracker_fini(&t);
}

// Told nothing of the stream, the library must not give a number again that the broker may have taken for another item.
Test(stream, a_resent_put_refused_without_a_look_at_its_stream_is_an_unknown_outcome)
{
    struct tracker t;
    struct end a, b;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    uint64_t id = add_put(&t, &s, 1, 0, &a, 0)->wire.id;
    send_all(&t, 0);
    tracker_reconnected(&t, TRACKER_RESUMED, 1);
    send_all(&t, 1);
    struct request *rb = add_put(&t, &s, 1, 0, &b, 1);
    uint64_t stream = rb->wire.as.put.stream;
    tracker_reply(&t, &(struct wire_reply){.id = id, .status = NQ_TOO_LARGE}, NULL, 2);
    cr_assert_eq(a.status, NQ_OUTCOME_UNKNOWN);
    tracker_run(&t, 2, 2, 1000);
    cr_assert_eq(first_number(rb), 1);
    cr_assert_neq(rb->wire.as.put.stream, stream);
    tracker_fini(&t);
}

Test(stream, of_a_producer_ends_all_runs_behind_a_refusal)
{
    struct tracker t;
    struct end a, b, c;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, true);
    uint64_t a_id = add_put(&t, &s, 5, 0, &a, 0)->wire.id;
    uint64_t b_id = add_put(&t, &s, 5, 0, &b, 0)->wire.id;
    send_all(&t, 0);
    add_put(&t, &s, 5, 0, &c, 0);
    reply_put(&t, a_id, NQ_SHUT_DOWN, 1, 1, 1);
    reply_put(&t, b_id, NQ_OUT_OF_SEQUENCE, 0, 1, 1);
    tracker_run(&t, 1, 1, 1000);
    cr_assert_eq(a.status, NQ_SHUT_DOWN);
    cr_assert_eq(b.status, NQ_OUT_OF_SEQUENCE);
    cr_assert_eq(c.status, NQ_OUT_OF_SEQUENCE);
    cr_assert_eq(t.count, 0);
    tracker_fini(&t);
}

Test(stream, of_a_producer_sends_nothing_behind_a_run_that_was_given_up)
{
    struct tracker t;
    struct end a, b;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, true);
    add_put(&t, &s, 5, 0, &a, 0);
    add_put(&t, &s, 5, 0, &b, 50);
    tracker_run(&t, 100, 0, 100);
    cr_assert_eq(a.status, NQ_UNREACHABLE);
    cr_assert_eq(t.unsent.count, 0, "items behind one that is not stored would be stored");
    tracker_run(&t, 101, 101, 100);
    cr_assert_eq(b.count, 1);
    cr_assert_eq(b.status, NQ_OUT_OF_SEQUENCE);
    tracker_fini(&t);
}

Test(tracker, a_cancel_goes_again_behind_what_it_cancels)
{
    struct tracker t;
    struct end put, cancel;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    add_put(&t, &s, 1, NQ_WAIT_FOREVER, &put, 0);
    add(&t, WIRE_CANCEL, &cancel, 1);
    send_all(&t, 1);
    tracker_reconnected(&t, TRACKER_RESUMED, 2);
    cr_assert_eq(t.unsent.count, 2);
    cr_assert_eq(t.unsent.first->wire.op, WIRE_PUT);
    cr_assert_eq(t.unsent.last->wire.op, WIRE_CANCEL);
    tracker_fini(&t);
}

Test(tracker, what_no_session_was_known_for_goes_again_in_its_order_as_if_never_sent)
{
    struct tracker t;
    struct end put, purge, late;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    struct request *first = add_put(&t, &s, 1, NQ_WAIT_FOREVER, &put, 0);
    struct request *second = add(&t, WIRE_PURGE, &purge, 0);
    struct request *third = add_put(&t, &s, 1, 0, &late, 0);
    send_all(&t, 0);
    tracker_is_unread(&t, first->wire.id);
    tracker_is_unread(&t, second->wire.id);
    tracker_is_unread(&t, third->wire.id);
    cr_assert_not(request_was_sent(first));
    tracker_drop(&t, third, 1);
    cr_assert_eq(s.next_number, 2);
    tracker_reconnected(&t, TRACKER_NEW_SESSION, 2);
    cr_assert_eq(t.unsent.first, first);
    cr_assert_eq(first->next, second); // a purge that was sent would not be sent again
    cr_assert_not(first->resent || second->resent);
    tracker_fini(&t);
}

// A run behind one that was refused, of which only the session was unknown: what it was numbered is void.
Test(stream, a_run_of_void_numbers_that_no_session_was_known_for_is_numbered_anew)
{
    struct tracker t;
    struct end a, b;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    struct request *ra = add_put(&t, &s, 2, 0, &a, 0);
    struct request *rb = add_put(&t, &s, 1, 0, &b, 0);
    send_all(&t, 0);
    tracker_is_unread(&t, rb->wire.id);
    reply_put(&t, ra->wire.id, NQ_FULL, 1, 1, 1);
    cr_assert_eq(a.status, NQ_FULL);
    tracker_reconnected(&t, TRACKER_NEW_SESSION, 2);
    tracker_run(&t, 3, 3, 1000);
    cr_assert_eq(t.unsent.first, rb);
    cr_assert_eq(first_number(rb), 2);
    tracker_fini(&t);
}

Test(stream, a_cancelled_put_is_not_tried_again_after_a_refusal)
{
    struct tracker t;
    struct end e;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    struct request *r = add_put(&t, &s, 4, NQ_WAIT_FOREVER, &e, 0);
    uint64_t id = r->wire.id;
    send_all(&t, 0);
    r->cancelled = true;
    reply_put(&t, id, NQ_BUSY, 1, 1, 1);
    tracker_run(&t, 10000, 10000, 1000);
    cr_assert_eq(e.status, NQ_CANCELLED);
    cr_assert_eq(e.accepted, 1);
    cr_assert_eq(t.count, 0);
    tracker_fini(&t);
}

// ---------------------------------------------------------------------------------------------------- a busy broker

static void reply_plain(struct tracker *t, uint64_t id, enum nq_status status, uint64_t now_ms)
{
    struct wire_reply reply = {.id = id, .status = status};
    tracker_reply(t, &reply, NULL, now_ms);
}

Test(tracker, what_a_broker_is_too_busy_for_is_tried_again_with_a_new_id_until_its_time_is_over)
{
    struct tracker t;
    struct end get, stat;
    cr_assert(tracker_init(&t, fake_random));
    t.patience_ms = 50;
    struct request *waits = add(&t, WIRE_GET, &get, 0);
    waits->wait_ms = 100;
    struct request *plain = add(&t, WIRE_STAT, &stat, 0);
    send_all(&t, 0);
    uint64_t first = waits->wire.id;
    reply_plain(&t, waits->wire.id, NQ_BUSY, 0);
    reply_plain(&t, plain->wire.id, NQ_BUSY, 0);
    cr_assert_eq(get.count + stat.count, 0);
    cr_assert_eq(tracker_next_deadline_ms(&t, 0, 1000), 10);
    tracker_run(&t, 9, 0, 1000);
    cr_assert_null(t.unsent.first);
    tracker_run(&t, 10, 0, 1000);
    cr_assert_eq(t.unsent.count, 2);
    cr_assert_neq(waits->wire.id, first);
    cr_assert_eq(tracker_find_started(&t, first), waits);
    send_all(&t, 10);
    cr_assert_eq(waits->wire.as.get.wait_ms, 90); // what is left of it
    reply_plain(&t, plain->wire.id, NQ_BUSY, 50);
    cr_assert_eq(stat.status, NQ_BUSY); // no time of its own: as long as a broker may be away
    reply_plain(&t, waits->wire.id, NQ_BUSY, 99);
    tracker_run(&t, 100, 0, 1000);
    send_all(&t, 100);
    reply_plain(&t, waits->wire.id, NQ_BUSY, 100);
    cr_assert_eq(get.status, NQ_BUSY);
    cr_assert_eq(t.busy + t.count, 0);
    cr_assert_eq(tracker_next_deadline_ms(&t, 0, 1000), UINT64_MAX);
    tracker_fini(&t);
}

Test(tracker, a_backup_a_redrive_that_has_moved_something_and_what_is_cancelled_are_not_tried_again)
{
    struct tracker t;
    struct end backup, redrive, get, dropped;
    cr_assert(tracker_init(&t, fake_random));
    t.patience_ms = 50;
    struct request *r = add(&t, WIRE_BACKUP, &backup, 0);
    struct request *moved = add(&t, WIRE_REDRIVE, &redrive, 0);
    struct request *cancelled = add(&t, WIRE_GET, &get, 0);
    struct request *held = add(&t, WIRE_STAT, &dropped, 0);
    send_all(&t, 0);
    reply_plain(&t, r->wire.id, NQ_BUSY, 1);
    struct wire_reply some = {.id = moved->wire.id, .status = NQ_BUSY, .result = WIRE_PURGE, .as.count = 3};
    tracker_reply(&t, &some, NULL, 1);
    cancelled->cancelled = true;
    reply_plain(&t, cancelled->wire.id, NQ_BUSY, 1);
    cr_assert(backup.status == NQ_BUSY && redrive.status == NQ_BUSY && get.status == NQ_BUSY);
    reply_plain(&t, held->wire.id, NQ_BUSY, 1);
    cr_assert_eq(t.busy, 1);
    tracker_drop(&t, held, 2);
    cr_assert_eq(t.busy + t.count, 0);
    cr_assert_eq(dropped.count, 0);
    tracker_fini(&t);
}

// What an earlier, whole sending has done is told with the answers: no item is put a second time.
Test(stream, a_run_sent_in_parts_goes_on_where_it_was_accepted)
{
    struct tracker t;
    struct end a, b;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    struct request *ra = add_put(&t, &s, 10, 0, &a, 0);
    struct request *rb = add_put(&t, &s, 2, 0, &b, 0);
    send_all(&t, 0);
    tracker_reconnected(&t, TRACKER_RESUMED, 1);
    tracker_sent(&t, ra);
    stream_part_sent(&t, ra, 4);
    send_all(&t, 1);
    reply_put(&t, ra->wire.id, NQ_OK, 4, 4, 2);
    cr_assert_eq(a.count, 0);
    reply_put(&t, rb->wire.id, NQ_OUT_OF_SEQUENCE, 0, 4, 2);
    tracker_run(&t, 3, 3, 1000);
    cr_assert_eq(t.unsent.first, ra);
    cr_assert_eq(first_number(ra), 5);
    cr_assert_eq(ra->wire.as.put.count, 6);
    cr_assert_eq(first_number(rb), 11);
    tracker_sent(&t, ra);
    stream_part_sent(&t, ra, 4);
    reply_put(&t, ra->wire.id, NQ_OK, 4, 12, 4); // the first sending had been accepted after all, and what was behind it
    cr_assert_eq(a.count, 1);
    cr_assert_eq(a.status, NQ_OK);
    cr_assert_eq(a.accepted, 10);
    tracker_fini(&t);
}

Test(stream, a_run_that_no_frame_takes_ends_and_what_is_behind_it_goes_on)
{
    struct tracker t;
    struct end a, b, c;
    cr_assert(tracker_init(&t, fake_random));
    struct stream s;
    stream_open(&t, &s, false);
    struct request *ra = add_put(&t, &s, 1, 0, &a, 0);
    add_put(&t, &s, 1, 0, &b, 0);
    tracker_give_up(&t, ra, NQ_TOO_LARGE, 0);
    cr_assert_eq(a.status, NQ_TOO_LARGE);
    tracker_run(&t, 1, 1, 1000);
    cr_assert_eq(first_number(t.unsent.first), 1);
    send_all(&t, 1);
    tracker_reconnected(&t, TRACKER_RESUMED, 2);
    uint64_t stream = t.unsent.first->wire.as.put.stream;
    tracker_give_up(&t, t.unsent.first, NQ_TOO_LARGE, 2);
    cr_assert_eq(b.status, NQ_OUTCOME_UNKNOWN); // the broker may have taken it before
    tracker_run(&t, 3, 3, 1000);
    struct request *rc = add_put(&t, &s, 1, 0, &c, 3);
    cr_assert_neq(rc->wire.as.put.stream, stream);
    cr_assert_eq(first_number(rc), 1);
    tracker_fini(&t);
}
