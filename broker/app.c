#include "app.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authorised.h"
#include "endpoint.h"
#include "frontend.h"
#include "log.h"
#include "memory_room.h"
#include "notify.h"
#include "process.h"
#include "random.h"
#include "signals.h"
#include "store_disk.h"
#include "store_memory.h"
#include "store_offline.h"

static enum nq_status fail(struct frontend_error *error, enum nq_status status, const char *text)
{
    snprintf(error->text, sizeof(error->text), "%s", text);
    error->status = status;
    return status;
}

// --------------------------------------------------------------------------------------------------------------------- store

// Nobody waits for a checkpoint: of a broker that has nothing to do the next commit may be far.
static void say_failed(const struct store_error *error)
{
    log_error("a checkpoint has failed, so the next commit will; what was answered is in the journal: %s", error->text);
}

// A store of another format is one that cannot be opened: 73, behind which no service manager starts us again.
static enum nq_status as_store_failure(enum nq_status status)
{
    return status == NQ_UNSUPPORTED_VERSION ? NQ_STORAGE_FAILED : status;
}

static enum nq_status open_store(const struct config *config, struct store **out, struct frontend_error *error)
{
    uint8_t id[NQ_STORE_ID_BYTES];
    uint8_t salt[8];
    if (!random_fill(id, sizeof(id)) || !random_fill(salt, sizeof(salt))) {
        return fail(error, NQ_UNREACHABLE, "the system has no random numbers to give");
    }
    if (config->memory) {
        *out = store_memory_create(config->max_disk, id);
        return *out != NULL ? NQ_OK : fail(error, NQ_NO_MEMORY, nq_status_text(NQ_NO_MEMORY));
    }
    const struct store_lmdb_options options = {.dir = config->data_dir,
                                               .sync = config->sync == CONFIG_SYNC_ALWAYS,
                                               .max_disk_bytes = config->max_disk,
                                               .reserve_bytes = config->disk_reserve / 4, // a file of its own, within the reserve
                                               .new_store_id = id,
                                               .new_salt = salt,
                                               .on_failure = say_failed};
    struct store_error store_error = {0};
    enum nq_status status = store_disk_open(&options, out, &store_error);
    return status == NQ_OK ? NQ_OK : fail(error, as_store_failure(status), store_error.text);
}

// ------------------------------------------------------------------------------------------------------------ endpoint file

// Readers see all of it or nothing: it is written aside and renamed.
static enum nq_status write_endpoints(const struct config *config, const struct frontend *frontend, struct frontend_error *error)
{
    char aside[CONFIG_TEXT_MAX + 8];
    if (config->endpoint_file == NULL) {
        return NQ_OK;
    }
    snprintf(aside, sizeof(aside), "%s.new", config->endpoint_file);
    FILE *file = fopen(aside, "we");
    bool written = file != NULL;
    for (size_t i = 0; written && frontend_endpoint(frontend, i) != NULL; i++) {
        written = fprintf(file, "%s\n", frontend_endpoint(frontend, i)) > 0;
    }
    if (file != NULL) {
        written = fclose(file) == 0 && written;
    }
    if (!written || rename(aside, config->endpoint_file) != 0) {
        snprintf(error->text, sizeof(error->text), "endpoint-file %.200s: %s", config->endpoint_file, strerror(errno));
        error->status = NQ_BAD_CONFIG;
        unlink(aside);
        return NQ_BAD_CONFIG;
    }
    return NQ_OK;
}

static void remove_endpoints(const struct config *config)
{
    if (config->endpoint_file != NULL) {
        unlink(config->endpoint_file); // what is not served must not be found
    }
}

// --------------------------------------------------------------------------------------------------------------------- serve

// What proves who we are, and who else may come in.
struct security {
    struct keys_pair pair;
    struct authorised *authorised;
};

static enum nq_status open_security(const struct config *config, struct security *out, struct frontend_error *error)
{
    struct keys_error keys_error = {0};
    if (config->keys == NULL) {
        return NQ_OK;
    }
    process_hide_memory();
    enum nq_status status = keys_load_pair(config->keys, KEYS_BROKER, &out->pair, &keys_error);
    if (status == NQ_OK) {
        status = authorised_open(config->keys, &out->authorised, &keys_error);
    }
    return status == NQ_OK ? NQ_OK : fail(error, status, keys_error.text);
}

