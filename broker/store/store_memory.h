// The store without a disk, for --memory and for tests.
#pragma once
#include "store.h"

// limit_bytes  what items may take; 0: no limit. `store_id`: 16 bytes, copied.
// NULL when out of memory.
struct store *store_memory_create(uint64_t limit_bytes, const uint8_t *store_id);
