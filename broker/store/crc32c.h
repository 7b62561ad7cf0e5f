// CRC-32C (Castagnoli): what guards every stored record.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Continue `crc` (0 to begin) over `len` bytes.
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
// The same without the processor's help, for tests.
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);
