// Fixed work on the pure path of engine and dispatch, to be counted under callgrind: no clock, no chance, no disk. Each op_ function
// is one operation; check_instructions.py divides what it and all it calls have executed by the items it was given.
//
//   engine_path            do the work; prints one line "op_NAME ITEMS" for each operation
//   engine_path --version  what compiled it
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "changes.h"
#include "dispatch.h"
#include "engine.h"

#define OPERATION __attribute__((noinline, noclone))
#define FOREVER UINT64_MAX

enum { BODY_BYTES = 100, RUN_MAX = 1000, QUEUES = 1000, SESSION_WORKERS = 1 };

struct path {
    struct engine *engine;
    struct dispatch *dispatch;
    struct changes *changes[2];
    int open; // of the two
    uint64_t now_ms, session_no, request_id;
    uint64_t numbers[QUEUES]; // of each stream, the last used
    char names[QUEUES][16];
    struct engine_bytes bodies[RUN_MAX];
    struct engine_grant grants[RUN_MAX]; // of the gets not finished
    size_t grants_count;
};

static void require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "engine_path: %s\n", what);
        abort();
    }
}

// All items are alike, so that where one begins follows from its seq.
static enum engine_status item_of_store(void *context, uint64_t queue_id, uint64_t seq, uint32_t *bytes, uint64_t *put_bytes)
{
    (void)context;
    (void)queue_id;
    *bytes = BODY_BYTES;
    *put_bytes = (seq - 1) * BODY_BYTES;
    return ENGINE_OK;
}

static struct engine_bytes name_of(const struct path *path, size_t queue)
{
    return (struct engine_bytes){strlen(path->names[queue]), (const uint8_t *)path->names[queue]};
}

static void start(struct path *path)
{
    static const uint8_t body[BODY_BYTES];
    static const uint8_t id[ENGINE_SESSION_ID_BYTES] = {1};
    static const uint8_t token[ENGINE_RESUME_TOKEN_BYTES] = {2};
    static const struct engine_config config = {.lease_ms = 60000,
                                                .hold_max_ms = 3600000,
                                                .dedup_keep_ms = 86400000,
                                                .orphan_ms = 10000,
                                                .queues_max = 10000,
                                                .sessions_max = 1000,
                                                .streams_max = 100000,
                                                .delayed_max = 100000,
                                                .leases_per_session_max = 100000};
    static const struct dispatch_config limits = {
        .waiters_per_session_max = 10000, .parked_bytes_per_session_max = 1 << 20, .parked_bytes_max = 4 << 20};
    const struct engine_source source = {.context = path, .item = item_of_store};
    path->now_ms = 1000000;
    path->engine = engine_create(&config, &source, 1, path->now_ms);
    path->dispatch = path->engine != NULL ? dispatch_create(path->engine, &limits) : NULL;
    path->changes[0] = changes_create();
    path->changes[1] = changes_create();
    require(path->dispatch != NULL && path->changes[0] != NULL && path->changes[1] != NULL, "out of memory");
    engine_set_changes(path->engine, path->changes[0]);
    for (size_t i = 0; i < RUN_MAX; i++) {
        path->bodies[i] = (struct engine_bytes){BODY_BYTES, body};
    }
    for (size_t i = 0; i < QUEUES; i++) {
        snprintf(path->names[i], sizeof(path->names[i]), "queue-%zu", i);
    }
    require(engine_session_open(path->engine, path->now_ms, id, token, &path->session_no) == ENGINE_OK, "session_open");
    engine_session_workers(path->engine, path->session_no, SESSION_WORKERS);
}

static void end(struct path *path)
{
    dispatch_destroy(&path->dispatch);
    engine_destroy(&path->engine);
    changes_destroy(&path->changes[0]);
    changes_destroy(&path->changes[1]);
}

// ------------------------------------------------------------------------------------------------------------ single commands

static void put_run(struct path *path, size_t queue, size_t count)
{
    const struct dispatch_put put = {.session_no = path->session_no,
                                     .request_id = ++path->request_id,
                                     .put = {.session_no = path->session_no,
                                             .stream = queue + 1,
                                             .first_number = path->numbers[queue] + 1,
                                             .bodies = path->bodies,
                                             .count = count},
                                     .wait_ms = FOREVER};
    path->numbers[queue] += count;
    dispatch_put(path->dispatch, path->now_ms, name_of(path, queue), &put);
}

