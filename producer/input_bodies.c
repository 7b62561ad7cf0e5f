// The BODYs of the command line; with --count from the first again until there are as many.
#include <stdlib.h>
#include <string.h>

#include "input.h"

struct input_bodies {
    struct input input;
    const struct producer_options *options;
    size_t body_max;
    uint64_t next, count;
};

static enum input_result bodies_next(struct input *input, struct chunk *chunk)
{
    struct input_bodies *self = (struct input_bodies *)input;
    if (self->next == self->count) {
        return INPUT_END;
    }
    const char *body = self->options->bodies[self->next % self->options->bodies_count];
    size_t len = strlen(body);
    self->next++;
    if (len > self->body_max) {
        return input_fail(input, "a BODY of %zu bytes: the broker takes up to %zu", len, self->body_max);
    }
    return input_added(input, chunk_add(chunk, body, len, self->options->delay_ms));
}

static void bodies_destroy(struct input *input)
{
    free(input);
}

struct input *input_bodies_create(const struct producer_options *options, size_t body_max)
{
    struct input_bodies *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->input = (struct input){.next = bodies_next, .destroy = bodies_destroy, .fd = -1};
    self->options = options;
    self->body_max = body_max;
    self->count = options->count_given ? options->count : options->bodies_count;
    return &self->input;
}
