#include "disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "body.h"
#include "host.h"
#include "oracle.h"
#include "queues.h"
#include "store_memory.h"
#include "table.h"
#include "world.h"

enum { GROUP_MAX = 128 };

static struct {
    struct store_ops ops, memory;
    struct table places; // (queue id, seq)
    struct table items;  // (id, 0): its latest place
    struct table queues; // (queue id, 0)
    struct disk_place *all;
    struct queue_record *records[256];
    size_t records_count;
} disk;

static struct disk_place *item_stored(uint64_t queue_id, uint64_t seq, uint64_t id, bool moved)
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
    const struct disk_place *before = table_remove(&disk.items, id, 0);
    place->first = before == NULL || !moved ? place : before->first;
    place->again = before != NULL && (before->again || !moved);
    bool again = before != NULL && before->queue_id == queue_id; // a queue that is deleted takes its streams with it
    if (again && !moved) {
        world_fail("item %llu is stored twice: as seq %llu and %llu", (unsigned long long)id, (unsigned long long)before->seq,
                   (unsigned long long)seq);
    }
    table_insert(&disk.items, id, 0, place);
    if (before != NULL && !moved) {
        oracle_put_anew(id);
    }
    return place;
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

static bool same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static void item_moved(uint64_t queue_id, uint64_t seq, uint64_t to_queue_id, uint64_t to_seq)
{
    const struct disk_place *place = table_find(&disk.places, queue_id, seq);
    const struct queue_record *from = disk_queue(queue_id);
    const struct queue_record *to = disk_queue(to_queue_id);
    if (place == NULL || !place->is_there) {
        world_fail("an item is moved that is not stored: queue %llu, seq %llu", (unsigned long long)queue_id,
                   (unsigned long long)seq);
    }
    world_trace("disk: item %llu moves to queue %llu seq %llu", (unsigned long long)place->id, (unsigned long long)to_queue_id,
                (unsigned long long)to_seq);
    item_removed(queue_id, seq);
    struct disk_place *moved = item_stored(to_queue_id, to_seq, place->id, true);
    moved->moved_at = oracle_moment();
    moved->dead = from != NULL && to != NULL && same_text(from->dead_letter, from->dead_letter_len, to->name, to->name_len);
}

// --------------------------------------------------------------------------------------------------------------------- a group

// What one group does to queues comes first: what becomes of their items follows from it.
struct group {
    const struct queue_record *born[GROUP_MAX]; // with how many initial items
    uint64_t initial[GROUP_MAX];
    size_t born_count;
    const struct queue_record *marked[GROUP_MAX]; // and from where on items are gone now
    uint64_t gone_from[GROUP_MAX];
    size_t marked_count;
    bool any_deleted;
};

static void queue_stored(struct group *group, const struct queue_record *record)
{
    struct queue_record *own = table_find(&disk.queues, record->queue_id, 0);
    if (own == NULL) {
        assert(disk.records_count < sizeof(disk.records) / sizeof(disk.records[0]) && group->born_count < GROUP_MAX);
        own = calloc(1, sizeof(*own));
        assert(own != NULL);
        table_insert(&disk.queues, record->queue_id, 0, own);
        disk.records[disk.records_count++] = own;
        group->initial[group->born_count] = 0;
        group->born[group->born_count++] = own;
    } else if (record->deleted && !own->deleted) {
        queues_gone(record);
    }
    group->any_deleted |= record->deleted;
    if (record->gone_below > own->gone_below) {
        assert(group->marked_count < GROUP_MAX);
        group->gone_from[group->marked_count] = own->gone_below;
        group->marked[group->marked_count++] = own;
    }
    *own = *record;
}

static void items_put(struct group *group, const struct change *change)
{
    uint64_t queue_id = change->as.put.queue_id;
    const struct queue_record *record = disk_queue(queue_id);
    uint64_t *initial = NULL;
    for (size_t i = 0; i < group->born_count; i++) {
        initial = group->born[i]->queue_id == queue_id ? &group->initial[i] : initial;
    }
    for (size_t i = 0; i < change->as.put.count; i++) {
        const struct engine_bytes *body = &change->as.put.bodies[i];
        uint64_t seq = change->as.put.first_seq + i;
        uint64_t id = body_id(body->data, body->len);
        if (id == 0) {
            if (initial == NULL || seq != ++*initial) {
                world_fail("an empty item is stored as seq %llu of queue %.*s, not as it is created", (unsigned long long)seq,
                           record->name_len, record->name);
            }
            id = oracle_initial(oracle_queue_index(record->name, record->name_len), queue_id, seq);
        }
        item_stored(queue_id, seq, id, false)->accepted_ms = change->as.put.accepted_ms;
    }
}

