// The engine's commands, with memory that runs out in one of them, and the others that follow in the same turn before the broker ends:
// none hangs or does harm, whatever state the one before has left.
#include <string.h>

#include "engine.h"
#include "no_memory.h"
#include "queue.h"

enum { ITEM_BYTES = 4, RUN_MAX = 40, SESSIONS = 4 };

static struct engine *engine;
static struct changes *changes;
static uint64_t now_ms, sessions[SESSIONS + 1], next_number;

static struct engine_bytes text(const char *string)
{
    return (struct engine_bytes){strlen(string), (const uint8_t *)string};
}

static struct queue *queue_of(const char *name) // NULL: memory was out as it was to be made
{
    return engine_queue_find(engine, text(name));
}

static enum engine_status source(void *context, uint64_t queue_id, uint64_t seq, uint32_t *bytes, uint64_t *put_bytes)
{
    (void)context;
    (void)queue_id;
    *bytes = ITEM_BYTES;
    *put_bytes = (seq - 1) * ITEM_BYTES;
    return ENGINE_OK;
}

// ------------------------------------------------------------------------------------------------------------------- commands

static void open_sessions(void)
{
    for (uint8_t i = 1; i <= SESSIONS; i++) {
        const uint8_t id[ENGINE_SESSION_ID_BYTES] = {i};
        const uint8_t token[ENGINE_RESUME_TOKEN_BYTES] = {i};
        (void)engine_session_open(engine, now_ms, id, token, &sessions[i]);
    }
}

static void declare(const char *name, uint32_t max_deliveries, const char *dead_letter, uint64_t ttl_ms)
{
    struct queue *queue;
    bool created;
    const struct engine_options options = {.given = ENGINE_OPTION_MAX_DELIVERIES | ENGINE_OPTION_DEAD_LETTER | ENGINE_OPTION_TTL,
                                           .max_deliveries = max_deliveries,
                                           .dead_letter = text(dead_letter),
                                           .ttl_ms = ttl_ms};
    (void)engine_declare(engine, now_ms, text(name), &options, false, &queue, &created);
}

static void put(const char *name, size_t count, uint64_t delay_ms)
{
    static struct engine_bytes bodies[RUN_MAX];
    struct engine_put_result result;
    struct queue *queue = queue_of(name);
    for (size_t i = 0; i < count; i++) {
        bodies[i] = text("body");
    }
    const struct engine_put command = {.session_no = sessions[1],
                                       .stream = ++next_number, // a new one each time
                                       .first_number = 1,
                                       .bodies = bodies,
                                       .count = count,
                                       .delay_ms = delay_ms};
    if (queue != NULL) {
        (void)engine_put(engine, now_ms, queue, &command, &result);
    }
}

static void get(const char *name, int session, uint64_t get_id, uint32_t items)
{
    struct engine_grant grant;
    struct queue *queue = queue_of(name);
    const struct engine_get command = {
        .session_no = sessions[session], .get_id = get_id, .max_items = items, .max_bytes = UINT64_MAX};
    if (queue != NULL) {
        (void)engine_get(engine, now_ms, queue, &command, &grant);
        engine_grant_clear(&grant);
    }
}

static struct engine_token token_of(int session, uint64_t seq)
{
    return (struct engine_token){.session_no = sessions[session], .epoch = 1, .seq = seq, .delivery = 1};
}

static void requeue(const char *name, int session, uint64_t seq, struct engine_requeue how)
{
    struct engine_token token = token_of(session, seq);
    struct queue *queue = queue_of(name);
    bool gone;
    if (queue != NULL) {
        (void)engine_requeue(engine, now_ms, queue, &token, &how);
        (void)engine_extend(engine, now_ms, queue, &token, 0); // on lease no more, unless memory was out
        (void)engine_task_done(engine, now_ms, queue, &(struct engine_token){sessions[session], 1, seq + 1, 1}, &gone);
    }
}