static void get_run(struct path *path, size_t queue, size_t count, uint64_t wait_ms)
{
    const struct dispatch_get get = {.session_no = path->session_no,
                                     .request_id = ++path->request_id,
                                     .max_items = (uint32_t)count,
                                     .max_bytes = UINT64_MAX,
                                     .wait_ms = wait_ms};
    dispatch_get(path->dispatch, path->now_ms, name_of(path, queue), &get);
}

// Serve waiters, take the answers; grants are kept for finish_all. How many items came.
static size_t take_answers(struct path *path)
{
    size_t count;
    size_t items = 0;
    dispatch_run(path->dispatch, path->now_ms);
    struct dispatch_answer *answers = dispatch_take_answers(path->dispatch, &count);
    for (size_t i = 0; i < count; i++) {
        require(answers[i].end == DISPATCH_END_ENGINE && answers[i].status == ENGINE_OK, "an answer that is not OK");
        if (answers[i].kind == DISPATCH_GET) {
            items += answers[i].grant.count;
            path->grants[path->grants_count++] = answers[i].grant;
        }
    }
    return items;
}

static void drop_grants(struct path *path)
{
    for (size_t i = 0; i < path->grants_count; i++) {
        engine_grant_clear(&path->grants[i]);
    }
    path->grants_count = 0;
}

static void finish_all(struct path *path, bool requeue)
{
    static const struct engine_requeue voluntary = {0};
    for (size_t i = 0; i < path->grants_count; i++) {
        const struct engine_grant *grant = &path->grants[i];
        struct queue *queue = engine_queue_by_id(path->engine, grant->queue_id);
        for (size_t k = 0; k < grant->count; k++) {
            const struct engine_token token = {path->session_no, 1, grant->items[k].seq, grant->items[k].delivery};
            bool gone = false;
            enum engine_status status = requeue ? engine_requeue(path->engine, path->now_ms, queue, &token, &voluntary)
                                                : engine_task_done(path->engine, path->now_ms, queue, &token, &gone);
            require(status == ENGINE_OK && !gone, "an item could not be finished");
        }
    }
    drop_grants(path);
}

// ------------------------------------------------------------------------------------------------------------- the operations

OPERATION static size_t op_put_1(struct path *path)
{
    for (size_t i = 0; i < RUN_MAX; i++) {
        put_run(path, 0, 1);
        take_answers(path);
    }
    return RUN_MAX;
}

OPERATION static size_t op_put_100(struct path *path)
{
    for (size_t i = 0; i < RUN_MAX / 100; i++) {
        put_run(path, 0, 100);
        take_answers(path);
    }
    return RUN_MAX;
}

OPERATION static size_t op_put_1000(struct path *path)
{
    put_run(path, 0, RUN_MAX);
    take_answers(path);
    return RUN_MAX;
}

OPERATION static size_t op_get_1(struct path *path)
{
    size_t items = 0;
    for (size_t i = 0; i < RUN_MAX; i++) {
        get_run(path, 0, 1, 0);
        items += take_answers(path);
    }
    return items;
}

OPERATION static size_t op_get_100(struct path *path)
{
    size_t items = 0;
    for (size_t i = 0; i < RUN_MAX / 100; i++) {
        get_run(path, 0, 100, 0);
        items += take_answers(path);
    }
    return items;
}

OPERATION static size_t op_get_1000(struct path *path)
{
    get_run(path, 0, RUN_MAX, 0);
    return take_answers(path);
}

// What is on lease from each of a thousand gets, as after a HELLO that names them.
OPERATION static size_t op_answer_again(struct path *path)
{
    size_t items = 0;
    for (size_t i = 0; i < path->grants_count; i++) {
        struct engine_grant grant;
        require(engine_session_grant(path->engine, path->session_no, path->grants[i].get_id, &grant) == ENGINE_OK, "session_grant");
        items += grant.count;
        engine_grant_clear(&grant);
    }
    return items;
}

