#include "store_rig.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crc32c.h"
#include "store_disk.h"
#include "store_memory.h"

struct rig_block {
    struct rig_block *next;
    max_align_t bytes[];
};

static const uint8_t store_id_for_tests[16] = "a store to test";

static void must(bool ok, const char *what)
{
    cr_assert(ok, "%s", what);
}

// ----------------------------------------------------------------------------------------------------------------- life, places

enum nq_status rig_open_dir(enum store_kind kind, const char *dir, uint64_t reserve_bytes, struct store **out,
                            struct store_error *error)
{
    const struct store_lmdb_options options = {
        .dir = dir, .sync = false, .never_flush = true, .reserve_bytes = reserve_bytes, .new_store_id = store_id_for_tests};
    return kind == STORE_DISK ? store_disk_open(&options, out, error) : store_lmdb_open(&options, out, error);
}

void rig_make_parent(char *path, size_t capacity)
{
    const char *folder = getenv("TMPDIR");
    snprintf(path, capacity, "%s/netqueue-store-XXXXXX", folder == NULL || folder[0] == '\0' ? "/tmp" : folder);
    must(mkdtemp(path) != NULL, "mkdtemp");
}

void rig_make_folder(const char *path)
{
    must(mkdir(path, 0700) == 0, path);
}

void rig_start_in(struct store_rig *self, enum store_kind kind, const char *parent, uint64_t reserve_bytes)
{
    struct store_error error = {0};
    *self = (struct store_rig){.kind = kind, .changes = changes_create(), .reserve_bytes = reserve_bytes};
    snprintf(self->parent, sizeof(self->parent), "%s", parent);
    snprintf(self->dir, sizeof(self->dir), "%s/store", parent);
    must(self->changes != NULL, "changes_create");
    must(rig_open_dir(kind, self->dir, reserve_bytes, &self->store, &error) == NQ_OK, error.text);
}

void rig_start(struct store_rig *self, enum store_kind kind)
{
    if (kind == STORE_MEMORY) {
        *self = (struct store_rig){.kind = kind, .changes = changes_create(), .store = store_memory_create(0, store_id_for_tests)};
        must(self->changes != NULL && self->store != NULL, "store_memory_create");
        return;
    }
    char parent[sizeof(self->parent)];
    rig_make_parent(parent, sizeof(parent));
    rig_start_in(self, kind, parent, 0);
}

void rig_reopen(struct store_rig *self)
{
    struct store_error error = {0};
    if (self->kind != STORE_MEMORY) {
        store_close(&self->store);
        must(rig_open_dir(self->kind, self->dir, self->reserve_bytes, &self->store, &error) == NQ_OK, error.text);
    }
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
    (void)status;
    (void)flag;
    (void)walk;
    return remove(path);
}

void rig_remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void free_blocks(struct store_rig *self)
{
    while (self->blocks != NULL) {
        struct rig_block *next = self->blocks->next;
        free(self->blocks);
        self->blocks = next;
    }
}

void rig_end(struct store_rig *self)
{
    store_close(&self->store);
    changes_destroy(&self->changes);
    free_blocks(self);
    if (self->kind != STORE_MEMORY) {
        rig_remove_tree(self->parent);
    }
}

void rig_make_journals(const char *dir, size_t bytes)
{
    rig_make_folder(dir);
    for (int i = 0; i < 2; i++) {
        char path[256];
        snprintf(path, sizeof(path), "%s/journal-%d", dir, i);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        must(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0, path);
        close(fd);
    }
}

void rig_commits_and_die(const struct store_lmdb_options *options, uint64_t first, uint64_t last)
{
    int status;
    pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        struct store_rig rig = {.kind = STORE_DISK, .changes = changes_create()};
        if (store_disk_open(options, &rig.store, NULL) != NQ_OK) {
            _exit(1);
        }
        for (uint64_t seq = first; seq <= last; seq++) {
            rig_queue(&rig, 1, seq + 1, 1, seq);
            rig_put(&rig, (struct rig_put){1, seq, .count = 1, .body_len = 300});
            rig_commit(&rig);
        }
        _exit(0);
    }
    must(waitpid(child, &status, 0) == child && status == 0, "a process that commits");
}

// --------------------------------------------------------------------------------------------------------------------- changes

static uint8_t byte_of(uint64_t queue_id, uint64_t seq, char part, size_t at)
{
    return (uint8_t)(queue_id * 131 + seq * 17 + (uint64_t)part + at * 7 + (at >> 8));
}

void rig_fill(uint8_t *bytes, size_t len, uint64_t queue_id, uint64_t seq, char part)
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] = byte_of(queue_id, seq, part, i);
    }
}

bool rig_is_filled(struct engine_bytes bytes, uint64_t queue_id, uint64_t seq, char part)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] != byte_of(queue_id, seq, part, i)) {
            return false;
        }
    }
    return true;
}

static void *take(struct store_rig *self, size_t len)
{
    struct rig_block *block = malloc(sizeof(*block) + len + 1);
    must(block != NULL, "out of memory");
    block->next = self->blocks;
    self->blocks = block;
    return block->bytes;
}

