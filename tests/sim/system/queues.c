#include "queues.h"

#include <string.h>

#include "disk.h"
#include "oracle.h"
#include "state.h"
#include "world.h"

enum { USERS_MAX = 4096, BORN_MAX = 512, INITIALS = 4, FLUSH_US = 2000 * 1000, MARGIN_US = 5000 };

static struct {
    uint64_t orphan_us, started_us;
    struct {
        uint64_t used_us, delete_asked_us, gone_us;
        uint64_t initials[INITIALS]; // asked for
        unsigned initials_count;
    } names[ORACLE_QUEUES + 1]; // the last: none of ours
    struct {
        uint64_t queue_id, born_us;
        bool waits; // it was temporary when the broker started
    } born[BORN_MAX];
    size_t born_count;
    struct {
        uint64_t queue_id, session_no;
    } users[USERS_MAX]; // since the broker's start
    size_t users_count;
} queues;

void queues_begin(uint64_t orphan_ms)
{
    memset(&queues, 0, sizeof(queues));
    queues.orphan_us = orphan_ms * 1000;
}

void queues_broker_started(void)
{
    queues.started_us = world_now_us();
    queues.users_count = 0;
    for (size_t i = 0; i < queues.born_count; i++) {
        const struct queue_record *record = disk_queue(queues.born[i].queue_id);
        queues.born[i].waits = record != NULL && record->temporary;
    }
}

// ------------------------------------------------------------------------------------------------------------------- requests

void queues_used_by_name(unsigned queue)
{
    queues.names[queue].used_us = world_now_us();
}

void queues_declared(unsigned queue, uint64_t initial)
{
    unsigned count = queues.names[queue].initials_count;
    for (unsigned i = 0; i < count; i++) {
        if (queues.names[queue].initials[i] == initial) {
            return;
        }
    }
    if (count < INITIALS) {
        queues.names[queue].initials[count] = initial;
        queues.names[queue].initials_count++;
    }
}

void queues_delete_asked(unsigned queue)
{
    queues.names[queue].delete_asked_us = world_now_us();
}

void queues_user(uint64_t queue_id, uint64_t session_no)
{
    for (size_t i = 0; i < queues.users_count; i++) {
        if (queues.users[i].queue_id == queue_id && queues.users[i].session_no == session_no) {
            return;
        }
    }
    if (queues.users_count < USERS_MAX) {
        queues.users[queues.users_count].queue_id = queue_id;
        queues.users[queues.users_count++].session_no = session_no;
    }
}

// ----------------------------------------------------------------------------------------------------------------- what is written

static unsigned name_of(const struct queue_record *record)
{
    return oracle_queue_index(record->name, record->name_len);
}

void queues_born(const struct queue_record *record, uint64_t initial)
{
    unsigned name = name_of(record);
    bool asked = false;
    bool none_asked = queues.names[name].used_us > 0 && queues.names[name].used_us + FLUSH_US >= queues.names[name].gone_us;
    for (unsigned i = 0; i < queues.names[name].initials_count; i++) {
        asked |= queues.names[name].initials[i] == initial;
        none_asked |= queues.names[name].initials[i] == 0;
    }
    if (name != ORACLE_QUEUES && (initial == 0 ? !none_asked : !asked)) {
        world_fail("queue %.*s is born with %llu items, which nobody has asked for", record->name_len, record->name,
                   (unsigned long long)initial);
    }
    if (queues.born_count < BORN_MAX) {
        queues.born[queues.born_count].queue_id = record->queue_id;
        queues.born[queues.born_count++].born_us = world_now_us();
    }
}

static uint64_t born_us(uint64_t queue_id, bool *waits)
{
    *waits = false;
    for (size_t i = 0; i < queues.born_count; i++) {
        if (queues.born[i].queue_id == queue_id) {
            *waits = queues.born[i].waits;
            return queues.born[i].born_us;
        }
    }
    return world_now_us();
}

bool queues_is_left(uint64_t queue_id)
{
    bool waits;
    bool used = false;
    (void)born_us(queue_id, &waits);
    for (size_t i = 0; i < queues.users_count; i++) {
        used |= queues.users[i].queue_id == queue_id;
    }
    return used && (!waits || world_now_us() > queues.started_us + queues.orphan_us + FLUSH_US);
}

void queues_gone(const struct queue_record *record)
{
    unsigned name = name_of(record);
    bool waits;
    uint64_t since_us = born_us(record->queue_id, &waits);
    bool asked = queues.names[name].delete_asked_us > 0 && queues.names[name].delete_asked_us + FLUSH_US >= since_us;
    queues.names[name].gone_us = world_now_us();
    if (asked) {
        return;
    }
    if (!record->temporary) {
        world_fail("queue %.*s is deleted, which nobody has asked for", record->name_len, record->name);
    }
    for (size_t i = 0; i < queues.users_count; i++) {
        if (queues.users[i].queue_id == record->queue_id && state_session_lives(queues.users[i].session_no)) {
            world_fail("temporary queue %.*s goes, and session %llu, which has used it, remains", record->name_len, record->name,
                       (unsigned long long)queues.users[i].session_no);
        }
    }
    if (waits && world_now_us() + MARGIN_US < queues.started_us + queues.orphan_us) {
        world_fail("temporary queue %.*s goes before its users can have come back", record->name_len, record->name);
    }
}
