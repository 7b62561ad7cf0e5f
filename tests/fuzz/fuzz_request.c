// Bytes -> decoder -> service -> engine, dispatch and store -> replies, in virtual time.
//
// An input is a list of steps (request_steps.c): frames as they are, requests made of a few bytes, time that passes, commits that end,
// connections that vanish, restarts after a stop or a crash. After each step the limits hold, each request id has been answered no
// more often than it was asked, and every reply can be decoded and is within the frame limit; after each commit every request that
// does not wait has its answer; over a restart no queue loses or gains an item.
#include "request_client.h"

enum { STEPS_MAX = 400 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes input = {data, size};
    struct request_client client;
    request_client_start(&client);
    for (int i = 0; i < STEPS_MAX && input.left > 0; i++) {
        request_client_step(&client, &input);
        request_client_check(&client);
    }
    request_client_settle(&client);
    request_client_end(&client);
    return 0;
}
