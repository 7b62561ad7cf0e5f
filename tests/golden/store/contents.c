#include "contents.h"

static void add_queue(struct store_rig *rig)
{
    // Every field has a value of its own, so that two that change places are found.
    struct queue_record record = {.queue_id = 1,
                                  .name = "golden",
                                  .name_len = 6,
                                  .maxsize = 101,
                                  .max_bytes = 102,
                                  .lease_ms = 103,
                                  .hold_max_ms = 104,
                                  .ttl_ms = 105,
                                  .max_deliveries = 106,
                                  .temporary = true,
                                  .dead_letter_len = 4,
                                  .dead_letter = "dead",
                                  .options_given = 107,
                                  .state = 1,
                                  .next_seq = 0x0102030405060708ull,
                                  .cursor = 4,
                                  .gone_below = 2,
                                  .reclaimed_below = 2,
                                  .put_bytes = 108,
                                  .cursor_put_bytes = 109,
                                  .ready = 3,
                                  .delayed = 1,
                                  .leased = 2};
    uint64_t *const counts[] = {&record.puts,          &record.gets,    &record.dones,      &record.redelivered,
                                &record.requeued,      &record.failed,  &record.expired,    &record.purged,
                                &record.dead_lettered, &record.dropped, &record.quarantined};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        *counts[i] = 200 + i;
    }
    rig_add(rig, (struct change){.kind = CHANGE_QUEUE, .as.queue = &record});
    record = (struct queue_record){.queue_id = 2, .name = "gone", .name_len = 4, .state = 2, .deleted = true, .next_seq = 1};
    rig_add(rig, (struct change){.kind = CHANGE_QUEUE, .as.queue = &record});
}

static void add_leases(struct store_rig *rig)
{
    const struct item_record item = {.queue_id = 1,
                                     .seq = 2,
                                     .state = ITEM_LEASED,
                                     .taken = true,
                                     .put_delayed = true,
                                     .deliveries = 301,
                                     .failures = 302,
                                     .due_ms = 303,
                                     .session_no = 304,
                                     .get_id = 305,
                                     .got_ms = 306,
                                     .lease_ms = 307,
                                     .hold_max_ms = 308};
    const struct run_record run = {.queue_id = 1,
                                   .first_seq = 3,
                                   .last_seq = 3,
                                   .session_no = 401,
                                   .get_id = 402,
                                   .got_ms = 403,
                                   .lease_ms = 404,
                                   .hold_max_ms = 405,
                                   .taken = 406,
                                   .redelivered = true};
    const struct meta_record meta = {.now_ms = 501, .epoch = 502, .next_queue_id = 503, .next_session_no = 504, .clean = true};
    rig_add(rig, (struct change){.kind = CHANGE_ITEM, .as.item = &item});
    rig_add(rig, (struct change){.kind = CHANGE_RUN, .as.run = &run});
    rig_add(rig, (struct change){.kind = CHANGE_META, .as.meta = &meta});
    rig_item(rig, 1, 5, ITEM_DELAYED);
    rig_stream(rig, 1, 0xFEDCBA9876543210ull, 601);
    rig_session(rig, 304);
}

void golden_add(struct store_rig *rig)
{
    static const uint8_t added[] = "added";
    add_queue(rig);
    add_leases(rig);
    rig_put(rig, (struct rig_put){1, 1, .count = 5, .body_len = 33, .headers_len = 12, .accepted_ms = 701, .put_bytes = 702});
    rig_put(rig, (struct rig_put){1, 6, .count = 1, .body_len = 5000, .accepted_ms = 703, .put_bytes = 704}); // pages of its own
    rig_put(rig, (struct rig_put){1, 7, .count = 1, .body_len = 4, .headers_len = 3});
    struct change move = {.kind = CHANGE_MOVE, .as.move = {.queue_id = 1, .seq = 7, .to_queue_id = 1, .to_seq = 8}};
    move.as.move.add_headers = (struct engine_bytes){sizeof(added), added};
    rig_add(rig, move);
    rig_remove(rig, 1, 1, 1);
}