static void items_removed(const struct change *change)
{
    uint64_t queue_id = change->as.remove.queue_id;
    const struct queue_record *record = disk_queue(queue_id);
    for (uint64_t seq = change->as.remove.first_seq; seq <= change->as.remove.last_seq; seq++) {
        const struct disk_place *place = disk_place_at(queue_id, seq);
        if (place != NULL && place->is_there) {
            oracle_left(place, record);
        }
        item_removed(queue_id, seq);
    }
}

static void apply_to_queues(struct group *group, const struct change *change)
{
    if (change->kind == CHANGE_QUEUE) {
        queue_stored(group, change->as.queue);
    } else if (change->kind == CHANGE_QUEUE_DROP) {
        struct queue_record *queue = table_find(&disk.queues, change->as.queue_drop.queue_id, 0);
        if (queue != NULL && !queue->deleted) { // both in one group
            queue->deleted = true;
            group->any_deleted = true;
            if (queue->temporary) { // else it may have become so in this very group, which does not tell
                queues_gone(queue);
            }
        }
    }
}

static void apply_to_items(struct group *group, const struct change *change)
{
    switch (change->kind) {
    case CHANGE_PUT:
        items_put(group, change);
        break;
    case CHANGE_REMOVE:
        items_removed(change);
        break;
    case CHANGE_MOVE:
        item_moved(change->as.move.queue_id, change->as.move.seq, change->as.move.to_queue_id, change->as.move.to_seq);
        break;
    case CHANGE_QUARANTINE:
        world_fail("an item is taken for damaged");
    default:
        break;
    }
}

static void end_group(const struct group *group)
{
    for (size_t i = 0; i < group->born_count; i++) {
        if (!group->born[i]->deleted) {
            queues_born(group->born[i], group->initial[i]);
        }
    }
    for (size_t i = 0; i < group->marked_count; i++) {
        const struct queue_record *record = group->marked[i];
        for (uint64_t seq = group->gone_from[i]; seq < record->gone_below; seq++) {
            const struct disk_place *place = disk_place_at(record->queue_id, seq);
            if (place != NULL && place->is_there) {
                oracle_left(place, record);
            }
        }
    }
}

// What was in a queue goes with it.
static void end_deleted(void)
{
    for (const struct disk_place *place = disk.all; place != NULL; place = place->next) {
        // NULL: it came and went within one group, as its items did.
        const struct queue_record *record = disk_queue(place->queue_id);
        if (record != NULL && record->deleted && disk_place_of(place->id) == place) {
            oracle_left(place, record);
        }
    }
}

static void apply(const struct changes *changes)
{
    struct group group = {.born_count = 0};
    for (size_t i = 0; i < changes_count(changes); i++) {
        apply_to_queues(&group, changes_at(changes, i));
    }
    for (size_t i = 0; i < changes_count(changes); i++) {
        apply_to_items(&group, changes_at(changes, i));
    }
    end_group(&group);
    if (group.any_deleted) {
        end_deleted();
    }
}

static enum nq_status commit(struct store *store, const struct changes *changes, struct store_error *error)
{
    if (host_step()) {
        *error = (struct store_error){.status = NQ_STORAGE_FAILED, .text = "crashed"};
        return NQ_STORAGE_FAILED;
    }
    enum nq_status status = disk.memory.commit(store, changes, error);
    if (status == NQ_OK) {
        apply(changes);
    }
    return status;
}

static enum nq_status read_begin(struct store *store, struct store_error *error)
{
    if (host_read_fails()) {
        *error = (struct store_error){.status = NQ_STORAGE_FAILED, .text = "the disk fails"};
        return NQ_STORAGE_FAILED;
    }
    return disk.memory.read_begin(store, error);
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
    disk.ops.read_begin = read_begin;
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
