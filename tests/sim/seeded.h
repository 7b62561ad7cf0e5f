// The random numbers of the simulations: the same sequence from the same seed everywhere.
#pragma once
#include <stdbool.h>
#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15ull;
    uint64_t value = *state;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ull;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBull;
    return value ^ (value >> 31);
}

static inline uint64_t random_below(uint64_t *state, uint64_t below)
{
    return random_next(state) % below;
}
