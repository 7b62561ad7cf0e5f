// The LMDB store and its files: opening again, other people's files, damage, one process at a time, reads beside commits.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "changes_codec.h"
#include "crc32c.h"
#include "journal.h"
#include "store_disk.h"
#include "store_files.h"
#include "store_offline.h"
#include "store_rig.h"

static void fill(struct store_rig *rig)
{
    rig_queue(rig, 1, 101, 4, 100);
    rig_put(rig, (struct rig_put){1, 1, .count = 100, .body_len = 300, .headers_len = 7, .put_bytes = 3, .accepted_ms = 4});
    rig_item(rig, 1, 2, ITEM_LEASED);
    rig_run(rig, 1, 3, 3);
    rig_stream(rig, 1, 99, 100);
    rig_session(rig, 5);
    rig_commit(rig);
}

Test(lmdb_files, reopened_store_is_equal)
{
    struct store_rig rig;
    rig_start(&rig, STORE_LMDB);
    fill(&rig);
    char *before = rig_state(rig.store);
    rig_reopen(&rig);
    char *after = rig_state(rig.store);
    cr_assert_str_eq(before, after);
    uint8_t id[16];
    store_id(rig.store, id);
    cr_assert_arr_eq(id, "a store to test", 16, "the id of its creation, not of its opening");
    struct stat status;
    cr_assert(stat(rig.dir, &status) == 0 && (status.st_mode & 0777) == 0700);
    free(before);
    free(after);
    rig_end(&rig);
}

Test(lmdb_files, second_open_is_refused_and_names_the_directory)
{
    struct store_rig rig;
    struct store *second = NULL;
    struct store_error error = {0};
    rig_start(&rig, STORE_LMDB);
    fill(&rig);
    cr_assert_eq(rig_open_dir(STORE_LMDB, rig.dir, 0, &second, &error), NQ_STORAGE_FAILED);
    cr_assert_null(second);
    cr_assert_not_null(strstr(error.text, rig.dir), "%s", error.text);
    cr_assert_null(strchr(error.text, '\n'));
    rig_put(&rig, (struct rig_put){1, 101, .count = 1, .body_len = 3}); // the first one does not mind
    rig_commit(&rig);
    rig_reopen(&rig);
    rig_end(&rig);
}

// Who is told that another broker is using it may think of the file `lock` as a leftover.
Test(lmdb_files, second_open_is_refused_also_when_the_locks_file_was_removed)
{
    struct store_rig rig;
    struct store *second = NULL;
    struct store_error error = {0};
    uint64_t before;
    uint64_t after;
    rig_start(&rig, STORE_LMDB);
    fill(&rig);
    for (int i = 0; i < 2; i++) {
        file_remove(rig.dir, "lock");
        enum nq_status status =
            i == 0 ? rig_open_dir(STORE_LMDB, rig.dir, 0, &second, &error) : store_lmdb_compact(rig.dir, &before, &after, &error);
        cr_assert_eq(status, NQ_STORAGE_FAILED, "%d", i);
        cr_assert_not_null(strstr(error.text, "using"), "%s", error.text);
        cr_assert_not_null(strstr(error.text, rig.dir), "%s", error.text);
    }
    cr_assert_null(second);
    rig_put(&rig, (struct rig_put){1, 101, .count = 1, .body_len = 3});
    rig_commit(&rig);
    rig_reopen(&rig);
    rig_end(&rig);
}

// ---------------------------------------------------------------------------------------------------------------- other files

static void assert_refused(const struct store_rig *rig, enum nq_status expected, const char *word)
{
    struct store *store = NULL;
    struct store_error error = {0};
    cr_assert_eq(rig_open_dir(STORE_LMDB, rig->dir, 0, &store, &error), expected, "%s", error.text);
    cr_assert_null(store);
    cr_assert_not_null(strstr(error.text, word), "'%s' is not in: %s", word, error.text);
}

