#include "dispatch_fixture.h"

#include <stdio.h>
#include <string.h>

struct rig rig;

void fixture_start(void)
{
    rig_init(&rig);
    rig_start(&rig);
}

void fixture_end(void)
{
    rig_fini(&rig);
}

void put(uint64_t session_no, uint64_t request_id, uint64_t stream, uint64_t first, size_t count, uint64_t wait_ms)
{
    struct engine_bytes bodies[16];
    for (size_t i = 0; i < count; i++) {
        bodies[i] = rig_keep(&rig, "abcd", 4);
    }
    const void *kept = rig_keep(&rig, bodies, count * sizeof(*bodies)).data;
    const struct dispatch_put command = {
        .session_no = session_no,
        .request_id = request_id,
        .put = {.session_no = session_no, .stream = stream, .first_number = first, .bodies = kept, .count = count},
        .wait_ms = wait_ms};
    dispatch_put(rig.dispatch, rig.now_ms, rig_text("q"), &command);
}

void get(uint64_t session_no, uint64_t request_id, uint32_t max, uint64_t wait_ms)
{
    const struct dispatch_get command = {
        .session_no = session_no, .request_id = request_id, .max_items = max, .max_bytes = UINT64_MAX, .wait_ms = wait_ms};
    dispatch_get(rig.dispatch, rig.now_ms, rig_text("q"), &command);
}

void run(void)
{
    dispatch_run(rig.dispatch, rig.now_ms);
}

const char *answers(void)
{
    static const char *const statuses[] = {"OK", "FULL", "EMPTY", "SHUT_DOWN", "NO_SUCH_QUEUE", "TOO_LARGE", "OUT_OF_SEQUENCE"};
    static const char *const ends[] = {"", "BUSY", "TIMED_OUT", "CANCELLED", "SESSION"};
    static char text[512];
    size_t count;
    struct dispatch_answer *list = dispatch_take_answers(rig.dispatch, &count);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(text);
        const char *status = list[i].end == DISPATCH_END_ENGINE ? statuses[list[i].status] : ends[list[i].end];
        snprintf(text + len, sizeof(text) - len, "%s%u:%s", len == 0 ? "" : " ", (unsigned)list[i].request_id, status);
        engine_grant_clear(&list[i].grant);
    }
    return text;
}

struct queue *bounded(uint64_t maxsize)
{
    return rig_declare(&rig, "q", &(struct engine_options){.given = ENGINE_OPTION_MAXSIZE, .maxsize = maxsize});
}
