#include "disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "body.h"
#include "host.h"
#include "store_memory.h"
#include "table.h"
#include "world.h"

static struct {
    struct store_ops ops, memory;
    struct table places; // (queue id, seq)
    struct table items;  // (id, 0): its latest place
    struct table queues; // (queue id, 0)
    struct disk_place *all;
    struct queue_record *records[256];
    size_t records_count;
} disk;

static void item_stored(uint64_t queue_id, uint64_t seq, uint64_t id, bool moved)
{
    if (id == UINT64_MAX) {
        world_fail("an item is stored that nobody put: queue %llu, seq %llu", (unsigned long long)queue_id,
                   (unsigned long long)seq);
    }
    if (table_find(&disk.places, queue_id, seq) != NULL) {
        world_fail("seq %llu of queue %llu is used twice", (unsigned long long)seq, (unsigned long long)queue_id);
    }
    struct disk_place *place = malloc(sizeof(*place));
    assert(place != NULL);
    *place = (struct disk_place){.next = disk.all, .queue_id = queue_id, .seq = seq, .id = id, .is_there = true};
    disk.all = place;
    table_insert(&disk.places, queue_id, seq, place);
    if (id == 0) {
        return;
    }
    const struct disk_place *before = table_remove(&disk.items, id, 0);
    place->first = before == NULL ? place : before->first;
    bool again = before != NULL && before->queue_id == queue_id; // a queue that is deleted takes its streams with it
    if (again && !moved) {
        world_fail("item %llu is stored twice: as seq %llu and %llu", (unsigned long long)id, (unsigned long long)before->seq,
                   (unsigned long long)seq);
    }
    table_insert(&disk.items, id, 0, place);
}

static void item_removed(uint64_t queue_id, uint64_t seq)
{
    struct disk_place *place = table_find(&disk.places, queue_id, seq);
    if (place != NULL) {
        world_trace("disk: without queue %llu seq %llu, item %llu", (unsigned long long)queue_id, (unsigned long long)seq,
                    (unsigned long long)place->id);
        place->is_there = false;
    }
}

static void item_moved(uint64_t queue_id, uint64_t seq, uint64_t to_queue_id, uint64_t to_seq)
{
    const struct disk_place *place = table_find(&disk.places, queue_id, seq);
    if (place == NULL || !place->is_there) {
        world_fail("an item is moved that is not stored: queue %llu, seq %llu", (unsigned long long)queue_id,
                   (unsigned long long)seq);
    }
    world_trace("disk: item %llu moves to queue %llu seq %llu", (unsigned long long)place->id, (unsigned long long)to_queue_id,
                (unsigned long long)to_seq);
    item_removed(queue_id, seq);
    item_stored(to_queue_id, to_seq, place->id, true);
}

static void queue_stored(const struct queue_record *record)
{
    struct queue_record *own = table_find(&disk.queues, record->queue_id, 0);
    if (own == NULL) {
        assert(disk.records_count < sizeof(disk.records) / sizeof(disk.records[0]));
        own = calloc(1, sizeof(*own));
        assert(own != NULL);
        table_insert(&disk.queues, record->queue_id, 0, own);
        disk.records[disk.records_count++] = own;
    }
    *own = *record;
}

static void apply(const struct change *change)
{
    struct queue_record *queue;
    switch (change->kind) {
    case CHANGE_PUT:
        for (size_t i = 0; i < change->as.put.count; i++) {
            const struct engine_bytes *body = &change->as.put.bodies[i];
            item_stored(change->as.put.queue_id, change->as.put.first_seq + i, body_id(body->data, body->len), false);
        }
        break;
    case CHANGE_REMOVE:
        for (uint64_t seq = change->as.remove.first_seq; seq <= change->as.remove.last_seq; seq++) {
            item_removed(change->as.remove.queue_id, seq);
        }
        break;
    case CHANGE_MOVE:
        item_moved(change->as.move.queue_id, change->as.move.seq, change->as.move.to_queue_id, change->as.move.to_seq);
        break;
    case CHANGE_QUARANTINE:
        world_fail("an item is taken for damaged");
    case CHANGE_QUEUE:
        queue_stored(change->as.queue);
        break;
    case CHANGE_QUEUE_DROP:
        queue = table_find(&disk.queues, change->as.queue_drop.queue_id, 0);
        if (queue != NULL) {
            queue->deleted = true;
        }
        break;
    default:
        break;
    }
}

static enum nq_status commit(struct store *store, const struct changes *changes, struct store_error *error)
{
    if (host_step()) {
        *error = (struct store_error){.status = NQ_STORAGE_FAILED, .text = "crashed"};
        return NQ_STORAGE_FAILED;
    }
    enum nq_status status = disk.memory.commit(store, changes, error);
    for (size_t i = 0; status == NQ_OK && i < changes_count(changes); i++) {
        apply(changes_at(changes, i));
    }
    return status;
}

static enum nq_status space(struct store *store, struct store_space *out)
{
    enum nq_status status = disk.memory.space(store, out);
    out->reserve_in_use = out->reserve_in_use || host_disk_is_full(world_now_us());
    return status;
}

struct store *disk_begin(void)
{
    static const uint8_t id[16] = {5, 5, 1};
    memset(&disk, 0, sizeof(disk));
    struct store *store = store_memory_create(0, id);
    assert(store != NULL);
    disk.memory = *store->ops;
    disk.ops = *store->ops;
    disk.ops.commit = commit;
    disk.ops.commit_blocks = true;
    disk.ops.space = space;
    store->ops = &disk.ops;
    return store;
}

void disk_end(struct store **store_p)
{
    while (disk.all != NULL) {
        struct disk_place *place = disk.all;
        disk.all = place->next;
        free(place);
    }
    for (size_t i = 0; i < disk.records_count; i++) {
        free(disk.records[i]);
    }
    table_fini(&disk.places);
    table_fini(&disk.items);
    table_fini(&disk.queues);
    store_close(store_p);
}

const struct disk_place *disk_place_of(uint64_t id)
{
    return table_find(&disk.items, id, 0);
}

const struct disk_place *disk_place_at(uint64_t queue_id, uint64_t seq)
{
    return table_find(&disk.places, queue_id, seq);
}

bool disk_is_live(const struct disk_place *place)
{
    const struct queue_record *queue = disk_queue(place->queue_id);
    return place->is_there && queue != NULL && !queue->deleted && place->seq >= queue->gone_below;
}

bool disk_is_kept(const struct disk_place *place)
{
    const struct queue_record *queue = disk_queue(place->queue_id);
    return queue != NULL && !queue->deleted;
}

const struct queue_record *disk_queue(uint64_t queue_id)
{
    return table_find(&disk.queues, queue_id, 0);
}

const struct queue_record *disk_queue_named(const char *name, size_t len)
{
    for (size_t i = 0; i < disk.records_count; i++) {
        const struct queue_record *record = disk.records[i];
        if (!record->deleted && record->name_len == len && memcmp(record->name, name, len) == 0) {
            return record;
        }
    }
    return NULL;
}
