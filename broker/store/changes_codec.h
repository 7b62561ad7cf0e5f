// A list of changes <-> the bytes of one journal group.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "changes.h"

size_t changes_encoded_bytes_max(const struct changes *changes);
size_t changes_encode(const struct changes *changes, uint8_t *out); // how many bytes it wrote

// Add what `data` holds to `out`. Bodies point into data, lists of them live in the arena. False: malformed, or out of memory.
bool changes_decode(const void *data, size_t len, struct nq_arena *arena, struct changes *out);
