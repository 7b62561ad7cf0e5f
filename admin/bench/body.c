#include "body.h"

#include <stdlib.h>

uint8_t *body_create(const struct bench_run *run)
{
    size_t size = (size_t)run->options->size;
    struct bench_stamp stamp = {.run_id = run->id};
    uint8_t *body = malloc(size > sizeof(stamp) ? size : sizeof(stamp));
    if (body != NULL) {
        memset(body, 'x', size);
        if (size >= sizeof(stamp)) {
            memcpy(body, &stamp, sizeof(stamp));
        }
    }
    return body;
}
