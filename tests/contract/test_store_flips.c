// Bits that flip anywhere in LMDB's file. No wrong body is ever read, no item that was never put; what is read differently from what
// was stored is found by check, or is of a kind that docs/reliability.md lists as undetectable. Reading may end the process: LMDB
// follows what its pages say.
//
// The quick form flips a few hundred places; FLIPS=N takes others (scripts/torture).
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_lmdb.h"
#include "store_offline.h"
#include "store_rig.h"

enum { FLIPS = 400, ITEMS = 700, LARGE = 30 };

enum { TXN_FIRST = 144, TXN_END = 152, HEAD_BITS = 64 }; // the number of its commit in each of LMDB's two heads, pages 0 and 1

struct tally {
    unsigned harmless, refused, crashed, told, found, unnoticed, elsewhere;
};

struct states {
    char *good, *before; // as it is, and before the last commit
};

// Several levels of pages in every table, large values, free pages.
static void fill(struct store_rig *rig, struct states *states)
{
    rig_start(rig, STORE_LMDB);
    for (uint64_t queue = 1; queue <= 3; queue++) {
        rig_queue(rig, queue, ITEMS + LARGE + 1, 1, queue == 2 ? ITEMS + LARGE : ITEMS / 2 + LARGE);
        rig_put(rig, (struct rig_put){queue, 1, .count = ITEMS, .body_len = 90, .headers_len = 11});
        rig_put(rig, (struct rig_put){queue, ITEMS + 1, .count = LARGE, .body_len = 5000});
        for (uint64_t seq = 1; seq < 60; seq++) {
            rig_stream(rig, queue, seq * 7, seq);
        }
        rig_commit(rig);
    }
    states->before = rig_state(rig->store);
    rig_remove(rig, 1, 1, ITEMS / 2);
    rig_remove(rig, 3, 1, ITEMS / 2);
    for (uint64_t seq = 400; seq < 450; seq++) {
        rig_item(rig, 1, seq, ITEM_READY);
        rig_run(rig, 2, seq, seq);
        rig_session(rig, seq);
    }
    rig_commit(rig);
    store_close(&rig->store);
}

// What a process that reads all of the store would say, at the end of a pipe; NULL: it ended before.
static char *state_in_child(const char *dir)
{
    int fds[2];
    int status;
    char *text = NULL;
    size_t len;
    char buffer[65536];
    cr_assert_eq(pipe(fds), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        struct store *store;
        struct store_error error = {0};
        close(fds[0]);
        if (rig_open_dir(STORE_LMDB, dir, 0, &store, &error) != NQ_OK) {
            _exit(73);
        }
        char *state = rig_try_state(store);
        size_t state_len = state == NULL ? 0 : strlen(state);
        _exit(state != NULL && write(fds[1], state, state_len) == (ssize_t)state_len ? 0 : 73);
    }
    close(fds[1]);
    FILE *out = open_memstream(&text, &len);
    for (ssize_t got = read(fds[0], buffer, sizeof(buffer)); got > 0; got = read(fds[0], buffer, sizeof(buffer))) {
        fwrite(buffer, 1, (size_t)got, out);
    }
    fclose(out);
    close(fds[0]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        free(text);
        text = WIFEXITED(status) && WEXITSTATUS(status) == 73 ? strdup("refused") : NULL;
    }
    return text;
}

// Every item that is read is one of those that were stored, as it was stored.
static void assert_nothing_wrong(const char *state, const struct states *states, size_t at)
{
    char line[512];
    const char *next;
    for (const char *from = state; *from != '\0'; from = next) {
        next = strchr(from, '\n');
        next = next == NULL ? from + strlen(from) : next + 1;
        snprintf(line, sizeof(line), "%.*s", (int)(next - from - 1), from);
        bool is_item = line[0] >= '0' && line[0] <= '9' && strstr(line, "damaged") == NULL;
        cr_assert(!is_item || rig_text_has(states->good, line) || rig_text_has(states->before, line),
                  "flip at %zu: an item that never was: %s", at, line);
    }
}

static void flip(const char *path, size_t at, uint8_t mask)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert(fd >= 0 && pread(fd, &byte, 1, (off_t)at) == 1);
    byte ^= mask;
    cr_assert_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

// Up to the last byte that is not 0: behind it the file is allocated ahead.
static size_t used_bytes(const char *path)
{
    size_t used = 0;
    size_t at = 0;
    int byte;
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    while ((byte = fgetc(file)) != EOF) {
        at++;
        used = byte != 0 ? at : used;
    }
    fclose(file);
    return used;
}

