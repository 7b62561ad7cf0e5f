// What the programs of the simulations have in common: options, the loop over seeds, and the line that a failure ends with.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct seeds_options {
    uint64_t from, seeds, steps;
    bool verbose, trace;
};

struct seeds_program {
    const char *name;
    uint64_t steps; // when --steps does not say
    void (*run)(uint64_t seed, const struct seeds_options *options);
    void (*summary)(const struct seeds_options *options); // the last line
};

// `--seed N | --from N --seeds N`, `--steps N`, `--verbose`, `--trace`. Returns the exit code.
int seeds_main(const struct seeds_program *program, int argc, char **argv);