Test(lmdb_files, other_format_is_refused_with_both_versions)
{
    struct store_rig rig;
    rig_start(&rig, STORE_LMDB);
    fill(&rig);
    store_close(&rig.store);
    file_set_format(rig.dir, 77);
    assert_refused(&rig, NQ_UNSUPPORTED_VERSION, "77");
    assert_refused(&rig, NQ_UNSUPPORTED_VERSION, "1");
    rig_end(&rig);
}

Test(lmdb_files, file_that_is_cut_short_is_refused)
{
    struct store_rig rig;
    rig_start(&rig, STORE_LMDB);
    fill(&rig);
    store_close(&rig.store);
    static const off_t lengths[] = {40000, 20000, 8192, 8191, 5000, 4096, 100, 0};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        file_truncate(rig.dir, lengths[i]);
        assert_refused(&rig, NQ_STORAGE_FAILED, rig.dir);
    }
    rig_end(&rig);
}

Test(lmdb_files, foreign_file_is_refused_and_left_alone)
{
    struct store_rig rig;
    rig_start(&rig, STORE_LMDB);
    store_close(&rig.store);
    file_overwrite(rig.dir, "this is no database", 100000);
    assert_refused(&rig, NQ_STORAGE_FAILED, "not a netqueue store");
    file_make_foreign_lmdb(rig.dir);
    assert_refused(&rig, NQ_STORAGE_FAILED, "not a netqueue store");
    rig_end(&rig);
}

Test(lmdb_files, creation_that_was_cut_off_is_begun_again)
{
    struct store_rig rig;
    rig_start(&rig, STORE_LMDB);
    store_close(&rig.store);
    file_rename(rig.dir, "data.mdb", "data.mdb.new"); // as a process leaves it that ends before the rename
    cr_assert_eq(rig_open_dir(STORE_LMDB, rig.dir, 0, &rig.store, NULL), NQ_OK);
    fill(&rig);
    rig_end(&rig);
}

// `compact` that was ended halfway leaves a file as long as the store; nobody else's must be taken for one.
Test(lmdb_files, the_copy_of_a_compact_that_was_cut_off_goes_at_the_next_start)
{
    struct store_rig rig;
    struct store *second = NULL;
    rig_start(&rig, STORE_LMDB);
    fill(&rig);
    char *before = rig_state(rig.store);
    store_close(&rig.store);
    file_copy(rig.dir, "data.mdb", "data.mdb.new");
    rig_reopen(&rig);
    cr_assert_not(file_exists(rig.dir, "data.mdb.new"));
    char *after = rig_state(rig.store);
    cr_assert_str_eq(before, after);
    file_copy(rig.dir, "data.mdb", "data.mdb.new");
    cr_assert_eq(rig_open_dir(STORE_LMDB, rig.dir, 0, &second, NULL), NQ_STORAGE_FAILED);
    cr_assert(file_exists(rig.dir, "data.mdb.new"), "the store is another's, which may be making it");
    free(before);
    free(after);
    rig_end(&rig);
}

// Whoever has lost it, or has not copied it, must not be given an empty store in its place.
Test(lmdb_files, a_journal_without_its_data_file_is_refused_and_left_alone)
{
    struct store_rig rig;
    struct store *store = NULL;
    struct store_error error = {0};
    rig_start(&rig, STORE_DISK);
    fill(&rig);
    store_close(&rig.store);
    for (int i = 0; i < 2; i++) {
        file_rename(rig.dir, i == 0 ? "data.mdb" : "data.mdb.lost", i == 0 ? "data.mdb.lost" : "data.mdb");
        enum nq_status status = rig_open_dir(STORE_DISK, rig.dir, 0, &store, &error);
        cr_assert_eq(status, i == 0 ? NQ_STORAGE_FAILED : NQ_OK, "%s", nq_status_name(status));
        cr_assert(i > 0 || strstr(error.text, "no data.mdb") != NULL, "%s", error.text);
        store_close(&store);
    }
    file_rename(rig.dir, "data.mdb", "data.mdb.lost");
    file_rename(rig.dir, "journal-0", "journal-0.lost");
    cr_assert_eq(rig_open_dir(STORE_DISK, rig.dir, 0, &rig.store, &error), NQ_OK, "%s", error.text); // the other was not used yet
    rig_end(&rig);
}

