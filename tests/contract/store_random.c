#include "store_random.h"

uint64_t random_below(struct store_random *self, uint64_t end) // xorshift64
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return self->random % end;
}

static uint64_t any_seq(struct store_random *self, uint64_t queue)
{
    return random_below(self, self->next_seq[queue] + 3);
}

static void put_some(struct store_random *self, uint64_t queue)
{
    static const size_t sizes[] = {0, 1, 30, 100, 100, 1000, 1990, 2100, 5000, 100000};
    size_t body_len = sizes[random_below(self, 10)];
    size_t count = 1 + random_below(self, body_len > 2000 ? 4 : 60);
    rig_put(self->rig,
            (struct rig_put){queue, self->next_seq[queue], count, body_len, random_below(self, 3) * 40, random_below(self, 99), 5});
    self->next_seq[queue] += count;
}

static void remove_some(struct store_random *self, uint64_t queue)
{
    uint64_t first = any_seq(self, queue);
    static const uint64_t widths[] = {0, 0, 1, 5, 40, 300, UINT64_MAX / 2};
    rig_remove(self->rig, queue, first, first + widths[random_below(self, random_below(self, 10) == 0 ? 7 : 6)]);
}

static void move_one(struct store_random *self, uint64_t queue)
{
    static const uint8_t added[] = "some headers";
    uint64_t to = random_below(self, RANDOM_QUEUES);
    struct change change = {.kind = CHANGE_MOVE,
                            .as.move = {.queue_id = queue,
                                        .seq = any_seq(self, queue),
                                        .to_queue_id = to,
                                        .to_seq = self->next_seq[to],
                                        .add_headers = {random_below(self, sizeof(added)), added},
                                        .strip_headers = random_below(self, 2) == 0,
                                        .accepted_ms = random_below(self, 99),
                                        .put_bytes = random_below(self, 99)}};
    rig_add(self->rig, change);
    self->next_seq[to]++;
}

static void write_queue(struct store_random *self, uint64_t queue)
{
    struct queue_record record = {.queue_id = queue, .name = "a", .name_len = 1, .next_seq = self->next_seq[queue]};
    record.cursor = random_below(self, record.next_seq + 1);
    record.gone_below = random_below(self, record.next_seq + 1);
    record.reclaimed_below = random_below(self, record.gone_below + 1);
    record.ready = random_below(self, 100);
    rig_add(self->rig, (struct change){.kind = CHANGE_QUEUE, .as.queue = &record});
}

static void change_something(struct store_random *self)
{
    uint64_t queue = random_below(self, RANDOM_QUEUES);
    uint64_t seq = any_seq(self, queue);
    switch (random_below(self, 16)) {
    case 0:
    case 1:
    case 2:
        put_some(self, queue);
        break;
    case 3:
    case 4:
        remove_some(self, queue);
        break;
    case 5:
    case 6:
        move_one(self, queue);
        break;
    case 7:
        rig_add(self->rig, (struct change){.kind = CHANGE_QUARANTINE, .as.quarantine = {queue, seq}});
        break;
    case 8:
    case 9:
        write_queue(self, queue);
        break;
    case 10:
        if (seq < self->next_seq[queue]) { // a record is never written before its item is
            rig_item(self->rig, queue, seq, ITEM_READY + (enum item_state)random_below(self, 3));
        }
        break;
    case 11:
        rig_add(self->rig, (struct change){.kind = CHANGE_ITEM_DROP, .as.item_drop = {queue, seq}});
        break;
    case 12:
        rig_run(self->rig, queue, seq, seq + random_below(self, 50));
        break;
    case 13:
        rig_add(self->rig, (struct change){.kind = CHANGE_RUN_DROP, .as.run_drop = {queue, seq}});
        break;
    case 14:
        rig_stream(self->rig, queue, random_below(self, 10), seq);
        break;
    default:
        if (random_below(self, 4) == 0) {
            rig_add(self->rig, (struct change){.kind = CHANGE_QUEUE_DROP, .as.queue_drop = {queue}});
        } else {
            rig_session(self->rig, random_below(self, 20));
        }
    }
}

void random_start(struct store_random *self, struct store_rig *rig, uint64_t seed)
{
    *self = (struct store_random){.rig = rig, .random = seed * 0x9E3779B97F4A7C15ull};
    for (size_t i = 0; i < RANDOM_QUEUES; i++) {
        self->next_seq[i] = 1;
    }
}

void random_commit(struct store_random *self)
{
    for (uint64_t i = 1 + random_below(self, RANDOM_CHANGES_MAX); i > 0; i--) {
        change_something(self);
    }
}