static void close_security(struct security *self)
{
    authorised_close(&self->authorised);
    keys_forget(&self->pair);
}

// Of memory that is limited: which part of what is left at the start (of a frame: of the limit) one frame, one commit group, what is
// read ahead (in one lane, in all), one connection each way, all answers on their way out, and all waiting requests but their bodies may
// take.
enum { FRAME_PART = 64, GROUP_PART = 32, LANE_PART = 32, INTAKE_PART = 16, LINK_PART = 16, ANSWER_PART = 4, WAITERS_PART = 16 };
enum { WAITER_BYTES = 512 };

static uint64_t part_of(uint64_t left_bytes, uint64_t part, uint64_t least, uint64_t most)
{
    uint64_t bytes = left_bytes / part < most ? left_bytes / part : most;
    return bytes < least ? least : bytes;
}

// Not of what is left, nor of the limit of which least is left: it must be the same at each start, as clients send again what they have
// packed. A power of two, because how much a group allows is at times set anew by a little.
static uint64_t limit_of_frames(struct memory_room memory)
{
    uint64_t bytes = 1;
    while (memory.least_limit_bytes > 0 && bytes <= memory.least_limit_bytes / 2) {
        bytes *= 2;
    }
    return memory.least_limit_bytes > 0 ? bytes : UINT64_MAX;
}

// What one session may have, all may have, where memory is not limited.
static uint64_t waiters_max(const struct config *config, uint64_t left_bytes)
{
    uint64_t most = config->max_waiters > NQ_WAITERS_DEFAULT ? config->max_waiters : NQ_WAITERS_DEFAULT;
    return part_of(left_bytes, WAITERS_PART, WAITER_BYTES, most * WAITER_BYTES) / WAITER_BYTES;
}

static struct frontend_config frontend_config_of(const struct config *config, const struct security *security, int signal_fd)
{
    uint64_t item_bytes = config->body_limit + config->headers_limit + NQ_FRAME_SLACK_BYTES;
    struct memory_room memory = memory_look();
    uint64_t left_bytes = memory_left(memory);
    uint64_t parked_per_session =
        NQ_PARKED_BYTES_PER_SESSION_DEFAULT < config->parked_limit ? NQ_PARKED_BYTES_PER_SESSION_DEFAULT : config->parked_limit;
    return (struct frontend_config){
        .endpoints = (const char *const *)config->listen,
        .endpoint_count = config->listen_count,
        .limits = {.body_bytes = config->body_limit,
                   .headers_bytes = config->headers_limit,
                   .frame_bytes = part_of(limit_of_frames(memory), FRAME_PART, item_bytes, NQ_FRAME_BYTES_DEFAULT),
                   .items = NQ_ITEMS_PER_REQUEST_MAX,
                   .requests = NQ_REQUESTS_PER_FRAME_MAX,
                   .session_timeout_ms = config->session_timeout_ms,
                   .session_grace_ms = config->session_grace_ms},
        .engine = {.lease_ms = config->lease_ms,
                   .hold_max_ms = config->hold_max_ms,
                   .dedup_keep_ms = config->dedup_keep_ms,
                   .orphan_ms = config->session_timeout_ms,
                   .queues_max = config->max_queues,
                   .sessions_max = config->max_sessions,
                   .streams_max = config->max_streams,
                   .delayed_max = config->max_delayed,
                   .leases_per_session_max = config->max_leases},
        .dispatch = {.waiters_per_session_max = config->max_waiters,
                     .waiters_max = waiters_max(config, left_bytes),
                     .parked_bytes_per_session_max = parked_per_session,
                     .parked_bytes_per_key_max = config->parked_limit_per_key,
                     .parked_bytes_max = config->parked_limit},
        .intake = {.share_bytes = LANE_SHARE_BYTES_DEFAULT,
                   .lane_bytes_max = part_of(left_bytes, LANE_PART, 0, parked_per_session),
                   .bytes_max = part_of(left_bytes, INTAKE_PART, 0, config->parked_limit)},
        .group_bytes_max = part_of(left_bytes, GROUP_PART, NQ_FRAME_SLACK_BYTES, GROUP_BYTES_MAX),
        .link_bytes_max = part_of(left_bytes, LINK_PART, 1, UINT64_MAX),
        .answer_bytes_max = part_of(left_bytes, ANSWER_PART, 1, UINT64_MAX),
        .disk_reserve_bytes = config->memory ? 0 : config->disk_reserve,
        .memory = memory_look,
        .backup = config->memory ? NULL : store_disk_backup,
        .backup_dir = config->backup_dir,
        .signal_fd = signal_fd,
        .keys = security->authorised == NULL ? NULL : &security->pair,
        .authorised = security->authorised,
        .exit_when_shut_down = config->exit_when_shut_down,
        .sessions_per_key_max = config->max_sessions_per_key,
        .requests_per_key_max = config->max_requests_per_key,
    };
}