// -------------------------------------------------------------------------------------------------------------------- damage

static const char marker[] = "the marker in the body of item number five";

static void put_marked(struct store_rig *rig)
{
    struct engine_bytes body = {sizeof(marker), (const uint8_t *)marker};
    rig_put(rig, (struct rig_put){1, 1, .count = 4, .body_len = 60});
    rig_add(rig, (struct change){.kind = CHANGE_PUT, .as.put = {.queue_id = 1, .first_seq = 5, .count = 1, .bodies = &body}});
    rig_put(rig, (struct rig_put){1, 6, .count = 4, .body_len = 60});
    rig_commit(rig);
}

Test(lmdb_files, flipped_byte_is_damage_and_the_rest_is_served)
{
    for (size_t at = 0; at < sizeof(marker) - 1; at += 10) {
        struct store_rig rig;
        struct store_item item;
        rig_start(&rig, STORE_LMDB);
        put_marked(&rig);
        store_close(&rig.store);
        cr_assert_gt(file_flip(rig.dir, marker, sizeof(marker) - 1, at), 0);
        rig_reopen(&rig);
        cr_assert_eq(store_read_begin(rig.store, NULL), NQ_OK);
        for (uint64_t seq = 1; seq < 10; seq++) {
            memset(&item, 0xEE, sizeof(item));
            cr_assert_eq(store_read(rig.store, 1, seq, &item), seq == 5 ? NQ_DAMAGED : NQ_OK);
            cr_assert_eq(item.seq, seq);
            cr_assert_eq(store_read_next(rig.store, 1, seq, UINT64_MAX, &item), seq == 5 ? NQ_DAMAGED : NQ_OK);
            cr_assert_eq(item.seq, seq);
        }
        store_read_end(rig.store);
        rig_end(&rig);
    }
}

Test(lmdb_files, damaged_item_is_set_aside_by_quarantine_and_by_a_move)
{
    static const enum change_kind kinds[] = {CHANGE_QUARANTINE, CHANGE_MOVE};
    for (size_t i = 0; i < 2; i++) {
        struct store_rig rig;
        struct store_item item;
        struct change change = {.kind = kinds[i], .as.quarantine = {1, 5}};
        if (kinds[i] == CHANGE_MOVE) {
            change.as.move.to_queue_id = 2;
            change.as.move.to_seq = 1;
        }
        rig_start(&rig, STORE_LMDB);
        put_marked(&rig);
        store_close(&rig.store);
        file_flip(rig.dir, marker, sizeof(marker) - 1, 3);
        rig_reopen(&rig);
        rig_add(&rig, change);
        rig_commit(&rig);
        cr_assert_eq(store_read_begin(rig.store, NULL), NQ_OK);
        cr_assert_eq(store_read(rig.store, 1, 5, &item), NQ_EMPTY);
        cr_assert_eq(store_read(rig.store, 2, 1, &item), NQ_EMPTY);
        store_read_end(rig.store);
        store_close(&rig.store);
        cr_assert_eq(file_count_table(rig.dir, "quarantine"), 1, "its bytes are kept for a human");
        rig_end(&rig);
    }
}

Test(lmdb_files, damaged_record_is_named_and_passed_over)
{
    struct store_rig rig;
    rig_start(&rig, STORE_LMDB);
    fill(&rig);
    rig_queue(&rig, 2, 1, 1, 0);
    rig_commit(&rig);
    store_close(&rig.store);
    cr_assert_gt(file_flip(rig.dir, "queue-2", 7, 6), 0);
    rig_reopen(&rig);
    char *text = rig_load(rig.store);
    cr_assert_not_null(strstr(text, "damaged: the record 2.0 of table queues\n"), "%s", text);
    cr_assert_null(strstr(text, "queue 2 "));
    cr_assert_not_null(strstr(text, "queue 1 queue-1 "));
    free(text);
    rig_end(&rig);
}

// ------------------------------------------------------------------------------------------------------------------- threads

