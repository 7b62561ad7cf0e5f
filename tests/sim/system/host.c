#include "host.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "arena.h"
#include "changes_codec.h"
#include "clock.h"
#include "committer.h"
#include "random.h"
#include "signals.h"
#include "state.h"
#include "world.h"

enum { WALL_AT_START_MS = 1000 * 1000 * 1000 };

struct committer {
    struct store *store;
    struct runner *runner;
    bool busy, done;
    bool failed;     // of a commit that is done
    uint64_t number; // of the commit
    uint8_t *bytes;  // the group as a journal would hold it
    size_t len;
    struct state *state; // as it is when these are durable
};

static struct {
    struct host_config config;
    struct committer committer;
    uint64_t steps_left;
    bool crashed, terminating, terminated, off;
    uint64_t born_ms, born_at_ms; // the broker's time when it started, and the world's
    bool disk_fails, disk_failed, read_failed;
    uint64_t full_from_us, full_until_us;
    int64_t wall_step_ms;
} host;

// ---------------------------------------------------------------------------------------------------------------------- life

void host_begin(const struct host_config *config)
{
    memset(&host, 0, sizeof(host));
    host.config = *config;
}

void host_process_started(uint64_t steps_to_crash)
{
    host.steps_left = steps_to_crash;
    host.crashed = host.terminating = host.terminated = false;
    host.disk_fails = host.disk_failed = host.read_failed = host.off = false;
}

static void wake_broker(void)
{
    if (host.committer.runner != NULL) {
        runner_wake(host.committer.runner);
    }
}

void host_terminate(void)
{
    if (host.terminated) { // the second signal ends it at once, as a crash does
        host.crashed = true;
    }
    host.terminating = host.terminated = true;
    wake_broker();
}

void host_set_crash(uint64_t steps)
{
    host.steps_left = steps;
    wake_broker();
}

void host_step_wall_clock(int64_t ms)
{
    host.wall_step_ms += ms;
}

bool host_has_crashed(void)
{
    return host.crashed;
}

bool host_is_on(void)
{
    return !host.off;
}

uint64_t host_broker_ms(void)
{
    return host.born_ms + world_now_ms() - host.born_at_ms;
}

uint64_t host_broker_born_ms(void)
{
    return host.born_ms;
}

void host_fail_disk(void)
{
    host.disk_fails = true;
}

bool host_disk_has_failed(void)
{
    return host.disk_failed;
}

bool host_read_fails(void)
{
    if (host.disk_fails && !host.crashed && !host.read_failed) {
        world_trace("the disk cannot be read");
        host.read_failed = true;
    }
    return host.disk_fails;
}

bool host_read_has_failed(void)
{
    return host.read_failed;
}

void host_fill_disk(uint64_t us)
{
    uint64_t now_us = world_now_us();
    if (now_us >= host.full_until_us) {
        host.full_from_us = now_us;
    }
    host.full_until_us = now_us + us;
}

bool host_disk_is_full(uint64_t since_us)
{
    return host.full_from_us <= since_us && world_now_us() < host.full_until_us;
}

bool host_disk_was_full(void)
{
    return host.full_until_us > 0;
}

bool host_step(void)
{
    if (!host.crashed && host.steps_left != UINT64_MAX && host.steps_left-- == 0) {
        world_trace("CRASH");
        host.crashed = true;
    }
    return host.crashed;
}

unsigned host_ready(void)
{
    bool committed = host.committer.busy && host.committer.done;
    return (host.crashed || host.terminating ? 1u : 0u) | (host.crashed || committed ? 2u : 0u);
}

void host_turn_ended(void)
{
    if (!host_step() && !host.terminating) {
        state_check_turn(host.terminated);
    }
}

// ---------------------------------------------------------------------------------------------------------------------- disk

static void write_group(void)
{
    uint64_t steps_left = host.steps_left;
    bool crashed = host.crashed;
    host.steps_left = UINT64_MAX; // this is the disk, which goes on by itself
    host.crashed = false;
    struct committer *self = &host.committer;
    struct nq_arena *arena = nq_arena_create((size_t)64 * 1024, 0);
    struct changes *changes = changes_create();
    struct store_error error = {0};
    assert(arena != NULL && changes != NULL);
    if (!changes_decode(self->bytes, self->len, arena, changes)) {
        world_fail("a group does not come back from the journal's bytes");
    }
    if (store_commit(self->store, changes, &error) != NQ_OK) {
        world_fail("commit: %s", error.text);
    }
    state_is_durable(&self->state);
    changes_destroy(&changes);
    nq_arena_destroy(&arena);
    host.steps_left = steps_left;
    host.crashed = crashed;
    self->done = true;
    world_trace("durable: group %llu", (unsigned long long)self->number);
}

