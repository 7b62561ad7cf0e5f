// Random bytes from the kernel.
#pragma once
#include <stdbool.h>
#include <stddef.h>

bool random_fill(void *out, size_t len); // false: the kernel has none to give