static void say_how_safe(const struct config *config, const struct security *security)
{
    if (security->authorised != NULL) {
        log_info("encrypted; %zu keys are authorised; our public key is %s", access_count(authorised_set(security->authorised)),
                 security->pair.public_key);
        return;
    }
    for (size_t i = 0; i < config->listen_count; i++) {
        if (!endpoint_is_loopback(config->listen[i])) {
            log_warning("--insecure: whoever reaches %s may read and change everything; nothing is encrypted", config->listen[i]);
        }
    }
}

static void say_started(const struct config *config, const struct frontend *frontend)
{
    const char *store = config->memory ? "memory" : config->data_dir;
    const char *sync = config->memory ? "" : config->sync == CONFIG_SYNC_ALWAYS ? ", sync always" : ", sync none";
    if (config->data_is_default) {
        log_info("neither --data nor --memory was given: the queues are kept in %s", config->data_dir);
    }
    for (size_t i = 0; i < config->listen_count; i++) {
        if (!config->memory && config->sync == CONFIG_SYNC_NONE && i == 0) {
            log_warning("--sync none: what was accepted last may be lost when the machine stops");
        }
        log_info("serving %s, store %s%s, queues %zu, version %s", frontend_endpoint(frontend, i), store, sync,
                 frontend_queue_count(frontend), NQ_VERSION);
    }
}

static enum nq_status serve(const struct config *config, const struct security *security, struct store *store, int signal_fd,
                            struct frontend_error *error)
{
    struct frontend *frontend;
    uint64_t hash_seed;
    struct frontend_config frontend_config = frontend_config_of(config, security, signal_fd);
    if (!random_fill(&hash_seed, sizeof(hash_seed))) {
        return fail(error, NQ_UNREACHABLE, "the system has no random numbers to give");
    }
    frontend_config.engine.hash_seed = frontend_config.dispatch.hash_seed = hash_seed;
    enum nq_status status = frontend_open(&frontend_config, store, &frontend, error);
    if (status == NQ_OK) {
        status = write_endpoints(config, frontend, error);
    }
    if (status == NQ_OK) {
        say_started(config, frontend);
        say_how_safe(config, security);
        notify_service_manager("READY=1");
        status = frontend_run(frontend, error);
        notify_service_manager("STOPPING=1");
        remove_endpoints(config);
    }
    if (status == NQ_INTERRUPTED) { // at once: no waiting for a commit or for answers on their way
        log_warning("stopped at once");
        _exit(nq_status_exit_code(status));
    }
    bool makes_backup = frontend != NULL && frontend_makes_backup(frontend);
    frontend_close(&frontend);
    if (makes_backup) { // nobody waits for it; all that was answered is durable without closing the store
        log_warning("%s: a backup under way is given up", status == NQ_OK ? "stopped" : error->text);
        _exit(nq_status_exit_code(status));
    }
    return status;
}

// LMDB reads its file through memory, and believes what it says. Where the disk cannot give a page, or a damaged one leads elsewhere, the
// kernel has no other way to tell. SIGSEGV anywhere else is a bug, and stays what it is.
static char unreadable_line[512];
static int unreadable_len;

static void end_on_unreadable_store(int number)
{
    if (number == SIGSEGV && !store_lmdb_is_inside()) {
        return;
    }
    ssize_t written = write(STDERR_FILENO, unreadable_line, (size_t)unreadable_len);
    (void)written; // there is nowhere to say it
    _exit(nq_status_exit_code(NQ_STORAGE_FAILED));
}

