// Queues that come and go: what may make them and with which items, and whom those that are temporary wait for. Known from what comes
// to the broker, what leaves it, and what is written.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "changes.h"

void queues_begin(uint64_t orphan_ms); // so long a temporary queue waits for its users to come back after a start
void queues_broker_started(void);

// Requests that have come.
void queues_used_by_name(unsigned queue); // put, get: it is created where there is none
void queues_declared(unsigned queue, uint64_t initial);
void queues_delete_asked(unsigned queue);

void queues_user(uint64_t queue_id, uint64_t session_no); // an answer leaves: the session has put into it, or got from it

bool queues_is_left(uint64_t queue_id); // a temporary one: it has been used since the start, and waits for nobody from before it

// What is written.
void queues_born(const struct queue_record *record, uint64_t initial); // with so many items
void queues_gone(const struct queue_record *record);
