// Requests to the dispatch on one queue "q", in few words; shared by the files that test it.
#pragma once
#include "engine_rig.h"

#define FOREVER UINT64_MAX

extern struct rig rig;

void fixture_start(void);
void fixture_end(void);

void put(uint64_t session_no, uint64_t request_id, uint64_t stream, uint64_t first, size_t count, uint64_t wait_ms);
void get(uint64_t session_no, uint64_t request_id, uint32_t max, uint64_t wait_ms);
void run(void);                          // serve waiters, end those whose time is over
const char *answers(void);               // ids and outcomes since the last call: "1:OK 2:FULL"; static storage
struct queue *bounded(uint64_t maxsize); // "q" with this maxsize