static void extend(const char *name, int session, uint64_t seq)
{
    struct engine_token token = token_of(session, seq);
    if (queue_of(name) != NULL) {
        (void)engine_extend(engine, now_ms, queue_of(name), &token, 0);
    }
}

static void redrive(const char *from, uint64_t seq, const char *to)
{
    if (queue_of(from) != NULL && queue_of(to) != NULL) {
        (void)engine_redrive(engine, now_ms, queue_of(from), seq, queue_of(to), ITEM_BYTES);
    }
}

static void tick(uint64_t ms)
{
    now_ms += ms;
    while (engine_tick(engine, now_ms) && !engine_failed(engine)) {
    }
    while (engine_next_touched(engine) != NULL) {
    }
}

static void commit(void)
{
    if (!engine_failed(engine)) { // else nothing is stored any more
        engine_collect(engine, now_ms, false);
        engine_mark_durable(engine);
        changes_clear(changes);
    }
}

// --------------------------------------------------------------------------------------------------------------------- the run

// Of the commands that allocate each is followed by some that use what it has made.
static void use_queues(void)
{
    declare("work", 1, "dead", 5000);
    declare("lost", 1, "nowhere", 0); // its dead-letter queue is made as a session ends
    put("work", RUN_MAX, 0);
    put("work", 5, 1000);
    put("lost", 6, 0);
    commit();
    get("work", 1, 1, 10);
    extend("work", 1, 3);
    get("work", 2, 1, 5);
    (void)engine_queue_after(engine, text(""));
    requeue("work", 1, 1, (struct engine_requeue){.failed = true});
    requeue("work", 1, 4, (struct engine_requeue){.delay_ms = 500});
    requeue("work", 1, 6, (struct engine_requeue){0});
    redrive("work", 30, "lost");
    commit();
    tick(600);
}

static void end_sessions(void)
{
    const uint64_t held[] = {1};
    get("lost", 3, 1, 2);
    engine_session_end(engine, now_ms, sessions[3], false);
    get("work", 2, 2, 4);
    engine_session_resume(engine, now_ms, sessions[2], NULL, 0, held, 1);
    get("work", 2, 3, 4);
    engine_session_end(engine, now_ms, sessions[2], true);
    get("work", 4, 1, 4);
    if (queue_of("work") != NULL) {
        (void)engine_purge(engine, now_ms, queue_of("work"));
        (void)engine_delete(engine, now_ms, queue_of("work"));
    }
    tick(1000);
    commit();
    tick(60000);
    get("lost", 4, 2, 4);
    engine_session_end(engine, now_ms, sessions[4], false);
    engine_session_end(engine, now_ms, sessions[1], false);
    tick(0);
}

static void run_commands(uint64_t nth, uint64_t failures)
{
    static const struct engine_config config = {.lease_ms = 2000,
                                                .hold_max_ms = 3000,
                                                .dedup_keep_ms = 10000,
                                                .orphan_ms = 1000,
                                                .queues_max = 100,
                                                .sessions_max = 100,
                                                .streams_max = 100,
                                                .delayed_max = 100,
                                                .leases_per_session_max = 100};
    const struct engine_source items = {.item = source};
    now_ms = 1000;
    engine = engine_create(&config, &items, 1, now_ms);
    changes = changes_create();
    no_memory_require(engine != NULL && changes != NULL, "a start with memory");
    engine_set_changes(engine, changes);
    memset(sessions, 0, sizeof(sessions));
    no_memory_arm(ALLOC_THIS_THREAD, nth, failures);
    open_sessions();
    use_queues();
    end_sessions();
    bool failed = no_memory_disarm();
    no_memory_require(failed == engine_failed(engine), "it fails when memory is out, and only then");
    no_memory_require(failed || (queue_of("dead") != NULL && queue_of("nowhere") != NULL), "all is done when it is not");
    engine_destroy(&engine);
    changes_destroy(&changes);
}

int main(void)
{
    no_memory_each("commands", run_commands);
    return 0;
}
