// Items made up: their number, a number from 0 to 256, or so many bytes. Without --count until a signal comes.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "input.h"

enum { RANDOM_NUMBERS = 257 };

struct input_generate {
    struct input input;
    const struct producer_options *options;
    size_t body_max;
    uint64_t next;
    uint64_t state; // of the random numbers
    char *body;     // with --size
};

static uint64_t random_next(uint64_t *state) // splitmix64
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static enum input_result generate_next(struct input *input, struct chunk *chunk)
{
    struct input_generate *self = (struct input_generate *)input;
    const struct producer_options *options = self->options;
    if (options->count_given && self->next == options->count) {
        return INPUT_END;
    }
    if (options->size_given && options->size > self->body_max) {
        return input_fail(input, "--size: the broker takes up to %zu bytes", self->body_max);
    }
    uint64_t number = options->random ? random_next(&self->state) % RANDOM_NUMBERS : self->next + 1;
    self->next++;
    char digits[24];
    size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, number);
    if (!options->size_given) {
        return input_added(input, chunk_add(chunk, digits, len, options->delay_ms));
    }
    size_t size = (size_t)options->size;
    memcpy(self->body, digits, len < size ? len : size); // the rest stays filled from before: numbers only grow
    return input_added(input, chunk_add(chunk, self->body, size, options->delay_ms));
}

static void generate_destroy(struct input *input)
{
    struct input_generate *self = (struct input_generate *)input;
    free(self->body);
    free(self);
}

struct input *input_generate_create(const struct producer_options *options, size_t body_max)
{
    struct input_generate *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->input = (struct input){.next = generate_next, .destroy = generate_destroy, .fd = -1};
    self->options = options;
    self->body_max = body_max;
    self->body = malloc((size_t)options->size + 1);
    if (self->body == NULL || getrandom(&self->state, sizeof(self->state), 0) != (ssize_t)sizeof(self->state)) {
        generate_destroy(&self->input);
        return NULL;
    }
    memset(self->body, '.', (size_t)options->size);
    return &self->input;
}