enum { ROUNDS = 300, WINDOW = 40 };

static void *commit_rounds(void *argument)
{
    struct store_rig *rig = argument;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        rig_put(rig, (struct rig_put){1, round * WINDOW + 1, .count = WINDOW, .body_len = 500});
        rig_remove(rig, 1, (round - 1) * WINDOW + 1, round * WINDOW);
        rig_commit(rig);
    }
    return NULL;
}

// Each commit replaces all items by the next ones: a reader sees one window, whole, whenever it looks.
Test(lmdb_files, reads_see_one_commit_while_another_thread_commits)
{
    struct store_rig rig;
    pthread_t writer;
    uint64_t first = 0;
    rig_start(&rig, STORE_LMDB);
    rig_put(&rig, (struct rig_put){1, 1, .count = WINDOW, .body_len = 500});
    rig_commit(&rig);
    cr_assert_eq(pthread_create(&writer, NULL, commit_rounds, &rig), 0);
    while (first != ROUNDS * WINDOW + 1) {
        struct store_item items[WINDOW];
        struct store_item more;
        cr_assert_eq(store_read_begin(rig.store, NULL), NQ_OK);
        cr_assert_eq(store_read_next(rig.store, 1, 0, UINT64_MAX, &items[0]), NQ_OK);
        cr_assert_geq(items[0].seq, first);
        cr_assert_eq(items[0].seq % WINDOW, 1);
        first = items[0].seq;
        for (uint64_t i = 1; i < WINDOW; i++) {
            cr_assert_eq(store_read_next(rig.store, 1, first + i, UINT64_MAX, &items[i]), NQ_OK);
        }
        cr_assert_eq(store_read_next(rig.store, 1, first + WINDOW, UINT64_MAX, &more), NQ_EMPTY);
        for (uint64_t i = 0; i < WINDOW; i++) {
            cr_assert(items[i].seq == first + i && rig_is_filled(items[i].body, 1, first + i, 'b'));
        }
        store_read_end(rig.store);
    }
    pthread_join(writer, NULL);
    rig_end(&rig);
}

// ---------------------------------------------------------------------------------------------------------------- the journal

// How many bytes a group with this put has in front of the body.
static size_t bytes_in_front(const struct change *put, const struct engine_bytes *body)
{
    struct changes *changes = changes_create();
    cr_assert(changes != NULL && changes_add(changes, put));
    uint8_t *encoded = malloc(changes_encoded_bytes_max(changes));
    cr_assert_not_null(encoded);
    size_t len = changes_encode(changes, encoded);
    const uint8_t *found = memmem(encoded, len, body->data, body->len);
    cr_assert_not_null(found);
    size_t in_front = JOURNAL_HEADER_BYTES + (size_t)(found - encoded);
    free(encoded);
    changes_destroy(&changes);
    return in_front;
}

// A group that its salt would make a good one, at every block of the journal that the body may come to lie on.
static void forge_groups(uint8_t *body, size_t len, size_t in_front, const uint8_t salt[8])
{
    enum { HEADER = JOURNAL_HEADER_BYTES };
    const uint64_t number = 1ull << 40;
    for (size_t at = JOURNAL_BLOCK_BYTES - in_front; at + HEADER <= len; at += JOURNAL_BLOCK_BYTES) {
        uint8_t *group = body + at;
        memcpy(group, "NQJ1", 4);
        memcpy(group + 8, salt, 8);
        memcpy(group + 16, &number, 8);
        memset(group + 24, 0, 8);
        uint32_t crc = crc32c(0, group + 8, HEADER - 8);
        memcpy(group + 4, &crc, 4);
    }
}

