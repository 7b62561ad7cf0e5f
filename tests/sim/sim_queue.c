// A seeded random simulation of engine, dispatch and memory store against the model. A seed that fails replays exactly:
//     sim_queue --seed 17 [--steps N] [--verbose] [--trace]
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "seeds.h"
#include "sim.h"

static struct sim *current;
static uint64_t current_seed;

_Noreturn void model_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "seed %llu, step %llu: ", (unsigned long long)current_seed,
            (unsigned long long)(current == NULL ? 0 : current->step));
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

static void run_seed(uint64_t seed, const struct seeds_options *options)
{
    current_seed = seed;
    current->trace = options->trace;
    sim_start(current, seed);
    while (current->step < options->steps) {
        sim_step(current);
    }
    uint64_t answers = current->answers;
    uint64_t restarts = current->restarts;
    sim_end(current);
    if (options->verbose) {
        printf("seed %llu: %llu steps, %llu answers, %llu restarts\n", (unsigned long long)seed, (unsigned long long)options->steps,
               (unsigned long long)answers, (unsigned long long)restarts);
    }
}

static void summary(const struct seeds_options *options)
{
    printf("%llu seeds from %llu, %llu steps each: no difference to the model\n", (unsigned long long)options->seeds,
           (unsigned long long)options->from, (unsigned long long)options->steps);
}

int main(int argc, char **argv)
{
    static const struct seeds_program program = {.name = "sim_queue", .steps = 2000, .run = run_seed, .summary = summary};
    current = calloc(1, sizeof(*current));
    if (current == NULL) {
        return 69;
    }
    int exit_code = seeds_main(&program, argc, argv);
    free(current);
    return exit_code;
}