void rig_add(struct store_rig *self, struct change change)
{
    must(changes_add(self->changes, &change), "changes_add");
}

void rig_put(struct store_rig *self, struct rig_put put)
{
    struct engine_bytes *bodies = take(self, put.count * sizeof(*bodies));
    struct engine_bytes *headers = take(self, put.count * sizeof(*headers));
    for (size_t i = 0; i < put.count; i++) {
        uint8_t *bytes = take(self, put.headers_len + put.body_len);
        rig_fill(bytes, put.headers_len, put.queue_id, put.first_seq + i, 'h');
        rig_fill(bytes + put.headers_len, put.body_len, put.queue_id, put.first_seq + i, 'b');
        headers[i] = (struct engine_bytes){put.headers_len, bytes};
        bodies[i] = (struct engine_bytes){put.body_len, bytes + put.headers_len};
    }
    struct change change = {.kind = CHANGE_PUT,
                            .as.put = {.queue_id = put.queue_id,
                                       .first_seq = put.first_seq,
                                       .count = put.count,
                                       .bodies = bodies,
                                       .headers = put.headers_len == 0 ? NULL : headers,
                                       .accepted_ms = put.accepted_ms,
                                       .put_bytes = put.put_bytes}};
    rig_add(self, change);
}

void rig_remove(struct store_rig *self, uint64_t queue_id, uint64_t first_seq, uint64_t last_seq)
{
    struct change change = {.kind = CHANGE_REMOVE, .as.remove = {queue_id, first_seq, last_seq}};
    rig_add(self, change);
}

void rig_queue(struct store_rig *self, uint64_t queue_id, uint64_t next_seq, uint64_t cursor, uint64_t stored)
{
    struct queue_record record = {
        .queue_id = queue_id, .next_seq = next_seq, .cursor = cursor, .ready = stored, .puts = next_seq - 1};
    record.name_len = (uint8_t)snprintf(record.name, sizeof(record.name), "queue-%" PRIu64, queue_id);
    record.dead_letter_len = (uint8_t)snprintf(record.dead_letter, sizeof(record.dead_letter), "dead-%" PRIu64, queue_id);
    record.maxsize = queue_id * 1000;
    record.max_deliveries = 7;
    record.temporary = queue_id % 2 == 1;
    record.state = 1;
    record.quarantined = queue_id + 5;
    struct change change = {.kind = CHANGE_QUEUE, .as.queue = &record};
    rig_add(self, change);
}

void rig_item(struct store_rig *self, uint64_t queue_id, uint64_t seq, enum item_state state)
{
    struct item_record record = {.queue_id = queue_id,
                                 .seq = seq,
                                 .state = (uint8_t)state,
                                 .redelivered = true,
                                 .deliveries = 3,
                                 .failures = 2,
                                 .due_ms = seq * 10,
                                 .session_no = 9,
                                 .get_id = 8,
                                 .got_ms = 7,
                                 .lease_ms = 6,
                                 .hold_max_ms = 5};
    struct change change = {.kind = CHANGE_ITEM, .as.item = &record};
    rig_add(self, change);
}

void rig_run(struct store_rig *self, uint64_t queue_id, uint64_t first_seq, uint64_t last_seq)
{
    struct run_record record = {.queue_id = queue_id,
                                .first_seq = first_seq,
                                .last_seq = last_seq,
                                .session_no = 4,
                                .get_id = 3,
                                .got_ms = 2,
                                .lease_ms = 60000,
                                .hold_max_ms = 1,
                                .taken = 1,
                                .redelivered = true};
    struct change change = {.kind = CHANGE_RUN, .as.run = &record};
    rig_add(self, change);
}

void rig_stream(struct store_rig *self, uint64_t queue_id, uint64_t stream, uint64_t last_number)
{
    struct stream_record record = {
        .queue_id = queue_id, .stream = stream, .last_number = last_number, .last_seq = last_number + 1, .used_ms = 77};
    struct change change = {.kind = CHANGE_STREAM, .as.stream = &record};
    rig_add(self, change);
}

void rig_session(struct store_rig *self, uint64_t session_no)
{
    struct session_record record = {.session_no = session_no, .renewed_ms = 1234, .workers = 6};
    rig_fill(record.id, sizeof(record.id), session_no, 0, 'i');
    rig_fill(record.token, sizeof(record.token), session_no, 0, 't');
    struct change change = {.kind = CHANGE_SESSION, .as.session = &record};
    rig_add(self, change);
}

void rig_forget(struct store_rig *self)
{
    changes_clear(self->changes);
    free_blocks(self);
}

enum nq_status rig_try_commit(struct store_rig *self, struct store_error *error)
{
    enum nq_status status = store_commit(self->store, self->changes, error);
    rig_forget(self);
    return status;
}

void rig_commit(struct store_rig *self)
{
    struct store_error error = {0};
    must(rig_try_commit(self, &error) == NQ_OK, error.text);
}
