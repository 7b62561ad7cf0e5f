#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load_worker.h"

static bool is_variant(const char *variants, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = variants; at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, name, len) == 0 && (at[len] == '|' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

static void print_help(const struct peer *peer)
{
    printf("%s cycle|put|get --port N [OPTION...]\n"
           "Puts, gets and finishes items at a server on 127.0.0.1 and prints one JSON object.\n\n"
           "  --variant NAME   %s\n"
           "  --size N         bytes of an item (100)\n"
           "  --window N       items on their way at most (1: lock-step)\n"
           "  --producers N    connections that put (1)\n"
           "  --consumers N    connections that get and finish (1)\n"
           "  --rate N         items a second, on a fixed schedule (0: as fast as it goes)\n"
           "  --duration S     seconds measured (2)\n"
           "  --warmup S       seconds before (0.3)\n"
           "  -n N             end after N items instead\n",
           peer->name, peer->variants);
}

static bool set_option(struct load *load, int option)
{
    char *end = NULL;
    double number = strtod(optarg, &end);
    if (option == 'v') {
        load->variant = optarg;
        return true;
    }
    if (end == optarg || *end != '\0' || number < 0 || number > 1e15) {
        return false;
    }
    switch (option) {
    case 'p':
        load->port = (int)number;
        return true;
    case 's':
        load->size = (size_t)number;
        return true;
    case 'w':
        load->window = (size_t)number;
        return number >= 1;
    case 'P':
        load->producers = (unsigned)number;
        return true;
    case 'C':
        load->consumers = (unsigned)number;
        return true;
    case 'r':
        load->rate = number;
        return true;
    case 'd':
        load->duration = number;
        return true;
    case 'u':
        load->warmup = number;
        return true;
    case 'n':
        load->count = (uint64_t)number;
        return true;
    default:
        return false;
    }
}

static bool complete(struct load *load, const struct peer *peer, const char *mode)
{
    if (mode == NULL || load->port <= 0 || !is_variant(peer->variants, load->variant)) {
        return false;
    }
    if (strcmp(mode, "put") == 0) {
        load->consumers = 0;
        return load->producers > 0;
    }
    if (strcmp(mode, "get") == 0) {
        load->producers = 0;
        return load->consumers > 0;
    }
    return strcmp(mode, "cycle") == 0 && load->producers > 0 && load->consumers > 0;
}

bool load_parse(struct load *load, const struct peer *peer, int argc, char **argv, int *exit_code)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"variant", required_argument, NULL, 'v'},
        {"size", required_argument, NULL, 's'},
        {"window", required_argument, NULL, 'w'},
        {"producers", required_argument, NULL, 'P'},
        {"consumers", required_argument, NULL, 'C'},
        {"rate", required_argument, NULL, 'r'},
        {"duration", required_argument, NULL, 'd'},
        {"warmup", required_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static char first_variant[32];
    snprintf(first_variant, sizeof(first_variant), "%.*s", (int)strcspn(peer->variants, "|"), peer->variants);
    *load = (struct load){
        .variant = first_variant, .size = 100, .window = 1, .producers = 1, .consumers = 1, .duration = 2, .warmup = 0.3};
    int option;
    *exit_code = 64;
    while ((option = getopt_long(argc, argv, "n:", options, NULL)) != -1) {
        if (option == 'h') {
            print_help(peer);
            *exit_code = 0;
            return false;
        }
        if (option == '?') {
            return false;
        }
        if (!set_option(load, option)) {
            fprintf(stderr, "%s: '%s' is no value for this option\n", peer->name, optarg);
            return false;
        }
    }
    if (!complete(load, peer, optind == argc - 1 ? argv[optind] : NULL)) {
        fprintf(stderr, "%s: cycle, put or get, --port and a variant of %s are needed (--help)\n", peer->name, peer->variants);
        return false;
    }
    return true;
}