// Whether a store starts after a client has put such a body. `later`: the salt that it is opened with from then on.
static enum nq_status start_after_forgery(const uint8_t *salt, const uint8_t *later, const uint8_t forged[8])
{
    static uint8_t bytes[300000];
    char parent[128];
    char dir[160];
    const struct engine_bytes body = {sizeof(bytes), bytes};
    struct store_rig rig = {.kind = STORE_DISK, .changes = changes_create()};
    enum nq_status status = NQ_OK;
    rig_make_parent(parent, sizeof(parent));
    snprintf(dir, sizeof(dir), "%s/store", parent);
    struct store_lmdb_options options = {
        .dir = dir, .sync = true, .new_store_id = (const uint8_t *)"0123456789abcdef", .new_salt = salt};
    const struct change put = {.kind = CHANGE_PUT, .as.put = {.queue_id = 1, .first_seq = 1, .count = 1, .bodies = &body}};
    forge_groups(bytes, sizeof(bytes), bytes_in_front(&put, &body), forged);
    for (int start = 0; start < 3 && status == NQ_OK; start++) {
        status = store_disk_open(&options, &rig.store, NULL);
        if (status == NQ_OK && start == 0) {
            rig_add(&rig, put);
            rig_commit(&rig);
        } else if (status == NQ_OK) { // in front of what is left of it
            rig_put(&rig, (struct rig_put){1, 2 + (uint64_t)start, .count = 1, .body_len = 3});
            rig_commit(&rig);
        }
        store_close(&rig.store);
        options.new_salt = later;
    }
    changes_destroy(&rig.changes);
    rig_remove_tree(parent);
    return status;
}

// What a callback of a load does is its own: a crash there is a bug.
static bool see_outside(void *context)
{
    (*(int *)context)++;
    return !store_lmdb_is_inside();
}
static bool see_meta(void *context, const struct meta_record *record)
{
    (void)record;
    return see_outside(context);
}
static bool see_queue(void *context, const struct queue_record *record)
{
    (void)record;
    return see_outside(context);
}
static bool see_session(void *context, const struct session_record *record)
{
    (void)record;
    return see_outside(context);
}
static bool see_item(void *context, const struct item_record *record)
{
    (void)record;
    return see_outside(context);
}
static bool see_run(void *context, const struct run_record *record)
{
    (void)record;
    return see_outside(context);
}
static bool see_stream(void *context, const struct stream_record *record)
{
    (void)record;
    return see_outside(context);
}
static bool see_stored(void *context, uint64_t queue_id, uint64_t seq, uint32_t item_bytes)
{
    (void)queue_id;
    (void)seq;
    (void)item_bytes;
    return see_outside(context);
}
static bool see_damaged(void *context, const char *what)
{
    (void)what;
    return see_outside(context);
}

Test(disk_files, whoever_has_called_the_store_is_out_of_lmdb_again)
{
    int seen = 0;
    struct store_rig rig;
    struct store_space space;
    struct store_error error = {0};
    const struct store_loader loader = {.context = &seen,
                                        .meta = see_meta,
                                        .queue = see_queue,
                                        .session = see_session,
                                        .item = see_item,
                                        .run = see_run,
                                        .stream = see_stream,
                                        .stored = see_stored,
                                        .damaged = see_damaged};
    rig_start(&rig, STORE_DISK);
    fill(&rig);
    rig_queue(&rig, 2, 1, 1, 0);
    rig_commit(&rig);
    store_close(&rig.store); // with a checkpoint
    cr_assert(!store_lmdb_is_inside());
    cr_assert_gt(file_flip(rig.dir, "queue-2", 7, 2), 0);
    cr_assert_eq(rig_open_dir(STORE_DISK, rig.dir, 0, &rig.store, &error), NQ_OK, "%s", error.text);
    cr_assert(!store_lmdb_is_inside());
    cr_assert_eq(store_load(rig.store, &loader, &error), NQ_OK, "a callback was inside: %s", error.text);
    cr_assert_geq(seen, 8, "of each kind one: %d", seen);
    free(rig_items(rig.store));
    cr_assert_eq(store_space(rig.store, &space), NQ_OK);
    rig_add(&rig, (struct change){.kind = CHANGE_QUARANTINE, .as.quarantine = {1, 5}}); // looks its item up
    rig_put(&rig, (struct rig_put){1, 101, .count = 1, .body_len = 3});
    rig_commit(&rig);
    cr_assert(!store_lmdb_is_inside());
    cr_assert_neq(rig_open_dir(STORE_DISK, "/dev/null/none", 0, &(struct store *){NULL}, &error), NQ_OK);
    cr_assert(!store_lmdb_is_inside());
    rig_end(&rig);
}