// A get that waits, then the put that ends its wait: the path of lock-step clients.
OPERATION static size_t op_put_to_waiting_get(struct path *path)
{
    size_t items = 0;
    for (size_t i = 0; i < RUN_MAX; i++) {
        get_run(path, 0, 1, FOREVER);
        take_answers(path);
        put_run(path, 0, 1);
        items += take_answers(path);
    }
    return items;
}

OPERATION static size_t op_task_done(struct path *path)
{
    finish_all(path, false);
    return RUN_MAX;
}

OPERATION static size_t op_requeue(struct path *path)
{
    finish_all(path, true);
    return RUN_MAX;
}

// As a peek or a redrive that passes over what has come back.
OPERATION static size_t op_look_at_returned(struct path *path)
{
    const struct queue *queue = engine_queue_find(path->engine, name_of(path, 0));
    size_t items = 0;
    uint64_t looks = 0;
    for (uint64_t seq = 1; engine_ready_seq(queue, seq, &seq, &looks); seq++) {
        items++;
    }
    return items;
}

OPERATION static size_t op_get_returned(struct path *path)
{
    get_run(path, 0, RUN_MAX, 0);
    return take_answers(path);
}

static void end_leases(struct path *path)
{
    path->now_ms += 61000;
    while (engine_tick(path->engine, path->now_ms)) {
    }
}

// All leases end at once and their items stand at their old place again.
OPERATION static size_t op_lease_end(struct path *path)
{
    end_leases(path);
    return RUN_MAX;
}

// From then on each of them has a lease of its own.
OPERATION static size_t op_extend(struct path *path)
{
    size_t items = 0;
    for (size_t i = 0; i < path->grants_count; i++) {
        const struct engine_grant *grant = &path->grants[i];
        struct queue *queue = engine_queue_by_id(path->engine, grant->queue_id);
        for (size_t k = 0; k < grant->count; k++) {
            const struct engine_token token = {path->session_no, 1, grant->items[k].seq, grant->items[k].delivery};
            require(engine_extend(path->engine, path->now_ms, queue, &token, 0) == ENGINE_OK, "an item could not be extended");
            items++;
        }
    }
    return items;
}

// They end at once, and nearly all count as in work: these are the oldest.
OPERATION static size_t op_lease_end_extended(struct path *path)
{
    engine_session_workers(path->engine, path->session_no, RUN_MAX - 1);
    end_leases(path);
    engine_session_workers(path->engine, path->session_no, SESSION_WORKERS);
    return RUN_MAX;
}

OPERATION static size_t op_put_1000_queues(struct path *path)
{
    for (size_t i = 0; i < QUEUES; i++) {
        put_run(path, i, 1);
    }
    take_answers(path);
    return QUEUES;
}

OPERATION static size_t op_get_1000_queues(struct path *path)
{
    for (size_t i = 0; i < QUEUES; i++) {
        get_run(path, i, 1, 0);
    }
    return take_answers(path);
}

static const struct engine_bytes full = {4, (const uint8_t *)"full"};

static void wait_for_room(struct path *path, uint64_t session_no, uint64_t first_stream)
{
    for (uint64_t i = 0; i < RUN_MAX; i++) {
        const struct dispatch_put put = {
            .session_no = session_no,
            .request_id = ++path->request_id,
            .put = {.session_no = session_no, .stream = first_stream + i, .first_number = 1, .bodies = path->bodies, .count = 1},
            .wait_ms = FOREVER};
        dispatch_put(path->dispatch, path->now_ms, full, &put);
    }
}

// A session ends whose puts wait behind a thousand of another one.
OPERATION static size_t op_waits_end(struct path *path)
{
    static const uint8_t id[ENGINE_SESSION_ID_BYTES] = {3};
    static const uint8_t token[ENGINE_RESUME_TOKEN_BYTES] = {4};
    static const struct engine_options options = {.given = ENGINE_OPTION_MAXSIZE, .maxsize = 1};
    struct queue *queue;
    bool created;
    uint64_t other;
    size_t count;
    require(engine_session_open(path->engine, path->now_ms, id, token, &other) == ENGINE_OK, "session_open");
    require(engine_declare(path->engine, path->now_ms, full, &options, false, &queue, &created) == ENGINE_OK, "declare");
    wait_for_room(path, other, 1);
    wait_for_room(path, path->session_no, 1 + RUN_MAX);
    dispatch_session_end(path->dispatch, path->session_no);
    dispatch_session_end(path->dispatch, other);
    (void)dispatch_take_answers(path->dispatch, &count);
    require(count == 1, "all but the first put wait");
    return RUN_MAX;
}

