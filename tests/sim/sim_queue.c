// A seeded random simulation of engine, dispatch and memory store against the model. A seed that fails replays exactly:
//     sim_queue --seed 17 [--steps N] [--verbose] [--trace]
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void run_seed(uint64_t seed, uint64_t steps, bool verbose)
{
    current_seed = seed;
    sim_start(current, seed);
    while (current->step < steps) {
        sim_step(current);
    }
    uint64_t answers = current->answers;
    uint64_t restarts = current->restarts;
    sim_end(current);
    if (verbose) {
        printf("seed %llu: %llu steps, %llu answers, %llu restarts\n", (unsigned long long)seed, (unsigned long long)steps,
               (unsigned long long)answers, (unsigned long long)restarts);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"seeds", required_argument, NULL, 'n'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"steps", required_argument, NULL, 't'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"trace", no_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    uint64_t from = 1;
    uint64_t seeds = 1;
    uint64_t steps = 2000;
    bool verbose = false;
    bool trace = false;
    for (int option = getopt_long(argc, argv, "", options, NULL); option != -1;
         option = getopt_long(argc, argv, "", options, NULL)) {
        switch (option) {
        case 's':
        case 'f':
            from = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            seeds = strtoull(optarg, NULL, 10);
            break;
        case 't':
            steps = strtoull(optarg, NULL, 10);
            break;
        case 'v':
            verbose = true;
            break;
        case 'd':
            trace = true;
            break;
        default:
            fprintf(stderr, "usage: sim_queue [--seed N | --from N --seeds N] [--steps N] [--verbose] [--trace]\n");
            return 64;
        }
    }
    current = calloc(1, sizeof(*current));
    if (current == NULL) {
        return 69;
    }
    current->trace = trace;
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        run_seed(seed, steps, verbose);
    }
    printf("%llu seeds from %llu, %llu steps each: no difference to the model\n", (unsigned long long)seeds,
           (unsigned long long)from, (unsigned long long)steps);
    free(current);
    return 0;
}
