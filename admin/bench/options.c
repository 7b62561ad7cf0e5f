// From the command line to what is to be done; pure.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

enum { NAME_BYTES_MAX = 128, SUFFIX_BYTES_MAX = 7, FILL_ITEMS = 100000, FILL_BYTES = 256 * 1024 * 1024 };

static const char *const mode_names[] = {[BENCH_CYCLE] = "cycle", [BENCH_PUT] = "put", [BENCH_GET] = "get"};

const char *bench_mode_name(enum bench_mode mode)
{
    return mode_names[mode];
}

static bool find_mode(const char *word, enum bench_mode *mode)
{
    for (size_t i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++) {
        if (strcmp(word, mode_names[i]) == 0) {
            *mode = (enum bench_mode)i;
            return true;
        }
    }
    return false;
}

bool bench_take_words(struct bench_options *options, const char *const *words, size_t count, char *why, size_t why_size)
{
    bool has_mode = count > 0 && find_mode(words[0], &options->mode);
    if (count == 2 && !has_mode) {
        snprintf(why, why_size, "unknown MODE '%.40s': put, get or cycle", words[0]);
        return false;
    }
    options->queue = count == 0 || (count == 1 && has_mode) ? "bench" : words[count - 1];
    size_t room = NAME_BYTES_MAX - (options->queues > 1 ? SUFFIX_BYTES_MAX : 0);
    if (strlen(options->queue) > room) {
        snprintf(why, why_size, "QUEUE: a name of at most %zu bytes", room);
        return false;
    }
    return true;
}

static const char *find_conflict(const struct bench_options *options)
{
    if (options->mode == BENCH_PUT && options->consumers_given) {
        return "put has no consumers";
    }
    if (options->mode == BENCH_GET && options->producers_given) {
        return "get has no producers";
    }
    if (options->mode == BENCH_GET && options->rate_given) {
        return "--rate is of puts: get has none";
    }
    if (options->count > 0 && options->count < (options->mode == BENCH_GET ? 1 : options->producers)) {
        return "fewer items than producers";
    }
    return NULL;
}

bool bench_options_settle(struct bench_options *options, char *why, size_t why_size)
{
    const char *conflict = find_conflict(options);
    if (conflict != NULL) {
        snprintf(why, why_size, "%s", conflict);
        return false;
    }
    options->producers = options->mode == BENCH_GET ? 0 : options->producers;
    options->consumers = options->mode == BENCH_PUT ? 0 : options->consumers;
    // A number of items is counted whole unless a warm-up is asked for.
    bool counted = options->count > 0 || options->mode == BENCH_GET;
    options->warmup_ms = counted && !options->warmup_given ? 0 : options->warmup_ms;
    if (counted && !options->duration_given) {
        options->duration_ms = UINT64_MAX;
    }
    uint64_t fitting = FILL_BYTES / (options->size > 0 ? options->size : 1);
    uint64_t usual = fitting < 1 ? 1 : fitting < FILL_ITEMS ? fitting : FILL_ITEMS;
    options->fill = options->count > 0 ? options->count : usual;
    return true;
}

void bench_queue_name(const struct bench_options *options, uint64_t index, char *out, size_t size)
{
    if (options->queues == 1) {
        snprintf(out, size, "%s", options->queue);
    } else {
        snprintf(out, size, "%s.%" PRIu64, options->queue, index);
    }
}