static void watch_store(const char *dir)
{
    char text[480];
    snprintf(
        text, sizeof(text),
        "a page of the store in %.300s cannot be read, or is damaged: run `netqueue-broker check` on it, and see the kernel's log",
        dir);
    unreadable_len = log_line(unreadable_line, (int)sizeof(unreadable_line), LOG_ERROR, text);
    process_on_unreadable_memory(end_on_unreadable_store);
}

static enum nq_status check_backup_dir(const struct config *config, struct frontend_error *error)
{
    struct stat found = {0};
    if (config->backup_dir == NULL) {
        return NQ_OK;
    }
    int rc = stat(config->backup_dir, &found) != 0 ? errno : S_ISDIR(found.st_mode) ? 0 : ENOTDIR;
    if (rc == 0 && access(config->backup_dir, W_OK | X_OK) != 0) {
        rc = errno;
    }
    if (rc == 0) {
        return NQ_OK;
    }
    snprintf(error->text, sizeof(error->text), "backup-dir %.200s: %s", config->backup_dir, strerror(rc));
    error->status = NQ_BAD_CONFIG;
    return NQ_BAD_CONFIG;
}

int app_run(const struct config *config)
{
    struct frontend_error error = {0};
    struct store *store = NULL;
    struct security security = {0};
    enum nq_status status = NQ_OK;
    int signal_fd = -1;
    process_harden();
    if (process_drop_capabilities()) {
        log_info("started with privileges, which are given up: files of others, and ports below 1024, are closed to it");
    }
    if (!signals_block() || (signal_fd = signals_open()) < 0) {
        status = fail(&error, NQ_UNREACHABLE, "cannot receive signals");
    }
    if (config->data_dir != NULL) {
        watch_store(config->data_dir);
    }
    if (process_raise_descriptors() < 1024) {
        log_warning("few descriptors are allowed (RLIMIT_NOFILE): few clients can connect");
    }
    if (status == NQ_OK) {
        status = check_backup_dir(config, &error);
    }
    if (status == NQ_OK) {
        status = open_security(config, &security, &error);
    }
    if (status == NQ_OK) {
        status = open_store(config, &store, &error);
    }
    if (status == NQ_OK) {
        status = serve(config, &security, store, signal_fd, &error);
    }
    if (status != NQ_OK) {
        log_error("%s", error.text);
    } else {
        log_info("stopped");
    }
    store_close(&store);
    close_security(&security);
    if (signal_fd >= 0) {
        close(signal_fd);
    }
    return nq_status_exit_code(status);
}

// ------------------------------------------------------------------------------------------------------------------- offline

int app_check(const struct config *config)
{
    struct store_check_report report = {0};
    struct store_error error = {0};
    process_harden();
    enum nq_status status = store_lmdb_check(config->action_dir, stdout, &report, &error);
    if (status == NQ_OK || status == NQ_DAMAGED) {
        printf("%s: %" PRIu64 " queues, %" PRIu64 " items, %" PRIu64 " item records, %" PRIu64 " runs, %" PRIu64
               " streams, %" PRIu64 " sessions, %" PRIu64 " groups of the journal, %" PRIu64 " bytes; %" PRIu64 " damaged, %" PRIu64
               " misplaced\n",
               config->action_dir, report.queues, report.items, report.item_records, report.runs, report.streams, report.sessions,
               report.groups, report.bytes, report.damaged, report.misplaced);
    } else {
        log_error("%s", error.text[0] != '\0' ? error.text : nq_status_text(status));
    }
    return nq_status_exit_code(as_store_failure(status));
}

int app_compact(const struct config *config)
{
    uint64_t before;
    uint64_t after;
    struct store_error error = {0};
    process_harden();
    watch_store(config->action_dir);
    enum nq_status status = store_lmdb_compact(config->action_dir, &before, &after, &error);
    if (status == NQ_OK) {
        printf("%s: %" PRIu64 " bytes before, %" PRIu64 " after\n", config->action_dir, before, after);
    } else {
        log_error("%s", error.text[0] != '\0' ? error.text : nq_status_text(status));
    }
    return nq_status_exit_code(as_store_failure(status));
}