static void forget_group(struct committer *self)
{
    free(self->bytes);
    self->bytes = NULL;
    state_destroy(&self->state);
    self->busy = self->done = self->failed = false;
}

// What is on its way to the disk gets there, or the disk says that it could not be written: then it may be there all the same.
static void end_group(struct committer *self)
{
    self->failed = host.disk_fails;
    host.disk_fails = false;
    if (!self->failed || world_chance(500)) {
        write_group();
    }
    self->done = true;
}

static void on_flushed(void *context, uint64_t number)
{
    struct committer *self = context;
    if (self->busy && !self->done && self->number == number && !host.crashed) {
        end_group(self);
        wake_broker();
    }
}

void host_power_off(void)
{
    struct committer *self = &host.committer;
    host.off = true;
    if (self->busy && !self->done && self->bytes != NULL && world_chance(500)) {
        write_group();
    }
    forget_group(self);
}

struct committer *committer_start(struct store *store)
{
    host.committer.store = store;
    host.committer.runner = runner_current();
    return &host.committer;
}

void committer_stop(struct committer **self_p)
{
    if (*self_p != NULL) {
        host_power_off();
        host.committer.runner = NULL;
        *self_p = NULL;
    }
}

int committer_fd(const struct committer *self)
{
    (void)self;
    return 1;
}

bool committer_submit(struct committer *self, const struct changes *changes, bool idle)
{
    assert(!self->busy);
    self->busy = true;
    self->number++;
    if (host_step()) {
        return false;
    }
    self->bytes = malloc(changes_encoded_bytes_max(changes) + 1);
    assert(self->bytes != NULL);
    self->len = changes_encode(changes, self->bytes);
    self->state = state_take();
    if (idle && world_chance(300)) { // at once, in the caller's thread
        end_group(self);
        return true;
    }
    uint64_t most = world_chance(50) ? host.config.disk_slow_us : host.config.disk_us;
    world_after(world_between(1, most), on_flushed, self, self->number);
    return false;
}

uint64_t committer_typical_us(struct committer *self)
{
    (void)self;
    return host.config.disk_us / 2;
}

bool committer_take(struct committer *self, enum nq_status *status, struct store_error *error)
{
    if (self->busy && host_step()) {
        self->busy = self->bytes != NULL; // what is under way may still get to the disk
        *status = NQ_STORAGE_FAILED;
        *error = (struct store_error){.status = NQ_STORAGE_FAILED, .text = "crashed"};
        return true;
    }
    if (!self->busy || !self->done) {
        return false;
    }
    if (self->failed) {
        world_trace("the disk fails");
        host.disk_failed = true;
        *status = NQ_STORAGE_FAILED;
        *error = (struct store_error){.status = NQ_STORAGE_FAILED, .text = "the disk fails"};
    } else {
        *status = NQ_OK;
    }
    forget_group(self);
    return true;
}

void committer_wait(struct committer *self)
{
    (void)self;
}

// ------------------------------------------------------------------------------------------------ clocks, random bytes, signals

uint64_t clock_us(void)
{
    return world_now_us();
}

uint64_t clock_wall_ms(void)
{
    return (uint64_t)((int64_t)(WALL_AT_START_MS + world_now_ms()) + host.wall_step_ms);
}

void clock_start(struct clock *self, uint64_t last_stored_ms)
{
    uint64_t wall_ms = clock_wall_ms();
    self->started_ms = wall_ms > last_stored_ms ? wall_ms : last_stored_ms;
    self->boot_ms = world_now_ms();
    host.born_ms = self->started_ms;
    host.born_at_ms = self->boot_ms;
}

uint64_t clock_uptime_ms(const struct clock *self)
{
    return world_now_ms() - self->boot_ms;
}

uint64_t clock_now_ms(const struct clock *self)
{
    return self->started_ms + clock_uptime_ms(self);
}

bool random_fill(void *out, size_t len)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)world_random(256);
    }
    return true;
}

bool signals_block(void)
{
    return true;
}

int signals_open(void)
{
    return 0;
}

int signals_read(int fd)
{
    (void)fd;
    if (host.crashed) { // two of them end the loop at once
        return SIGTERM;
    }
    if (host.terminating) {
        host.terminating = false;
        return SIGTERM;
    }
    return 0;
}