// A queue is deleted and made anew, and the names are listed, with a thousand others there.
OPERATION static size_t op_list_between_changes(struct path *path)
{
    for (size_t i = 0; i < QUEUES; i++) {
        struct queue *queue = engine_queue_find(path->engine, name_of(path, i));
        engine_delete(path->engine, path->now_ms, queue);
        require(engine_queue_use(path->engine, path->now_ms, name_of(path, i), &queue) == ENGINE_OK, "queue_use");
        require(engine_queue_after(path->engine, (struct engine_bytes){0}) != NULL, "queue_after");
    }
    return QUEUES;
}

// Seal and end a commit group, as often as lock-step clients would make it happen.
static void commit(struct path *path)
{
    engine_collect(path->engine, path->now_ms, false);
    dispatch_seal(path->dispatch);
    struct changes *sealed = path->changes[path->open];
    path->open = 1 - path->open;
    engine_set_changes(path->engine, path->changes[path->open]);
    engine_mark_durable(path->engine);
    dispatch_free_durable(path->dispatch);
    changes_clear(sealed);
}

OPERATION static size_t op_commit_1000_queues(struct path *path)
{
    commit(path);
    return QUEUES;
}

OPERATION static size_t op_commit_put_1000(struct path *path)
{
    commit(path);
    return RUN_MAX;
}

// ------------------------------------------------------------------------------------------------------------------ the script

typedef size_t operation(struct path *path);

// In this order; each begins with what the ones before it have left. "" stands for a commit that is not counted.
static const struct {
    const char *name;
    operation *run;
} script[] = {
#define STEP(function)                                                                                                             \
    {                                                                                                                              \
#function, function                                                                                                        \
    }
#define COMMIT                                                                                                                     \
    {                                                                                                                              \
        "", NULL                                                                                                                   \
    }
    STEP(op_put_1),
    COMMIT,
    STEP(op_get_1),
    STEP(op_answer_again),
    STEP(op_task_done),
    COMMIT,
    STEP(op_put_100),
    COMMIT,
    STEP(op_get_100),
    STEP(op_task_done),
    COMMIT,
    STEP(op_put_1000),
    STEP(op_commit_put_1000),
    STEP(op_get_1000),
    COMMIT,
    STEP(op_requeue),
    STEP(op_look_at_returned),
    COMMIT,
    STEP(op_get_returned),
    COMMIT,
    STEP(op_lease_end),
    COMMIT,
    STEP(op_get_returned),
    STEP(op_extend),
    COMMIT,
    STEP(op_lease_end_extended),
    COMMIT,
    STEP(op_get_returned),
    STEP(op_task_done),
    COMMIT,
    STEP(op_put_to_waiting_get),
    STEP(op_task_done),
    COMMIT,
    STEP(op_put_1000_queues),
    STEP(op_commit_1000_queues),
    STEP(op_get_1000_queues),
    STEP(op_task_done),
    STEP(op_commit_1000_queues),
    STEP(op_list_between_changes),
    STEP(op_waits_end),
#undef STEP
#undef COMMIT
};

static void run_step(struct path *path, size_t i)
{
    if (script[i].run == NULL) {
        commit(path);
        return;
    }
    size_t items = script[i].run(path);
    require(items == RUN_MAX, script[i].name);
    if (script[i].run == op_lease_end || script[i].run == op_lease_end_extended) {
        drop_grants(path);
    }
    printf("%s %zu\n", script[i].name, items);
}

int main(int argc, char **argv)
{
    static struct path path;
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
#ifdef __clang__
        printf("clang %d.%d.%d\n", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
        printf("gcc %d.%d.%d\n", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
        return 0;
    }
    start(&path);
    for (size_t i = 0; i < sizeof(script) / sizeof(script[0]); i++) {
        run_step(&path, i);
    }
    end(&path);
    return 0;
}