static bool check_finds(const char *dir)
{
    struct store_check_report report;
    struct store_error error = {0};
    FILE *findings = fopen("/dev/null", "we");
    enum nq_status status = store_lmdb_check(dir, findings, &report, &error);
    fclose(findings);
    return status != NQ_OK;
}

static void judge(struct tally *tally, const char *dir, const struct states *states, size_t at)
{
    char *state = state_in_child(dir);
    bool found = check_finds(dir);
    bool differs = state == NULL || strcmp(state, states->good) != 0;
    bool says_so = state != NULL && strstr(state, "damaged") != NULL;
    if (state != NULL && strcmp(state, "refused") != 0) {
        assert_nothing_wrong(state, states, at);
    }
    tally->harmless += !differs;
    tally->crashed += state == NULL;
    tally->refused += state != NULL && strcmp(state, "refused") == 0;
    tally->told += says_so;
    tally->found += found;
    if (differs && !found) {
        tally->unnoticed++;
        tally->elsewhere += at % 4096 < TXN_FIRST || at % 4096 >= TXN_END || at >= 2 * 4096;
        fprintf(stderr, "flip at byte %zu (page %zu, offset %zu): check finds nothing\n", at, at / 4096, at % 4096);
    }
    free(state);
}

// Processes that read damaged pages may end by a signal: no report of a sanitizer, no core.
static void end_quietly(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT};
    const struct rlimit none = {0, 0};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        signal(signals[i], SIG_DFL);
    }
    setrlimit(RLIMIT_CORE, &none);
}

Test(store_flips, no_flip_makes_a_wrong_body_and_check_finds_what_is_lost)
{
    struct store_rig rig;
    struct tally tally = {0};
    char path[200];
    const char *wanted = getenv("FLIPS");
    size_t flips = wanted == NULL ? FLIPS : strtoul(wanted, NULL, 10);
    uint64_t random = wanted == NULL ? 20261126 : flips;
    struct states states;
    end_quietly();
    fill(&rig, &states);
    snprintf(path, sizeof(path), "%s/data.mdb", rig.dir);
    states.good = state_in_child(rig.dir);
    cr_assert_not_null(states.good);
    cr_assert_not(check_finds(rig.dir), "the store as it was made");
    size_t bytes = used_bytes(path);
    for (size_t i = 0; i < flips; i++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        // Every third in the first 64 bytes of a page, where LMDB's own numbers are, or in its meta pages.
        size_t at = (size_t)(random >> 20) % bytes;
        at = i % 3 == 0 ? at / 4096 * 4096 + at % 64 : i % 31 == 0 ? at % 8192 % 200 + at % 2 * 4096 : at;
        uint8_t mask = (uint8_t)(1u << (random >> 60) % 8);
        flip(path, at, mask);
        judge(&tally, rig.dir, &states, at);
        flip(path, at, mask);
    }
    fprintf(stderr,
            "%zu flips in %zu bytes: %u change nothing that is read, %u are told when read, %u refuse, %u end the reader; check "
            "finds %u; "
            "unnoticed: %u\n",
            flips, bytes, tally.harmless, tally.told, tally.refused, tally.crashed, tally.found, tally.unnoticed);
    cr_assert_eq(tally.elsewhere, 0, "only a commit's number can change so that it fits");
    free(states.good);
    free(states.before);
    rig_end(&rig);
}

// The older head taken for the newer one would undo the last commit.
Test(store_flips, one_bit_at_most_of_the_commits_numbers_goes_unnoticed)
{
    struct store_rig rig;
    struct tally tally = {0};
    struct states states;
    char path[200];
    end_quietly();
    fill(&rig, &states);
    snprintf(path, sizeof(path), "%s/data.mdb", rig.dir);
    states.good = state_in_child(rig.dir);
    for (size_t i = 0; i < 2 * HEAD_BITS; i++) {
        size_t at = i / HEAD_BITS * 4096 + TXN_FIRST + i % HEAD_BITS / 8;
        uint8_t mask = (uint8_t)(1u << i % 8);
        flip(path, at, mask);
        judge(&tally, rig.dir, &states, at);
        flip(path, at, mask);
    }
    cr_assert_leq(tally.unnoticed, 1, "%u", tally.unnoticed);
    free(states.good);
    free(states.before);
    rig_end(&rig);
}