Test(disk_files, no_body_is_taken_for_a_group_of_the_journal)
{
    static const uint8_t secret[8] = "secret!";
    static const uint8_t of_the_id[8] = {'0', '1', '2', '3', '4', '5', '6', '7'};
    cr_assert_eq(start_after_forgery(secret, secret, of_the_id), NQ_OK, "clients know the id");
    cr_assert_eq(start_after_forgery(secret, secret, secret), NQ_DAMAGED, "the forgery is a good one");
    cr_assert_eq(start_after_forgery(secret, of_the_id, secret), NQ_DAMAGED, "a salt that is there stays");
    cr_assert_eq(start_after_forgery(NULL, NULL, of_the_id), NQ_DAMAGED, "a store of before there was a salt");
    cr_assert_eq(start_after_forgery(NULL, secret, of_the_id), NQ_OK, "it gets one");
}

static void commit_and_die(const struct store_lmdb_options *options, uint64_t seq)
{
    rig_commits_and_die(options, seq, seq);
}

// Without sync the disk writes in any order: a power cut takes the first of three groups.
Test(disk_files, groups_whose_predecessor_a_power_cut_took_never_come_back)
{
    static const uint8_t zeros[4096] = {0};
    char parent[128];
    char dir[160];
    char path[200];
    struct store_rig rig = {.kind = STORE_DISK};
    struct store_error error = {0};
    rig_make_parent(parent, sizeof(parent));
    snprintf(dir, sizeof(dir), "%s/store", parent);
    snprintf(path, sizeof(path), "%s/journal-0", dir);
    struct store_lmdb_options options = {
        .dir = dir, .new_store_id = (const uint8_t *)"0123456789abcdef", .new_salt = (const uint8_t *)"salt-one"};
    rig_commits_and_die(&options, 1, 3);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(pwrite(fd, zeros, sizeof(zeros), 0), (ssize_t)sizeof(zeros));
    close(fd);
    options.new_salt = (const uint8_t *)"salt-two";
    commit_and_die(&options, 7); // as long as the one that is lost, with its number
    cr_assert_eq(store_disk_open(&options, &rig.store, &error), NQ_OK, "%s", error.text);
    cr_assert_eq(store_read_begin(rig.store, &error), NQ_OK);
    struct store_item item;
    for (uint64_t seq = 1; seq <= 7; seq++) {
        cr_assert_eq(store_read(rig.store, 1, seq, &item), seq == 7 ? NQ_OK : NQ_EMPTY, "item %lu", (unsigned long)seq);
    }
    store_read_end(rig.store);
    store_close(&rig.store);
    rig_remove_tree(parent);
}

Test(disk_files, a_store_that_gets_its_salt_late_loses_no_group_of_its_journal)
{
    char parent[128];
    char dir[160];
    struct store *store;
    struct store_error error = {0};
    rig_make_parent(parent, sizeof(parent));
    snprintf(dir, sizeof(dir), "%s/store", parent);
    struct store_lmdb_options options = {.dir = dir, .sync = true, .new_store_id = (const uint8_t *)"0123456789abcdef"};
    commit_and_die(&options, 1);
    options.new_salt = (const uint8_t *)"secret!";
    for (uint64_t seq = 2; seq <= 4; seq++) {
        commit_and_die(&options, seq);
    }
    cr_assert_eq(store_disk_open(&options, &store, &error), NQ_OK, "%s", error.text);
    char *items = rig_items(store);
    for (uint64_t seq = 1; seq <= 4; seq++) {
        char start[16];
        snprintf(start, sizeof(start), "1:%d ", (int)seq);
        cr_assert_not_null(strstr(items, start), "item %d: %s", (int)seq, items);
    }
    free(items);
    store_close(&store);
    rig_remove_tree(parent);
}
