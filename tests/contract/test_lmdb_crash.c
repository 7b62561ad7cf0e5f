// kill -9 at any moment: every commit that was reported OK is there afterwards, whole, and nothing is damaged.
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_offline.h"
#include "store_rig.h"

enum { KILLS = 25, ITEMS = 20, KEPT_ROUNDS = 5 };

// Round n puts ITEMS items and removes those of round n - KEPT_ROUNDS; next_seq tells how many rounds there were.
static void add_round(struct store_rig *rig, uint64_t round)
{
    uint64_t first = round * ITEMS + 1;
    uint64_t kept = round + 1 < KEPT_ROUNDS ? round + 1 : KEPT_ROUNDS;
    rig_put(rig, (struct rig_put){1, first, .count = ITEMS, .body_len = 400 + round % 3 * 2000});
    if (round >= KEPT_ROUNDS) {
        rig_remove(rig, 1, first - KEPT_ROUNDS * ITEMS, first - KEPT_ROUNDS * ITEMS + ITEMS - 1);
    }
    rig_queue(rig, 1, first + ITEMS, 1, kept * ITEMS);
    rig_stream(rig, 1, round % 50, round);
}

static void commit_until_killed(const char *dir, uint64_t round, int report_fd)
{
    struct store_rig rig = {.kind = STORE_LMDB, .changes = changes_create()};
    if (rig_open_dir(STORE_LMDB, dir, 0, &rig.store, NULL) != NQ_OK) {
        _exit(2);
    }
    for (;; round++) {
        add_round(&rig, round);
        if (rig_try_commit(&rig, NULL) != NQ_OK || write(report_fd, &round, sizeof(round)) != sizeof(round)) {
            _exit(3);
        }
    }
}

// Start a child that commits from `round` on, kill it after `wanted` reports; returns the round after the last one reported.
static uint64_t run_and_kill(const char *dir, uint64_t round, uint64_t wanted, unsigned spin)
{
    int fds[2];
    int status = 0;
    cr_assert_eq(pipe(fds), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        close(fds[0]);
        commit_until_killed(dir, round, fds[1]);
    }
    close(fds[1]);
    uint64_t reported;
    uint64_t next = round;
    while (next < round + wanted && read(fds[0], &reported, sizeof(reported)) == sizeof(reported)) {
        next = reported + 1;
    }
    for (volatile unsigned i = 0; i < spin; i++) { // anywhere within the next commit
    }
    kill(child, SIGKILL);
    while (read(fds[0], &reported, sizeof(reported)) == sizeof(reported)) { // reported before it died
        next = reported + 1;
    }
    close(fds[0]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child ended by itself: %x", status);
    return next;
}

// How many rounds the store holds; each is whole.
static uint64_t rounds_in(const char *dir)
{
    struct store *store = NULL;
    struct store_error error = {0};
    struct store_item item;
    uint64_t last = 0;
    uint64_t count = 0;
    cr_assert_eq(rig_open_dir(STORE_LMDB, dir, 0, &store, &error), NQ_OK, "%s", error.text);
    cr_assert_eq(store_read_begin(store, NULL), NQ_OK);
    while (store_read_next(store, 1, last + 1, UINT64_MAX, &item) == NQ_OK) {
        uint64_t round = (item.seq - 1) / ITEMS;
        cr_assert(last == 0 || item.seq == last + 1, "a hole before %lu", item.seq);
        cr_assert(item.body.len == 400 + round % 3 * 2000 && rig_is_filled(item.body, 1, item.seq, 'b'));
        last = item.seq;
        count++;
    }
    store_read_end(store);
    store_close(&store);
    cr_assert_eq(last % ITEMS, 0);
    cr_assert_eq(count, last < KEPT_ROUNDS * ITEMS ? last : KEPT_ROUNDS * ITEMS);
    return last / ITEMS;
}

Test(lmdb_crash, what_was_reported_survives_kill_9)
{
    struct store_rig rig;
    uint64_t next = 0;
    unsigned random = 12345;
    rig_start(&rig, STORE_LMDB);
    store_close(&rig.store);
    for (size_t kills = 0; kills < KILLS; kills++) {
        struct store_check_report report;
        struct store_error error = {0};
        random = random * 1103515245u + 12345u;
        uint64_t reported = run_and_kill(rig.dir, next, random / 65536 % 40, random / 7 % 200000);
        cr_assert_eq(store_lmdb_check(rig.dir, stderr, &report, &error), NQ_OK, "%s", error.text);
        next = rounds_in(rig.dir);
        cr_assert(next == reported || next == reported + 1, "%lu rounds, %lu reported", next, reported);
    }
    rig_end(&rig);
}

// At its creation, too: a store that was not there before is whole or begun again.
Test(lmdb_crash, killed_at_its_creation_it_can_be_opened)
{
    char parent[128];
    rig_make_parent(parent, sizeof(parent));
    for (unsigned i = 0; i < 40; i++) {
        char dir[160];
        struct store *store = NULL;
        struct store_error error = {0};
        snprintf(dir, sizeof(dir), "%s/%u", parent, i);
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            _exit(rig_open_dir(STORE_LMDB, dir, 0, &store, NULL) == NQ_OK ? 0 : 1);
        }
        for (volatile unsigned spin = 0; spin < i * 20000; spin++) {
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        cr_assert_eq(rig_open_dir(STORE_LMDB, dir, 0, &store, &error), NQ_OK, "%s", error.text);
        store_close(&store);
    }
    rig_remove_tree(parent);
}
