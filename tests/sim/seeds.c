#include "seeds.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static bool take_number(const char *text, uint64_t *out)
{
    char *end;
    *out = strtoull(text, &end, 10);
    return *text != '\0' && *text != '-' && *end == '\0';
}

static bool take_option(int option, struct seeds_options *out)
{
    switch (option) {
    case 's':
        out->seeds = 1;
        return take_number(optarg, &out->from);
    case 'f':
        return take_number(optarg, &out->from);
    case 'n':
        return take_number(optarg, &out->seeds);
    case 't':
        return take_number(optarg, &out->steps);
    case 'v':
        out->verbose = true;
        return true;
    case 'd':
        out->trace = true;
        return true;
    default:
        return false;
    }
}

int seeds_main(const struct seeds_program *program, int argc, char **argv)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"seeds", required_argument, NULL, 'n'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"steps", required_argument, NULL, 't'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"trace", no_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    struct seeds_options chosen = {.from = 1, .seeds = 1, .steps = program->steps};
    for (int option = getopt_long(argc, argv, "", options, NULL); option != -1;
         option = getopt_long(argc, argv, "", options, NULL)) {
        if (!take_option(option, &chosen)) {
            fprintf(stderr, "usage: %s [--seed N | --from N --seeds N] [--steps N] [--verbose] [--trace]\n", program->name);
            return 64;
        }
    }
    for (uint64_t seed = chosen.from; seed < chosen.from + chosen.seeds; seed++) {
        program->run(seed, &chosen);
    }
    program->summary(&chosen);
    return 0;
}
